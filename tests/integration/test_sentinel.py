"""A master that changes under load: every client finds the new one, nothing that was replicated is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from broad_scenario import walk_through
from running_load import Load
from running_worker import RunningWorker

from corral import JobContext, Queue, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError, RedisRefused
from eventually import eventually
from server_farm import SentinelFarm


@pytest.fixture
async def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SentinelFarm]:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "3")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "1")
    farm = SentinelFarm(tmp_path)
    yield farm
    await close_shared_clients()
    farm.stop()


async def test_a_walk_through_everything(farm: SentinelFarm) -> None:
    await walk_through(farm.url, "bull")


async def test_a_wrong_password_of_sentinel_is_said_at_the_start(farm: SentinelFarm) -> None:
    queue = Queue("orders", redis_url=farm.url.replace("=watch", "=wrong"), prefix="bull")
    with pytest.raises(ConfigurationError, match="sentinel_password"):
        await Worker(queue).run()
    with pytest.raises(RedisRefused):
        await queue.add("build", 1)
    await queue.close()


@pytest.mark.parametrize("how", ["killed", "frozen", "planned"])
async def test_a_failover_under_load(farm: SentinelFarm, how: str) -> None:
    queue = Queue("orders", redis_url=farm.url, prefix="bull")
    load = Load(queue, farm.master)
    running = await RunningWorker(Worker(queue, concurrency=5), until_empty=False).ready()
    async with load:
        await eventually(lambda: len(load.done) > 100)
        await load.pause_until_replicated()
        if how == "killed":
            farm.master.kill()
        elif how == "frozen":
            farm.master.freeze()
        else:
            # The old master lives on for some ten seconds; with this it takes nothing that nobody keeps.
            farm.master.client.config_set("min-replicas-to-write", 1)
            farm.fail_over()
        await eventually(farm.promoted, within=60)
        load.note_failover()
        await eventually(lambda: load.done_since_failover() > 100, within=60)
        if how == "frozen":
            farm.master.thaw()  # Sentinel makes it a replica; nobody may still write to it
            await eventually(lambda: farm.master.client.info("replication")["role"] == "slave", within=60)
            await eventually(lambda: load.done_since_failover() > 300, within=60)
    await eventually(lambda: load.missing() == [], within=60)
    await eventually(lambda: running.worker.health()["ok"])
    await running.stop()
    await queue.close()


async def test_all_clients_of_an_idle_worker_leave_a_demoted_master(farm: SentinelFarm) -> None:
    queue = Queue("orders", redis_url=farm.url, prefix="bull")
    go = asyncio.Event()
    ran: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        ran.append(data)
        if data == "long":
            await go.wait()

    running = await RunningWorker(Worker(queue, concurrency=5), until_empty=False).ready()
    long = await queue.add("build", "long")
    await eventually(lambda: ran == ["long"])
    farm.fail_over()
    await eventually(farm.promoted, within=60)

    def names() -> set[str]:
        return {client["name"] for client in farm.replica.client.client_list()}

    # The blocking client, with the name that BullMQ looks for.
    await eventually(lambda: queue.keys().client_name(running.worker.name) in names(), within=30)
    await queue.add("build", "short")
    await eventually(lambda: ran == ["long", "short"], within=30)
    # The lock thread: the lock is renewed at the new master for longer than it lives.
    lock = f"{queue.keys().job(long.id)}:lock"
    renewals = 0
    left = farm.replica.client.pttl(lock)
    async with asyncio.timeout(60):
        while renewals < 3:
            await asyncio.sleep(0.02)
            now_left = farm.replica.client.pttl(lock)
            assert now_left > 0
            renewals += now_left > left
            left = now_left
    go.set()
    await long.result(timeout=30)
    assert running.feeds[0].state.lost == 0
    await running.stop()
    await queue.close()
