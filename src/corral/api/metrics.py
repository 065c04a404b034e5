"""/metrics: the queues as they stand and the requests so far, as Prometheus text.

Behind a key with the role read or admin. One round trip for all queues of a server. Emits:
- `bullmq_queue_waiting{queue}`: jobs that a worker could start now, prioritized ones included.
- `corral_queue_jobs{queue,state}`: jobs by BullMQ state.
- `corral_redis_up`: 1 if Redis answered this scrape; with 0 the queues are left out rather than made up.
- the request metrics of `traffic.py`, and `process_*` of this process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from prometheus_client import ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from corral.api.auth import OWN_QUEUES, Permission
from corral.api.service import Service, caller_of, permits
from corral.errors import RedisUnavailable

Counts = Mapping[str, Mapping[str, int]]


class QueueSamples(Collector):
    """The queues' counts as read for one scrape; None: Redis did not answer."""

    def __init__(self, counts: Counts | None) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "corral_redis_up", "1 if Redis answered this scrape.", value=0 if self._counts is None else 1
        )
        if self._counts is None:
            return
        waiting = GaugeMetricFamily(
            "bullmq_queue_waiting",
            "Jobs that a worker could start now, prioritized included.",
            labels=("queue",),
        )
        jobs = GaugeMetricFamily("corral_queue_jobs", "Jobs by state.", labels=("queue", "state"))
        for queue, states in self._counts.items():
            waiting.add_metric((queue,), states.get("waiting", 0) + states.get("prioritized", 0))
            for state, count in states.items():
                jobs.add_metric((queue, state), count)
        yield waiting
        yield jobs


@get("/metrics", guards=[permits(Permission.READ_METRICS, OWN_QUEUES)])
async def metrics(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Prometheus or OpenMetrics text, as the scraper asks for. A key for certain queues gets those alone."""
    key = caller_of(request)
    counts: Counts | None
    try:
        counts = await service.lookup.counts([each for each in service.known if key.sees(each.name)])
    except RedisUnavailable:
        counts = None
    registry = CollectorRegistry()
    registry.register(QueueSamples(counts))
    registry.register(service.traffic)
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    # Litestar adds the charset to text types itself.
    return Response(encode(registry), media_type=content_type.removesuffix("; charset=utf-8"))
