"""Flows added by Corral and run by Corral: order, results, policies, atomicity, ids that exist."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import ChildKey, Flow, FlowConflict, Job, JobContext, OnFailure, Queue, Retry
from corral.bullmq import flow_add
from corral.errors import InvalidData, InvalidOptions, JobTooLarge, RedisUnavailable, UnknownJobName
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
    async def build(job: JobContext) -> dict[str, Any]:
        values, failures = await job.children_values(), await job.ignored_failures()
        return {"values": sorted(values.values(), key=str), "failures": sorted(failures.values())}

    return queue


async def ended(job: Job) -> str:
    """The job's final status."""

    async def status() -> str | None:
        await job.refresh()
        return job.status if job.status in ("completed", "failed") else None

    return str(await eventually(status))


async def test_a_parent_runs_after_its_children_with_their_values(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    flow = Flow(reports, "build", children=[Flow(pages, "render", n) for n in (1, 2, 3)])
    job = await flow.add()
    assert (await job.refresh()).status == "waiting-children"
    start_worker(reports, pages)
    assert await job.result(timeout=20) == {"values": [10, 20, 30], "failures": []}
    assert [await leaf.job.result(timeout=10) for leaf in flow.children if leaf.job] == [10, 20, 30]


async def test_values_are_found_by_queue_and_id(
    make_queue: MakeQueue, pages: Queue, start_worker: StartWorker
) -> None:
    reports = make_queue()

    @reports.job("build")
    async def build(job: JobContext) -> int:
        values = await job.children_values()
        return int(values[ChildKey("pages", "cover")])

    job = await Flow(reports, "build", children=[Flow(pages, "render", 4, job_id="cover")]).add()
    start_worker(reports, pages)
    assert await job.result(timeout=20) == 40


async def test_a_tree_of_three_levels_with_options(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    middle = Flow(reports, "build", children=[Flow(pages, "render", 1, delay=0.02)], priority=3)
    job = await Flow(
        reports, "build", children=[middle, Flow(reports, "build", lifo=True, remove_on_complete=True)]
    ).add()
    assert (await reports.counts())["waiting-children"] == 2
    assert (await pages.counts())["delayed"] == 1
    start_worker(reports, pages)
    assert await ended(job) == "completed"
    assert middle.job is not None
    assert await middle.job.result(timeout=5) == {"values": [10], "failures": []}


async def test_a_child_that_fails_fails_its_parent_unless_told_otherwise(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    grandchild = Flow(pages, "render", -1)
    middle = Flow(reports, "build", children=[grandchild])
    job = await Flow(reports, "build", children=[middle]).add()
    start_worker(reports, pages)
    assert await ended(job) == "failed"
    assert middle.job is not None
    assert job.failed_reason == f"child bull:reports:{middle.job.id} failed"


@pytest.mark.parametrize(("policy", "failures"), [(OnFailure.IGNORE, ["no page -1"]), (OnFailure.REMOVE, [])])
async def test_policies_that_count_a_failure_as_an_end(
    reports: Queue, pages: Queue, start_worker: StartWorker, policy: OnFailure, failures: list[str]
) -> None:
    children = [Flow(pages, "render", -1, on_failure=policy), Flow(pages, "render", 2)]
    job = await Flow(reports, "build", children=children).add()
    start_worker(reports, pages)
    assert await job.result(timeout=20) == {"values": [20], "failures": failures}


async def test_continue_runs_the_parent_at_once_and_it_may_wait_for_the_rest(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    pages, reports = make_queue(retry=ONCE), make_queue(retry=ONCE)
    told = asyncio.Event()
    runs: list[int] = []

    @pages.job("slow")
    async def slow(job: JobContext) -> str:
        await told.wait()
        return "late"

    @pages.job("fails")
    async def fails(job: JobContext) -> None:
        raise ValueError("at once")

    @reports.job("build")
    async def build(job: JobContext) -> list[Any]:
        runs.append(job.attempt)
        failures = await job.ignored_failures()
        told.set()
        await job.wait_for_children()
        return [list(failures.values()), list((await job.children_values()).values())]

    children = [Flow(pages, "slow"), Flow(pages, "fails", on_failure=OnFailure.CONTINUE)]
    job = await Flow(reports, "build", children=children).add()
    start_worker(reports, pages)
    assert await job.result(timeout=20) == [["at once"], ["late"]]
    assert set(runs) == {1}  # however often it ran, no attempt was spent


async def test_what_lies_in_redis_is_what_node_would_have_written(
    reports: Queue, pages: Queue, redis: Redis
) -> None:
    leaf = Flow(pages, "render", 1, on_failure=OnFailure.CONTINUE, priority=2)
    job = await Flow(reports, "build", {"n": 1}, children=[leaf]).add()
    assert leaf.job is not None
    child = await redis.hgetall(f"bull:pages:{leaf.job.id}")
    assert child["parentKey"] == f"bull:reports:{job.id}"
    assert json.loads(child["parent"]) == {"id": job.id, "queueKey": "bull:reports", "cpof": True}
    options = json.loads(child["opts"])
    assert options["parent"] == {"id": job.id, "queue": "bull:reports"}
    assert options["cpof"] is True
    assert (child["priority"], options["priority"]) == ("2", 2)
    assert await redis.smembers(f"bull:reports:{job.id}:dependencies") == {f"bull:pages:{leaf.job.id}"}
    assert json.loads(await redis.hget(f"bull:reports:{job.id}", "data")) == {"n": 1}
    assert await redis.hget(f"bull:reports:{job.id}", "parentKey") is None


@pytest.mark.parametrize(
    ("leaf", "error"),
    [
        (("render", "no number"), InvalidData),
        (("render", {1: object()}), InvalidData),
        (("paint", 1), UnknownJobName),
    ],
)
async def test_wrong_data_of_one_node_adds_none(
    reports: Queue, pages: Queue, redis: Redis, leaf: tuple[str, Any], error: type[Exception]
) -> None:
    children = [Flow(pages, "render", 1), Flow(pages, *leaf)]
    with pytest.raises(error):
        await Flow(reports, "build", children=children).add()
    assert await redis.dbsize() == 0


async def test_a_misspelt_option_is_named(reports: Queue, pages: Queue, redis: Redis) -> None:
    with pytest.raises(InvalidOptions, match="priority"):
        await Flow(reports, "build", children=[Flow(pages, "render", 1, prioritee=1)]).add()  # type: ignore[call-arg]  # the slip under test


async def test_a_flow_that_is_too_large_adds_none(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corral.flow.MAX_FLOW_BYTES", 10)
    with pytest.raises(JobTooLarge):
        await Flow(reports, "build", children=[Flow(pages, "render", 10**11)]).add()
    assert await redis.dbsize() == 0


async def test_a_full_redis_takes_all_of_a_flow_or_nothing(
    reports: Queue, pages: Queue, redis: Redis
) -> None:
    await reports.counts()
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(RedisUnavailable):
            await Flow(reports, "build", children=[Flow(pages, "render", n) for n in range(20)]).add()
    finally:
        await redis.config_set("maxmemory", 0)
    assert await redis.dbsize() == 0


async def test_a_server_that_forgot_its_scripts_takes_the_whole_flow(
    reports: Queue, pages: Queue, redis: Redis
) -> None:
    await Flow(reports, "build", children=[Flow(pages, "render", 1)]).add()
    await redis.script_flush()
    job = await Flow(reports, "build", children=[Flow(pages, "render", n) for n in (1, 2)]).add()
    assert (await job.children_counts()).pending == 2


async def test_a_root_that_exists_is_returned_and_nothing_is_added(
    reports: Queue, pages: Queue, redis: Redis
) -> None:
    def flow() -> Flow:
        return Flow(reports, "build", job_id="report-7", children=[Flow(pages, "render", 1)])

    first, again = await flow().add(), await flow().add()
    assert (first.existed, again.existed, again.id) == (False, True, "report-7")
    assert (await again.children_counts()).total == 1
    assert (await pages.counts())["waiting"] == 1


async def test_children_that_are_complete_already_do_not_let_the_parent_go_early(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    """All but the last child are complete: without the hold the parent would run while it is pending."""
    done = [await pages.add("render", n, job_id=f"page-{n}") for n in (1, 2)]
    await drain(pages)
    assert [await ended(job) for job in done] == ["completed", "completed"]
    children = [Flow(pages, "render", n, job_id=f"page-{n}") for n in (1, 2, 3)]
    job = await Flow(reports, "build", children=children).add()
    assert (await job.refresh()).status == "waiting-children"
    counts = await job.children_counts()
    assert (counts.completed, counts.pending) == (2, 1)
    start_worker(reports, pages)
    assert (await job.result(timeout=20))["values"] == [10, 20, 30]


async def test_children_that_are_all_complete_let_the_parent_go(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    await pages.add("render", 1, job_id="page-1")
    await drain(pages)
    job = await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="page-1")]).add()
    assert (await job.refresh()).status == "waiting"
    start_worker(reports)
    assert (await job.result(timeout=20))["values"] == [10]


async def test_a_child_whose_old_parent_is_gone_is_free(
    reports: Queue, pages: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    old = await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="page-1")]).add()
    await redis.delete(f"bull:reports:{old.id}", f"bull:reports:{old.id}:dependencies")
    await redis.zrem("bull:reports:waiting-children", old.id)
    job = await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="page-1")]).add()
    start_worker(reports, pages)
    assert (await job.result(timeout=20))["values"] == [10]


