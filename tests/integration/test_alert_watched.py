"""What the evaluator reads from a real Redis, and what the rules say of it."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import RedisError
from running_worker import MakeQueue, StartWorker
from structlog.testing import capture_logs

from corral import JobContext, Retry
from corral.breakers import Breakers
from corral.errors import RedisUnavailable
from corral.observe.alerts import watched
from corral.observe.alerts.machine import read_all
from corral.observe.alerts.rulebook import RuleBook
from corral.observe.alerts.watched import Watched
from corral.settings import Settings
from eventually import eventually


@pytest.fixture
def reader(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(watched, "FIND_SECONDS", 0)
    return Watched(Settings(_env_file=None, redis_url=redis_url, prefix="bull"))


async def measured(reader: Watched) -> dict[str, float]:
    """Everything that is not at its best."""
    found = read_all(await reader(), RuleBook())
    return {group: float(reading.value) for group, (_, reading) in found.items() if reading.value}


async def test_an_empty_server_has_a_clock_and_its_own_state(reader: Watched, make_queue: MakeQueue) -> None:
    standing = await reader()
    assert standing.server is not None
    assert await measured(reader) == {"persistence-off:redis": 1}


async def test_a_breaker_without_any_queue(reader: Watched, make_queue: MakeQueue, redis_url: str) -> None:
    await Breakers(redis_url, "bull").hold("acme", "the contract ends")
    assert (await measured(reader))["breaker-open:acme"] == 1


async def test_queues_are_found_and_what_goes_wrong_with_them(
    reader: Watched, make_queue: MakeQueue, start_worker: StartWorker, redis: Any
) -> None:
    await redis.hset("bull:not a queue:meta", "version", "x")  # another program's key
    queue = make_queue("orders", prefix="bull", retry=Retry(attempts=1))

    @queue.job("fail")
    async def fail(job: JobContext) -> None:
        raise ValueError("no")

    await queue.add("fail", None)
    found = await measured(reader)
    assert found["no-workers:orders"] == 1
    assert found["waiting:orders"] == 1
    start_worker(queue)

    async def dead() -> Any:
        return (await measured(reader)).get("dead-letters:orders") == 1

    await eventually(dead)
    assert "no-workers:orders" not in await measured(reader)


async def test_without_the_right_to_scan_what_workers_serve_is_watched(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Any, redis_url: str
) -> None:
    queue = make_queue("orders", prefix="bull")

    @queue.job("nothing")
    async def nothing(job: JobContext) -> None: ...

    start_worker(queue)
    await redis.acl_setuser("watcher", enabled=True, nopass=True, keys=["*"], channels=["*"],
                            categories=["+@all"], commands=["-scan"])  # fmt: skip
    try:
        url = redis_url.replace("redis://", "redis://watcher:any@")
        reader = Watched(Settings(_env_file=None, redis_url=url, prefix="bull"))

        async def watched_queues() -> Any:
            return list((await reader()).queues) == ["orders"]

        with capture_logs() as logs:
            await eventually(watched_queues)
        assert [line["error"] for line in logs if line["event"] == "alert_queues_not_found"] == ["NOPERM"]
    finally:
        await redis.acl_deluser("watcher")


async def test_a_redis_that_is_away_is_an_error_not_a_good_standing(make_queue: MakeQueue) -> None:
    reader = Watched(Settings(_env_file=None, redis_url="redis://127.0.0.1:9", prefix="bull"))
    with pytest.raises((RedisError, RedisUnavailable)):
        await reader()
