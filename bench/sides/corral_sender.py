"""Corral as a producer of stamped jobs: python -m bench.sides.corral_sender <redis url> <what> …

Arguments after the URL are those of producing.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop

from bench.sides.producing import Item, produce
from corral import Queue, Retry


async def main(url: str, arguments: Sequence[str]) -> None:
    queue = Queue("bench", redis_url=url, prefix="bull", retry=Retry(attempts=1))

    async def later(data: Item, seconds: float) -> None:
        await queue.add("noop", data, delay=seconds)

    async with queue:
        await produce(
            lambda data: queue.add("noop", data),
            lambda items: queue.add_many("noop", items),
            arguments,
            later,
        )


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2:]))
