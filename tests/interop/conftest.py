"""Stock Node software for the interop tests: installed once with `npm ci`, started a script at a time.

A Node process serves many tests, since loading BullMQ takes longer than most of them: see node_process.py.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from node_process import Host, Node, NodeProcess, Workers

from corral import Queue, Worker
from corral.bullmq.connection import close_shared_clients

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
async def connections_are_closed() -> AsyncIterator[None]:
    """Each test has an event loop of its own, and so connections of its own."""
    yield
    await close_shared_clients()


@pytest.fixture(scope="session")
def node_binary() -> str:
    """`node`, with the packages of package-lock.json installed beside the tests."""
    # tools/node.sh puts node into the environment's own folder where the system has none.
    search = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.prefix) / "node" / "bin")])
    node, npm = shutil.which("node", path=search), shutil.which("npm", path=search)
    if not node or not npm:
        pytest.fail("The interop tests need node and npm; `make setup` provides them.")
    installed = HERE / "node_modules" / ".package-lock.json"
    lock = HERE / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        npm_ci = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(npm_ci, cwd=HERE, capture_output=True, text=True, timeout=150, check=False)
        if done.returncode:
            pytest.fail(f"npm ci failed:\n{done.stderr[-2000:]}")
        installed.touch()
    return node


@pytest.fixture(scope="session")
def hosts(node_binary: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    pool = Hosts(node_binary, tmp_path_factory.mktemp("node"))
    yield pool
    pool.end()


class Hosts:
    """Node processes that wait for a test to give them a script."""

    def __init__(self, node: str, folder: Path) -> None:
        self._node = node
        self._folder = folder
        self._numbers = itertools.count(1)
        self._idle: list[Host] = []

    def take(self) -> Host:
        if self._idle:
            return self._idle.pop()
        return Host(self._node, self._folder / f"{next(self._numbers)}.stderr")

    def give_back(self, host: Host) -> None:
        self._idle.append(host)

    def end(self) -> None:
        for host in self._idle:
            host.end()


@pytest.fixture
def node_version() -> str:
    """Which BullMQ `node` runs. `BOTH_VERSIONS` (node_process.py) runs a test, or a file's, with either."""
    return "6.7"


@pytest.fixture
async def node(hosts: Hosts, node_version: str) -> AsyncIterator[Node]:
    """Start a script of `node/`: `await node("client.mjs", redis_url, queue_name)`."""
    async with AsyncExitStack() as stack:

        async def start(script: str, *args: str, version: str = node_version) -> NodeProcess:
            host = hosts.take()
            process = await NodeProcess.start(host, script, *args, version=version)

            async def close() -> None:
                if await process.close():
                    hosts.give_back(host)

            stack.push_async_callback(close)
            return process

        yield start


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Start Corral workers in this process: `await workers(queue, concurrency=2)`. Stopped at the end."""
    running: list[tuple[Worker, asyncio.Task[None]]] = []

    async def start(*queues: Queue, concurrency: int = 10, name: str | None = None) -> Worker:
        worker = Worker(*queues, concurrency=concurrency, name=name)
        running.append((worker, asyncio.create_task(worker.run())))
        return worker

    yield start
    for worker, _ in running:
        worker.stop()
    for _, task in running:
        async with asyncio.timeout(30):
            await task
