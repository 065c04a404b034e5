"""Groups as their users meet them: turns, limits, pause, order, and jobs that come back to their group."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import (
    CorralError,
    GroupFull,
    GroupLimits,
    JobContext,
    Queue,
    RateLimit,
    Retry,
    Snooze,
)
from corral.bullmq import grouping
from corral.errors import InvalidOptions
from eventually import eventually


def recording(queue: Queue) -> list[Any]:
    """A handler named `build` that notes what it was given."""
    runs: list[Any] = []

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> None:
        runs.append(data)

    return runs


async def kept(redis: Redis) -> list[str]:
    """Our own keys that do not expire, but for the bounded list of releases."""
    return [
        key
        async for key in redis.scan_iter("corral:*")
        if await redis.pttl(key) < 0 and not key.endswith(("::releases", "::workers"))
    ]


class Running:
    """A handler named `hold` whose jobs run until they are let go, a name at a time."""

    def __init__(self, queue: Queue) -> None:
        self.now: list[str] = []
        self.most: dict[str, int] = {}
        self.done = 0
        self._go = asyncio.Event()

        @queue.job("hold")
        async def hold(job: JobContext, data: str) -> None:
            self.now.append(data)
            self.most[data] = max(self.most.get(data, 0), self.now.count(data))
            await self._go.wait()
            await asyncio.sleep(0.001)
            self.now.remove(data)
            self.done += 1

    def let_go(self) -> None:
        self._go.set()


# Turns


async def test_groups_take_turns_whatever_their_backlog(queue: Queue) -> None:
    runs = recording(queue)
    await queue.add_many("build", ["huge"] * 60, group="huge")
    await queue.add_many("build", ["middle"] * 9, group="middle")
    await queue.add("build", "small", group="small")
    await drain(queue, concurrency=1)
    assert runs[:3] == ["huge", "middle", "small"]
    assert runs[3:19] == ["huge", "middle"] * 8
    assert runs[19:] == ["huge"] * 51


async def test_a_fetch_of_many_takes_one_of_each_in_turn(queue: Queue) -> None:
    runs = recording(queue)
    for group in ("a", "b", "c"):
        await queue.add_many("build", [group] * 5, group=group)
    await drain(queue, concurrency=50)
    assert runs == ["a", "b", "c"] * 5


async def test_jobs_without_a_group_run_first(queue: Queue) -> None:
    runs = recording(queue)
    await queue.add("build", "grouped", group="a")
    await queue.add("build", "prioritized", priority=9)
    await queue.add("build", "plain")
    await drain(queue, concurrency=1)
    assert runs == ["plain", "prioritized", "grouped"]


async def test_a_group_runs_by_priority_then_first_come(queue: Queue) -> None:
    runs = recording(queue)
    options: list[tuple[str, dict[str, Any]]] = [
        ("third", {"priority": 5}),
        ("fourth", {"priority": 5}),
        ("second", {}),
        ("first", {"lifo": True}),
        ("zeroth", {"lifo": True}),
        ("fifth", {"priority": 9}),
    ]
    for data, more in options:
        await queue.add("build", data, group="a", **more)
    await drain(queue, concurrency=1)
    assert runs == ["zeroth", "first", "second", "third", "fourth", "fifth"]


# What is seen of them


async def test_a_parked_job_is_waiting_to_all_readers(queue: Queue) -> None:
    recording(queue)
    job = await queue.add("build", 1, group="a")
    await queue.add("build", 2, group="b")
    found = await queue.get(job.id)
    assert found is not None
    assert found.status == "waiting"
    counts = await queue.counts()
    assert (counts["waiting"], counts["waiting-children"]) == (2, 0)
    assert {state.group: state.waiting for state in await queue.groups.list()} == {"a": 1, "b": 1}
    assert len(await queue.groups.list(limit=1)) == 1
    await drain(queue)
    assert await queue.groups.list() == []


async def test_nothing_is_left_of_groups_that_are_through(queue: Queue, redis: Redis) -> None:
    recording(queue)
    for i in range(5):
        await queue.add_many("build", range(3), group=f"group-{i}")
        await queue.add("build", 1, lock=f"lock-{i}")
    await drain(queue)
    assert await kept(redis) == []


async def test_a_queue_without_groups_keeps_nothing_of_them(queue: Queue, redis: Redis) -> None:
    runs = recording(queue)
    await queue.add_many("build", range(5))
    await drain(queue)
    assert len(runs) == 5
    assert not await redis.hexists(queue.keys().meta, "corral:groups")
    assert await kept(redis) == []


# Limits


async def test_concurrency_of_a_group(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=2))
    running = Running(queue)
    await queue.add_many("hold", ["a"] * 6, group="a")
    await queue.add_many("hold", ["b"] * 6, group="b")
    for name in ("first", "second"):
        await start_worker(queue, concurrency=10, name=name).ready()
    await eventually(lambda: sorted(running.now) == ["a", "a", "b", "b"])
    state = await queue.groups.counts("a")
    assert (state.waiting, state.active) == (4, 2)
    running.let_go()
    await eventually(lambda: running.done == 12)
    assert running.most == {"a": 2, "b": 2}


async def test_limits_of_one_group_change_while_it_runs(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1))
    running = Running(queue)
    await queue.add_many("hold", ["a"] * 6, group="a")
    await start_worker(queue, concurrency=10).ready()
    await eventually(lambda: running.now == ["a"])
    await queue.groups.set_limits("a", GroupLimits(concurrency=3))
    await eventually(lambda: running.now == ["a"] * 3)
    assert (await queue.groups.counts("a")).limits == GroupLimits(concurrency=3)
    await queue.groups.set_limits("a", None)
    assert (await queue.groups.counts("a")).limits is None
    running.let_go()
    await eventually(lambda: running.done == 6)
    assert running.most == {"a": 3}


async def test_a_freed_place_wakes_an_idle_worker_of_another_process(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for its poll."""
    monkeypatch.setattr("corral.worker.idle.POLL_SECONDS", 60.0)
    queue = make_queue(groups=GroupLimits(concurrency=1))
    running = Running(queue)
    await start_worker(queue, concurrency=1, name="first").ready()
    await queue.add("hold", "a", group="a")
    await eventually(lambda: running.now == ["a"])
    await start_worker(queue, concurrency=1, name="second").ready()
    await queue.add_many("hold", ["a"], group="a")
    await queue.add_many("hold", ["plain"])
    await eventually(lambda: running.now == ["a", "plain"])
    running.let_go()
    await eventually(lambda: running.done == 3)


