"""The acting half of `queue.dead`: retry, edit, discard, undo, purge, and operations over many. See
`corral.dead`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from typing import Any

from corral import audit
from corral.adding import check_data
from corral.bullmq import breaking, dead_operations
from corral.bullmq.clock import server_ms
from corral.bullmq.dead_index import BIN_MS
from corral.data import decode_json, encode
from corral.deadletters.carrying import WAIT_SECONDS, Carrying
from corral.deadletters.indexing import Indexer
from corral.deadletters.operations import Kind, Operation, operation_of
from corral.deadletters.reading import Reading
from corral.deadletters.target import Target, encode_filter
from corral.environment import read_settings
from corral.errors import DeadLetterNotFound, InvalidInput, JobNotFound, WrongState
from corral.job_admin import check_number

#: Who it was, where nobody says so.
LIBRARY = "library"

#: The original data of an edited job is kept for so long; where the queue forgets data, as long as the bin.
ORIGINAL_MS = 7 * 86_400_000

#: Between two reports of an operation that somebody follows.
REPORT_SECONDS = 0.2


class Acting(Reading):
    """What can be done with a queue's dead letters. All of it is in the audit log; `actor` says who it
    was.
    """

    __slots__ = ()

    # One

    async def retry(self, job_id: str, *, actor: str = LIBRARY) -> None:
        """Run a dead letter again, as if new: see `queue.admin.retry`. Two round trips.

        Raises JobNotFound, WrongState.
        """
        with self._queue.redis_errors():
            if await self._queue.client().zscore(self._queue.keys().failed, job_id) is None:
                raise await self._not_failed(job_id)
        await self._queue.admin.retry(job_id)
        await self._record(actor, "dead.retry", job_id)

    async def edit(self, job_id: str, data: Any, *, retry: bool = True, actor: str = LIBRARY) -> None:
        """Give a dead letter other data, checked against the type that this process declares for its name,
        and run it again unless `retry` is false. What it had at first is kept for 7 days, see `original`; ten
        minutes in a queue that forgets its jobs' data. Three round trips.

        Raises JobNotFound, WrongState, InvalidData, JobTooLarge.
        """
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            if await client.zscore(keys.failed, job_id) is None:
                raise await self._not_failed(job_id)
            stored: Any = await client.hget(keys.job(job_id), "name")
            name = (stored or b"").decode(errors="replace")
            definition = self._queue.jobs.get(name)
            decode = definition.decode_data if definition else decode_json
            text = check_data(self._queue, encode(data), decode, name=name)
            keep_ms = BIN_MS if self._queue.forgets(read_settings()) else ORIGINAL_MS
            code = await dead_operations.edit(client, keys, job_id, text, keep_ms=keep_ms, retry=retry)
        if code != 1:
            raise await self._not_failed(job_id)
        await self._record(actor, "dead.edit", job_id, {"retried": retry})

    async def discard(self, job_id: str, *, actor: str = LIBRARY) -> Operation:
        """Discard one dead letter; `undo` of the operation brings it back for ten minutes.

        Raises JobNotFound, WrongState.
        """
        with self._queue.redis_errors():
            if await self._queue.client().zscore(self._queue.keys().failed, job_id) is None:
                raise await self._not_failed(job_id)
        begun = await self.discard_many(Target(ids=[job_id]), actor=actor)
        return [step async for step in self.follow(begun.id)][-1]

    # Many

    async def retry_many(
        self, target: Target, *, rate: float | None = None, breaker: str = "", actor: str = LIBRARY
    ) -> Operation:
        """Begin to run dead letters again, each as `retry` does: those that have failed up to now.

        rate: so many a second, over all that carry it on; None: as fast as it goes. breaker: only while that
        one is closed. Returns at once: workers of the queue carry it on within seconds, `follow` and
        `carry_on` do it here. Four round trips. Raises InvalidInput, DeadLetterNotFound.
        """
        return await self._begin("retry", target, rate=rate, breaker=breaker, actor=actor)

    async def discard_many(
        self, target: Target, *, rate: float | None = None, breaker: str = "", actor: str = LIBRARY
    ) -> Operation:
        """Begin to discard dead letters; the rest as for `retry_many`. What the bin has room for can be
        brought back for ten minutes (`undo`); the dry run, `preview`, tells its room.
        """
        return await self._begin("discard", target, rate=rate, breaker=breaker, actor=actor)

    async def undo(self, operation: str, *, actor: str = LIBRARY) -> Operation:
        """Begin to bring back what an operation has discarded and the bin still has, each job as it was.

        Raises DeadLetterNotFound, WrongState while it runs, or if it has discarded nothing that is left.
        """
        undone = await self.operation(operation)
        if undone.kind != "discard":
            raise WrongState(f"Operation {operation} did not discard anything, so there is nothing to undo.")
        if not undone.is_over:
            raise WrongState(f"Operation {operation} is still discarding. Stop it first.")
        begun = await self._write(
            "undo", f"operation {operation}", {"undoes": operation, "selected": "1"}, actor, undone=operation
        )
        if not begun.total:
            with self._queue.redis_errors():
                await dead_operations.stop(self._queue.client(), self._queue.keys(), begun.id)
            raise WrongState(
                f"Nothing of operation {operation} is left in the bin, which keeps jobs for "
                f"{BIN_MS / 60_000:.0f} min."
            )
        return begun

    async def purge(
        self, *, older_than: float, limit: int | None = None, dry_run: bool = False, actor: str = LIBRARY
    ) -> int:
        """Remove dead letters that failed over `older_than` seconds ago, for good. Returns how many; with
        `dry_run`, how many it would. One round trip for each 250 jobs. Raises InvalidInput.
        """
        check_number("older_than", older_than)
        if dry_run:
            with self._queue.redis_errors():
                client = self._queue.client()
                until_ms = await server_ms(client) - round(older_than * 1000)
                found = int(await client.zcount(self._queue.keys().failed, "-inf", until_ms))
            return found if limit is None else min(found, limit)
        removed = await self._queue.admin.clean("failed", older_than=older_than, limit=limit)
        await self._record(actor, "dead.purge", "", {"older_than": older_than, "removed": removed})
        with self._queue.redis_errors():
            await Indexer(self._queue).catch_up()
        return removed

    # Operations

    async def operations(self, count: int = 50) -> list[Operation]:
        """The operations that began last, newest first. Two round trips."""
        with self._queue.redis_errors():
            found = await dead_operations.newest(self._queue.client(), self._queue.keys(), count)
        return [operation_of(self._queue.name, name, fields) for name, fields in found]

    async def operation(self, operation: str) -> Operation:
        """One operation. One round trip. Raises DeadLetterNotFound."""
        with self._queue.redis_errors():
            fields = await dead_operations.read(self._queue.client(), self._queue.keys(), operation)
        if not fields:
            raise DeadLetterNotFound(
                f"Queue {self._queue.name!r} has no operation {operation[:40]!r}. "
                "`corral dead operations` lists them."
            )
        return operation_of(self._queue.name, operation, fields)

    async def stop(self, operation: str, *, actor: str = LIBRARY) -> Operation:
        """Stop an operation: its carrier makes no further step. What was done stays done; for the rest begin
        another one. Three round trips. Raises DeadLetterNotFound, WrongState if it has ended.
        """
        before = await self.operation(operation)
        if before.is_over:
            raise WrongState(f"Operation {operation} has ended already: {before.state}.")
        with self._queue.redis_errors():
            await dead_operations.stop(self._queue.client(), self._queue.keys(), operation)
        await self._record(actor, "dead.stop", "", {"operation": operation})
        return await self.operation(operation)

    async def carry_on(self, *, wait: bool = False) -> None:
        """Carry on all operations of the queue that nobody else does, until none is left.

        wait: also stay while one waits for its breaker. What workers do by themselves.
        """
        with self._queue.redis_errors():
            await Carrying(self._queue).carry_all(wait=wait)

    async def follow(self, operation: str) -> AsyncIterator[Operation]:
        """Carry an operation on, if nobody else does, and tell how it stands, until it has ended.

        Leaving it early ends nothing: it goes on elsewhere, or when somebody follows it again.
        """
        loop = asyncio.get_running_loop()
        told = 0.0
        with self._queue.redis_errors():
            carrying = Carrying(self._queue)
        while True:
            with self._queue.redis_errors():
                step = await carrying.step(operation)
            if step.verdict != "running" or loop.time() - told >= REPORT_SECONDS:
                told = loop.time()
                seen = await self.operation(operation)
                yield seen
                if seen.is_over:
                    return
            running = step.verdict == "running"
            await asyncio.sleep(step.wait_ms / 1000 if running else min(REPORT_SECONDS, WAIT_SECONDS))

    # Inside

    async def _begin(
        self, kind: Kind, target: Target, *, rate: float | None, breaker: str, actor: str
    ) -> Operation:
        if rate is not None and not 0 < rate <= 1_000_000:
            raise InvalidInput(f"rate={rate}: jobs a second, above 0 and up to a million.")
        if target.group:
            await self.group(target.group)
        if breaker:
            await self._check_breaker(breaker)
        fields = {
            "group": target.group,
            "rate": f"{rate or 0:g}",
            "breaker": breaker,
            "selected": "1" if target.ids else "0",
        }
        if target.filter is not None:
            fields["filter"] = encode_filter(target.filter)
        return await self._write(kind, str(target), fields, actor, ids=target.ids)

    async def _write(
        self,
        kind: Kind,
        about: str,
        fields: Mapping[str, str],
        actor: str,
        *,
        ids: Any = (),
        undone: str = "",
    ) -> Operation:
        name = secrets.token_hex(5)
        shared = {"kind": kind, "state": "waiting", "about": about, "by": actor, "breaker": ""}
        with self._queue.redis_errors():
            client, keys = self._queue.client(), self._queue.keys()
            await dead_operations.begin(client, keys, name, shared | dict(fields), ids=ids, undone=undone)
        begun = await self.operation(name)
        facts = {"operation": name, "about": about, "jobs": begun.total or None, "rate": begun.rate,
                 "breaker": begun.breaker or None}  # fmt: skip
        await self._record(actor, f"dead.{kind}", "", {k: v for k, v in facts.items() if v is not None})
        return begun

    async def _check_breaker(self, breaker: str) -> None:
        """A misspelt one would never be open, and the operation start at once."""
        with self._queue.redis_errors():
            known = await breaking.known(self._queue.client(), self._queue.keys().prefix)
        if breaker not in known:
            raise InvalidInput(
                f"No breaker {breaker!r} has ever opened. Known: {', '.join(known) or 'none'}."
            )

    async def _record(
        self, actor: str, action: str, job_id: str, facts: Mapping[str, Any] | None = None
    ) -> None:
        target = f"{self._queue.name}:{job_id}" if job_id else self._queue.name
        with self._queue.redis_errors():
            await audit.record(self._queue.client(), self._queue.keys().prefix, actor, action, target, facts)

    async def _not_failed(self, job_id: str) -> JobNotFound | WrongState:
        if await self._queue.get(job_id) is None:
            return JobNotFound(
                f"Job {job_id} is not in queue {self._queue.name!r}. It never was, or has had its time."
            )
        return WrongState(f"Job {job_id} of {self._queue.name!r} has not failed, so it is no dead letter.")
