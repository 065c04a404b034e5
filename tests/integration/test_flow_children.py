"""Children that a running job adds, and its wait for them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import (
    ChildFailed,
    ChildKey,
    FlowConflict,
    Job,
    JobContext,
    OnFailure,
    Queue,
    Retry,
    ThreadJobContext,
)
from corral.bullmq import families
from corral.errors import ConfigurationError, InvalidData
from eventually import eventually

ONCE = Retry(attempts=1)


@pytest.fixture
def gate() -> asyncio.Event:
    """Closed: pages wait. Open: they are rendered."""
    return asyncio.Event()


@pytest.fixture
def pages(make_queue: MakeQueue, gate: asyncio.Event) -> Queue:
    queue = make_queue("pages", retry=ONCE)

    @queue.job("render")
    async def render(job: JobContext, data: int) -> int:
        await gate.wait()
        if data < 0:
            raise ValueError(f"no page {data}")
        return data * 10

    return queue


@pytest.fixture
def reports(make_queue: MakeQueue) -> Queue:
    return make_queue("reports", retry=ONCE)


async def has(job: Job, status: str) -> None:
    async def reached() -> bool:
        return (await job.refresh()).status == status

    await eventually(reached)


async def test_a_job_waits_for_the_children_it_adds_without_a_slot(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker, redis: Redis
) -> None:
    runs: list[int] = []

    @reports.job("build")
    async def build(job: JobContext, data: int) -> list[int]:
        runs.append(job.attempt)
        for number in range(data):
            await job.add_child(pages, "render", number)
        await job.wait_for_children()
        return sorted((await job.children_values()).values())

    @reports.job("other")
    async def other(job: JobContext) -> str:
        return "ran"

    job = await reports.add("build", 3)
    start_worker(reports, concurrency=1)
    start_worker(pages)
    await has(job, "waiting-children")
    assert (await job.children_counts()).pending == 3
    free = await reports.add("other")  # the only slot is free
    assert await free.result(timeout=10) == "ran"
    assert not await redis.exists(f"bull:reports:{job.id}:lock")
    gate.set()
    assert await job.result(timeout=10) == [0, 10, 20]
    assert runs == [1, 1]
    await job.refresh()
    assert job.attempts_made == 1
    assert (await job.children_counts()).total == 3  # the second run added none


async def test_a_wait_with_nothing_pending_returns_at_once(reports: Queue) -> None:
    runs: list[int] = []

    @reports.job("build")
    async def build(job: JobContext) -> str:
        runs.append(1)
        await job.wait_for_children()
        return "done"

    job = await reports.add("build")
    await drain(reports)
    assert await job.result(timeout=5) == "done"
    assert runs == [1]


async def test_equal_children_of_one_run_are_several_and_stages_follow_each_other(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    gate.set()
    existed: list[list[bool]] = []

    @reports.job("build")
    async def build(job: JobContext) -> int:
        first = [await job.add_child(pages, "render", 1) for _ in range(2)]
        existed.append([child.existed for child in first])
        await job.wait_for_children()
        values = await job.children_values()
        first_stage = sum(values[ChildKey("pages", child.id)] for child in first)
        await job.add_child(pages, "render", first_stage)
        await job.wait_for_children()
        return sum((await job.children_values()).values())

    job = await reports.add("build")
    start_worker(reports, pages)
    assert await job.result(timeout=20) == 200 + 20
    assert existed[0] == [False, False]
    assert all(again == [True, True] for again in existed[1:])


async def test_a_retried_attempt_keeps_the_children_that_are_done(
    make_queue: MakeQueue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    gate.set()
    reports = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))

    @reports.job("build")
    async def build(job: JobContext) -> list[int]:
        await job.add_child(pages, "render", 1, remove_on_complete=True)
        await job.wait_for_children()
        if job.attempt == 1:
            raise RuntimeError("after the children")
        return list((await job.children_values()).values())

    job = await reports.add("build")
    start_worker(reports, pages)
    assert await job.result(timeout=20) == [10]
    assert (await job.children_counts()).total == 1


@pytest.mark.parametrize(
    ("policy", "options"),
    [
        (OnFailure.IGNORE, {}),
        (OnFailure.CONTINUE, {}),
        (OnFailure.REMOVE, {}),
        (OnFailure.REMOVE, {"remove_on_fail": True}),
    ],
)
async def test_a_child_that_failed_is_not_added_again(
    reports: Queue,
    pages: Queue,
    gate: asyncio.Event,
    start_worker: StartWorker,
    policy: OnFailure,
    options: dict[str, Any],
) -> None:
    gate.set()

    @reports.job("build")
    async def build(job: JobContext) -> list[str]:
        await job.add_child(pages, "render", -1, on_failure=policy, **options)
        await job.wait_for_children()
        return list((await job.ignored_failures()).values())

    job = await reports.add("build")
    start_worker(reports, pages)
    assert await job.result(timeout=20) == ([] if policy is OnFailure.REMOVE else ["no page -1"])
    counts = await pages.counts()
    assert counts["failed"] == (0 if options else 1)


async def test_a_child_that_fails_its_parent_while_it_waits(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    @reports.job("build")
    async def build(job: JobContext) -> str:
        await job.add_child(pages, "render", -1)
        await job.wait_for_children()
        return "never"

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "waiting-children")
    gate.set()
    await has(job, "failed")
    assert job.failed_reason is not None
    assert "child" in job.failed_reason


async def test_a_child_that_fails_its_parent_while_it_runs(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    gate.set()
    seen: list[BaseException] = []

    @reports.job("build")
    async def build(job: JobContext) -> str:
        child = await job.add_child(pages, "render", -1)
        await has(child, "failed")
        try:
            await job.wait_for_children()
        except ChildFailed as error:
            seen.append(error)
            raise
        return "never"

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "failed")
    assert len(seen) == 1
    assert "pages" in str(job.failed_reason)


async def test_a_job_that_returns_before_its_children_says_what_to_do(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    @reports.job("build")
    async def build(job: JobContext) -> str:
        await job.add_child(pages, "render", 1)
        return "too early"

    job = await reports.add("build")
    start_worker(reports)
    await has(job, "failed")
    assert "wait_for_children" in str(job.failed_reason)


async def test_a_wait_from_inside_a_task_group(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    @reports.job("build")
    async def build(job: JobContext) -> list[int]:
        async with asyncio.TaskGroup() as group:
            group.create_task(self_made(job))
        return list((await job.children_values()).values())

    async def self_made(job: JobContext) -> None:
        await job.add_child(pages, "render", 5)
        await job.wait_for_children()

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "waiting-children")
    gate.set()
    assert await job.result(timeout=20) == [50]


async def test_children_that_finish_while_the_handler_is_left(
    reports: Queue,
    pages: Queue,
    gate: asyncio.Event,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the look and the move: the job must run again at once, not wait for ever."""
    from corral.worker import execute
    from corral.worker.parents import leave_for_children as move

    runs: list[int] = []

    async def late(consumer: Any, job_id: str, token: str) -> Any:
        gate.set()
        await eventually(lambda: _none_pending(reports, job_id))
        return await move(consumer, job_id, token)

    monkeypatch.setattr(execute, "leave_for_children", late)

    @reports.job("build")
    async def build(job: JobContext) -> list[int]:
        runs.append(job.attempt)
        await job.add_child(pages, "render", 1)
        await job.wait_for_children()
        return list((await job.children_values()).values())

    job = await reports.add("build")
    start_worker(reports, pages)
    assert await job.result(timeout=20) == [10]
    assert runs == [1, 1]


