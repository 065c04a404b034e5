"""The same walk on every server that Corral supports: Redis 6.2, 7 and 8, Valkey 8, a cluster of each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from broad_scenario import walk_through

from corral.bullmq.connection import close_shared_clients
from server_farm import ClusterFarm, Farm, needed


@pytest.fixture(autouse=True)
async def short_locks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "5")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.3")
    yield
    await close_shared_clients()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = Farm(tmp_path)
    yield farm
    farm.stop()


@pytest.mark.parametrize(
    ("kind", "field", "version"),
    [
        ("redis-6.2", "redis_version", "6.2."),
        ("on-path", "redis_version", ""),
        ("valkey-8", "valkey_version", "8."),
        ("redis-8", "redis_version", "8."),
    ],
)
async def test_a_walk_through_everything(farm: Farm, kind: str, field: str, version: str) -> None:
    server = farm.start(binary=needed(kind))
    assert server.client.info("server")[field].startswith(version)
    await walk_through(server.url, "bull")


@pytest.mark.parametrize("kind", ["on-path", "valkey-8", "redis-8"])
async def test_a_walk_through_a_cluster(tmp_path: Path, kind: str) -> None:
    cluster = ClusterFarm(tmp_path, "{bull}", needed(kind))
    try:
        await walk_through(cluster.url, "{bull}")
        held = {node.port: node.client.dbsize() for node in cluster.masters}
        assert [port for port, keys in held.items() if keys] == [cluster.owner.port]
    finally:
        cluster.stop()
