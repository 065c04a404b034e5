"""A cluster that changes under load: its owner dies, is demoted, or hands the slot to another node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from broad_scenario import walk_through
from running_load import Load
from running_worker import RunningWorker

from corral import Queue, Worker
from corral.bullmq.access import acl_rules
from corral.bullmq.connection import close_shared_clients, locator_of, pooled_client
from corral.errors import ConfigurationError
from eventually import eventually
from server_farm import ClusterFarm

PREFIX = "{bull}"


@pytest.fixture
async def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ClusterFarm]:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "3")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "1")
    farm = ClusterFarm(tmp_path, PREFIX)
    yield farm
    await close_shared_clients()
    farm.stop()


@pytest.mark.parametrize("how", ["killed", "frozen", "planned"])
async def test_a_failover_under_load(farm: ClusterFarm, how: str) -> None:
    queue = Queue("orders", redis_url=farm.url, prefix=PREFIX)
    load = Load(queue, farm.owner)
    running = await RunningWorker(Worker(queue, concurrency=5), until_empty=False).ready()
    async with load:
        await eventually(lambda: len(load.done) > 100)
        await load.pause_until_replicated()
        if how == "killed":
            farm.owner.kill()
        elif how == "frozen":
            farm.owner.freeze()
        else:  # the owner hands over without a gap
            await asyncio.to_thread(farm.hand_over)
        await eventually(farm.promoted, within=60)
        load.note_failover()
        await eventually(lambda: load.done_since_failover() > 100, within=60)
        if how == "frozen":
            farm.owner.thaw()
            await eventually(lambda: farm.owner.client.info("replication")["role"] == "slave", within=60)
            await eventually(lambda: load.done_since_failover() > 300, within=60)
    await eventually(lambda: load.missing() == [], within=60)
    await eventually(lambda: running.worker.health()["ok"])
    await running.stop()
    await queue.close()


async def test_a_slot_that_moves_under_load(farm: ClusterFarm) -> None:
    queue = Queue("orders", redis_url=farm.url, prefix=PREFIX)
    load = Load(queue, farm.owner)
    running = await RunningWorker(Worker(queue, concurrency=5), until_empty=False).ready()
    target = next(node for node in farm.masters if node is not farm.owner)
    async with load:
        await eventually(lambda: len(load.done) > 300)
        await asyncio.to_thread(farm.move_slot, target)
        load.note_failover()
        await eventually(lambda: load.done_since_failover() > 100, within=60)
    assert target.client.dbsize() > 300
    everything = load.answered()
    await eventually(lambda: everything <= load.done, within=60)
    await eventually(lambda: running.worker.health()["ok"])
    assert (await queue.counts())["failed"] == 0
    await running.stop()
    await queue.close()


async def test_calls_of_every_shape(farm: ClusterFarm) -> None:
    """Through an owner that changed since the last call: MULTI, pipelines, pub/sub, XREAD, lost scripts."""
    queue = Queue("orders", redis_url=farm.url, prefix=PREFIX)
    client = pooled_client(queue.address())
    await client.set("{bull}:x", "1")
    target = next(node for node in farm.masters if node is not farm.owner)
    await asyncio.to_thread(farm.move_slot, target)
    assert await client.get("{bull}:x") == b"1"  # the same command was sent again

    async with client.pipeline(transaction=True) as pipe:
        pipe.incr("{bull}:n")
        pipe.xadd("{bull}:s", {"a": "b"})
        assert (await pipe.execute())[0] == 1
    assert await client.xread({"{bull}:s": "0"}, block=10)
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("corral:cancel")
        await eventually(lambda: _receives(pubsub, "subscribe"))
        for node in farm.masters:  # a message reaches every node
            node.client.publish("corral:cancel", "7")
        for _ in farm.masters:
            await eventually(lambda: _receives(pubsub, "message"))
    target.client.execute_command("SCRIPT FLUSH")
    job = await queue.add("build", 1)
    found = await queue.get(job.id)
    assert found is not None
    assert found.status == "waiting"
    await client.aclose()
    await queue.close()


async def _receives(pubsub: object, kind: str) -> bool:
    message = await pubsub.get_message(timeout=0.1)  # type: ignore[attr-defined]  # redis-py's own is half typed
    return message is not None and message["type"] == kind


async def test_a_user_with_the_rights_of_the_page(farm: ClusterFarm) -> None:
    for node in farm.processes:
        rules = [*acl_rules(PREFIX), "+cluster|slots"]
        node.client.execute_command("ACL SETUSER", "corral", "on", ">pass", *rules)
    url = farm.url.replace("://", "://corral:pass@")
    await walk_through(url, PREFIX, 50)
    await close_shared_clients()
    locator_of.cache_clear()
    for node in farm.processes:
        node.client.execute_command("ACL SETUSER", "corral", "-cluster|slots")
    with pytest.raises(ConfigurationError, match=r"cluster\|slots"):
        await Worker(Queue("orders", redis_url=url, prefix=PREFIX)).run()


def test_a_prefix_without_braces_is_refused() -> None:
    queue = Queue("orders", redis_url="redis+cluster://127.0.0.1:7000", prefix="bull")
    with pytest.raises(ConfigurationError, match=r"CORRAL_PREFIX=\{bull\}"):
        queue.address()
