"""Requests counted: how many of each kind, and how long they took.

Counting costs no lock and no label look-up in the hot path: the event loop's one thread adds to plain
numbers, which become Prometheus samples when somebody asks. The counts are of this process.

An event stream lasts as long as its reader stays, which says nothing of how quick the service is: it is
counted as a request when it begins, has no duration, and is told as open until it ends.

Emits: `corral_http_requests_total{method,route,status}`,
`corral_http_request_duration_seconds{method,route}` and `corral_http_open_streams{route}`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

#: Seconds. An enqueue takes about a millisecond; a long poll up to a minute.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0)


class _Row:
    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0


class Traffic(Collector):
    """Counts and durations by route. `route` is a template: paths would give a time series for each job."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, int], _Row] = {}
        self._begun: dict[tuple[str, str, int], int] = {}
        self._open: dict[str, int] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """One request was answered."""
        row = self._rows.get((method, route, status))
        if row is None:
            row = self._rows[method, route, status] = _Row()
        row.buckets[bisect_left(BUCKETS, seconds)] += 1
        row.seconds += seconds

    def begin_stream(self, method: str, route: str, status: int) -> None:
        """An event stream has begun. `end_stream` follows, however it ends."""
        self._begun[method, route, status] = self._begun.get((method, route, status), 0) + 1
        self._open[route] = self._open.get(route, 0) + 1

    def end_stream(self, route: str) -> None:
        self._open[route] -= 1

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "corral_http_requests", "HTTP requests answered.", labels=("method", "route", "status")
        )
        durations: dict[tuple[str, str], _Row] = {}
        for (method, route, status), row in self._rows.items():
            begun = self._begun.get((method, route, status), 0)
            requests.add_metric((method, route, str(status)), sum(row.buckets) + begun)
            both = durations.setdefault((method, route), _Row())
            both.buckets = [a + b for a, b in zip(both.buckets, row.buckets, strict=True)]
            both.seconds += row.seconds
        for (method, route, status), begun in self._begun.items():
            if (method, route, status) not in self._rows:
                requests.add_metric((method, route, str(status)), begun)
        yield requests
        seconds = HistogramMetricFamily(
            "corral_http_request_duration_seconds",
            "Time to answer a request; event streams left out.",
            labels=("method", "route"),
        )
        for labels, row in durations.items():
            seconds.add_metric(labels, _cumulated(row.buckets), row.seconds)
        yield seconds
        streams = GaugeMetricFamily(
            "corral_http_open_streams", "Event streams that are open.", labels=("route",)
        )
        for route, count in self._open.items():
            streams.add_metric((route,), count)
        yield streams


def _cumulated(buckets: list[int]) -> list[tuple[str, float]]:
    """Prometheus's buckets: each counts all that were quicker than its bound."""
    rows: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), buckets, strict=True):
        below += count
        rows.append((bound, below))
    return rows
