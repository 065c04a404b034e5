"""The servers of a run. Each client has an address of its own, so that it alone can be cut off."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import redis

from bench.soak.numbers import QUEUE
from bench.soak.plan import World
from bench.soak.verdict import Held
from fault_proxy import FaultProxy
from redis_process import RedisProcess
from server_farm import SentinelFarm, wait_until

PREFIX = "bull"
#: For a server that restarts, or Sentinels that agree, on a busy machine.
PATIENCE_SECONDS = 90.0

_LISTS = ("wait", "paused", "active")
_SETS = ("prioritized", "delayed", "failed", "waiting-children")


class Servers(ABC):
    """What the rest of the soak needs of either world."""

    #: What it is, for the report.
    name: str

    @abstractmethod
    def url_for(self, client: str) -> str:
        """REDIS_URL of this client."""

    @abstractmethod
    def node_connection(self) -> dict[str, Any]:
        """The same for ioredis."""

    @abstractmethod
    def client(self) -> Any:
        """A client of the server that is the master now."""

    @abstractmethod
    def stop(self) -> None: ...

    def version(self) -> str:
        info = self.client().info("server")
        name = "Valkey" if "valkey_version" in info else "Redis"
        return f"{name} {info.get('valkey_version') or info['redis_version']}"

    def used_memory(self) -> int:
        return int(self.client().info("memory")["used_memory"])

    def left(self) -> int:
        """Jobs that have not ended."""
        client, base = self.client(), f"{PREFIX}:{QUEUE}:"
        lists = sum(int(client.llen(base + place)) for place in _LISTS)
        return lists + sum(int(client.zcard(base + place)) for place in _SETS if place != "failed")

    def held(self) -> Iterator[Held]:
        """Every job but the completed ones."""
        client, base = self.client(), f"{PREFIX}:{QUEUE}:"
        for place in (*_LISTS, *_SETS):
            ids = (
                client.lrange(base + place, 0, -1) if place in _LISTS else client.zrange(base + place, 0, -1)
            )
            for job in ids:
                data, reason = client.hmget(base + job, "data", "failedReason")
                if data is not None:  # BullMQ's markers are no jobs
                    yield Held(json.loads(data)["n"], job, place, reason or "")


class Single(Servers):
    """One server behind a proxy for each client."""

    name = "one server, appendonly with fsync always"

    def __init__(self, folder: Path) -> None:
        options = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(folder))
        self.server = RedisProcess(*options)
        self.server.start(PATIENCE_SECONDS)
        self.proxies: dict[str, FaultProxy] = {}

    def url_for(self, client: str) -> str:
        if client not in self.proxies:
            self.proxies[client] = FaultProxy(self.server.port).start()
        return self.proxies[client].url

    def node_connection(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.server.port}

    def client(self) -> Any:
        return self.server.client

    def stop(self) -> None:
        for proxy in self.proxies.values():
            proxy.stop()
        self.server.stop()


class Watched(Servers):
    """A master and two replicas, which take writes only while a replica listens, and three Sentinels."""

    name = "Sentinel, one master and two replicas, min-replicas-to-write 1"
    OPTIONS = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "2")

    def __init__(self, folder: Path) -> None:
        self.farm = SentinelFarm(folder)
        login = ("--requirepass", "s3cret", "--masterauth", "s3cret", "--repl-diskless-sync-delay", "0")
        replica_of = ("--replicaof", f"127.0.0.1 {self.farm.master.port}")
        third = self.farm.start(*login, *replica_of, password="s3cret")
        self.nodes = [self.farm.master, self.farm.replica, third]
        for node in self.nodes:
            node.options = self.OPTIONS  # for when it starts again
            node.client.config_set("min-replicas-to-write", 1)
            node.client.config_set("min-replicas-max-lag", 2)
        wait_until(lambda: self._knows_replicas(2), PATIENCE_SECONDS)
        wait_until(self.whole, PATIENCE_SECONDS)

    def _knows_replicas(self, count: int) -> bool:
        for sentinel in self.farm.sentinels:
            state = sentinel.client.execute_command("SENTINEL", "MASTER", self.farm.NAME)
            values = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
            if int(values["num-slaves"]) != count:
                return False
        return True

    def url_for(self, client: str) -> str:  # noqa: ARG002  # nobody can be cut off alone
        return self.farm.url

    def node_connection(self) -> dict[str, Any]:
        sentinels = [{"host": "127.0.0.1", "port": one.port} for one in self.farm.sentinels]
        return {
            "sentinels": sentinels,
            "name": self.farm.NAME,
            "password": "s3cret",
            "sentinelPassword": "watch",
        }

    def master(self) -> RedisProcess:
        """As the Sentinels name it."""
        address = self.farm.sentinels[0].client.execute_command(
            "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.farm.NAME
        )
        return next(node for node in self.nodes if node.port == int(address[1]))

    def client(self) -> Any:
        return self.master().client

    def promoted(self, old: RedisProcess) -> bool:
        """Another one is the master, and takes writes."""
        master = self.master()
        return master is not old and takes_writes(master)

    def whole(self) -> bool:
        """One master, two replicas that listen to it."""
        master = self.master()
        states = [node.client.info("replication") for node in self.nodes if node is not master]
        listening = all(
            state["role"] == "slave"
            and state["master_link_status"] == "up"
            and state["master_port"] == master.port
            for state in states
        )
        return listening and takes_writes(master)

    def stop(self) -> None:
        self.farm.stop()


def takes_writes(node: RedisProcess) -> bool:
    info = node.client.info("replication")
    return bool(info["role"] == "master" and info.get("min_slaves_good_slaves", 1) >= 1)


def until(condition: Callable[[], Any], within: float = PATIENCE_SECONDS) -> None:
    """Look until it is so. Raises TimeoutError."""
    limit = time.monotonic() + within
    while True:
        try:
            if condition():
                return
        except (redis.RedisError, OSError):
            pass
        if time.monotonic() > limit:
            raise TimeoutError(f"Not within {within:g} s.")
        time.sleep(0.1)


def servers(world: World, folder: Path) -> Servers:
    folder.mkdir()
    return Single(folder) if world is World.SINGLE else Watched(folder)
