"""Workers that may be killed: forked from a program that has loaded everything, replaced when dead."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys

import redis

from corral import Queue, Worker


def keep_running(queue: Queue, workers: int) -> None:
    """Keep so many workers running, each with one job at a time, until this process is terminated."""
    queue.concurrency = 1
    children: set[int] = set()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_end(children)))
    while True:
        while len(children) < workers:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                _work(queue)
            children.add(child)
        children.discard(os.wait()[0])


def _work(queue: Queue) -> None:
    parent = os.getppid()

    async def run() -> None:
        task = asyncio.create_task(Worker(queue).run())
        while os.getppid() == parent and not task.done():
            await asyncio.sleep(0.2)
        os._exit(1)

    asyncio.run(run())


def _end(children: set[int]) -> int:
    for child in children:
        os.kill(child, signal.SIGKILL)
    return 0


@functools.cache
def ledger() -> redis.Redis:
    """What the test reads; first asked for in a worker, so that no connection is shared."""
    return redis.Redis.from_url(os.environ["LEDGER_URL"], decode_responses=True)
