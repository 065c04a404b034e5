"""Worker processes killed at random while flows run: every parent ends, with each child counted once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from service import until
from workers import Workers, workers

from corral import Flow, Job, Queue
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess

FLOWS = 120
KILLS = 6


async def test_every_parent_ends_though_workers_are_killed(server: RedisProcess, tmp_path: Path) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    reports = Queue("reports", redis_url=server.url, prefix="bull")
    pages = Queue("pages", redis_url=server.url, prefix="bull")
    built, grown = await _add(reports, pages)
    parents = len(built) * 2 + len(grown)

    def ended() -> int:
        return int(server.client.zcard("bull:reports:completed") + server.client.zcard("bull:reports:failed"))

    with workers(
        server, tmp_path, "flow_jobs:queues", CORRAL_LOCK_SECONDS="2", CORRAL_STALLED_SECONDS="1"
    ) as group:
        for _ in range(2):
            group.start()
        _kill_at_random(group, ended, random.Random(seed))
        until(ended, lambda count: count == parents)

    counts = await reports.counts()
    assert (counts["waiting-children"], counts["active"], counts["waiting"]) == (0, 0, 0)
    assert await reports.stuck_parents(older_than=0) == []
    completed = 0
    for job, total, children in [*((j, 16, 3) for j in built), *((j, 103, 4) for j in grown)]:
        await job.refresh()
        if job.status == "failed":  # it, or one of its children, ran in two processes that were killed
            assert "died or stalled" in str(job.failed_reason) or "child" in str(job.failed_reason)
            continue
        completed += 1
        assert job.result_value == total
        found = await job.children_counts()
        assert (found.completed, found.total) == (children, children)
    assert completed > FLOWS  # of twice as many; a kill hits few
    await close_shared_clients()


async def _add(reports: Queue, pages: Queue) -> tuple[list[Job], list[Job]]:
    built = []
    for _ in range(FLOWS):
        middle = Flow(reports, "build", children=[Flow(pages, "render", n) for n in (1, 2, 3)])
        flow = Flow(reports, "build", children=[middle, *(Flow(pages, "render", n) for n in (4, 6))])
        built.append(await flow.add())
    return built, await reports.add_many("grow", [3] * FLOWS)


def _kill_at_random(group: Workers, ended: Callable[[], int], dice: random.Random) -> None:
    """Kill and replace, each time after some further parents ended, so that there is something in flight."""
    for _ in range(KILLS):
        goal = ended() + dice.randrange(5, 25)
        until(ended, lambda count, goal=goal: count >= goal)  # type: ignore[misc]  # bound now
        time.sleep(dice.random() * 0.05)  # a random moment within a job's run, not a wait for anything
        group.kill(dice.choice(group.running))
        group.start()
