"""Connections: cancellations that are not lost, passwords that are not shown, sockets that are closed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_worker import Redis

from corral import Queue, Settings
from corral.bullmq.connection import Address, close_shared_clients, pooled_client, shared_client
from corral.errors import ConfigurationError
from corral.worker.worker import Worker
from eventually import eventually
from redis_process import server_binary


async def test_a_cancellation_is_not_lost_whenever_it_comes(redis_url: str) -> None:
    """Before Python 3.12 `asyncio.wait_for` can swallow one, and a job's time limit would pass unseen."""
    client: Redis = pooled_client(Address(redis_url, None))
    await client.ping()
    for turns in range(40):
        call: asyncio.Task[Any] = asyncio.create_task(client.hget("x", "y"))
        for _ in range(turns):
            await asyncio.sleep(0)
        if call.done():
            break
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert turns > 2
    assert await client.get("x") is None
    await client.aclose()


async def test_queues_of_a_process_share_connections_and_close_them(redis_url: str, redis: Redis) -> None:
    async def connections() -> dict[str, str]:
        """Corral's connections to the server, each by its id with what it did last."""
        found = await redis.client_list()
        return {
            c["id"]: f"{c['addr']} {c['cmd']}" for c in found if c.get("lib-name", "").startswith("corral")
        }

    before = (
        await connections()
    )  # a process or a test that ended may still have some: they are not this test's
    queues = [Queue(f"queue-{number}", redis_url=redis_url) for number in range(20)]
    for queue in queues:
        await queue.add("build", 1)
    assert shared_client(queues[0].address()) is shared_client(queues[1].address())

    opened = (await connections()).keys() - before.keys()
    assert len(opened) == 2  # a shared one, and the line
    await close_shared_clients()

    async def gone() -> bool:
        return not opened & (await connections()).keys()

    await eventually(gone)


def test_each_event_loop_has_its_own_connections(redis_url: str) -> None:
    queue = Queue("orders", redis_url=redis_url)

    async def add() -> str:
        try:
            return (await queue.add("build", 1)).id
        finally:
            await queue.close()
            await close_shared_clients()

    assert [asyncio.run(add()) for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_loops_that_ended_are_not_kept(redis_url: str) -> None:
    """A script that calls `asyncio.run` again and again, and closes nothing."""
    queue = Queue("orders", redis_url=redis_url)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def add(*, close: bool) -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await queue.add("build", 1)
        if close:
            await queue.close()
            await close_shared_clients()

    for number in range(6):
        asyncio.run(add(close=number == 5))
    gc.collect()
    assert [loop() for loop in loops] == [None] * 6


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Path]:
    """A server with a password, on a socket file."""
    path = tmp_path / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--requirepass", "s3cret", "--save", ""]
    process = subprocess.Popen([server_binary(), *options], stdout=subprocess.DEVNULL)
    yield path
    process.terminate()
    process.wait(10)


async def test_a_socket_file_and_a_password(secured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await eventually(secured.exists)
    monkeypatch.setenv("REDIS_PASSWORD", "s3cret")
    queue = Queue("orders", redis_url=f"unix://{secured}")
    ran: list[int] = []

    @queue.job("build")
    async def build(job: object, data: int) -> None:
        ran.append(data)

    await queue.add("build", 7)
    await Worker(queue).run(until_empty=True)
    assert ran == [7]
    await queue.close()
    await close_shared_clients()


@pytest.mark.parametrize("password", ["s3cret", "p@ss:w/rd"])
def test_a_password_is_not_shown(password: str) -> None:
    address = Address("redis://example.com:6379/2", password)
    assert password not in repr(address)
    with_url = Address.resolve("redis://:s3cret@example.com:6379", Settings(redis_password="other"))
    assert with_url.password is None
    assert "s3cret" not in repr(with_url)


@pytest.mark.parametrize("url", ["http://example.com", "example.com:6379", "/run/redis.sock"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        Address.resolve(url, Settings())