async def test_a_node_that_does_not_fit_in_leaves_nothing_behind(
    reports: Queue, pages: Queue, redis: Redis
) -> None:
    await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="taken")]).add()
    before = await redis.dbsize()
    leaf = Flow(pages, "render", 1, job_id="taken")
    with pytest.raises(FlowConflict, match="child of another"):
        await Flow(reports, "build", children=[Flow(pages, "render", 2), leaf]).add()
    inner = Flow(pages, "render", 1, job_id="taken", children=[Flow(pages, "render", 2)])
    with pytest.raises(FlowConflict, match="other children"):
        await Flow(reports, "build", children=[inner]).add()
    assert await redis.dbsize() == before


async def test_a_child_that_failed_for_good_is_refused(reports: Queue, pages: Queue) -> None:
    await pages.add("render", -1, job_id="broken")
    await drain(pages)
    with pytest.raises(FlowConflict, match="failed for good"):
        await Flow(reports, "build", children=[Flow(pages, "render", -1, job_id="broken")]).add()


async def test_the_delay_of_a_parent_counts_from_its_childrens_end(
    reports: Queue, pages: Queue, start_worker: StartWorker
) -> None:
    job = await Flow(reports, "build", delay=3600, children=[Flow(pages, "render", 1)]).add()
    await drain(pages)

    async def delayed() -> bool:
        return (await job.refresh()).status == "delayed"

    await eventually(delayed)


