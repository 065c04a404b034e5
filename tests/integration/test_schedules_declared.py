"""Schedules declared beside their handler: a worker adds them when it starts."""

from __future__ import annotations

import pytest
from recurring_reports import OSLO, Report, has_delayed
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Queue
from corral.errors import (
    ConfigurationError,
    InvalidOptions,
)
from eventually import eventually


async def test_workers_add_what_is_declared_once(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queues = [make_queue("declared") for _ in range(3)]
    ran: list[str] = []
    for queue in queues:

        @queue.job("build")
        async def build(job: JobContext, data: Report) -> None:
            ran.append(job.id)

        queue.schedule("yearly", "build", cron="@yearly", immediately=True, data=OSLO)
        queue.schedule("wrong", "biuld", every=1)  # it is named in the log, and harms no other
    for number, queue in enumerate(queues):
        start_worker(queue, name=f"worker-{number}")
    await eventually(lambda: has_delayed(queues[0], redis, 1))
    await eventually(lambda: len(ran) == 1)
    assert await redis.zrange(queues[0].keys().repeat, 0, -1) == ["yearly"]


async def test_what_is_no_longer_declared_is_named_and_can_be_pruned(
    make_queue: MakeQueue, start_worker: StartWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = make_queue("declared"), make_queue("declared")
    for queue in (old, new):

        @queue.job("build")
        async def build(job: JobContext) -> None: ...

        queue.schedule("stays", "build", cron="@yearly")
    old.schedule("goes", "build", cron="@yearly")
    await old.schedules.upsert("by-hand", "build", cron="@yearly")
    first = start_worker(old)
    await eventually(lambda: _has(old, 3))
    await first.stop()
    start_worker(new)
    await eventually(lambda: "schedule_not_declared" in capsys.readouterr().out)
    assert len(await new.schedules.list()) == 3
    assert await new.schedules.undeclared() == ["goes"]
    assert await new.schedules.prune() == ["goes"]
    assert sorted(schedule.id for schedule in await new.schedules.list()) == ["by-hand", "stays"]
    assert await new.schedules.prune() == []


async def _has(queue: Queue, count: int) -> bool:
    return len(await queue.schedules.list()) == count


async def test_a_declaration_is_checked_where_it_stands(queue: Queue) -> None:
    with pytest.raises(InvalidOptions, match="minute field"):
        queue.schedule("nightly", "build", cron="61 * * * *")
    queue.schedule("nightly", "build", cron="1 * * * *")
    with pytest.raises(ConfigurationError, match="twice"):
        queue.schedule("nightly", "build", cron="2 * * * *")


async def test_a_worker_that_starts_leaves_a_paused_schedule_paused(
    make_queue: MakeQueue, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    queue.schedule("nightly", "build", cron="0 3 * * *")
    queue.schedule("other", "build", cron="0 3 * * *")
    await queue.schedules.upsert("nightly", "build", cron="0 3 * * *")
    await queue.schedules.pause("nightly")
    start_worker(queue)
    await eventually(lambda: has_delayed(queue, redis, 1))
    found = await queue.schedules.get("nightly")
    assert found is not None
    assert found.paused
