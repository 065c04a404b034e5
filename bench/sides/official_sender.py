"""The official Python package as a producer of stamped jobs; arguments as for corral_sender."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import uvloop
from bullmq import Queue

from bench.sides.producing import Item, produce


async def main(url: str, arguments: Sequence[str]) -> None:
    queue = Queue("bench", {"connection": url})

    async def later(data: Item, seconds: float) -> None:
        await queue.add("noop", data, {"delay": round(seconds * 1000)})

    await produce(lambda data: queue.add("noop", data, {}), None, arguments, later)
    await queue.close()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], sys.argv[2:]))
