"""What one scrape of the API reads: all queues of all servers in a few round trips, within a time limit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric

from corral.api.discovery import Discovery
from corral.api.known import KnownQueues
from corral.api.lookup import Lookup, answering
from corral.bullmq.connection import Address
from corral.bullmq.reader import numbers_given
from corral.errors import RedisUnavailable
from corral.observe.stand import read_standing
from corral.observe.standing import Standing
from corral.observe.standing_metrics import standing_families
from corral.queue import Queue


class Scraper:
    """Reads the declared queues, and those that Redis holds under the service's own prefix beside them."""

    def __init__(self, known: KnownQueues, lookup: Lookup, discovery: Discovery) -> None:
        self._known = known
        self._lookup = lookup
        self._discovery = discovery

    async def families(self, sees: Callable[[str], bool] = lambda _: True) -> list[Metric]:
        """The metrics of this moment; with Redis away, of all of them only that.

        sees: whether a queue is the caller's business.
        """
        try:
            async with answering():
                queues = await self._read(sees)
        except RedisUnavailable:
            return list(other_families(is_up=False, left_out=self._discovery.left_out))
        return [*queues, *other_families(is_up=True, left_out=self._discovery.left_out)]

    async def _read(self, sees: Callable[[str], bool]) -> Iterator[Metric]:
        declared = self._known.declared
        found = [queue for queue in await self._discovery.queues() if queue.name not in declared]
        shown = [queue for queue in (*declared.values(), *found) if sees(queue.name)]
        parts = await asyncio.gather(*map(_read_server, self._by_server(shown)))
        if not parts:
            await self._lookup.ping([])
        added = {name: count for _, counts in parts for name, count in counts.items()}
        return standing_families([standing for standing, _ in parts], added)

    def _by_server(self, queues: Sequence[Queue]) -> list[list[Queue]]:
        """Queues of one server and prefix together."""
        groups: dict[tuple[Address, str], list[Queue]] = {}
        for queue in queues:
            groups.setdefault((self._lookup.address(queue), queue.keys().prefix), []).append(queue)
        return list(groups.values())

    async def close(self) -> None:
        await self._discovery.close()


async def _read_server(queues: Sequence[Queue]) -> tuple[Standing, dict[str, int]]:
    client = queues[0].client()
    standing, numbers = await asyncio.gather(
        read_standing(queues), numbers_given(client, [queue.keys() for queue in queues])
    )
    return standing, {queue.name: number for queue, number in zip(queues, numbers, strict=True)}


def other_families(*, is_up: bool, left_out: int) -> Iterator[Metric]:
    """What is told with Redis away, too."""
    yield GaugeMetricFamily("corral_redis_up", "1 if Redis answered this scrape.", value=int(is_up))
    yield GaugeMetricFamily(
        "corral_queues_left_out",
        "Queues that Redis holds, nobody declared, and that are too many to be shown.",
        value=left_out,
    )
