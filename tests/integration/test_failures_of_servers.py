"""A server that answers with an error: away for a while, full, or right in what it says about our call."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as sync_redis
from running_worker import RunningWorker
from structlog.testing import capture_logs

from corral import Queue, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import RedisFull, RedisUnavailable
from eventually import eventually
from redis_process import RedisProcess
from server_farm import Farm, needed


@pytest.fixture(params=["redis-6.2", "on-path", "valkey-8", "redis-8"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RedisProcess]:
    binary = needed(request.param)
    farm = Farm(tmp_path, binary)
    yield farm.start()
    farm.stop()


class Busy:
    """A queue, its worker, and what ran."""

    def __init__(self, server: RedisProcess) -> None:
        self.queue = Queue("orders", redis_url=server.url, prefix="bull")
        self.ran: list[int] = []
        self.running: RunningWorker | None = None
        self.go = asyncio.Event()
        self.go.set()

        @self.queue.job("build")
        async def build(job: object, data: int) -> int:
            await self.go.wait()
            self.ran.append(data)
            return data

    async def start(self) -> None:
        self.running = await RunningWorker(Worker(self.queue, concurrency=10), until_empty=False).ready()
        await self.queue.add("build", 0)
        await eventually(lambda: self.ran == [0])

    def is_well(self) -> bool:
        assert self.running is not None
        return bool(self.running.worker.health()["ok"])

    async def goes_on(self) -> None:
        """It runs what comes now, by itself."""
        number = len(self.ran) + 1_000
        await eventually(lambda: self._adds(number))
        await eventually(lambda: number in self.ran and self.is_well(), within=30)

    async def _adds(self, number: int) -> bool:
        try:
            await self.queue.add("build", number)
        except RedisUnavailable:
            return False
        return True


@pytest.fixture
async def busy(server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Busy]:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "2")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.5")
    busy = Busy(server)
    await busy.start()
    yield busy
    assert busy.running is not None
    await busy.running.stop()
    await busy.queue.close()
    await close_shared_clients()


async def test_a_full_server_takes_no_job_and_its_workers_go_on(server: RedisProcess, busy: Busy) -> None:
    busy.go.clear()
    await busy.queue.add_many("build", list(range(1, 101)))
    server.client.config_set("maxmemory", 1)
    with pytest.raises(RedisFull, match="full"):
        await busy.queue.add("build", 7)
    with pytest.raises(RedisFull):
        await busy.queue.add_many("build", [8, 9])
    busy.go.set()
    # What is in runs to its end even so: that is what makes room again.
    await eventually(lambda: len(busy.ran) == 101, within=30)
    server.client.config_set("maxmemory", 0)
    await busy.goes_on()
    counts = await busy.queue.counts()
    assert (counts["completed"], counts["active"], counts["failed"]) == (102, 0, 0)
    assert sorted(busy.ran) == sorted([*range(101), 1_101])


async def test_a_server_that_is_a_replica_for_a_while(server: RedisProcess, busy: Busy) -> None:
    busy.go.clear()
    held = await busy.queue.add("build", 1)
    await eventually(lambda: _is_active(busy))
    server.client.config_set("replica-serve-stale-data", "yes")
    server.client.replicaof("127.0.0.1", 1)
    busy.go.set()
    with pytest.raises(RedisUnavailable, match="READONLY"):
        await busy.queue.add("build", 2)
    await eventually(lambda: not busy.is_well())
    server.client.replicaof("NO", "ONE")
    assert await held.result(timeout=30) == 1
    await busy.goes_on()


async def test_a_script_of_somebody_that_does_not_end(server: RedisProcess, busy: Busy) -> None:
    server.client.config_set("lua-time-limit", 50)
    endless = sync_redis.Redis(port=server.port, socket_timeout=None)
    hog = asyncio.create_task(asyncio.to_thread(_eval_until_killed, endless))
    await eventually(lambda: _is_busy(server))
    with pytest.raises(RedisUnavailable, match="BUSY"):
        await busy.queue.add("build", 1)
    await eventually(lambda: not busy.is_well())
    server.client.script_kill()
    assert "kill" in (await hog).lower()
    endless.close()
    await busy.goes_on()


async def test_a_server_that_cannot_write_its_disk(server: RedisProcess, busy: Busy, tmp_path: Path) -> None:
    server.client.config_set("save", "3600 100000")
    shutil.rmtree(tmp_path / "node-0")  # where it keeps its data
    server.client.bgsave()
    await eventually(lambda: server.client.info("persistence")["rdb_last_bgsave_status"] == "err")
    with pytest.raises(RedisUnavailable, match="MISCONF"):
        await busy.queue.add("build", 1)
    server.client.config_set("stop-writes-on-bgsave-error", "no")
    server.client.config_set("save", "")  # else it refuses to end
    await busy.goes_on()


async def test_a_server_that_still_loads_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    farm = Farm(tmp_path)
    server = farm.start()
    try:
        busy = Busy(server)
        await busy.start()
        server.client.mset({f"ballast:{number}": "x" * 2_000 for number in range(150)})
        server.client.config_set("rdbcompression", "no")  # it answers in between every 1,024 bytes
        server.client.save()
        server.client.close()
        server.kill()
        server.options = ("--key-load-delay", "50000", "--loading-process-events-interval-bytes", "1024")
        starting = asyncio.create_task(asyncio.to_thread(server.start, 60))
        saw = await eventually(lambda: _answer(server) == "LOADING" or starting.done(), within=60)
        assert saw is True
        with pytest.raises(RedisUnavailable, match="LOADING"):
            await busy.queue.add("build", 1)
        assert not busy.is_well()
        await starting
        await busy.goes_on()
        assert busy.running is not None
        await busy.running.stop()
        await busy.queue.close()
    finally:
        await close_shared_clients()
        farm.stop()


@pytest.mark.parametrize(
    ("place", "value", "said"), [(2, {}, "settlement_set_aside"), (3, None, "settlement_refused")]
)
async def test_one_settlement_that_a_script_cannot_take_blocks_no_other(
    busy: Busy, place: int, value: Any, said: str
) -> None:
    """One at which the script fails before it writes anything, and one at which it fails in between."""
    assert busy.running is not None
    (feed,) = busy.running.feeds
    busy.go.clear()
    jobs = await busy.queue.add_many("build", [1, 2, 3, 4])
    await eventually(lambda: len(feed.locks.held) == 4)
    finish = feed._executor._finish

    def spoil(settlement: Any, row: Any) -> None:
        if settlement and settlement[0] == jobs[1].id and settlement[3] == "2":
            settlement[place] = value
            feed._executor._finish = finish  # once
        finish(settlement, row)

    feed._executor._finish = spoil
    with capture_logs() as logs:
        busy.go.set()
        for job, data in zip(jobs, [1, 2, 3, 4], strict=True):
            assert await job.result(timeout=30) == data
    events = [entry["event"] for entry in logs]
    assert [event for event in events if event.startswith("settlement")] == [said]
    assert "redis_lost" not in events
    assert sorted(busy.ran) == [0, 1, 2, 2, 3, 4]  # its job ran again, after its lock had run out


async def test_what_is_no_hash_is_no_job(server: RedisProcess, busy: Busy) -> None:
    """Somebody wrote over a job while it waited, and over one while it ran."""
    keys = busy.queue.keys()
    busy.go.clear()
    jobs = await busy.queue.add_many("build", [1, 2])
    assert busy.running is not None
    (feed,) = busy.running.feeds
    await eventually(lambda: len(feed.locks.held) == 2)
    server.client.set(keys.job(jobs[0].id), "x")
    server.client.set(f"{keys.base}no-job", "x")
    server.client.lpush(keys.wait, "no-job")
    with capture_logs() as logs:
        busy.go.set()
        assert await jobs[1].result(timeout=30) == 2
        await busy.goes_on()
    assert "settlement_refused" in [entry["event"] for entry in logs]
    assert "redis_lost" not in [entry["event"] for entry in logs]


async def _is_active(busy: Busy) -> bool:
    return (await busy.queue.counts())["active"] == 1


def _is_busy(server: RedisProcess) -> bool:
    return _answer(server) == "BUSY"


def _answer(server: RedisProcess) -> str:
    try:
        server.client.ping()
    except sync_redis.BusyLoadingError:
        return "LOADING"
    except sync_redis.ConnectionError:
        return "nothing"
    except sync_redis.ResponseError as error:
        return str(error).split()[0]
    return "PONG"


def _eval_until_killed(client: Any) -> str:
    try:
        return str(client.eval("while true do end", 0))
    except sync_redis.ResponseError as error:
        return str(error)
