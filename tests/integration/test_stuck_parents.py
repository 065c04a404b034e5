"""Parents that wait for what will not happen: found with the reason, logged once, released by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain
from structlog.testing import capture_logs

from corral import Flow, Job, JobContext, OnFailure, Queue, Retry
from corral.bullmq import stuck
from corral.errors import InvalidOptions, JobNotFound
from corral.family import StuckReason
from corral.worker.parents import report_stuck, watch_parents
from eventually import eventually

ONCE = Retry(attempts=1)


@pytest.fixture
def pages(make_queue: MakeQueue) -> Queue:
    queue = make_queue("pages", retry=ONCE)

    @queue.job("render")
    async def render(job: JobContext, data: int) -> int:
        if data < 0:
            raise ValueError(f"no page {data}")
        return data * 10

    return queue


@pytest.fixture
def reports(make_queue: MakeQueue) -> Queue:
    queue = make_queue("reports", retry=ONCE)

    @queue.job("build")
    async def build(job: JobContext) -> list[Any]:
        values, failures = await job.children_values(), await job.ignored_failures()
        return [sorted(values.values()), sorted(failures.values())]

    return queue


async def family(reports: Queue, pages: Queue, *numbers: int, **options: Any) -> tuple[Job, list[Job]]:
    flow = Flow(reports, "build", children=[Flow(pages, "render", n) for n in numbers], **options)
    parent = await flow.add()
    return parent, [leaf.job for leaf in flow.children if leaf.job is not None]


async def without_policy(redis: Redis, parent: Job, child: Job) -> None:
    """As Node's FlowProducer adds it when nothing is said of failures."""
    link = {"id": parent.id, "queueKey": "bull:reports"}
    await redis.hset(f"bull:pages:{child.id}", "parent", json.dumps(link))


async def vanish(redis: Redis, child: Job) -> None:
    await redis.delete(f"bull:pages:{child.id}")
    await redis.lrem("bull:pages:wait", 0, child.id)


async def found(reports: Queue) -> list[tuple[str, StuckReason, list[str]]]:
    return [
        (parent.id, parent.reason, [child.id for child in parent.children])
        for parent in await reports.stuck_parents(older_than=0)
    ]


async def test_a_parent_whose_children_are_coming_is_not_stuck(reports: Queue, pages: Queue) -> None:
    await family(reports, pages, 1, 2)
    assert await found(reports) == []


