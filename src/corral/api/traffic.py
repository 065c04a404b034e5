"""Requests counted: how many of each kind, and how long they took.

Counting costs no lock and no label look-up in the hot path: the event loop's one thread adds to plain
numbers, which become Prometheus samples when somebody asks. The counts are of this process.

Emits: `corral_http_requests_total{method,route,status}` and
`corral_http_request_duration_seconds{method,route}`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: Seconds. An enqueue takes about a millisecond; a long poll up to a minute.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class _Durations:
    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.total = 0.0


class Traffic(Collector):
    """Counts and durations by route. `route` is a template: paths would give a time series for each job."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}
        self._durations: dict[tuple[str, str], _Durations] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        key = (method, route, status)
        self._counts[key] = self._counts.get(key, 0) + 1
        durations = self._durations.get((method, route))
        if durations is None:
            durations = self._durations[method, route] = _Durations()
        durations.buckets[bisect_left(BUCKETS, seconds)] += 1
        durations.total += seconds

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "corral_http_requests", "HTTP requests answered.", labels=("method", "route", "status")
        )
        for (method, route, status), count in self._counts.items():
            requests.add_metric((method, route, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily(
            "corral_http_request_duration_seconds", "Time to answer a request.", labels=("method", "route")
        )
        for labels, durations in self._durations.items():
            seconds.add_metric(labels, _cumulated(durations.buckets), durations.total)
        yield seconds


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    """Prometheus's buckets: each counts all that were quicker than its bound."""
    rows: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        below += count
        rows.append((bound, below))
    return rows
