"""`queue.browse` on a real Redis: pages, searches, logs, counts by priority."""

from __future__ import annotations

from typing import Any

import pytest
from running_worker import MakeQueue, Redis, drain

from corral import JobContext, Queue, Retry
from corral.browse import SearchPage
from corral.bullmq import listing
from corral.errors import InvalidInput


@pytest.fixture
def work(make_queue: MakeQueue) -> Queue:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("good")
    async def good(job: JobContext, data: Any) -> Any:
        return data

    @queue.job("bad")
    async def bad(job: JobContext, data: Any) -> None:
        raise ValueError(f"Cannot reach shop {data['shop']}")

    return queue


def ids(jobs: list[Any]) -> list[str]:
    return [job.id for job in jobs]


async def test_waiting_jobs_are_listed_in_the_order_they_run(work: Queue, redis: Redis) -> None:
    aside = await work.add_many("good", [1, 2])
    await redis.rename(work.keys().wait, work.keys().paused)  # as a v5 client pauses
    plain = await work.add_many("good", [3, 4, 5])
    low = await work.add("good", 6, priority=9)
    high = await work.add("good", 7, priority=1)
    in_order = ids([*plain, *aside, high, low])

    async def page(**options: Any) -> list[str]:
        return ids(await work.browse.jobs("waiting", **options))

    assert await page(newest_first=False) == in_order
    assert await page() == in_order[::-1]
    assert await page(newest_first=False, start=2, count=4) == in_order[2:6]
    assert await page(start=5, count=9) == in_order[::-1][5:]
    assert await page(start=7) == []
    jobs = await work.browse.jobs("prioritized", newest_first=False)
    assert [(job.id, job.status, job.data) for job in jobs] == [
        (high.id, "waiting", 7), (low.id, "waiting", 6),
    ]  # fmt: skip


async def test_finished_and_delayed_jobs_are_listed_by_their_time(work: Queue, redis: Redis) -> None:
    done = await work.add_many("good", list(range(30)))
    failed = await work.add("bad", {"shop": "A"})
    await drain(work, concurrency=1)
    for number, job in enumerate(done):
        await redis.zadd(work.keys().completed, {job.id: number})
    late = await work.add("good", 1, delay=200)
    soon = await work.add("good", 1, delay=100)

    listed = await work.browse.jobs("completed", start=10, count=5, newest_first=False)
    assert ids(listed) == ids(done)[10:15]
    assert [job.status for job in listed] == ["completed"] * 5
    assert ids(await work.browse.jobs("delayed", newest_first=False)) == [soon.id, late.id]
    (job,) = await work.browse.jobs("failed")
    assert (job.id, job.failed_reason) == (failed.id, "Cannot reach shop A")


@pytest.mark.parametrize(
    "wrong", [{"state": "gone"}, {"state": "failed", "start": -1}, {"state": "failed", "count": 0}]
)
async def test_a_page_that_makes_no_sense(work: Queue, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await work.browse.jobs(**wrong)


async def everything(queue: Queue, **options: Any) -> tuple[list[str], list[SearchPage]]:
    """Follow the cursor to the end."""
    pages = [await queue.browse.search(**options)]
    while pages[-1].cursor is not None:
        pages.append(await queue.browse.search(cursor=pages[-1].cursor, **options))
    return [job.id for page in pages for job in page.jobs], pages


async def test_a_search_finds_by_name_id_error_and_data_in_all_states(work: Queue) -> None:
    bad = [await work.add("bad", {"shop": shop}) for shop in ("Alpha", "Beta")]
    await drain(work)
    seven = await work.add("good", {"userId": 7, "cart": {"items": [{"sku": "A1"}]}}, job_id="order-77")
    await work.add("good", {"userId": "7"}, delay=60, job_id="order-78")

    async def found(**options: Any) -> set[str]:
        return set((await everything(work, **options))[0])

    assert await found(name="bad") == set(ids(bad))
    assert await found(error="SHOP BETA") == {bad[1].id}
    assert await found(id="order-7") == {"order-77", "order-78"}
    assert await found(where={"userId": 7}) == {seven.id}
    assert await found(where={"cart.items.0.sku": "A1"}) == {seven.id}
    assert await found(name="bad", states=["waiting"]) == set()
    assert await found(states=["delayed"]) == {"order-78"}


async def test_a_search_says_how_far_it_looked(work: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "BATCH", 7)
    jobs = await work.add_many("good", [{"n": n} for n in range(50)])
    page = await work.browse.search(states=["waiting"], where={"n": 0}, scan=20)
    assert (page.jobs, page.searched, page.total) == ([], 20, 50)
    assert page.cursor is not None
    page = await work.browse.search(states=["waiting"], where={"n": 0}, scan=100, cursor=page.cursor)
    assert (ids(page.jobs), page.searched, page.total, page.cursor) == ([jobs[0].id], 50, 50, None)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 50])
