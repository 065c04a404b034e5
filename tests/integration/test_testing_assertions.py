"""Assertions about what is enqueued, on a real server; and their blocking forms."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from running_worker import MakeQueue

from corral import Flow, JobContext, Queue, Retry
from corral.portal import close_portal
from corral.testing import assert_enqueued, assert_not_enqueued, drain, enqueued
from corral.testing import sync as blocking


class Report(msgspec.Struct, rename="camel"):
    user_id: int
    month: str = "july"


async def test_what_is_enqueued_has_its_data_and_options(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext, data: Report) -> None: ...

    @queue.job("mail")
    async def mail(job: JobContext) -> None: ...

    await queue.add("build", Report(7))
    await queue.add("build", Report(8, "june"), delay=60, priority=5)
    await queue.add("mail", group="acme")
    await queue.add("mail", lock="one")
    jobs = await enqueued(queue)
    assert [(job.name, job.status, job.delay, job.priority, job.group) for job in jobs] == [
        ("build", "waiting", 0.0, 0, None),
        ("build", "delayed", 60.0, 5, None),
        ("mail", "waiting", 0.0, 0, "acme"),
        ("mail", "waiting", 0.0, 0, None),
    ]
    assert [job.data for job in await enqueued(queue, "build")] == [Report(7), Report(8, "june")]
    found = await assert_enqueued(queue, "build", data={"userId": 8}, delay=60, priority=5, count=1)
    assert found[0].data == Report(8, "june")
    await assert_enqueued(queue, "build", data=Report(7), delay=0)
    await assert_enqueued(queue, "build", count=2)
    await assert_enqueued(queue, "build", data={"userId": 9}, count=0)
    await assert_enqueued(queue, "mail", group="acme", count=1)
    await assert_not_enqueued(queue, "build", data=Report(9))
    with pytest.raises(AssertionError, match=r"(?s)data \{'userId': 9\}.*data\.userId is 7, not 9"):
        await assert_enqueued(queue, "build", data={"userId": 9})
    with pytest.raises(AssertionError, match="2 of 3 wanted"):
        await assert_enqueued(queue, "build", count=3)
    with pytest.raises(AssertionError, match=r"(?s)1 of 4 are:.*'june'"):
        await assert_not_enqueued(queue, "build", priority=5)
    with pytest.raises(AssertionError, match="4 of 4 are"):
        await assert_not_enqueued(queue)


async def test_what_has_run_is_not_enqueued(make_queue: MakeQueue) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    await queue.add("build")
    await drain(queue)
    await assert_not_enqueued(queue)
    with pytest.raises(AssertionError, match="Nothing is"):
        await assert_enqueued(queue, "build")


async def test_a_parent_that_waits_is_enqueued(make_queue: MakeQueue) -> None:
    queue = make_queue()
    await Flow(queue, "parent", children=[Flow(queue, "child")]).add()
    assert {job.name: job.status for job in await enqueued(queue)} == {
        "parent": "waiting-children",
        "child": "waiting",
    }


async def test_it_waits_for_what_is_to_come(make_queue: MakeQueue) -> None:
    queue = make_queue()
    asked = asyncio.create_task(assert_enqueued(queue, "build", within=15))
    assert not await enqueued(queue)
    assert not asked.done()
    await queue.add("build")
    assert len(await asked) == 1


def test_the_blocking_forms(redis_url: str) -> None:
    queue = Queue("blocking", redis_url=redis_url, retry=Retry(attempts=1))

    @queue.job("build")
    def build(job: object, data: int) -> int:
        if data == 0:
            raise ZeroDivisionError("by nothing")
        return 10 // data

    queue.sync.add("build", 5)
    blocking.assert_enqueued(queue, "build", data=5, count=1)
    with pytest.raises(AssertionError):
        blocking.assert_not_enqueued(queue)
    assert [job.data for job in blocking.enqueued(queue, "build")] == [5]
    assert [end.result for end in blocking.drain(queue).completed] == [2]
    queue.sync.add("build", 0)
    with pytest.raises(ZeroDivisionError, match="by nothing"):
        blocking.drain(queue, raises=True)
    close_portal()
