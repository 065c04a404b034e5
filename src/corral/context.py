"""What a handler gets as `job`: who it is, which attempt this is, and ways to talk about itself.

`JobContext` is for async handlers. A handler that runs in a thread gets a `ThreadJobContext`: the same
names, but its methods block until Redis has answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog
from redis.exceptions import RedisError

from corral.bullmq.consumer import Consumer
from corral.bullmq.failures import as_corral_error
from corral.children import Children, ThreadChildren
from corral.data import encode
from corral.errors import InvalidInput, LockLost, SignalTimeout
from corral.sealing import Kind

log = structlog.get_logger(__name__)

Answer = TypeVar("Answer")

#: Log rows a job keeps unless its producer says otherwise.
KEEP_LOGS = 1_000

#: Longest durable wait; beyond it a number is surely in the wrong unit.
MAX_WAIT_SECONDS = 10 * 365 * 86_400.0

#: Once a report was dropped, further ones are for so long, without asking: a server that hangs would
#: otherwise cost each of them its time-out.
DEAF_SECONDS = 1.0

CHECKPOINT_FIELD = "corral:checkpoint"
CHECKPOINT_TIME = "corral:checkpointed"
WAIT_FIELD = "corral:wait"


class Suspended(BaseException):
    """Leaves the handler to wait for a signal. No Exception: a handler's `except` must not keep it."""

    def __init__(self, signal: str, until: float, now: float) -> None:
        super().__init__(signal)
        self.signal = signal
        self.until = until
        self.seconds = until - now


@dataclass(frozen=True, slots=True)
class Wait:
    """The durable wait that the job left its last run for. `until` is in epoch seconds, by Redis's clock."""

    signal: str
    until: float