async def test_rate_of_a_group(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(groups=GroupLimits(rate_limit=RateLimit(3, per=0.4)))
    starts: dict[str, list[float]] = {"a": [], "b": []}

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        starts[data].append(time.monotonic())

    for group in starts:
        await queue.add_many("build", [group] * 9, group=group)
    for name in ("first", "second"):
        await start_worker(queue, concurrency=10, name=name).ready()
    await eventually(lambda: len(starts["a"]) == 3 and len(starts["b"]) == 3)
    assert 0 < (await queue.groups.counts("a")).rate_limited_for <= 0.4
    await eventually(lambda: len(starts["a"]) == 9 and len(starts["b"]) == 9)
    for times in starts.values():
        # Nine starts need three windows, so one whole one lies between the first and the last.
        assert times[-1] - times[0] > 0.4
        assert max(sum(t <= u < t + 0.4 / 3 for u in times) for t in times) <= 6


async def test_until_empty_waits_for_the_rate_of_groups(make_queue: MakeQueue) -> None:
    queue = make_queue(groups=GroupLimits(rate_limit=RateLimit(2, per=0.1)))
    runs = recording(queue)
    await queue.add_many("build", range(7), group="a")
    await drain(queue)
    assert runs == list(range(7))


async def test_a_full_group_refuses(make_queue: MakeQueue) -> None:
    queue = make_queue(groups=GroupLimits(max_size=3))
    runs = recording(queue)
    await queue.add_many("build", [1, 2], group="a")
    with pytest.raises(GroupFull, match="Group 'a' holds 2 waiting jobs"):
        await queue.add_many("build", [3, 4], group="a")
    await queue.add("build", 3, group="a")
    many = await asyncio.gather(
        queue.add("build", 4, group="a"), queue.add("build", "other", group="b"), return_exceptions=True
    )
    assert isinstance(many[0], GroupFull)
    await queue.groups.set_limits("a", GroupLimits(max_size=4))
    await queue.add("build", 4, group="a")
    with pytest.raises(CorralError):
        await queue.add("build", 5, group="a")
    await drain(queue)
    assert sorted(map(str, runs)) == ["1", "2", "3", "4", "other"]


# Pause


async def test_pause_and_resume(queue: Queue, start_worker: StartWorker) -> None:
    runs = recording(queue)
    await queue.add("build", "before", group="a")
    await queue.groups.pause("a")
    await queue.add("build", "after", group="a")
    await queue.add("build", "other", group="b")
    await start_worker(queue).ready()
    await eventually(lambda: runs == ["other"])
    assert (await queue.groups.counts("a")).paused
    await queue.groups.resume("a")
    await eventually(lambda: runs == ["other", "before", "after"])
    assert not (await queue.groups.counts("a")).paused


# Jobs that come back


async def test_a_delayed_job_waits_in_its_group_when_it_is_due(
    queue: Queue, start_worker: StartWorker
) -> None:
    runs = recording(queue)
    await queue.groups.pause("a")
    job = await queue.add("build", 1, group="a", delay=0.05)
    assert (await queue.counts())["delayed"] == 1
    await start_worker(queue).ready()

    async def waits() -> bool:
        return (await queue.groups.counts("a")).waiting == 1

    await eventually(waits)
    found = await queue.get(job.id)
    assert found is not None
    assert found.status == "waiting"
    await queue.groups.resume("a")
    await eventually(lambda: runs == [1])


@pytest.mark.parametrize("delay", [0, 0.03])
async def test_a_retry_returns_to_its_group(make_queue: MakeQueue, delay: float) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1), retry=Retry(attempts=3, delays=(delay,)))
    runs: list[tuple[str, int]] = []
    at_once = 0

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        nonlocal at_once
        at_once += 1
        assert at_once == 1
        await asyncio.sleep(0)
        runs.append((data, job.attempt))
        at_once -= 1
        if job.attempt < 3:
            raise ValueError("again")

    jobs = await queue.add_many("build", ["x", "y"], group="a")
    counted = {"waiting": 0, "active": 0, "delayed": 0, "completed": 2}
    while (await queue.counts())["completed"] < 2:
        await drain(queue)
        await asyncio.sleep(0.01)
    counts = await queue.counts()
    assert {state: counts[state] for state in counted} == counted
    assert sorted(runs) == [("x", 1), ("x", 2), ("x", 3), ("y", 1), ("y", 2), ("y", 3)]
    assert len(jobs) == 2
    assert await queue.groups.list() == []


