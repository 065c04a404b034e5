"""The scaler of a supervisor: look, decide, change the number of processes, and keep why.

Every CORRAL_SCALE_INTERVAL_SECONDS it reads how its queues stand and decides by the pure rules of
`autoscale`. What changes the number is logged and kept in Redis, and once what would change it but may not.
With Redis away nothing changes.

Costs about eight round trips a look, whatever the queues hold. Emits: workers_scaled (before, after, queue,
reason), workers_not_scaled (processes, queue, obstacle, reason), scaling_lost (error), scaling_back.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from corral.errors import RedisUnavailable
from corral.observe.standing import WorkerStanding
from corral.queue import Queue
from corral.scaling import ScalingDecision, inputs_of, keep_decision, read_demands
from corral.settings import Settings
from corral.worker.autoscale import Bounds, Decision, Demand, Pace, Past, Situation, decide
from corral.worker.batches import slots_of
from corral.worker.memory import memories, room_for, tree_bytes
from corral.worker.rate import RateMeter
from corral.worker.recycle import fresh_reports
from corral.worker.supervise import Supervisor

log = structlog.get_logger(__name__)


class Scaler:
    """`run` it beside a supervisor.

    queues, concurrency: what its processes run. folder: where they write their health.
    """

    def __init__(
        self, queues: Sequence[Queue], concurrency: int, bounds: Bounds, settings: Settings, folder: Path
    ) -> None:
        self._queues = queues
        self._slots = {queue.name: slots_of(queue, concurrency) for queue in queues}
        self._bounds = bounds
        self._settings = settings
        self._folder = folder
        self._pace = Pace(up=settings.scale_up_seconds, down=settings.scale_down_seconds)
        self._past = Past()
        self._meter = RateMeter()
        self._host = socket.gethostname()

    async def run(self, supervisor: Supervisor) -> None:
        """Until cancelled. Redis may go away and come back."""
        lost = False
        while True:
            await asyncio.sleep(self._settings.scale_interval_seconds)
            if not supervisor.changeable:
                continue
            try:
                await self._look(supervisor)
                if lost:
                    log.info("scaling_back")
                lost = False
            except (RedisUnavailable, RedisError, OSError) as error:
                if not lost:
                    log.warning("scaling_lost", error=str(error))
                lost = True
            except Exception:  # a fault of ours must not end the scaling
                log.exception("scaling_broke")

    async def _look(self, supervisor: Supervisor) -> None:
        now = await self._situation(supervisor)
        decision, self._past = decide(now, self._bounds, self._pace, self._past)
        if decision.after != decision.before:
            supervisor.scale_to(decision.after, decision.reason)
        if decision.news:
            self._tell(decision)
            await self._keep(decision, now)

    async def _situation(self, supervisor: Supervisor) -> Situation:
        reports = fresh_reports(self._folder)
        self._meter.note(reports)
        pids = [seat.pid for seat in supervisor.seats() if seat.pid is not None]
        demands, workers = await self._read(supervisor.processes)
        quiet = any(report.get("quiet") and not report.get("draining") for report in reports.values())
        sizes = [await asyncio.to_thread(tree_bytes, pid) for pid in pids]
        return Situation(
            at=time.monotonic(),
            processes=supervisor.processes,
            demands=tuple(demands),
            cpu_share=_cpu_share([w for w in workers if w.host == self._host and w.pid in pids]),
            room=room_for(memories(), sum(sizes) // len(sizes) if sizes else 0),
            frozen="a process of this host was made quiet" if quiet else "",
        )

    async def _read(self, processes: int) -> tuple[list[Demand], list[WorkerStanding]]:
        """Of all servers and prefixes that the queues are on."""
        places: dict[object, list[Queue]] = {}
        for queue in self._queues:
            places.setdefault((queue.address(), queue.keys().prefix), []).append(queue)
        parts = await asyncio.gather(
            *(read_demands(group, self._settings, slots=self._slots) for group in places.values())
        )
        demands = []
        for demand in (demand for part, _ in parts for demand in part):
            # A process that was just started is on its way: its slots are not in the registry yet.
            live = max(demand.live, processes)
            recent = self._meter.recent(demand.standing.queue, live) or demand.standing.recent
            demands.append(replace(demand, live=live, standing=replace(demand.standing, recent=recent)))
        return demands, [worker for _, workers in parts for worker in workers]

    def _tell(self, decision: Decision) -> None:
        if decision.obstacle:
            log.warning(
                "workers_not_scaled",
                processes=decision.before,
                queue=decision.queue,
                obstacle=decision.obstacle,
                reason=decision.reason,
            )
        else:
            log.info(
                "workers_scaled",
                before=decision.before,
                after=decision.after,
                queue=decision.queue,
                reason=decision.reason,
            )

    async def _keep(self, decision: Decision, now: Situation) -> None:
        home = next((queue for queue in self._queues if queue.name == decision.queue), self._queues[0])
        kept = ScalingDecision(
            host=self._host,
            pid=os.getpid(),
            before=decision.before,
            after=decision.after,
            reason=decision.reason,
            queue=decision.queue,
            obstacle=decision.obstacle,
            room=now.room,
            inputs={demand.standing.queue: inputs_of(demand) for demand in now.demands},
        )
        await keep_decision(home.client(), home.keys().prefix, kept)


def _cpu_share(workers: Sequence[WorkerStanding]) -> float:
    """Of one core, the mean of these processes, 0 to 1."""
    if not workers:
        return 0.0
    return sum(min(1.0, worker.cpu_percent / 100) for worker in workers) / len(workers)
