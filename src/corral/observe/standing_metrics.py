"""How queues, workers, breakers and the server stand, as Prometheus metrics. Pure: what was read is given.

Every family is there in each answer, also without samples, so that what a board or a rule asks for is known.
The list with what each means is in docs/operate/metrics.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from corral.observe.standing import QueueStanding, ServerStanding, Standing, WorkerStanding

_BY_QUEUE = ("queue",)


def standing_families(standings: Sequence[Standing], added: Mapping[str, int]) -> Iterator[Metric]:
    """Metrics of one scrape.

    standings: one for each server that declared queues are on, the service's own first.
    added: jobs ever added, by queue.
    """
    queues = [queue for standing in standings for queue in standing.queues.values()]
    yield from _depths(queues, added)
    yield from _troubles(queues)
    yield from _workers(queues, [worker for standing in standings for worker in standing.workers])
    yield _breakers(standings)
    yield from _server(standings[0].server if standings else None)


def _depths(queues: Sequence[QueueStanding], added: Mapping[str, int]) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "bullmq_queue_waiting", "Jobs that a worker could start now, prioritized included.", labels=_BY_QUEUE
    )
    jobs = GaugeMetricFamily("corral_queue_jobs", "Jobs by state.", labels=("queue", "state"))
    arrived = CounterMetricFamily(
        "corral_queue_jobs_added",
        "Jobs added by any client since the queue is there, refused duplicates included.",
        labels=_BY_QUEUE,
    )
    oldest = GaugeMetricFamily(
        "corral_queue_oldest_waiting_seconds",
        "How long the job has waited that could have started first; 0 if none waits.",
        labels=_BY_QUEUE,
    )
    dead = GaugeMetricFamily(
        "corral_dead_letters", "Jobs that ended without success and are kept.", labels=_BY_QUEUE
    )
    for queue in queues:
        name = (queue.queue,)
        waiting.add_metric(name, queue.waiting)
        for state, count in queue.counts.items():
            jobs.add_metric((queue.queue, state), count)
        if queue.queue in added:
            arrived.add_metric(name, added[queue.queue])
        oldest.add_metric(name, queue.oldest_waiting_seconds or 0.0)
        dead.add_metric(name, queue.counts.get("failed", 0))
    yield from (waiting, jobs, arrived, oldest, dead)


def _troubles(queues: Sequence[QueueStanding]) -> Iterator[Metric]:
    paused = GaugeMetricFamily("corral_queue_paused", "1 while the queue is paused.", labels=_BY_QUEUE)
    held = GaugeMetricFamily(
        "corral_queue_held_jobs",
        "Jobs that a breaker holds; they are among the delayed ones.",
        labels=("queue", "breaker"),
    )
    late = GaugeMetricFamily(
        "corral_queue_schedules_late", "Schedules whose next run is overdue.", labels=_BY_QUEUE
    )
    latest = GaugeMetricFamily(
        "corral_queue_schedule_late_seconds",
        "How long the most overdue run of a schedule is overdue; 0 if none is.",
        labels=_BY_QUEUE,
    )
    for queue in queues:
        name = (queue.queue,)
        paused.add_metric(name, int(queue.paused))
        for breaker, count in queue.held.items():
            held.add_metric((queue.queue, breaker), count)
        late.add_metric(name, len(queue.late_schedules))
        latest.add_metric(name, max(queue.late_schedules.values(), default=0.0))
    yield from (paused, held, late, latest)


def _workers(queues: Sequence[QueueStanding], workers: Sequence[WorkerStanding]) -> Iterator[Metric]:
    serving = GaugeMetricFamily(
        "corral_queue_workers", "Live worker processes that serve the queue.", labels=_BY_QUEUE
    )
    slots = GaugeMetricFamily(
        "corral_queue_slots", "Jobs that the workers of the queue could run at once.", labels=_BY_QUEUE
    )
    busy = GaugeMetricFamily("corral_queue_busy", "Jobs that they run.", labels=_BY_QUEUE)
    for queue in queues:
        name = (queue.queue,)
        places = [worker.places.get(queue.queue, (0, 0)) for worker in workers]
        serving.add_metric(name, sum(queue.queue in worker.queues for worker in workers))
        slots.add_metric(name, sum(of_queue for of_queue, _ in places))
        busy.add_metric(name, sum(running for _, running in places))
    yield from (serving, slots, busy)


def _breakers(standings: Sequence[Standing]) -> Metric:
    breakers = GaugeMetricFamily(
        "corral_breaker_open", "1 while the breaker is open or half-open.", labels=("breaker",)
    )
    is_open: dict[str, bool] = {}
    for standing in standings:
        for breaker in standing.breakers:
            is_open[breaker.name] = is_open.get(breaker.name, False) or breaker.state != "closed"
    for name, opened in is_open.items():
        breakers.add_metric((name,), int(opened))
    return breakers


_SERVER = {
    "corral_redis_memory_bytes": "Memory that Redis uses.",
    "corral_redis_memory_limit_bytes": "Memory that Redis may use; 0: no limit is set.",
    "corral_redis_persistence_ok": "0 if the last write of the append-only file or the last snapshot failed.",
    "corral_redis_clients": "Connections to Redis.",
}


def _server(server: ServerStanding | None) -> Iterator[Metric]:
    """Without samples where the server does not let itself be asked."""
    values = server is not None and {
        "corral_redis_memory_bytes": server.memory_bytes,
        "corral_redis_memory_limit_bytes": server.memory_limit_bytes,
        "corral_redis_persistence_ok": int(not server.persistence_failing),
        "corral_redis_clients": server.connected_clients,
    }
    for name, meaning in _SERVER.items():
        family = GaugeMetricFamily(name, meaning, labels=())
        if values:
            family.add_metric((), values[name])
        yield family
