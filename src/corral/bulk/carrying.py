"""Carrying operations on many jobs on: whoever is there does it, a worker or the HTTP service.

A lease of five seconds keeps others from making steps in vain; they take over when its holder says nothing.
Each operation's end is one entry of the audit log.

Emits: bulk_operation_ended (queue, operation, kind, state, moved, gone), bulk_operation_broke (error).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from corral import audit
from corral.browse import MAX_PAGE as PAGE
from corral.browse import SCAN
from corral.bulk.operations import BulkOperation, Why, operation_of
from corral.bullmq import operations as wire
from corral.bullmq.bulk_operations import BulkCarrier, Step
from corral.cancelling import Cancelled
from corral.deadletters.target import Filter, decode_filter
from corral.errors import (
    BelongsToSchedule,
    CannotCancel,
    CorralError,
    InvalidInput,
    JobNotFound,
    RedisUnavailable,
)

if TYPE_CHECKING:
    from corral.queue import Queue

log = structlog.get_logger(__name__)

#: No sleep between two steps is longer: a stop is seen within it.
MOST_PAUSE_SECONDS = 1.0

#: What a search that has come to its end notes as its cursor.
END = "end"

#: States whose list moves while it is walked: from its newest end a search passes over nothing.
_MOVING = ("waiting", "active")

_WHYS: dict[str, Why] = {
    "active": "running", "completed": "finished", "failed": "finished", "delayed": "delayed",
}  # fmt: skip


class BulkCarrying:
    """Carries on the operations of one queue. Raises what redis-py raises, and RedisUnavailable."""

    def __init__(self, queue: Queue, *, name: str = "") -> None:
        self._queue = queue
        self._own = queue.keys().bulk()
        name = name or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._carrier = BulkCarrier(queue.client(), queue.keys(), name)

    async def carry_all(self) -> None:
        """Carry on every operation that is nobody else's, in turns, until none is left to do."""
        while True:
            live = await wire.live(self._queue.client(), self._own)
            steps = [await self._step_or_stop(operation) for operation in live]
            running = [step for step in steps if step.verdict == "running"]
            if not running:
                return
            await asyncio.sleep(min(min(step.wait_ms for step in running) / 1000, MOST_PAUSE_SECONDS))

    async def _step_or_stop(self, operation: str) -> Step:
        """One operation that cannot be carried on must not keep the others from it."""
        try:
            return await self.step(operation)
        except InvalidInput as error:
            log.error("bulk_operation_broke", queue=self._queue.name, operation=operation, error=str(error))
            await wire.stop(self._queue.client(), self._own, operation)
            await self.tell_end(operation)
            return Step("ended")

    async def step(self, operation: str) -> Step:
        """Make the next step of one operation: two round trips, more while its jobs are collected or where
        they are done one by one.
        """
        fields = await wire.read(self._queue.client(), self._own, operation)
        known = operation_of(self._queue.name, operation, fields)
        if fields and not known.is_over and known.state != "stopping" and not known.selected:
            return await self._select(known, fields.get("filter", ""), fields.get("cursor", ""))
        if known.kind in ("retry", "promote"):
            step = await self._carrier.requeue(operation, known.source or "delayed")
            await self._note_why(known, step.others)
        else:
            step = await self._one_by_one(known, fields.get("reason", ""))
        if step.verdict == "ended":
            await self.tell_end(operation)
        return step

    async def _select(self, operation: BulkOperation, chosen: str, cursor: str) -> Step:
        wanted = decode_filter(chosen) if chosen else Filter()
        last_first = operation.source in _MOVING
        page = await self._queue.browse.search(
            states=[operation.source],
            **({"added_before": operation.created} | wanted.asked()),
            limit=PAGE,
            scan=SCAN,
            newest_first=last_first,
            cursor=cursor or None,
        )
        return await self._carrier.select(
            operation.id,
            cursor,
            page.cursor or END,
            [job.id for job in page.jobs],
            operation.source,
            done=page.cursor is None,
            last_first=last_first,
        )

    async def _one_by_one(self, operation: BulkOperation, reason: str) -> Step:
        taken = await self._carrier.take(operation.id)
        if not taken.ids:
            return Step(taken.verdict, taken.wait_ms)
        do = self._doing(operation, reason)
        if operation.kind == "priority":  # jobs of one priority run in the order in which they got it
            whys = [await _try(do, job_id) for job_id in taken.ids]
        else:
            whys = await asyncio.gather(*(_try(do, job_id) for job_id in taken.ids))
        # Of a batch that was begun before, what is gone is what this operation took away.
        others = [why for why in whys if why is not None and not (taken.again and why == "removed")]
        step = await self._carrier.note(operation.id, len(taken.ids) - len(others), len(others))
        if others and step.verdict != "theirs":
            await self._carrier.note_why(operation.id, Counter(others))
        return step

    def _doing(self, operation: BulkOperation, reason: str) -> Callable[[str], Awaitable[Why | None]]:
        """Does it to one job; what it returns is why it stayed as it was."""
        queue, kind, value = self._queue, operation.kind, operation.value

        async def do(job_id: str) -> Why | None:
            if kind == "cancel":
                return "finished" if await queue.cancel(job_id, reason) is Cancelled.FINISHED else None
            if kind == "remove":
                return await self._remove(job_id, operation.source)
            if kind == "priority":
                await queue.admin.change_priority(job_id, int(value))
            elif kind == "delay":
                if not await queue.client().zscore(queue.keys().delayed, job_id):
                    return await self._what_it_is(job_id)
                await queue.admin.change_delay(job_id, value)
            return None

        return do

    async def _remove(self, job_id: str, source: str) -> Why | None:
        """A job that runs again since it was chosen is another matter."""
        if await self._queue.client().zscore(self._queue.keys().base + source, job_id) is None:
            return await self._what_it_is(job_id)
        await self._queue.admin.remove(job_id, children=False)
        return None

    async def _note_why(self, operation: BulkOperation, ids: Sequence[str]) -> None:
        if ids:
            whys = await asyncio.gather(*(self._what_it_is(job_id) for job_id in ids))
            await self._carrier.note_why(operation.id, Counter(whys))

    async def _what_it_is(self, job_id: str) -> Why:
        job = await self._queue.get(job_id)
        return "removed" if job is None else _WHYS.get(str(job.status), "waiting")

    async def tell_end(self, operation: str) -> None:
        """Write its end into the audit log, once whoever calls it, and nothing if it goes on.

        Three round trips at most. `stopped_by`: who stopped it; the entry's own name is who began it.
        """
        client = self._queue.client()
        fields = await wire.read(client, self._own, operation)
        ended = operation_of(self._queue.name, operation, fields)
        if not ended.is_over or not await self._carrier.first_to_tell(operation):
            return
        facts = {"operation": operation, "moved": ended.moved, "gone": ended.gone, "state": ended.state}
        if ended.state == "stopped" and fields.get("stopped_by"):
            facts["stopped_by"] = fields["stopped_by"]
        log.info("bulk_operation_ended", queue=self._queue.name, kind=ended.kind, **facts)
        prefix = self._queue.keys().prefix
        action = f"jobs.{ended.kind}.{ended.state}"
        await audit.record(client, prefix, ended.by, action, self._queue.name, {**facts, **ended.why})


async def _try(do: Callable[[str], Awaitable[Why | None]], job_id: str) -> Why | None:
    """Why the job stayed as it was. Raises RedisUnavailable."""
    try:
        return await do(job_id)
    except RedisUnavailable:
        raise
    except JobNotFound:
        return "removed"
    except BelongsToSchedule:
        return "scheduled"
    except (CannotCancel, CorralError):
        return "refused"
