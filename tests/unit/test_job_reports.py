"""Progress and log rows while Redis is away: dropped, with one warning, and not asked for again at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from corral import JobContext, context
from corral.errors import InvalidData, RedisUnavailable


class Consumer:
    """Of a server that is there or not."""

    keys = SimpleNamespace(name="orders")

    def __init__(self) -> None:
        self.deaf_until = 0.0
        self.sealing = None
        self.away = True
        self.calls: list[str] = []

    async def _ask(self, what: str) -> bool:
        self.calls.append(what)
        if self.away:
            raise RedisConnectionError("refused")
        return True

    async def progress(self, job_id: str, value: str) -> None:
        await self._ask(f"progress {value}")

    async def log(self, job_id: str, row: str, keep: int) -> None:
        await self._ask(f"log {row}")

    async def store(
        self, job_id: str, token: str, field: str, value: str, *, timed: str | None = None
    ) -> bool:
        return await self._ask(f"store {value}")


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(context, "time", clock)
    return clock


def job_of(consumer: Any, deadline: float | None = None) -> JobContext:
    return JobContext(
        consumer,
        "worker:1",
        job_id="7",
        name="build",
        data=None,
        attempt=1,
        attempts=3,
        enqueued_at=0.0,
        deadline=deadline,
        checkpoint=None,
        wait=None,
        keep_logs=None,
    )


async def test_they_are_dropped_with_a_warning(clock: Clock) -> None:
    consumer = Consumer()
    job = job_of(consumer)
    with capture_logs() as lines:
        await job.progress(50)
        await job.log("half of it")
    assert consumer.calls == ["progress 50"]  # a hanging server costs one time-out, not one for each
    assert [(line["event"], line["job"], line["queue"]) for line in lines] == [
        ("job_report_dropped", "7", "orders")
    ]


async def test_they_are_sent_again_soon(clock: Clock) -> None:
    consumer = Consumer()
    await job_of(consumer).progress(50)
    consumer.away = False
    clock.now += context.DEAF_SECONDS
    await job_of(consumer).log("the rest")
    assert consumer.calls == ["progress 50", "log the rest"]


async def test_a_checkpoint_is_strict(clock: Clock) -> None:
    consumer = Consumer()
    job = job_of(consumer)
    await job.progress(50)
    with pytest.raises(RedisUnavailable, match="job 7 in 'orders'"):
        await job.checkpoint({"row": 1})
    assert job.checkpoints == {}


async def test_a_value_that_cannot_be_told_is_still_an_error(clock: Clock) -> None:
    with pytest.raises(InvalidData):
        await job_of(Consumer()).progress({"file": open})


def test_remaining_ends_at_nought(clock: Clock) -> None:
    assert job_of(Consumer()).remaining is None
    assert job_of(Consumer(), deadline=130.0).remaining == 30.0
    assert job_of(Consumer(), deadline=90.0).remaining == 0.0