async def _none_pending(queue: Queue, job_id: str) -> bool:
    return (await queue.children_counts(job_id)).pending == 0


async def test_a_handler_in_a_thread_has_the_same(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    @reports.job("build")
    def build(job: ThreadJobContext) -> list[Any]:
        job.add_child(pages, "render", 1)
        job.add_child(pages, "render", -1, on_failure=OnFailure.IGNORE)
        job.wait_for_children()
        return [list(job.children_values().values()), list(job.ignored_failures().values())]

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "waiting-children")
    gate.set()
    assert await job.result(timeout=20) == [[10], ["no page -1"]]


async def test_the_time_limit_does_not_run_while_the_job_waits(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    deadlines: list[float] = []

    @reports.job("build")
    async def build(job: JobContext) -> str:
        deadlines.append(job.deadline or 0)
        await job.add_child(pages, "render", 1)
        await job.wait_for_children()
        return "done"

    job = await reports.add("build", timeout=60)
    start_worker(reports, pages)
    await has(job, "waiting-children")
    gate.set()
    assert await job.result(timeout=20) == "done"
    assert deadlines[1] > deadlines[0]


async def test_what_cannot_be_a_child_is_refused(
    reports: Queue, pages: Queue, make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    other = make_queue(prefix="other")
    gone = await pages.add("render", 1, job_id="taken-elsewhere")
    seen: list[type[BaseException]] = []

    @reports.job("first")
    async def first(job: JobContext) -> None:
        await job.add_child(pages, "render", 1, job_id=gone.id)
        await job.wait_for_children()

    @reports.job("second")
    async def second(job: JobContext) -> str:
        calls = [
            job.add_child(other, "render", 1),
            job.add_child(pages, "render", "no number"),
            job.add_child(pages, "render", 1, job_id=gone.id),
        ]
        for call in calls:
            try:
                await call
            except Exception as error:
                seen.append(type(error))
        return "done"

    parent = await reports.add("first")
    start_worker(reports)
    await has(parent, "waiting-children")
    job = await reports.add("second")
    assert await job.result(timeout=20) == "done"
    assert seen == [ConfigurationError, InvalidData, FlowConflict]


async def test_a_worker_that_lost_the_job_adds_no_child(
    reports: Queue, pages: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    @reports.job("build")
    async def build(job: JobContext) -> None:
        await redis.set(f"bull:reports:{job.id}:lock", "another:1")
        await job.add_child(pages, "render", 1)

    await reports.add("build")
    started = start_worker(reports)
    await started.ready()
    await eventually(lambda: started.feeds[0].state.fetched == 1 and started.feeds[0].running == 0)
    assert (await pages.counts())["waiting"] == 0


async def test_a_redis_that_is_away_when_the_job_wants_to_wait(
    reports: Queue,
    pages: Queue,
    gate: asyncio.Event,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job goes back unspent; its handler comes to the wait again."""
    move, failures = families.wait_for_children, [ConnectionError("away")]

    async def wait(*args: Any) -> int:
        if failures:
            raise failures.pop()
        return await move(*args)

    monkeypatch.setattr(families, "wait_for_children", wait)
    runs: list[int] = []

    @reports.job("build")
    async def build(job: JobContext) -> list[int]:
        runs.append(job.attempt)
        await job.add_child(pages, "render", 1)
        await job.wait_for_children()
        return list((await job.children_values()).values())

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "waiting-children")
    assert runs == [1, 1]
    gate.set()
    assert await job.result(timeout=20) == [10]


async def test_a_child_that_fails_its_parent_while_the_handler_is_left(
    reports: Queue,
    pages: Queue,
    gate: asyncio.Event,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    move = families.wait_for_children

    async def late(client: Any, keys: Any, job_id: str, *rest: Any) -> int:
        gate.set()
        await eventually(lambda: _none_pending(reports, job_id))
        return await move(client, keys, job_id, *rest)

    monkeypatch.setattr(families, "wait_for_children", late)

    @reports.job("build")
    async def build(job: JobContext) -> None:
        await job.add_child(pages, "render", -1)
        await job.wait_for_children()

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "failed")
    assert job.attempts_made == 1


async def test_a_job_that_was_lost_on_its_way_to_the_wait(
    reports: Queue, pages: Queue, start_worker: StartWorker, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, codes = families.wait_for_children, []

    async def fenced(client: Any, keys: Any, job_id: str, *rest: Any) -> int:
        await redis.set(f"bull:reports:{job_id}:lock", "another:1")
        codes.append(await move(client, keys, job_id, *rest))
        return codes[-1]

    monkeypatch.setattr(families, "wait_for_children", fenced)

    @reports.job("build")
    async def build(job: JobContext) -> None:
        await job.add_child(pages, "render", 1)
        await job.wait_for_children()

    job = await reports.add("build")
    started = start_worker(reports)
    await started.ready()
    await eventually(lambda: codes and started.feeds[0].running == 0)
    assert codes == [-6]
    assert (await job.refresh()).status == "active"  # the other worker's


async def test_a_worker_that_dies_beside_a_waiting_parent_changes_nothing(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    @reports.job("build")
    async def build(job: JobContext) -> list[int]:
        await job.add_child(pages, "render", 1)
        await job.wait_for_children()
        return list((await job.children_values()).values())

    job = await reports.add("build")
    first = start_worker(reports)
    await has(job, "waiting-children")
    await first.stop()
    gate.set()
    start_worker(reports, pages)
    assert await job.result(timeout=20) == [10]


async def test_a_waiting_parent_that_also_waits_for_a_signal(
    reports: Queue, pages: Queue, gate: asyncio.Event, start_worker: StartWorker
) -> None:
    gate.set()

    @reports.job("build")
    async def build(job: JobContext) -> list[Any]:
        await job.add_child(pages, "render", 1)
        await job.wait_for_children()
        approved = job.checkpoints.get("approved")
        if approved is None:
            approved = await job.wait_for("approval", timeout=600)
            await job.checkpoint({"approved": approved})
        await job.add_child(pages, "render", 2)
        await job.wait_for_children()
        return [approved, sorted((await job.children_values()).values())]

    job = await reports.add("build")
    start_worker(reports, pages)
    await has(job, "delayed")
    assert await reports.signal("approval", "yes")
    assert await job.result(timeout=20) == ["yes", [10, 20]]
    assert (await job.refresh()).attempts_made == 1
