"""The producer's half of a peer's side: adding as fast as it can, or one job each time it is told to.

    python -m bench.sides.<peer>_side add <bulk|single> <jobs> <batch> <warm-up>
    python -m bench.sides.<peer>_side send
    python -m bench.sides.<peer>_side pace <jobs a second> <seconds>
    python -m bench.sides.<peer>_side later <jobs> <first due in seconds> <seconds they are spread over>

`add` answers with the seconds that it took; `send` adds a job for every line on stdin; `pace` adds at a rate;
`later` adds delayed jobs, which carry the moment at which they are due as `sent`.
Jobs carry `sent`, the monotonic seconds at which they were handed to the library (0 in `add`).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

Item = dict[str, Any]
Bulk = Callable[[Sequence[Item]], Awaitable[Any]]
Single = Callable[[Item], Awaitable[Any]]

Later = Callable[[Item, float], Awaitable[Any]]


def item(n: int, sent: float = 0.0) -> Item:
    return {"userId": "user-1", "n": n, "sent": sent}


async def produce(
    single: Single, bulk: Bulk | None, arguments: Sequence[str], later: Later | None = None
) -> None:
    """For libraries on asyncio. `bulk` None: it has no way to add many."""
    if arguments[0] == "later":
        assert later is not None
        await _later(later, int(arguments[1]), float(arguments[2]), float(arguments[3]))
    elif arguments[0] == "send":
        await _send(single)
    elif arguments[0] == "pace":
        await _pace(single, float(arguments[1]), float(arguments[2]))
    else:
        way, *numbers = arguments[1:]
        await _add(single, bulk, way, *map(int, numbers))


def produce_blocking(
    single: Callable[[Item], Any], bulk: Callable[[Sequence[Item]], Any] | None, arguments: Sequence[str]
) -> None:
    """The same for libraries that block: single adds then follow one another."""

    async def one(data: Item) -> None:
        single(data)

    async def many(items: Sequence[Item]) -> None:
        assert bulk is not None
        bulk(items)

    asyncio.run(produce(one, many if bulk else None, arguments))


async def _add(single: Single, bulk: Bulk | None, way: str, jobs: int, batch: int, warm_up: int) -> None:
    async def add(count: int) -> None:
        for start in range(0, count, batch):
            items = [item(n) for n in range(start, min(count, start + batch))]
            if way == "bulk":
                assert bulk is not None
                await bulk(items)
            else:
                await asyncio.gather(*(single(data) for data in items))

    if warm_up:
        await add(warm_up)
    print('{"ready": true}', flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started = time.perf_counter()
    await add(jobs)
    print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


async def _send(single: Single) -> None:
    print('{"ready": true}', flush=True)
    n = 0
    while await asyncio.to_thread(sys.stdin.readline):
        await single(item(n, time.monotonic()))
        n += 1


async def _pace(single: Single, rate: float, seconds: float) -> None:
    """Open loop: a job every 1 / rate seconds, whether or not the earlier ones were answered."""
    print('{"ready": true}', flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started = time.monotonic()
    total, n = round(rate * seconds), 0
    under_way: set[asyncio.Task[Any]] = set()
    while n < total:
        due = min(total, int((time.monotonic() - started) * rate) + 1)
        while n < due:
            # Sent when it should have been: a producer that falls behind does not hide it.
            task = asyncio.ensure_future(single(item(n, started + n / rate)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            n += 1
        await asyncio.sleep(0.001)
    await asyncio.gather(*under_way)
    print(json.dumps({"seconds": time.monotonic() - started, "jobs": total}), flush=True)


async def _later(later: Later, jobs: int, first: float, spread: float) -> None:
    print('{"ready": true}', flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    started = time.monotonic()

    async def one(n: int) -> None:
        due = started + first + spread * n / jobs
        await later(item(n, due), due - time.monotonic())

    await asyncio.gather(*(one(n) for n in range(jobs)))
    print(json.dumps({"seconds": time.monotonic() - started}), flush=True)