async def test_a_child_that_failed_without_a_policy(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, children = await family(reports, pages, 1, -1)
    await without_policy(redis, parent, children[1])
    await drain(pages)
    assert await found(reports) == [(parent.id, StuckReason.CHILD_FAILED, [children[1].id])]
    assert await reports.release_parent(parent.id) is True
    start_worker(reports)
    assert await parent.result(timeout=10) == [[10], ["no page -1"]]
    assert await found(reports) == []


async def test_a_child_that_is_gone(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, children = await family(reports, pages, 1)
    await vanish(redis, children[0])
    assert await found(reports) == [(parent.id, StuckReason.CHILD_GONE, [children[0].id])]
    assert await reports.release_parent(parent.id) is True
    start_worker(reports)
    assert await parent.result(timeout=10) == [[], ["The child is gone."]]


async def test_a_child_that_completed_unnoticed(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, children = await family(reports, pages, 4)
    await redis.hdel(f"bull:pages:{children[0].id}", "parent", "parentKey")
    await drain(pages)
    assert await found(reports) == [(parent.id, StuckReason.CHILD_NOT_COUNTED, [children[0].id])]
    assert await reports.release_parent(parent.id) is True
    start_worker(reports)
    assert await parent.result(timeout=10) == [[40], []]


async def test_a_child_that_belongs_to_another(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, children = await family(reports, pages, 4)
    await redis.hset(f"bull:pages:{children[0].id}", "parentKey", "bull:reports:other")
    assert await found(reports) == [(parent.id, StuckReason.CHILD_LEFT, [children[0].id])]
    assert await reports.release_parent(parent.id) is True
    start_worker(reports)
    assert await parent.result(timeout=10) == [[], ["The child belongs to another parent."]]


async def test_a_parent_that_nobody_put_back(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, _ = await family(reports, pages, 4)
    await redis.delete(f"bull:reports:{parent.id}:dependencies")
    assert await found(reports) == [(parent.id, StuckReason.NOTHING_PENDING, [])]
    assert await reports.release_parent(parent.id) is True
    start_worker(reports)
    assert await parent.result(timeout=10) == [[], []]


async def test_a_release_does_not_let_go_of_children_that_are_coming(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    parent, children = await family(reports, pages, 1, 2)
    await vanish(redis, children[0])
    assert await reports.release_parent(parent.id) is False
    assert (await parent.refresh()).status == "waiting-children"
    assert await found(reports) == []
    start_worker(reports, pages)
    assert await parent.result(timeout=10) == [[20], ["The child is gone."]]


async def test_only_a_job_that_waits_for_children_can_be_released(reports: Queue) -> None:
    job = await reports.add("build")
    for job_id in (job.id, "nobody"):
        with pytest.raises(JobNotFound):
            await reports.release_parent(job_id)


async def test_an_id_without_a_job_is_taken_away(reports: Queue, pages: Queue, redis: Redis) -> None:
    parent, _ = await family(reports, pages, 1)
    await redis.delete(f"bull:reports:{parent.id}", f"bull:reports:{parent.id}:dependencies")
    assert await found(reports) == [(parent.id, StuckReason.NOTHING_PENDING, [])]
    with pytest.raises(JobNotFound):
        await reports.release_parent(parent.id)
    assert await found(reports) == []


async def test_a_dead_child_among_many_is_found_when_the_others_are_through(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "LOOK_CHILDREN", 2)
    parent, children = await family(reports, pages, *range(30))
    await vanish(redis, children[7])
    await drain(pages)
    assert await found(reports) == [(parent.id, StuckReason.CHILD_GONE, [children[7].id])]


@pytest.mark.parametrize(
    ("options", "state"), [({"priority": 3}, "prioritized"), ({"delay": 3600.0}, "delayed"), ({}, "waiting")]
)
async def test_a_released_parent_goes_where_it_would_have_gone(
    reports: Queue, pages: Queue, redis: Redis, options: dict[str, Any], state: str
) -> None:
    parent, children = await family(reports, pages, 1, **options)
    await vanish(redis, children[0])
    await reports.release_parent(parent.id)
    counts = await reports.counts()
    assert counts[state] == 1
    assert counts["waiting-children"] == 0
    markers = await redis.zrange("bull:reports:marker", 0, -1)
    assert markers == (["1"] if state == "delayed" else ["0"])


async def test_a_paused_queue_is_not_woken_by_a_release(reports: Queue, pages: Queue, redis: Redis) -> None:
    parent, children = await family(reports, pages, 1)
    await vanish(redis, children[0])
    await redis.hset("bull:reports:meta", "paused", 1)
    await reports.release_parent(parent.id)
    assert not await redis.exists("bull:reports:marker")


async def test_young_parents_are_left_alone_and_the_list_is_bounded(
    reports: Queue, pages: Queue, redis: Redis
) -> None:
    for _ in range(3):
        _, children = await family(reports, pages, 1)
        await vanish(redis, children[0])
    assert await reports.stuck_parents(older_than=3600) == []
    assert len(await reports.stuck_parents(older_than=0, limit=2)) == 2
    with pytest.raises(InvalidOptions):
        await reports.stuck_parents(limit=0)


async def test_a_stuck_parent_behind_many_healthy_ones_is_found(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corral.bullmq.flow_waiting.LOOK_BATCH", 2)
    for _ in range(5):
        await family(reports, pages, 1)
    parent, children = await family(reports, pages, 1)
    await vanish(redis, children[0])
    assert [job_id for job_id, _, _ in await found(reports)] == [parent.id]


async def test_what_is_no_job_at_all_is_gone(reports: Queue, pages: Queue, redis: Redis) -> None:
    parent, children = await family(reports, pages, 1)
    await redis.delete(f"bull:pages:{children[0].id}")
    await redis.set(f"bull:pages:{children[0].id}", "text")
    assert await found(reports) == [(parent.id, StuckReason.CHILD_GONE, [children[0].id])]
    assert await reports.release_parent(parent.id) is True


async def test_a_worker_logs_a_stuck_parent_once(reports: Queue, pages: Queue, redis: Redis) -> None:
    parent, children = await family(reports, pages, 1)
    await vanish(redis, children[0])
    with capture_logs() as logs:
        known = await report_stuck(reports, set(), 0)
        known = await report_stuck(reports, known, 0)
    assert known == {parent.id}
    (entry,) = logs
    assert (entry["event"], entry["job"], entry["reason"]) == ("parent_stuck", parent.id, "child_gone")
    assert entry["children"] == [f"pages:{children[0].id}"]


async def test_one_worker_at_a_time_looks(reports: Queue, redis: Redis) -> None:
    turns = [await stuck.take_turn(reports.client(), reports.keys(), 60) for _ in range(3)]
    assert turns == [True, False, False]
    (key,) = await redis.keys("corral:bull:reports:*")
    assert 0 < await redis.pttl(key) <= 60_000


async def test_the_watch_goes_on_through_an_outage(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, children = await family(reports, pages, 1)
    await vanish(redis, children[0])
    look, failures = stuck.take_turn, [ConnectionError("away")]

    async def turn(*args: Any) -> bool:
        if failures:
            raise failures.pop()
        return await look(*args)

    monkeypatch.setattr(stuck, "take_turn", turn)
    with capture_logs() as logs:
        watch = asyncio.create_task(watch_parents(reports, interval_seconds=0.01))
        await eventually(lambda: any(entry["event"] == "parent_stuck" for entry in logs))
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch
    assert logs[0]["event"] == "parent_watch_failed"
    assert [entry["job"] for entry in logs if entry["event"] == "parent_stuck"] == [parent.id]


# Outside looks and cuts


async def test_the_picture_of_a_flow(reports: Queue, pages: Queue, redis: Redis) -> None:
    middle = Flow(reports, "build", children=[Flow(pages, "render", 1), Flow(pages, "render", 2)])
    ignored = Flow(pages, "render", -1, on_failure=OnFailure.IGNORE)
    root = await Flow(reports, "build", children=[middle, ignored]).add()
    await drain(pages, concurrency=1)
    picture = await reports.flow(root.id)
    assert picture is not None
    assert (picture.key, picture.name, picture.status) == (("reports", root.id), "build", "waiting-children")
    assert (picture.counts.pending, picture.counts.ignored) == (1, 1)
    by_state = {node.status: node for node in picture.children}
    assert set(by_state) == {"waiting", "failed"}
    assert by_state["failed"].failed_reason == "no page -1"
    assert [node.status for node in by_state["waiting"].children] == ["completed", "completed"]
    assert by_state["waiting"].counts.completed == 2


async def test_the_picture_has_bounds(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle = Flow(reports, "build", children=[Flow(pages, "render", n) for n in range(9)])
    root = await Flow(reports, "build", children=[middle]).add()
    shallow = await reports.flow(root.id, depth=1)
    narrow = await reports.flow(root.id, limit=4)
    assert shallow is not None
    assert narrow is not None
    assert shallow.children[0].children == ()
    assert shallow.children[0].counts.pending == 9
    assert len(narrow.children[0].children) == 4
    monkeypatch.setattr("corral.relations.MAX_SHOWN", 5)
    small = await reports.flow(root.id)
    assert small is not None
    assert len(small.children[0].children) == 3
    assert await reports.flow("nobody") is None
    alone = await reports.flow(root.id, depth=0)
    assert alone is not None
    assert alone.children == ()
    with pytest.raises(InvalidOptions):
        await reports.flow(root.id, limit=0)


async def test_a_child_that_is_gone_stays_in_the_picture(reports: Queue, pages: Queue, redis: Redis) -> None:
    parent, children = await family(reports, pages, 1)
    await vanish(redis, children[0])
    picture = await reports.flow(parent.id)
    assert picture is not None
    assert [(node.key.id, node.status) for node in picture.children] == [(children[0].id, "gone")]


async def test_children_come_in_pages(reports: Queue, pages: Queue, redis: Redis) -> None:
    flow = Flow(
        reports,
        "build",
        children=[
            *(Flow(pages, "render", n) for n in range(600)),
            *(Flow(pages, "render", -n, on_failure=OnFailure.IGNORE) for n in (1, 2)),
        ],
    )
    parent = await flow.add()
    later = await Flow(reports, "build", children=[Flow(pages, "render", 5, delay=3600)]).add()
    await drain(pages)
    seen: dict[str, str] = {}
    values = []
    cursor: str | None = None
    looks = 0
    while True:
        page = await parent.children(cursor, count=50)
        looks += 1
        for child in page.children:
            seen[child.key.id] = child.state
            values.append(child.value)
        cursor = page.cursor
        if cursor is None:
            break
    assert {leaf.job.id for leaf in flow.children if leaf.job} == set(seen)
    assert looks > 4  # it was not read as a whole
    assert 5990 in values
    assert "no page -2" in values
    assert [child.state for child in (await later.children("pending:0")).children] == ["pending"]
    for wrong in ("sideways:0", "pending:x"):
        with pytest.raises(InvalidOptions):
            await parent.children(wrong)


async def test_a_child_can_be_parted_from_its_parent(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    parent, (child,) = await family(reports, pages, 1)
    assert await pages.remove_child_dependency(child.id) is True
    assert await pages.remove_child_dependency(child.id) is False
    with pytest.raises(JobNotFound):
        await pages.remove_child_dependency("nobody")
    start_worker(reports, pages)
    assert await parent.result(timeout=10) == [[], []]
    assert await child.result(timeout=10) == 10


async def test_pending_children_can_be_removed(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    parent, children = await family(reports, pages, 1, 2, 3)
    await reports.remove_unprocessed_children(parent.id)
    assert [await pages.get(child.id) for child in children] == [None, None, None]
    start_worker(reports)
    assert await parent.result(timeout=10) == [[], []]
