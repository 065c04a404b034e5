"""Metrics of workers for Prometheus.

`corral worker --health-port` serves them for all its processes together. A worker in a program of one's own
is put into that program's registry:

    from prometheus_client import REGISTRY
    from corral.observe.prometheus import WorkerCollector

    REGISTRY.register(WorkerCollector(worker))

Counters hold what this process, or all processes of the supervisor, did since the start: Prometheus adds up
hosts. Labels are bounded: a job name that no handler was declared for is `(other)`. Emits the metrics of
docs/operate/metrics.md that start with corral_job and corral_worker, and corral_jobs_stalled_total,
corral_locks_lost_total, corral_redis_reconnects_total, corral_loop_lag_seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from corral.observe.counted import BOUNDS, Counted, Histogram, Present
from corral.observe.counting import counted_by, present_of

if TYPE_CHECKING:
    from corral.worker.worker import Worker

_BY_NAME = ("queue", "name")
_BY_QUEUE = ("queue",)


class WorkerCollector(Collector):
    """The metrics of one worker in this process. Costs no round trip; made when the registry is asked."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def describe(self) -> Iterable[Metric]:
        return self._families(Counted(), Present())

    def collect(self) -> Iterator[Metric]:
        return self._families(counted_by(self._worker), present_of(self._worker))

    def _families(self, counted: Counted, present: Present) -> Iterator[Metric]:
        # Memory and CPU are the program's: its own ProcessCollector has them.
        yield from job_families(counted)
        yield from present_families(present)


class Families(Collector):
    """Families made beforehand, for one answer."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        return iter(self._families)


def job_families(counted: Counted) -> Iterator[Metric]:
    """What became of jobs, and what workers lived through."""
    jobs = CounterMetricFamily(
        "corral_jobs", "Attempts that ended, by how they ended.", labels=("queue", "name", "outcome")
    )
    wait = HistogramMetricFamily(
        "corral_job_wait_seconds", "From when a job could have started to its start.", labels=_BY_NAME
    )
    duration = HistogramMetricFamily("corral_job_duration_seconds", "Time of an attempt.", labels=_BY_NAME)
    stalled = CounterMetricFamily(
        "corral_jobs_stalled", "Jobs taken back from dead or silent workers.", labels=_BY_QUEUE
    )
    lost = CounterMetricFamily(
        "corral_locks_lost", "Attempts whose job another worker had taken over.", labels=_BY_QUEUE
    )
    reconnects = CounterMetricFamily(
        "corral_redis_reconnects", "Times that Redis answered a queue's feed again.", labels=_BY_QUEUE
    )
    for queue, of_queue in counted.queues.items():
        for name, of_name in of_queue.names.items():
            for outcome, count in of_name.outcomes.items():
                jobs.add_metric((queue, name, outcome), count)
            _add(wait, (queue, name), of_name.wait)
            _add(duration, (queue, name), of_name.duration)
        stalled.add_metric((queue,), of_queue.stalled)
        lost.add_metric((queue,), of_queue.locks_lost)
        reconnects.add_metric((queue,), of_queue.reconnects)
    yield from (jobs, wait, duration, stalled, lost, reconnects)


def present_families(present: Present) -> Iterator[Metric]:
    """Slots, and whether the event loop turns."""
    slots = GaugeMetricFamily("corral_worker_slots", "Jobs that could run at once here.", labels=_BY_QUEUE)
    busy = GaugeMetricFamily("corral_worker_busy", "Jobs that run here.", labels=_BY_QUEUE)
    for queue, count in present.slots.items():
        slots.add_metric((queue,), count)
        busy.add_metric((queue,), present.busy.get(queue, 0))
    yield slots
    yield busy
    yield GaugeMetricFamily(
        "corral_loop_lag_seconds",
        "The longest stop of an event loop of late, of all processes.",
        value=present.loop_lag_seconds,
    )


def process_families(
    counted: Counted, *, processes: int, restarts: int, memory_bytes: int
) -> Iterator[Metric]:
    """The processes under a supervisor, its own memory included."""
    yield GaugeMetricFamily("corral_worker_processes", "Worker processes that turn.", value=processes)
    yield CounterMetricFamily(
        "corral_worker_restarts", "Worker processes started in place of one that ended.", value=restarts
    )
    yield GaugeMetricFamily(
        "corral_worker_memory_bytes",
        "Resident memory of the supervisor and all processes below it.",
        value=memory_bytes,
    )
    yield CounterMetricFamily(
        "corral_worker_cpu_seconds",
        "CPU time of the worker processes together, ended ones included.",
        value=counted.cpu_seconds,
    )


def _add(family: HistogramMetricFamily, labels: Sequence[str], histogram: Histogram) -> None:
    below, buckets = 0, []
    for bound, count in zip((*map(str, BOUNDS), "+Inf"), histogram.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    family.add_metric(labels, buckets, histogram.seconds)
