"""The registry of workers over real processes: killed ones go by themselves, what was counted adds up."""

from __future__ import annotations

import signal
from pathlib import Path

from workers import Ledger, counts, workers

from corral import Queue
from corral.bullmq.connection import close_shared_clients
from corral.observe.stand import read_workers
from eventually import eventually
from redis_process import RedisProcess

JOBS = 400


async def test_killed_workers_go_and_the_others_counts_add_up(server: RedisProcess, tmp_path: Path) -> None:
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    ledger = Ledger(server)
    with workers(server, tmp_path, WORK_SECONDS="0.05") as group:
        first, second = group.start(), group.start()

        async def both() -> bool:
            found = {worker.pid for worker in await read_workers(queue.client(), "bull")}
            looked = server.client.exists("corral:bull:ledger:stats:seen")
            return bool(looked) and found == {first.pid, second.pid}

        await eventually(both, within=40)
        await queue.add_many("work", [{"n": n} for n in range(JOBS)])
        await eventually(lambda: ledger.count() == JOBS, within=60)
        await eventually(lambda: counts(server)["completed"] == JOBS)
        for process in (first, second):  # what they counted is written before they end
            process.send_signal(signal.SIGTERM)
            process.wait(30)
            group.running.remove(process)
        assert await read_workers(queue.client(), "bull") == ()
        spans = await queue.stats.series(minutes=30)
        assert sum(span.completed for span in spans) == JOBS
        assert sum(span.started for span in spans) == JOBS
        assert sum(span.arrived for span in spans) == JOBS
        assert sum(sum(span.run.values()) for span in spans) == JOBS

        third = group.start()
        await eventually(lambda: _lives(queue, third.pid), within=40)
        group.kill(third)
        (name,) = [worker.name for worker in await read_workers(queue.client(), "bull")]
        left_ms = int(str(server.client.pttl(f"corral:bull::worker:{name}")))
        assert 0 < left_ms <= 30_000
    ledger.close()
    await queue.close()
    await close_shared_clients()


async def _lives(queue: Queue, pid: int) -> bool:
    return pid in {worker.pid for worker in await read_workers(queue.client(), "bull")}
