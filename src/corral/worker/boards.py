"""The boards of a process: one for each server and prefix that its workers' queues are on, in each loop.

They are the loop's gate: a call to a provider is judged by the board of the job that makes it. A call that is
made by no job (a hook, a batch, which runs many) is judged by the first board.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from corral.breaker import Rules
from corral.bullmq.connection import Address
from corral.current import current_job
from corral.gate import Verdict, set_gate
from corral.queue import Queue
from corral.worker.breakers import Board

_Place = tuple[Address, str]


class Boards:
    """Shared by the workers of one loop. Each joins with its queues and leaves at its end."""

    def __init__(self) -> None:
        self._boards: dict[_Place, Board] = {}
        self._watches: dict[_Place, asyncio.Task[None]] = {}
        self._by_queue: dict[str, Board] = {}
        self._workers = 0

    def join(self, queues: Sequence[Queue], rules: Rules) -> None:
        """A worker starts. `rules` are those of the first."""
        self._workers += 1
        for queue in queues:
            place = (queue.address(), queue.keys().prefix)
            if place not in self._boards:
                board = self._boards[place] = Board(queue.client(), place[1], rules)
                self._watches[place] = asyncio.create_task(board.watch())
            self._by_queue[queue.name] = self._boards[place]
        set_gate(self)

    async def leave(self) -> None:
        """A worker ends; with the last one, everything here."""
        self._workers -= 1
        if self._workers:
            return
        set_gate(None)
        _by_loop.pop(asyncio.get_running_loop(), None)
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        for board in self._boards.values():
            await board.close()

    def of(self, queue: Queue) -> Board:
        """The board of a queue whose worker joined."""
        return self._by_queue[queue.name]

    def health(self) -> dict[str, Any]:
        """Breakers that are open or let jobs go, as they were at the last look. No round trip."""
        return {
            name: {"state": seen.breaker.state, "held": seen.held}
            for board in self._boards.values()
            for name, seen in board.seen.items()
        }

    # The gate

    def blocks(self, breaker: str) -> Verdict | None:
        board, job = self._here()
        return board.blocks(breaker, job)

    async def answered(self, breaker: str) -> None:
        board, job = self._here()
        await board.answered(breaker, job)

    async def misconfigured(self, breaker: str, reason: str) -> Verdict | None:
        board, job = self._here()
        return await board.open(breaker, "configuration", reason, job)

    async def failed(self, breaker: str, reason: str, *, counts: bool) -> Verdict | None:
        board, job = self._here()
        return await board.failed(breaker, reason, job, counts=counts)

    def _here(self) -> tuple[Board, str]:
        job = current_job()
        first = next(iter(self._boards.values()))
        if job is None:
            return first, ""
        return self._by_queue.get(job.queue, first), f"{job.queue}:{job.id}"


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Boards] = WeakKeyDictionary()


def boards_here() -> Boards:
    """The running loop's boards."""
    return _by_loop.setdefault(asyncio.get_running_loop(), Boards())
