"""Operations on all jobs that fit a filter: counted first, stopped, carried on by others."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import pytest
from running_worker import MakeQueue, Redis

from corral import Queue, audit
from corral.bulk.carrying import BulkCarrying
from corral.bulk.desk import BulkDesk
from corral.bulk.operations import BulkOperation
from corral.bullmq import operations as wire
from corral.bullmq.bulk_operations import BulkCarrier
from corral.dead import Filter
from corral.errors import InvalidInput, OperationNotFound, WrongState
from eventually import eventually

MANY = 10_000


@pytest.fixture
def queue(make_queue: MakeQueue) -> Queue:
    return make_queue()


async def count(queue: Queue, state: str) -> int:
    return (await queue.browse.search(states=[state], limit=1, scan=1)).total


async def actions(queue: Queue) -> list[tuple[str, dict[str, Any]]]:
    found = await audit.entries(queue.client(), queue.keys().prefix)
    return [(entry.action, dict(entry.facts)) for entry in found][::-1]


async def test_ten_thousand_are_counted_stopped_midway_and_promoted(queue: Queue) -> None:
    for kind in ("send", "skip"):
        await queue.add_many(kind, [{"n": n} for n in range(MANY // 2)], delay=3_600)
    desk = BulkDesk(queue)
    found = await desk.preview("delayed", Filter(name="send"))
    counted = found.count
    while found.cursor is not None:
        found = await desk.preview("delayed", Filter(name="send"), cursor=found.cursor)
        counted += found.count
    assert (counted, found.searched, found.total) == (MANY // 2, MANY, MANY)
    assert (await desk.preview("delayed", Filter())).count == MANY

    begun = await desk.begin("promote", "delayed", Filter(name="send"), rate=500, actor="user:mia")
    carrying = asyncio.create_task(desk.carry_on())

    async def some_moved() -> BulkOperation | None:
        seen = await desk.operation(begun.id)
        return seen if seen.moved > 0 else None

    await eventually(some_moved)
    await desk.stop(begun.id, actor="user:mia")
    await carrying
    stopped = await desk.operation(begun.id)
    assert (stopped.state, stopped.total, stopped.gone) == ("stopped", MANY // 2, 0)
    assert 0 < stopped.moved < MANY // 2
    assert stopped.moved == await count(queue, "waiting")
    with pytest.raises(WrongState):
        await desk.stop(begun.id)

    rest = await desk.begin("promote", "delayed", Filter(name="send"))
    await desk.carry_on()
    done = await desk.operation(rest.id)
    assert (done.state, done.moved + stopped.moved, done.left) == ("done", MANY // 2, 0)
    assert await count(queue, "delayed") == MANY // 2
    names = {job.name for job in await queue.browse.jobs("waiting", count=1_000)}
    assert names == {"send"}
    told = [action for action, _ in await actions(queue)]
    assert told[:2] == ["jobs.promote", "jobs.stop"]
    assert told[-1] == "jobs.promote.done"


async def test_a_stop_has_its_end_in_the_audit_log_whether_it_was_carried_or_not(queue: Queue) -> None:
    await queue.add_many("send", [{"n": n} for n in range(20)], delay=3_600)
    desk = BulkDesk(queue)
    waiting = await desk.begin("promote", "delayed", Filter(), actor="user:mia")
    await desk.stop(waiting.id, actor="user:ada")
    carried = await desk.begin("promote", "delayed", Filter(), rate=1, actor="user:mia")
    carrying = BulkCarrying(queue)
    await carrying.step(carried.id)  # collects
    await carrying.step(carried.id)
    await desk.stop(carried.id, actor="user:ada")
    await carrying.carry_all()
    ends = {
        facts["operation"]: facts for action, facts in await actions(queue) if action.endswith(".stopped")
    }
    assert ends.keys() == {waiting.id, carried.id}
    assert {facts["stopped_by"] for facts in ends.values()} == {"user:ada"}
    assert (ends[waiting.id]["moved"], ends[carried.id]["moved"]) == (
        0,
        (await desk.operation(carried.id)).moved,
    )


async def test_what_left_its_state_meanwhile_is_told_apart(queue: Queue) -> None:
    jobs = await queue.add_many("send", [{"n": n} for n in range(20)], delay=3_600)
    desk = BulkDesk(queue)
    begun = await desk.begin("promote", "delayed", Filter())
    carrying = BulkCarrying(queue)
    await carrying.step(begun.id)  # collects
    await queue.admin.promote(jobs[0].id)
    await queue.admin.remove(jobs[1].id)
    await carrying.carry_all()
    done = await desk.operation(begun.id)
    assert (done.moved, done.gone, dict(done.why)) == (18, 2, {"waiting": 1, "removed": 1})
    assert [facts["gone"] for action, facts in await actions(queue) if action == "jobs.promote.done"] == [2]


@pytest.mark.parametrize("kind", ["cancel", "priority", "delay"])
async def test_kinds_that_go_job_by_job(queue: Queue, kind: Any) -> None:
    await queue.add_many("send", [{"n": n} for n in range(120)], delay=3_600)
    desk = BulkDesk(queue)
    begun = await desk.begin(
        kind, "delayed", Filter(where={"n": 7}) if kind == "delay" else Filter(), value=60
    )
    await desk.carry_on()
    done = await desk.operation(begun.id)
    assert (done.state, done.moved, done.gone) == ("done", 1 if kind == "delay" else 120, 0)
    if kind == "cancel":
        assert await count(queue, "delayed") == 0
    elif kind == "priority":
        found = await queue.browse.search(states=["delayed"], priority_min=60, priority_max=60, limit=200)
        assert len(found.jobs) == 120


async def test_jobs_of_a_list_keep_their_order_and_are_met_once(queue: Queue) -> None:
    jobs = await queue.add_many("send", [{"n": n} for n in range(600)])
    desk = BulkDesk(queue)
    begun = await desk.begin("priority", "waiting", Filter(), value=5)
    carrying = BulkCarrying(queue)
    await carrying.step(begun.id)
    await queue.add("send", {"n": "late"})
    await carrying.carry_all()
    assert (await desk.operation(begun.id)).moved == 600
    found = await queue.browse.jobs("prioritized", count=1_000, newest_first=False)
    assert [job.id for job in found] == [job.id for job in jobs]
    assert await count(queue, "waiting") == 601


async def test_a_batch_that_was_taken_and_not_noted_is_counted_once(queue: Queue) -> None:
    await queue.add_many("send", [{"n": n} for n in range(70)])
    desk = BulkDesk(queue)
    begun = await desk.begin("cancel", "waiting", Filter())
    killed = BulkCarrier(queue.client(), queue.keys(), "killed")
    await BulkCarrying(queue, name="killed").step(begun.id)
    taken = await killed.take(begun.id)
    for job_id in taken.ids[:30]:
        await queue.cancel(job_id)
    await queue.client().hset(
        wire.operation_key(queue.keys().bulk(), begun.id), "lease_until", "0"
    )  # its time passes
    await desk.carry_on()
    done = await desk.operation(begun.id)
    assert (done.state, done.moved, done.gone) == ("done", 70, 0)
    assert (await killed.note(begun.id, 50, 0)).verdict == "theirs"


PROMOTE_SLOWLY = """
import asyncio, sys
from corral import Queue
from corral.bulk.desk import BulkDesk

