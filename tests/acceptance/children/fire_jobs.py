"""Jobs that end badly, or when the test wants it; a ledger beside the queue counts their effects."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal

import redis.asyncio as aioredis

from corral import JobContext, Queue, Retention, Retry, ThreadJobContext

queue = Queue(
    "fire", retry=Retry(attempts=5, backoff="fixed", delay=0.1), retention=Retention(), concurrency=20
)
ledger = aioredis.Redis.from_url(os.environ["LEDGER_URL"])

if address_space := os.environ.get("MEMORY_LIMIT_MB"):
    _limit = int(address_space) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (_limit, _limit))


@queue.job("gated")
async def gated(job: JobContext, data: dict[str, int]) -> int:
    """Ends when the gate of this process is open. Its result says which process it was."""
    await ledger.rpush(f"runs:{data['n']}", os.getpid())
    while not await ledger.exists("open", f"open:{os.getpid()}"):
        await asyncio.sleep(0.02)
    await ledger.hincrby("done", str(data["n"]), 1)
    return os.getpid()


@queue.job("sleepy")
async def sleepy(job: JobContext, data: dict[str, int]) -> int:
    """Of a fixed length, without a look at anything outside."""
    await ledger.rpush(f"runs:{data['n']}", os.getpid())
    await asyncio.sleep(data.get("ms", 200) / 1000)
    await ledger.hincrby("done", str(data["n"]), 1)
    return os.getpid()


@queue.job("freeze")
async def freeze(job: JobContext, data: dict[str, int]) -> None:
    """Its process stands still from its first run on; in another it does nothing."""
    if await ledger.rpush(f"runs:{data['n']}", os.getpid()) == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    await ledger.hincrby("done", str(data["n"]), 1)


@queue.job("segfault")
async def segfault(job: JobContext, data: dict[str, int]) -> None:
    await ledger.rpush(f"runs:{data['n']}", os.getpid())
    os.kill(os.getpid(), signal.SIGSEGV)


@queue.job("read nothing")
async def read_nothing(job: JobContext, data: dict[str, int]) -> None:
    """As broken native code does it."""
    await ledger.rpush(f"runs:{data['n']}", os.getpid())
    ctypes.string_at(0)


@queue.job("parent")
async def parent(job: JobContext) -> str:
    return "all children ended"


@queue.job("hog")
def hog(job: ThreadJobContext) -> int:
    """More memory than the process may have."""
    return len(bytearray(8 << 30))


@queue.job("small")
def small(job: ThreadJobContext) -> int:
    return len(bytearray(1 << 20))


@queue.job("hold the gil")
async def hold_the_gil(job: JobContext, data: dict[str, int]) -> int:
    """Native code that does not let go: no thread of this process runs, the one that keeps locks included."""
    await ledger.rpush(f"runs:{data['n']}", os.getpid())
    ctypes.PyDLL(None).usleep(ctypes.c_uint(data["ms"] * 1000))
    await ledger.hincrby("done", str(data["n"]), 1)
    return os.getpid()
