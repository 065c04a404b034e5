"""Carrying operations on: whoever is there does it, a worker, the HTTP service, or the command that waits.

Each step is one script that moves a batch, notes how far the operation has come and keeps its rate by the
server's clock, so it does not matter who makes the next one. A lease of five seconds keeps others from making
steps in vain; they take over when its holder says nothing.

Emits: dead_operation_ended (queue, operation, kind, state, moved, gone), dead_operation_broke (error).
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import structlog

from corral.browse import MAX_PAGE as PAGE
from corral.browse import SCAN
from corral.bullmq import dead_operations as wire
from corral.bullmq.dead_operations import Carrier, Step
from corral.deadletters.indexing import Indexer
from corral.deadletters.operations import Operation, operation_of
from corral.deadletters.target import Filter, decode_filter
from corral.errors import InvalidInput

if TYPE_CHECKING:
    from corral.queue import Queue

log = structlog.get_logger(__name__)

#: Between two looks at an operation that waits for its breaker.
WAIT_SECONDS = 1.0

#: No sleep between two steps is longer: a stop is seen within it.
MOST_PAUSE_SECONDS = 1.0

#: What a search that has come to its end notes as its cursor.
END = "end"


class Carrying:
    """Carries on the operations of one queue. Raises what redis-py raises, and what a search raises."""

    def __init__(self, queue: Queue, *, name: str = "") -> None:
        self._queue = queue
        name = name or f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        self._carrier = Carrier(queue.client(), queue.keys(), name)
        self._known: dict[str, Operation] = {}
        #: Operations about a group before whose collection the index was brought up to date.
        self._indexed: set[str] = set()

    async def carry_all(self, *, wait: bool = False) -> None:
        """Carry on every operation that is nobody else's, in turns, until none is left to do.

        wait: stay while one waits for its breaker; else come back for it later.
        """
        while True:
            live = await wire.live(self._queue.client(), self._queue.keys())
            steps = [await self._step_or_stop(operation) for operation in live]
            verdicts = {step.verdict for step in steps}
            if "running" in verdicts:
                await asyncio.sleep(min(step.wait_ms for step in steps if step.verdict == "running") / 1000)
            elif wait and "waiting" in verdicts:
                await asyncio.sleep(WAIT_SECONDS)
            else:
                return

    async def _step_or_stop(self, operation: str) -> Step:
        """One operation that cannot be carried on must not keep the others from it."""
        try:
            return await self.step(operation)
        except InvalidInput as error:
            log.error("dead_operation_broke", queue=self._queue.name, operation=operation, error=str(error))
            await wire.stop(self._queue.client(), self._queue.keys(), operation)
            return Step("ended")

    async def step(self, operation: str) -> Step:
        """Make the next step of one operation. One round trip, more while its jobs are collected."""
        known = self._known.get(operation)
        if known is None or not known.selected:
            fields = await wire.read(self._queue.client(), self._queue.keys(), operation)
            known = self._known[operation] = operation_of(self._queue.name, operation, fields)
            if known.is_over or known.state == "stopping" or not fields:
                return await self._move(known)
            if not known.selected:
                return await self._select(known, fields.get("filter", ""), fields.get("cursor", ""))
        return await self._move(known)

    async def _select(self, operation: Operation, chosen: str, cursor: str) -> Step:
        if operation.group:
            if operation.id not in self._indexed:
                turn = await Indexer(self._queue).catch_up()
                if not turn.caught_up:
                    return Step("running")
                self._indexed.add(operation.id)
            step = await self._carrier.select_group(operation.id)
        else:
            wanted = decode_filter(chosen) if chosen else Filter()
            page = await self._queue.browse.search(
                states=["failed"],
                **({"finished_before": operation.created} | wanted.asked()),
                limit=PAGE,
                scan=SCAN,
                newest_first=False,
                cursor=cursor or None,
            )
            step = await self._carrier.select_found(
                operation.id,
                cursor,
                page.cursor or END,
                [job.id for job in page.jobs],
                done=page.cursor is None,
            )
        return Step("running") if step.verdict == "waiting" else step

    async def _move(self, operation: Operation) -> Step:
        if operation.kind == "retry":
            step = await self._carrier.retry(operation.id)
        elif operation.kind == "discard":
            step = await self._carrier.discard(operation.id)
        else:
            step = await self._carrier.undo(operation.id, operation.undoes)
        if step.verdict == "ended" and self._known.pop(operation.id, None) is not None:
            fields = await wire.read(self._queue.client(), self._queue.keys(), operation.id)
            ended = operation_of(self._queue.name, operation.id, fields)
            log.info(
                "dead_operation_ended",
                queue=self._queue.name,
                operation=ended.id,
                kind=ended.kind,
                state=ended.state,
                moved=ended.moved,
                gone=ended.gone,
            )
        return Step(step.verdict, step.moved, min(step.wait_ms, round(MOST_PAUSE_SECONDS * 1000)))