async def test_pages_of_a_search_neither_lose_nor_repeat(
    work: Queue, monkeypatch: pytest.MonkeyPatch, newest_first: bool, limit: int
) -> None:
    monkeypatch.setattr(listing, "BATCH", 4)
    jobs = [
        *await work.add_many("good", list(range(10))),
        *await work.add_many("good", list(range(5)), priority=3),
        *await work.add_many("good", list(range(6)), delay=60),
    ]
    found, pages = await everything(work, limit=limit, newest_first=newest_first)
    assert sorted(found, key=int) == ids(jobs)
    assert pages[-1].searched == 21
    assert all(len(page.jobs) <= limit for page in pages)


async def test_a_search_of_finished_jobs_goes_on_though_some_come_and_some_go(
    work: Queue, redis: Redis
) -> None:
    key = work.keys().completed
    jobs = await work.add_many("good", list(range(20)))
    await drain(work)
    for job in jobs:
        await redis.zadd(key, {job.id: int(job.id) * 1_000})
    first = await work.browse.search(states=["completed"], limit=10)
    assert ids(first.jobs) == ids(jobs)[:9:-1]

    await redis.zrem(key, jobs[19].id, jobs[18].id, jobs[10].id)  # retried or removed, the last seen too
    newer = await work.add("good", 1)
    await redis.zadd(key, {newer.id: 99_000})
    second = await work.browse.search(states=["completed"], limit=10, cursor=first.cursor)
    assert ids(second.jobs) == ids(jobs)[9::-1]
    assert newer.id not in ids(second.jobs)


async def test_a_search_by_time_looks_only_at_that_time(work: Queue, redis: Redis) -> None:
    jobs = await work.add_many("good", list(range(100)))
    await drain(work)
    for number, job in enumerate(jobs):
        await redis.zadd(work.keys().completed, {job.id: (1_000 + number) * 1_000})
        await redis.hset(work.keys().job(job.id), "timestamp", (500 + number) * 1_000)
    for newest_first in (True, False):
        page = await work.browse.search(
            finished_after=1_010, finished_before=1_014, newest_first=newest_first
        )
        assert sorted(ids(page.jobs), key=int) == ids(jobs)[10:15]
        assert (page.searched, page.total, page.cursor) == (5, 5, None)
    page = await work.browse.search(added_after=510, added_before=510.5)
    assert ids(page.jobs) == [jobs[10].id]
    assert (await work.browse.search(states=["waiting"], finished_after=1)).total == 0


async def test_large_data_is_read_in_parts(work: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "DATA_BYTES", 1_000)
    jobs = await work.add_many("good", [{"n": n, "fill": "x" * 400} for n in range(9)])
    found, _ = await everything(work, where={"n": 8})
    assert found == [jobs[8].id]


async def test_a_job_that_is_gone_is_left_out(work: Queue, redis: Redis) -> None:
    gone, there = await work.add_many("good", [1, 2])
    await redis.delete(work.keys().job(gone.id))
    assert ids(await work.browse.jobs("waiting")) == [there.id]
    assert ids((await work.browse.search()).jobs) == [there.id]


@pytest.mark.parametrize(
    "wrong", [{"states": []}, {"states": "failed"}, {"limit": 0}, {"scan": 0}, {"cursor": "x"}]
)
async def test_a_search_that_makes_no_sense(work: Queue, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await work.browse.search(**wrong)


async def test_logs_come_in_pages(work: Queue, redis: Redis) -> None:
    await redis.rpush(work.keys().logs("7"), *[f"row {n}" for n in range(10)])
    page = await work.browse.logs("7", start=2, count=3)
    assert (page.rows, page.start, page.total) == (["row 2", "row 3", "row 4"], 2, 10)
    page = await work.browse.logs("7", start=-4, count=100)
    assert (page.rows, page.start, page.total) == ([f"row {n}" for n in range(6, 10)], 6, 10)
    page = await work.browse.logs("7", start=-4, count=2)
    assert page.rows == ["row 6", "row 7"]
    assert await work.browse.logs("none") == await work.browse.logs("8")
    with pytest.raises(InvalidInput):
        await work.browse.logs("7", count=0)


async def test_jobs_are_counted_by_priority(work: Queue) -> None:
    await work.add_many("good", [1, 2])
    await work.add_many("good", [1, 2, 3], priority=5)
    assert await work.browse.priorities(0, 1, 5) == {0: 2, 1: 0, 5: 3}
