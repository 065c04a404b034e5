"""Stock Node software for the interop tests: installed once with `npm ci`, started a script at a time."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from node_process import Node, NodeProcess, Workers

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


@pytest.fixture
async def node(node_binary: str, tmp_path: Path) -> AsyncIterator[Node]:
    """Start a script of `node/`: `await node("client.mjs", redis_url, queue_name)`."""
    async with AsyncExitStack() as stack:
        numbers = itertools.count(1)

        async def start(script: str, *args: str) -> NodeProcess:
            stderr = tmp_path / f"{next(numbers)}-{script}.stderr"
            process = await NodeProcess.start(node_binary, script, *args, stderr=stderr)
            stack.push_async_callback(process.close)
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