async def main():
    await BulkDesk(Queue(sys.argv[1], redis_url=sys.argv[2], prefix=sys.argv[3])).carry_on()

asyncio.run(main())
"""


async def test_the_process_that_carries_it_is_killed_and_another_ends_it(
    queue: Queue, redis_url: str, redis: Redis
) -> None:
    await queue.add_many("send", [{"n": n} for n in range(2_000)], delay=3_600)
    desk = BulkDesk(queue)
    begun = await desk.begin("promote", "delayed", Filter(), rate=400)
    keys = queue.keys()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROMOTE_SLOWLY, queue.name, redis_url, keys.prefix, env=dict(os.environ)
    )

    async def some_moved() -> BulkOperation | None:
        seen = await desk.operation(begun.id)
        return seen if seen.moved > 0 else None

    await eventually(some_moved)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    left = await desk.operation(begun.id)
    assert left.state == "running"
    assert left.moved == await count(queue, "waiting")

    async def is_over() -> BulkOperation | None:
        await desk.carry_on()  # nothing while the dead one's lease lasts
        seen = await desk.operation(begun.id)
        return seen if seen.is_over else None

    done = await eventually(is_over)
    assert (done.state, done.moved, done.gone) == ("done", 2_000, 0)
    assert await count(queue, "waiting") == 2_000
    ends = [facts for action, facts in await actions(queue) if action == "jobs.promote.done"]
    assert [facts["moved"] for facts in ends] == [2_000]


async def test_what_cannot_be_is_refused(queue: Queue) -> None:
    desk = BulkDesk(queue)
    with pytest.raises(InvalidInput, match="delayed"):
        await desk.begin("promote", "failed", Filter())
    with pytest.raises(InvalidInput, match="rate"):
        await desk.begin("promote", "delayed", Filter(), rate=0)
    with pytest.raises(OperationNotFound):
        await desk.operation("nobody")
