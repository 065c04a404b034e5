"""/metrics: the queues as they stand and the requests so far, as Prometheus text.

Behind a key with the role read or admin. Emits:
- `bullmq_queue_waiting{queue}`: jobs that a worker could start now, prioritized ones included.
- `corral_queue_jobs{queue,state}`: jobs by BullMQ state.
- `corral_redis_up`: 1 if Redis answered this scrape; 0 leaves the queue samples out rather than make them up.
- `corral_http_requests_total{method,route,status}` and `corral_http_request_duration_seconds{method,route}`.

Counting costs no lock and no label look-up in the hot path: the event loop's one thread adds to plain
numbers, and they become Prometheus samples when somebody asks. Counters are of this process.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping

from litestar import Request, Response, get
from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector, CollectorRegistry

from corral.api.auth import Permission
from corral.api.service import Service, permits
from corral.errors import RedisUnavailable

#: Seconds. An enqueue takes about 1 ms; a long poll up to a minute.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)