async def test_a_flow_is_one_round_trip(reports: Queue, pages: Queue, redis: Redis) -> None:
    await Flow(reports, "build", children=[Flow(pages, "render", 1)]).add()  # looks at the layout once
    await redis.config_resetstat()
    await Flow(reports, "build", children=[Flow(pages, "render", n) for n in range(50)]).add()
    stats = await redis.info("commandstats")
    assert stats["cmdstat_exec"]["calls"] == 1
    assert "cmdstat_watch" not in stats


@pytest.mark.parametrize("parents_first", [True, False])
async def test_a_drain_runs_parents_in_other_queues_too(
    reports: Queue, pages: Queue, parents_first: bool
) -> None:
    """The parents' queue is empty when the drain begins: its feed has ended when the children have."""
    middle = Flow(reports, "build", children=[Flow(pages, "render", 1)])
    job = await Flow(reports, "build", children=[middle, Flow(pages, "render", 2, delay=3600)]).add()
    other = await Flow(reports, "build", children=[Flow(pages, "render", 3)]).add()
    await drain(*((reports, pages) if parents_first else (pages, reports)))
    assert (await other.refresh()).status == "completed"
    assert middle.job is not None
    assert (await middle.job.refresh()).status == "completed"
    assert (await job.refresh()).status == "waiting-children"  # its delayed child is not the drain's


async def test_a_job_that_changes_while_a_flow_is_added(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another flow takes the leaf between the look and the add: WATCH sends this one back to look again."""
    await pages.add("render", 1, job_id="page-1", delay=3600)
    look, looks = flow_add.look, []

    async def slow(client: Any, jobs: Any) -> Any:
        found = await look(client, jobs)
        looks.append(found)
        if len(looks) == 1:
            await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="page-1")]).add()
        return found

    monkeypatch.setattr(flow_add, "look", slow)
    with pytest.raises(FlowConflict, match="child of another"):
        await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="page-1")]).add()
    assert len(looks) == 3  # this one, the other, this one again
    assert (await reports.counts())["waiting-children"] == 1


async def test_a_job_that_never_keeps_still(
    reports: Queue, pages: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pages.add("render", 1, job_id="page-1", delay=3600)
    look = flow_add.look

    async def restless(client: Any, jobs: Any) -> Any:
        await redis.hincrby("bull:pages:page-1", "ats", 1)
        return await look(client, jobs)

    monkeypatch.setattr(flow_add, "look", restless)
    with pytest.raises(FlowConflict, match="Try again"):
        await Flow(reports, "build", children=[Flow(pages, "render", 1, job_id="page-1")]).add()
    assert (await reports.counts())["waiting-children"] == 0
