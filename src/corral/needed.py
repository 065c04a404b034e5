"""How many worker processes are needed in all, for people to see: the autoscaler's rule over one look. Pure.

Each process is asked for as many times as the neediest of its queues asks, as every supervisor multiplies its
own number; at most the double, which is a supervisor's step. Bounds and rests are the supervisors' own
affair, so this may say 0.4 where one always runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from corral.observe.standing import QueueStanding, Standing, WorkerStanding
from corral.policy import Objective
from corral.worker.autoscale import STEP_UP, Demand, need_of

#: States of jobs that a worker has to be there for, if only to wake them.
_THERE = ("waiting", "prioritized", "active", "delayed")


def processes_needed(standing: Standing, fallback: Objective) -> float | None:
    """On all hosts together; None: nobody can tell, since no worker takes jobs that tells of itself.

    fallback: the objective of queues that declare none. A queue that none of these workers serves does not
    count: workers of other clients of BullMQ may.
    """
    workers = [worker for worker in standing.workers if not worker.quiet]
    if not workers:
        return None
    served = {name for worker in workers for name in worker.queues} & standing.queues.keys()
    factors = {name: _factor(standing.queues[name], workers, fallback) for name in served}
    needed = sum(max((factors.get(name, 0.0) for name in worker.queues), default=0.0) for worker in workers)
    something = any(standing.queues[name].counts.get(state) for name in served for state in _THERE)
    return max(needed, 1.0) if something else needed


def _factor(queue: QueueStanding, workers: Sequence[WorkerStanding], fallback: Objective) -> float:
    """Of the processes that serve the queue, how many times as many it asks for."""
    serving = [worker for worker in workers if queue.queue in worker.queues]
    slots = [worker.places.get(queue.queue, (worker.slots, 0))[0] for worker in serving]
    demand = Demand(
        standing=queue,
        objective=queue.objective or fallback,
        slots=max(1, round(sum(slots) / len(slots))),
        live=len(serving),
        concurrency=queue.concurrency,
        rate_limit=queue.rate_limit,
        rate_limited_seconds=queue.rate_limited_seconds,
    )
    need = need_of(demand, sum(min(1.0, worker.cpu_percent / 100) for worker in serving) / len(serving))
    return min(need.grow, STEP_UP) if need.grow > 1 else min(need.keep, 1.0)
