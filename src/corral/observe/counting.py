"""From the tallies of a worker to what Prometheus is told of them. No I/O but a look at this process.

The fine buckets of a tally become the few of `counted.BOUNDS`. Every name that has a handler is there from
the start, with zeros: Prometheus sees no increase in a counter that appears with its first failure.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from typing import TYPE_CHECKING

from corral.observe import buckets
from corral.observe.counted import BOUNDS, Counted, Histogram, OfName, OfQueue, Present, ProcessNumbers

if TYPE_CHECKING:
    from corral.queue import Queue
    from corral.worker.tally import Row, Tally
    from corral.worker.worker import Worker

#: How an attempt ends. put_back: unspent, by Snooze, a durable wait, a breaker, an unknown name, a stop.
OUTCOMES = ("completed", "failed", "cancelled", "retried", "put_back")

#: Which of BOUNDS each fine bucket falls under. One that a bound cuts goes where its middle is.
_PLACES = [bisect_left(BOUNDS, buckets.middle(bucket)) for bucket in range(buckets.LAST + 1)]


def numbers_of(worker: Worker) -> ProcessNumbers:
    """All that a worker process tells its supervisor."""
    return ProcessNumbers(os.getpid(), time.time(), counted_by(worker), present_of(worker))


def counted_by(worker: Worker) -> Counted:
    """What the worker has counted since it was made."""
    queues = {queue.name: _of_queue(queue, worker.tallies.get(queue.name)) for queue in worker.queues}
    times = os.times()
    # Of the children, those that have ended: the others are added when they do.
    return Counted(queues, times.user + times.system + times.children_user + times.children_system)


def present_of(worker: Worker) -> Present:
    """How it stands now."""
    feeds = worker.health()["queues"]
    return Present(
        slots={name: feed["slots"] for name, feed in feeds.items()},
        busy={name: feed["running"] for name, feed in feeds.items()},
        loop_lag_seconds=worker.loop_lag.longest(),
    )


def _of_queue(queue: Queue, tally: Tally | None) -> OfQueue:
    idle = OfName(dict.fromkeys(OUTCOMES, 0))
    names = dict.fromkeys(queue.jobs, idle)
    if tally is None:
        return OfQueue(names)
    names.update((row.name, _of_name(row)) for row in tally.rows.values())
    return OfQueue(names, sum(row.stalled for row in tally.rows.values()), tally.lost_locks, tally.reconnects)


def _of_name(row: Row) -> OfName:
    return OfName(
        {outcome: getattr(row, outcome) for outcome in OUTCOMES},
        _histogram(row.wait, row.wait_seconds),
        _histogram(row.run, row.run_seconds),
    )


def _histogram(fine: dict[int, int], seconds: float) -> Histogram:
    counts = [0] * (len(BOUNDS) + 1)
    for bucket, count in fine.items():
        counts[_PLACES[bucket]] += count
    return Histogram(tuple(counts), seconds)