async def test_a_snoozed_job_frees_its_place(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1))
    runs: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        runs.append(data)
        if runs == ["sleepy"]:
            raise Snooze(0.05)

    await queue.add_many("build", ["sleepy", "other"], group="a")
    await start_worker(queue).ready()
    await eventually(lambda: runs == ["sleepy", "other", "sleepy"])


async def test_a_stopping_worker_puts_jobs_back_into_their_group(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1))
    running = Running(queue)
    job = await queue.add("hold", "a", group="a")
    await queue.add("hold", "b", group="a")
    worker = await start_worker(queue).ready()
    await eventually(lambda: running.now == ["a"])
    worker.worker.stop()
    await worker.stop()  # the second stop ends the grace time
    state = await queue.groups.counts("a")
    assert (state.waiting, state.active) == (2, 0)
    found = await queue.get(job.id)
    assert found is not None
    assert found.status == "waiting"


async def test_a_durable_wait_frees_the_place(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(groups=GroupLimits(concurrency=1))
    runs: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: str) -> None:
        runs.append(data)
        if data == "waits":
            runs.append(await job.wait_for("go", timeout=60))

    await queue.add_many("build", ["waits", "other"], group="a")
    await start_worker(queue).ready()
    await eventually(lambda: runs == ["waits", "other"])
    await queue.signal("go", "signalled")
    await eventually(lambda: runs == ["waits", "other", "waits", "signalled"])


# Draining, and what a stock client does


async def test_drain_removes_what_waits_in_a_group(queue: Queue, redis: Redis) -> None:
    runs = recording(queue)
    await queue.add_many("build", ["gone"] * 7, group="a")
    await queue.add("build", "delayed", group="a", delay=3600)
    await queue.add("build", "stays", group="b")
    assert await queue.groups.drain("a") == 7
    assert await queue.groups.drain("a") == 0
    counts = await queue.counts()
    assert (counts["waiting"], counts["delayed"]) == (1, 1)
    await drain(queue)
    assert runs == ["stays"]
    assert await kept(redis) == []


async def test_clean_removes_the_old_ones_of_groups_and_locks_too(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "BATCH", 3)
    runs = recording(queue)
    young = await queue.add_many("build", ["young"] * 5, group="a")
    old = [*await queue.add_many("build", ["old"] * 7, group="a"), await queue.add("build", "old", lock="k")]
    for job in old:
        await redis.hset(queue.keys().job(job.id), "timestamp", 1_000)
    assert await queue.admin.clean("waiting", older_than=3600, limit=2) == 2
    assert await queue.admin.clean("waiting", older_than=3600) == len(old) - 2
    assert await queue.admin.clean("waiting", older_than=3600) == 0
    assert (await queue.counts())["waiting"] == len(young)
    await drain(queue)
    assert runs == ["young"] * 5
    assert await kept(redis) == []


# Options


async def test_options_that_make_no_sense() -> None:
    queue = Queue("never", redis_url="redis://127.0.0.1:1")
    for options in ({"group": ""}, {"group": "lock:a"}, {"group": "a", "lock": "b"}, {"lock": "x" * 201}):
        with pytest.raises(InvalidOptions):
            await queue.add("build", None, **options)  # type: ignore[arg-type]  # from a list
    with pytest.raises(InvalidOptions):
        GroupLimits(concurrency=0)
    with pytest.raises(InvalidOptions):
        GroupLimits(max_size=0)
    with pytest.raises(InvalidOptions):
        await queue.groups.pause("lock:a")
