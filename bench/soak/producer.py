"""A producer in Python: `producer.py python|http <url> <first number> <step> <rate a second>`.

It adds at a steady rate, however long answers take, and says how each add ended as a JSON line. Lines on its
standard input: {"version": 2} (which job name to add), {"clock": -3600} (its clock is wrong by so many
seconds), {"stop": true}. No add is ever repeated.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from bench.soak.numbers import DELAY, QUEUE, Kind, job_name, kind

#: Adds that may be without an answer; beyond it numbers wait.
MOST_OPEN = 400
PATIENCE_SECONDS = 15.0

#: Seconds. Waits here go by the loop's own clock.
wrong_by = 0.0
_time = time.time
time.time = lambda: _time() + wrong_by  # before Corral is imported, as a machine's clock would be

from corral import Queue, Retry  # noqa: E402  # after the clock
from corral.bullmq.connection import close_shared_clients  # noqa: E402  # after the clock
from corral.errors import RedisUnavailable  # noqa: E402  # after the clock
from corral.observe.logs import configure_logs  # noqa: E402  # after the clock

Add = Callable[[int, str], Awaitable[str]]


class NotTaken(Exception):
    """The service answered with an error."""


async def produce(add: Add, first: int, step: int, rate: float) -> None:
    state = {"version": 1, "stop": False}
    reading = asyncio.create_task(_obey(state))
    loop = asyncio.get_running_loop()
    open_adds: set[asyncio.Task[None]] = set()
    number, due = first, loop.time()
    while not state["stop"]:
        if len(open_adds) < MOST_OPEN:
            task = asyncio.create_task(_one(add, number, job_name(state["version"])))
            open_adds.add(task)
            task.add_done_callback(open_adds.discard)
            number += step
        due = max(due + 1 / rate, loop.time() - 1)  # what a hang kept back is not made up for at once
        await asyncio.sleep(max(0, due - loop.time()))
    if open_adds:
        await asyncio.wait(open_adds, timeout=PATIENCE_SECONDS)
    reading.cancel()


async def _one(add: Add, number: int, name: str) -> None:
    job, error = None, ""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            job = await add(number, name)
    except (RedisUnavailable, NotTaken, httpx2.TransportError, TimeoutError) as found:
        error = f"{type(found).__name__}: {found}"[:200]
    print(json.dumps({"number": number, "job": job, "error": error}), flush=True)


async def _obey(state: dict[str, Any]) -> None:
    global wrong_by  # noqa: PLW0603  # it stands for the machine's clock
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        order = json.loads(line)
        wrong_by = order.pop("clock", wrong_by)
        state.update(order)
    state["stop"] = True


def delay_of(number: int) -> float | None:
    return DELAY if kind(number) is Kind.DELAYED else None


async def with_library(url: str, first: int, step: int, rate: float) -> None:
    queue = Queue(QUEUE, redis_url=url, retry=Retry(attempts=3, backoff="fixed", delay=0.5))

    async def add(number: int, name: str) -> str:
        return (await queue.add(name, {"n": number}, delay=delay_of(number))).id

    await produce(add, first, step, rate)
    await queue.close()
    await close_shared_clients()


async def over_http(url: str, first: int, step: int, rate: float) -> None:
    base, key = url.split(" ")
    client = httpx2.AsyncClient(
        base_url=base, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_SECONDS
    )

    async def add(number: int, name: str) -> str:
        body: dict[str, Any] = {"name": name, "data": {"n": number}, "attempts": 3}
        if delay := delay_of(number):
            body["delay"] = delay
        answer = await client.post(f"/v1/queues/{QUEUE}/jobs", json=body)
        if answer.status_code != 202:
            raise NotTaken(f"{answer.status_code} {answer.text[:150]}")
        return str(answer.json()["jobId"])

    await produce(add, first, step, rate)
    await client.aclose()


if __name__ == "__main__":
    configure_logs(json=True)  # to standard error: the other one is for what this says
    way = {"python": with_library, "http": over_http}[sys.argv[1]]
    asyncio.run(way(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
