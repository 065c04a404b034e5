"""The surroundings of a KYC job in a test: settings, a receiver of webhooks, a context to run by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from corral.bullmq.connection import close_shared_clients
from corral.context import Suspended
from corral.errors import SignalTimeout
from corral.providers import close_providers, providers
from corral.queues import kyc_verification, notification
from corral.queues.kyc_types import KycJob
from corral.queues.kyc_webhooks import Provider, deliver, receive_idenfy, receive_onfido
from corral.sandbox.server import RunningSandbox

KEYS = ("ONFIDO_API_KEY", "IDENFY_API_KEY", "IDENFY_API_SECRET", "SUPABASE_URL", "SUPABASE_SERVICE_KEY")


def surround(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    sandbox_url: str,
) -> None:
    """Set the environment of a worker in sandbox mode."""
    monkeypatch.chdir(tmp_path_factory.mktemp("no-env-file"))
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_SANDBOX", "1")
    monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox_url)


async def leave() -> None:
    """Close what the running loop opened."""
    await close_providers()
    await kyc_verification.queue.close()
    await notification.queue.close()
    await close_shared_clients()


def job_data(provider: str = "onfido", number: str = "SPECIMEN-1", **more: Any) -> KycJob:
    return KycJob(
        user_id="user-7", document_type="passport", document_number=number, provider=provider,  # type: ignore[arg-type]  # a test may name one that there is not
        front_image_url="https://docs.example.com/passport.jpg", **more,
    )  # fmt: skip


async def row(job_id: str) -> dict[str, Any]:
    """The verification's row in Supabase."""
    (found,) = await (await providers()).supabase.select("kyc_verifications", {"job_id": f"eq.{job_id}"})
    return found


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait for a condition, at most so long."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def receiver(port: int) -> AsyncIterator[list[str]]:
    """Takes webhooks as the API does: verifies them, signals the queue. Yields the signals' names."""
    signals: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        length = next(int(v) for k, v in headers.items() if k.lower() == "content-length")
        raw = await reader.readexactly(length)
        receive = receive_onfido if "/webhooks/onfido" in head else receive_idenfy
        signal = receive(raw, headers)
        if signal is not None:
            signals.append(signal[0])
            provider: Provider = "onfido" if receive is receive_onfido else "idenfy"
            await deliver(kyc_verification.queue, provider, raw, signal)
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", port):
        yield signals


class Crash(BaseException):
    """The process dies here. No Exception, as kill -9 is none."""


class ByHand:
    """A job whose runs a test starts one by one; what it stored outlives each run, as in Redis.

    dies_at: the number of the checkpoint call at which the process dies, before or after storing.
    """

    def __init__(self, data: KycJob, job_id: str) -> None:
        self.data = data
        self.id = job_id
        self.attempt, self.attempts = 1, 3
        self.deadline: float | None = None
        self.stored: dict[str, Any] = {}
        self.steps: list[float] = []
        self.waits: list[tuple[str, float]] = []
        self.signals: dict[str, Any] = {}
        self.dies_at: int | None = None
        self.dies_after_storing = False
        self._calls = 0

    @property
    def checkpoints(self) -> dict[str, Any]:
        return dict(self.stored)

    async def checkpoint(self, values: Mapping[str, Any]) -> None:
        self._calls += 1
        dies = self._calls == self.dies_at
        if dies and not self.dies_after_storing:
            raise Crash
        self.stored |= values
        if dies:
            raise Crash

    async def progress(self, value: float) -> None:
        self.steps.append(value)

    async def wait_for(self, signal: str, timeout: float) -> Any:
        if signal in self.signals:
            return self.signals[signal]
        if self.waits and self.waits[-1][0] == signal and self.due:
            self.due = False
            raise SignalTimeout
        self.waits.append((signal, timeout))
        raise Suspended(signal, timeout, 0.0)

    #: Whether the time of the last wait has passed.
    due = False

    async def run(self) -> Any:
        """One run from the top. Returns the result, or None if it suspended."""
        self._calls = 0
        try:
            return await kyc_verification.verify(self, self.data)  # type: ignore[arg-type]  # a double
        except Suspended:
            return None

    async def run_to_the_end(self) -> Any:
        """Run again after every wait, as if its time had passed."""
        async with asyncio.timeout(60):
            while (result := await self.run()) is None:
                self.due = True
        return result


def received(server: RunningSandbox, action: str) -> int:
    return server.counts.get(action, 0)
