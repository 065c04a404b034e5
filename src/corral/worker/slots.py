"""Slots: a fixed number of long-lived tasks that run jobs, so that no job costs a task of its own.

A slot starts a job by hand. If the job ends without waiting for anything, the slot takes the next one at
once; only when a job waits is another slot woken for what is still ready. A thousand jobs that never wait
run in one slot without one turn of the event loop, and a thousand that do run in a thousand slots.
"""

from __future__ import annotations

import asyncio
import types
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from sys import getrefcount
from typing import Any

from corral.current import COPIES_ARE_COUNTED, Cell, shared, with_cell

#: A slot gives way to the event loop after so long, however many jobs are ready.
TURN_SECONDS = 0.005

#: No number of references: the next job gets a context of its own.
RENEW = -1

#: How long a closing waits for jobs that ignore their cancellation.
CLOSE_SECONDS = 1.0


class Slot:
    """One running job: what the watchdog and a stop need to reach it."""

    __slots__ = ("cell", "deadline", "job_id", "name", "since_ms", "stopped_by", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        self.job_id: str | None = None
        #: The running job's name, and the server's clock when it was fetched.
        self.name = b""
        self.since_ms = 0
        #: What `current_job()` reads.
        self.cell = Cell()
        #: When the attempt times out, in loop time; None: never.
        self.deadline: float | None = None
        #: Why the job's task is being cancelled; the job's runner reads it.
        self.stopped_by: BaseException | None = None

    def stop(self, reason: BaseException) -> None:
        """Cancel the job that runs here, for this reason. A second reason changes nothing."""
        if self.stopped_by is None and self.job_id is not None and self.task is not None:
            self.stopped_by = reason
            self.deadline = None
            self.task.cancel()


class Slots:
    """Runs what is submitted in at most `limit` slots. `run(slot, item)` must not raise."""

    def __init__(self, limit: int, run: Callable[[Slot, Any], Coroutine[Any, Any, None]]) -> None:
        self._limit = limit
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Any] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._closed = False
        self.all: list[Slot] = []

    def submit(self, items: list[Any]) -> None:
        self._ready.extend(items)
        self._wake()

    def take_back(self) -> list[Any]:
        """What was submitted and has not started."""
        items = list(self._ready)
        self._ready.clear()
        return items

    def running(self) -> list[Slot]:
        return [slot for slot in self.all if slot.job_id is not None]

    def _wake(self) -> None:
        while self._idle:
            sleeper = self._idle.pop()
            if not sleeper.done():
                sleeper.set_result(None)
                return
        if len(self.all) < self._limit:
            slot = Slot()
            self.all.append(slot)
            slot.task = self._loop.create_task(self._work(slot))

    async def _work(self, slot: Slot) -> None:
        ready, run, time = self._ready, self._run, self._loop.time
        base = copy_context()
        clean = context = base
        variables: Any = None
        alone = RENEW
        turn_ends = time() + TURN_SECONDS
        while True:
            while ready:
                # What a handler binds for its logs or traces must end with its job, and what it leaves behind
                # must keep its `current_job()`. A new context only after a job that did either, or may
                # have, costs a tenth of one for each job.
                if getrefcount(variables) != alone or context != clean:
                    slot.cell = Cell()
                    clean = with_cell(base, slot.cell)
                    context = clean.copy()
                    variables = shared(clean)
                    alone = getrefcount(variables) if COPIES_ARE_COUNTED else RENEW
                else:
                    slot.cell.job = None
                job = run(slot, ready.popleft())
                try:
                    waits_for = context.run(job.send, None)
                except StopIteration:
                    if time() < turn_ends:
                        continue
                    if ready:
                        self._wake()
                    await asyncio.sleep(0)
                else:
                    if ready:
                        self._wake()
                    await _resume(job, waits_for, context)
                    alone = RENEW
                turn_ends = time() + TURN_SECONDS
            if self._closed:  # the job that ran may have taken the cancellation for itself
                return
            sleeper = self._loop.create_future()
            self._idle.append(sleeper)
            await sleeper
            turn_ends = time() + TURN_SECONDS

    async def close(self, reason: BaseException) -> None:
        """End all slots. Jobs that still run are stopped; one that will not end is left behind."""
        self._closed = True
        self._ready.clear()
        tasks = [slot.task for slot in self.all if slot.task is not None]
        for slot in self.all:
            if slot.job_id is not None and slot.stopped_by is None:
                slot.stop(reason)
            elif slot.task is not None:
                slot.task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)


@types.coroutine
def _resume(job: Coroutine[Any, Any, None], waits_for: Any, context: Context) -> Generator[Any, Any, None]:
    """Go on with a coroutine that was started by hand and now waits for something."""
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:
            try:
                waits_for = context.run(job.throw, error)
            except StopIteration:
                return
        else:
            try:
                waits_for = context.run(job.send, sent)
            except StopIteration:
                return
