"""What a handler in a process of its own gets as `job`: the names of JobContext; the worker does the work.

`ProcessJobContext` is for `def` handlers and blocks until the worker has the answer of Redis; it may be used
from any thread of the child. `AsyncProcessJobContext`, for `async def`, has the same methods to be awaited.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from corral.data import encode
from corral.worker.processes.messages import Run

#: Asks the worker (method, arguments as JSON) and returns the answer as JSON, or raises what it raised.
AskWorker = Callable[[str, bytes], bytes]


class ProcessJobContext:
    """The running job. What talks to Redis raises RedisUnavailable when it does not answer."""

    #: For handlers that also run in threads; here nobody has to look, a cancelled handler is interrupted.
    cancelled = False

    def __init__(self, run: Run, data: Any, ask: AskWorker) -> None:
        self._ask = ask
        self._checkpoints: dict[str, Any] = msgspec.json.decode(run.checkpoints)
        self.id = run.id
        self.name = run.name
        self.queue = run.queue
        self.data = data
        self.attempt = run.attempt
        self.attempts = run.attempts
        self.enqueued_at = run.enqueued_at
        self.deadline = run.deadline

    def progress(self, value: float | Mapping[str, Any]) -> None:
        """Publish progress: a number, by custom 0 to 100, or any JSON object. One round trip."""
        self._ask("progress", encode([value]))

    def log(self, text: str) -> None:
        """Add a row to the job's log. One round trip."""
        self._ask("log", encode([text]))

    @property
    def checkpoints(self) -> dict[str, Any]:
        """What `checkpoint` stored so far, in this run and earlier ones."""
        return dict(self._checkpoints)

    def checkpoint(self, values: Mapping[str, Any]) -> None:
        """Merge values into the job's checkpoint; when it returns, Redis has them. One round trip.

        Raises LockLost if another worker has the job by now.
        """
        stored = encode([values])
        self._ask("checkpoint", stored)
        # As it was stored, so that the next attempt finds what this one saw.
        self._checkpoints = self._checkpoints | msgspec.json.decode(stored)[0]

    def wait_for(self, signal: str, timeout: float) -> Any:
        """Wait for a signal without holding a slot or a process; see JobContext.wait_for."""
        return msgspec.json.decode(self._ask("wait_for", encode([signal, timeout])))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.id!r}, queue={self.queue!r}, name={self.name!r})"


class AsyncProcessJobContext:
    """The same, to be awaited."""

    cancelled = False

    def __init__(self, context: ProcessJobContext) -> None:
        self._context = context
        self.id = context.id
        self.name = context.name
        self.queue = context.queue
        self.data = context.data
        self.attempt = context.attempt
        self.attempts = context.attempts
        self.enqueued_at = context.enqueued_at
        self.deadline = context.deadline

    async def progress(self, value: float | Mapping[str, Any]) -> None:
        await asyncio.to_thread(self._context.progress, value)

    async def log(self, text: str) -> None:
        await asyncio.to_thread(self._context.log, text)

    @property
    def checkpoints(self) -> dict[str, Any]:
        return self._context.checkpoints

    async def checkpoint(self, values: Mapping[str, Any]) -> None:
        await asyncio.to_thread(self._context.checkpoint, values)

    async def wait_for(self, signal: str, timeout: float) -> Any:  # noqa: ASYNC109  # part of the public contract
        return await asyncio.to_thread(self._context.wait_for, signal, timeout)

    def __repr__(self) -> str:
        return f"Async{self._context!r}"