class JobContext(Children):
    """The running job. `deadline` is when this attempt times out, in epoch seconds, or None.

    While Redis does not answer, `progress` and `log` are dropped with a warning in the worker's log: they are
    not worth an attempt. `checkpoint` and `wait_for` raise RedisUnavailable: the job relies on them.
    """

    __slots__ = (
        "_checkpoint", "_consumer", "_keep_logs", "_storing", "_token", "_wait", "attempt", "attempts",
        "data", "deadline", "enqueued_at", "id", "name", "queue",
    )  # fmt: skip

    def __init__(
        self,
        consumer: Consumer,
        token: str,
        *,
        job_id: str,
        name: str,
        data: Any,
        attempt: int,
        attempts: int,
        enqueued_at: float,
        deadline: float | None,
        checkpoint: bytes | None,
        wait: bytes | None,
        keep_logs: int | None,
    ) -> None:
        self._consumer = consumer
        self._token = token
        self._checkpoint: bytes | dict[str, Any] | None = checkpoint
        self._wait = wait
        self._keep_logs = keep_logs
        self._storing: asyncio.Lock | None = None
        self._same: dict[bytes, int] | None = None
        self.id = job_id
        self.name = name
        self.queue = consumer.keys.name
        self.data = data
        self.attempt = attempt
        self.attempts = attempts
        self.enqueued_at = enqueued_at
        self.deadline = deadline

    @property
    def remaining(self) -> float | None:
        """Seconds until `deadline`, never below 0; None without a time limit."""
        return remaining(self.deadline)

    async def progress(self, value: float | Mapping[str, Any]) -> None:
        """Publish progress: a number, by custom 0 to 100, or any JSON object. One round trip."""
        raw = encode(value)
        # A number tells nothing, and boards draw it.
        text = self._sealed("progress", raw) if isinstance(value, Mapping) else raw.decode()
        await self._tell(self._consumer.progress, self.id, text)

    async def log(self, text: str) -> None:
        """Add a row to the job's log. One round trip."""
        keep = KEEP_LOGS if self._keep_logs is None else self._keep_logs
        await self._tell(self._consumer.log, self.id, text, keep)

    @property
    def checkpoints(self) -> dict[str, Any]:
        """What `checkpoint` stored so far, in this run and earlier ones."""
        if not isinstance(self._checkpoint, dict):
            self._checkpoint = self._read_checkpoint(self._checkpoint)
        return dict(self._checkpoint)

    @property
    def has_checkpoint(self) -> bool:
        """Whether one was stored, without reading it."""
        return bool(self._checkpoint)

    def _read_checkpoint(self, raw: bytes | None) -> dict[str, Any]:
        if not raw:
            return {}
        sealing = self._consumer.sealing
        if sealing is not None:
            raw = sealing.open("checkpoint", self.id, raw)
        found: dict[str, Any] = msgspec.json.decode(raw)
        return found

    def _sealed(self, kind: Kind, raw: bytes) -> str:
        sealing = self._consumer.sealing
        return sealing.seal(kind, self.id, raw) if sealing is not None and sealing.active else raw.decode()

    async def checkpoint(self, values: Mapping[str, Any]) -> None:
        """Merge values into the job's checkpoint; when it returns, Redis has them. One round trip.

        Raises LockLost if another worker has the job by now: stop, it will go on from its own checkpoint.
        """
        if self._storing is None:
            self._storing = asyncio.Lock()
        async with self._storing:  # two at once would both start from what is there now
            merged = self.checkpoints | dict(values)
            await self._store(
                CHECKPOINT_FIELD, self._sealed("checkpoint", encode(merged)), timed=CHECKPOINT_TIME
            )
            self._checkpoint = merged

    async def wait_for(self, signal: str, timeout: float) -> Any:  # noqa: ASYNC109  # part of the public contract
        """Wait for `Queue.signal(signal, …)`, for at most `timeout` seconds, without holding a slot.

        If the signal has come, its payload is returned at once. Else the handler is left here (its job goes
        to `delayed`, no attempt is spent) and run again from the top when the signal or the time-out comes;
        it finds its way by its checkpoints. One round trip when called, none while waiting.
        Raises SignalTimeout when the time has passed; a further wait_for then starts anew.
        """
        if not signal or not 0 <= timeout <= MAX_WAIT_SECONDS:
            raise InvalidInput(
                f"wait_for({signal!r}, timeout={timeout}): name a signal, and seconds from 0 to 10 years."
            )
        payload, now = await self._ask(self._consumer.signal_payload(signal))
        if payload is not None:
            sealing = self._consumer.sealing
            return msgspec.json.decode(
                payload if sealing is None else sealing.open("signal", signal, payload)
            )
        until = now + timeout
        waited = msgspec.json.decode(self._wait, type=Wait) if self._wait else None
        if waited is not None and waited.signal == signal:
            if now >= waited.until:
                self._wait = None
                raise SignalTimeout(f"Signal {signal!r} did not come in time.")
            until = waited.until  # woken early, by hand or by a stalled worker: wait for the rest
        raise Suspended(signal, until, now)

    async def _tell(self, call: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        now = time.monotonic()
        if now < self._consumer.deaf_until:
            return
        try:
            await call(*arguments)
        except (RedisError, OSError) as error:
            self._consumer.deaf_until = time.monotonic() + DEAF_SECONDS
            log.warning("job_report_dropped", queue=self.queue, job=self.id, error=type(error).__name__)

    async def _ask(self, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except (RedisError, OSError) as error:
            raise as_corral_error(error, f"job {self.id} in {self.queue!r}") from error

    async def _store(self, field: str, value: str, *, timed: str | None = None) -> None:
        if not await self._ask(self._consumer.store(self.id, self._token, field, value, timed=timed)):
            raise LockLost(
                f"Job {self.id} in {self.queue!r} is no longer held by this worker. Stop working on it."
            )

    def __repr__(self) -> str:
        return f"JobContext({self.id!r}, queue={self.queue!r}, name={self.name!r}, attempt={self.attempt})"


def remaining(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.time())


class ThreadJobContext(ThreadChildren):
    """`JobContext` for a handler in a thread: the same, blocking."""

    def __init__(self, context: JobContext, loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._loop = loop
        #: The job was cancelled or its time is up, and nobody waits for it any more: look at this now and
        #: then and return. A thread cannot be stopped.
        self.cancelled = False
        self.id = context.id
        self.name = context.name
        self.queue = context.queue
        self.data = context.data
        self.attempt = context.attempt
        self.attempts = context.attempts
        self.enqueued_at = context.enqueued_at
        self.deadline = context.deadline

    @property
    def remaining(self) -> float | None:
        return remaining(self.deadline)

    def progress(self, value: float | Mapping[str, Any]) -> None:
        self._run(self._context.progress(value))

    def log(self, text: str) -> None:
        self._run(self._context.log(text))

    @property
    def checkpoints(self) -> dict[str, Any]:
        return self._context.checkpoints

    def checkpoint(self, values: Mapping[str, Any]) -> None:
        self._run(self._context.checkpoint(values))

    def wait_for(self, signal: str, timeout: float) -> Any:
        return self._run(self._context.wait_for(signal, timeout))

    def _run(self, call: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()
