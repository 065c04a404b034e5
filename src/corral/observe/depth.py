"""The history of depths and of the fleet, once a minute: how many jobs each queue has and how long the oldest
waits; how many worker processes live, and how many are needed.

One process among many writes it, whoever leads the alerts (`alerts.evaluator`), out of what it reads for them
anyway: a worker's supervisor, the HTTP service, `corral up` or `corral alerts run`. Where none of them runs a
dashboard looks (`depth_watch`). A minute that nobody saw is a gap. Two that think they lead for a moment
write it once all the same.

Costs a script call for each 50 queues a minute, and one for the fleet. Emits: depth_not_recorded (warning;
error), when it begins.
"""

from __future__ import annotations

from collections.abc import Callable

import redis.asyncio as aioredis
import structlog
from redis.exceptions import RedisError

from corral.bullmq import depths, fleets
from corral.bullmq.depths import Depth
from corral.bullmq.failures import code
from corral.bullmq.fleets import UNKNOWN, Fleet
from corral.bullmq.keys import QueueKeys
from corral.bullmq.statistics import MINUTE
from corral.needed import processes_needed
from corral.observe.standing import QueueStanding, Standing
from corral.policy import Objective

log = structlog.get_logger(__name__)


def depth_of(queue: QueueStanding) -> Depth:
    """What is kept of how a queue stands."""
    held = sum(queue.held.values())
    return Depth(
        waiting=queue.waiting,
        active=queue.counts.get("active", 0),
        delayed=max(0, queue.counts.get("delayed", 0) - held),
        held=held,
        failed=queue.counts.get("failed", 0),
        oldest_ms=round((queue.oldest_waiting_seconds or 0.0) * 1000),
    )


def fleet_of(standing: Standing, fallback: Objective) -> Fleet:
    """What is kept of how the workers stand. fallback: the objective of queues that declare none."""
    needed = processes_needed(standing, fallback)
    return Fleet(len(standing.workers), UNKNOWN if needed is None else round(needed * 10))


class DepthRecorder:
    """Writes what it is shown, once a minute. client: asked at each call: that of the running loop.

    objective: of the queues that declare none.
    """

    def __init__(
        self, client: Callable[[], aioredis.Redis], prefix: str, objective: Objective | None = None
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._objective = objective or Objective()
        self._minute = 0
        self._failing = False

    async def look(self, standing: Standing) -> None:
        """Note it, unless this minute is. No round trip, or two. Raises nothing that Redis does."""
        now_ms = round(standing.at * 1000)
        if not standing.queues or now_ms // MINUTE.ms == self._minute:
            return
        found = {QueueKeys(self._prefix, name): depth_of(queue) for name, queue in standing.queues.items()}
        try:
            await depths.write(self._client(), found, now_ms)
            await fleets.write(self._client(), self._prefix, fleet_of(standing, self._objective), now_ms)
        except (RedisError, OSError) as error:
            if not self._failing:
                log.warning("depth_not_recorded", error=code(error))
            self._failing = True
            return
        self._minute, self._failing = now_ms // MINUTE.ms, False
