"""Operations on all jobs of a state that fit a filter: count them first, begin, follow, stop.

`BulkDesk(queue)`. An operation goes on whoever closed their browser: the process that began it carries it on,
and if that is killed, a worker of the queue within seconds, or the service when somebody looks. A job is met
at most once; a job that was added after the operation began is not met.

Every method raises RedisUnavailable. Changes are in the audit log, with counts and settings alone.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from corral import audit
from corral.adding import check_bounds
from corral.browse import MAX_PAGE
from corral.bulk.carrying import BulkCarrying
from corral.bulk.operations import FITTING, BulkOperation, Kind, operation_of
from corral.bullmq import operations as wire
from corral.deadletters.target import Filter, encode_filter
from corral.errors import InvalidInput, OperationNotFound, WrongState
from corral.job import Job
from corral.job_admin import check_number

if TYPE_CHECKING:
    from corral.queue import Queue

#: Jobs that a dry run shows.
SAMPLE = 5

#: Jobs that one call of a dry run looks at.
COUNTED = 5_000


@dataclass(frozen=True, slots=True)
class BulkPreview:
    """The dry run: of `searched` of `total` jobs, `count` fit. cursor: to count on."""

    count: int
    sample: list[Job]
    searched: int
    total: int
    cursor: str | None


class BulkDesk:
    """The operations of one queue. Cheap to make."""

    __slots__ = ("_queue",)

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def preview(self, source: str, chosen: Filter, *, cursor: str | None = None) -> BulkPreview:
        """How many jobs an operation would be about, and some of them. Looks at 5,000 a call.

        Without a filter all are counted at once. Raises InvalidInput.
        """
        browse, states, asked = self._queue.browse, [source], chosen.asked()
        if not asked:
            page = await browse.search(states=states, limit=SAMPLE, newest_first=False)
            return BulkPreview(page.total, page.jobs, page.total, page.total, None)
        count, sample, before = 0, list[Job](), -1
        while True:
            page = await browse.search(
                states=states, **asked, limit=MAX_PAGE, scan=COUNTED, newest_first=False, cursor=cursor
            )
            count += len(page.jobs)
            sample += page.jobs[: SAMPLE - len(sample)]
            before = page.searched if before < 0 else before
            cursor = page.cursor
            if cursor is None or page.searched - before >= COUNTED or len(page.jobs) < MAX_PAGE:
                return BulkPreview(count, sample, page.searched, page.total, cursor)

    async def begin(
        self,
        kind: Kind,
        source: str,
        chosen: Filter,
        *,
        value: float = 0,
        reason: str = "",
        rate: float | None = None,
        actor: str = "library",
    ) -> BulkOperation:
        """Begin an operation on the jobs of a state that fit.

        value: the new priority, or the delay in seconds. rate: so many a second, over all that carry it on.
        Returns at once. Three round trips. Raises InvalidInput, InvalidOptions.
        """
        if source not in FITTING[kind]:
            raise InvalidInput(
                f"{kind} is for jobs that are {' or '.join(FITTING[kind])}, not {source[:40]!r}."
            )
        if rate is not None and not 0 < rate <= 1_000_000:
            raise InvalidInput(f"rate={rate}: jobs a second, above 0 and up to a million.")
        if kind == "priority":
            check_bounds(priority=int(value))
        check_number("value", value)
        name = secrets.token_hex(5)
        fields = {
            "kind": kind, "source": source, "state": "waiting", "about": about(chosen), "by": actor,
            "breaker": "", "value": f"{value:.15g}", "reason": reason, "rate": f"{rate or 0:g}",
            "filter": encode_filter(chosen),
        }  # fmt: skip
        facts = {"operation": name, "state": source, "about": fields["about"], "rate": rate}
        if kind in ("priority", "delay"):
            facts["value"] = value
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            await wire.begin(client, keys, keys.bulk(), name, fields)
            await audit.record(client, keys.prefix, actor, f"jobs.{kind}", self._queue.name, facts)
        return await self.operation(name)

    async def operations(self, count: int = 50) -> list[BulkOperation]:
        """The operations that began last, newest first. Two round trips."""
        with self._queue.redis_errors():
            own = self._queue.keys().bulk()
            (found,) = await wire.newest_of(self._queue.client(), [own], count)
        return [operation_of(self._queue.name, name, fields) for name, fields in found]

    async def operation(self, operation: str) -> BulkOperation:
        """One operation. One round trip. Raises OperationNotFound."""
        with self._queue.redis_errors():
            fields = await wire.read(self._queue.client(), self._queue.keys().bulk(), operation)
        if not fields:
            raise OperationNotFound(
                f"Queue {self._queue.name!r} has no operation {operation[:40]!r}. Those of the last 30 days "
                "are kept, at most 200."
            )
        return operation_of(self._queue.name, operation, fields)

    async def stop(self, operation: str, *, actor: str = "library") -> BulkOperation:
        """Let it make no further step; what was done stays done. Raises OperationNotFound, WrongState."""
        if (await self.operation(operation)).is_over:
            raise WrongState(f"Operation {operation} has ended already.")
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            await wire.stop(client, keys.bulk(), operation, by=actor)
            stopped = await self.operation(operation)
            facts = {"operation": operation, "moved": stopped.moved}
            await audit.record(client, keys.prefix, actor, "jobs.stop", self._queue.name, facts)
            # Where nobody carries it, it has ended with this; else its carrier tells the end.
            await BulkCarrying(self._queue).tell_end(operation)
        return stopped

    async def carry_on(self) -> None:
        """Carry on all operations of the queue that nobody else does, until none is left."""
        with self._queue.redis_errors():
            await BulkCarrying(self._queue).carry_all()


def about(chosen: Filter) -> str:
    """Names alone: values may be personal, and this is shown and kept."""
    asked = sorted(chosen.asked())
    return f"filter by {', '.join(asked)}" if asked else "all jobs of the state"
