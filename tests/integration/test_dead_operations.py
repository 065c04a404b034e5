"""Retry, edit, discard and undo of dead letters, alone and many; operations and who carries them on."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest
from dead_letters import check_index, declare, fail, snapshot
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import JobContext, Queue, Retry, audit
from corral.breakers import Breakers
from corral.bullmq import dead_operations
from corral.bullmq.dead_operations import Carrier
from corral.bullmq.keys import DeadKeys
from corral.dead import Filter, Operation, Target
from corral.errors import DeadLetterNotFound, InvalidData, InvalidInput, JobNotFound, WrongState
from corral.flow import Flow
from corral.policy import Forget, Keep, Retention
from corral.worker import desk
from eventually import eventually


@pytest.fixture
def queue(make_queue: MakeQueue) -> Queue:
    return declare(make_queue(retry=Retry(attempts=1)))


async def group_of(queue: Queue) -> str:
    """The group that was seen last."""
    return (await queue.dead.groups()).groups[0].id


async def ended(queue: Queue, operation: Operation) -> Operation:
    """Carry it on to its end."""
    return [seen async for seen in queue.dead.follow(operation.id)][-1]


# One


async def test_one_is_retried_as_if_new(queue: Queue) -> None:
    (job_id,) = await fail(queue, {"n": 1}, priority=3)
    await queue.dead.retry(job_id, actor="cli:mia")
    job = await queue.get(job_id)
    assert job is not None
    assert (job.status, job.attempts_made) == ("waiting", 0)
    with pytest.raises(WrongState, match="has not failed"):
        await queue.dead.retry(job_id)
    with pytest.raises(JobNotFound):
        await queue.dead.retry("nobody")
    (entry,) = await audit.entries(queue.client(), queue.keys().prefix)
    assert (entry.actor, entry.action, entry.target) == ("cli:mia", "dead.retry", f"{queue.name}:{job_id}")


class Parcel(msgspec.Struct):
    n: int


async def test_data_is_edited_and_the_job_runs_again_with_it(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("pack")
    async def pack(job: JobContext, data: Parcel) -> int:
        if data.n < 0:
            raise ValueError("below zero")
        return data.n

    job = await queue.add("pack", Parcel(-1))
    await drain(queue)
    with pytest.raises(InvalidData, match="n"):
        await queue.dead.edit(job.id, {"n": "many"})
    assert (await queue.dead.show(job.id)).edited is False
    await queue.dead.edit(job.id, {"n": -2}, retry=False)
    assert (await queue.dead.show(job.id)).data == {"n": -2}
    assert (await queue.dead.show(job.id)).edited is True
    await queue.dead.edit(job.id, {"n": 5})
    await drain(queue)
    assert await job.result(timeout=5) == 5
    assert await queue.dead.original(job.id) == {"n": -1}  # the first, not the one in between
    assert 6 * 86_400 < await redis.ttl(DeadKeys(queue.keys()).original(job.id)) <= 7 * 86_400
    entries = await audit.entries(queue.client(), queue.keys().prefix)
    assert [dict(entry.facts) for entry in entries] == [{"retried": True}, {"retried": False}]
    with pytest.raises(WrongState):
        await queue.dead.edit(job.id, {"n": 6})


async def test_a_queue_that_forgets_keeps_the_original_no_longer_than_the_bin(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = declare(make_queue(retry=Retry(attempts=1), forget=Forget(keep=("n",))))
    (job_id,) = await fail(queue, {"n": 1})
    await queue.dead.edit(job_id, {"n": 2}, retry=False)
    assert 0 < await redis.ttl(DeadKeys(queue.keys()).original(job_id)) <= 600


async def test_all_about_one(queue: Queue) -> None:
    (job_id,) = await fail(queue, {"n": 9})
    group = await group_of(queue)
    letter = await queue.dead.show(job_id)
    assert (letter.group, letter.reason, letter.data) == (group, "no 9 on the shelf", {"n": 9})
    assert (letter.checkpoint, letter.logs, letter.log_rows) == ({"packed": True}, ["ships 9"], 1)
    (attempt,) = letter.attempts
    assert (attempt.number, attempt.error) == (1, "dead_letters.OutOfStock")
    assert attempt.frame.endswith("dead_letters.py in ship")
    assert "no 9 on the shelf" in attempt.trace
    assert letter.ran is not None
    assert letter.waited is not None
    assert (letter.breaker, letter.edited) == ("", False)
    assert (await queue.dead.show(job_id, log_rows=0)).logs == []
    with pytest.raises(JobNotFound):
        await queue.dead.show("wait")
    await queue.dead.retry(job_id)
    with pytest.raises(WrongState):
        await queue.dead.show(job_id)


async def test_every_attempt_is_told(make_queue: MakeQueue) -> None:
    queue = declare(make_queue(retry=Retry(attempts=12, backoff="fixed", delay=0)))
    (job_id,) = await fail(queue, {"n": 1})
    letter = await queue.dead.show(job_id)
    assert letter.attempts_made == 12
    assert [attempt.number for attempt in letter.attempts] == list(range(3, 13))


async def test_a_breaker_behind_is_named(queue: Queue, redis: Redis, redis_url: str) -> None:
    (job_id,) = await fail(queue, {"n": 1})
    reason = "Held for 24 h, and onfido is still out of order: wrong key. Repair it, then retry the job."
    await redis.hset(queue.keys().job(job_id), "failedReason", reason)
    await Breakers(redis_url).hold("onfido", "wrong key")
    letter = await queue.dead.show(job_id)
    assert (letter.breaker, letter.breaker_open) == ("onfido", True)


# Many


async def test_a_group_is_retried_and_only_it(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n} for n in range(600)))
    others = await fail(queue, {"n": 1, "how": "value"})
    group = (await queue.dead.groups()).groups[1].id
    preview = await queue.dead.preview(Target(group=group))
    assert (preview.count, preview.complete, len(preview.sample)) == (600, True, 10)
    assert set(preview.sample) <= set(ids)

    operation = await queue.dead.retry_many(Target(group=group), actor="key:ops")
    assert operation.state == "waiting"
    done = await ended(queue, operation)

    assert (done.state, done.total, done.moved, done.gone, done.by) == ("done", 600, 600, 0, "key:ops")
    counts = await queue.counts()
    assert (counts["waiting"], counts["failed"]) == (600, 1)
    assert [job.id for job in await queue.dead.jobs()] == others
    await check_index(queue, redis)
    entry = (await audit.entries(queue.client(), queue.keys().prefix))[0]
    assert (entry.action, entry.actor) == ("dead.retry", "key:ops")
    assert entry.facts["about"] == f"group {group}"


async def test_jobs_that_share_a_millisecond_are_each_taken_once(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n} for n in range(50)))
    now = round(time.time() * 1000) - 1_000
    await redis.zadd(queue.keys().failed, dict.fromkeys(ids, now))
    group = await group_of(queue)
    await check_index(queue, redis)
    small = dead_operations.SELECTED
    try:
        dead_operations.SELECTED = 7
        done = await ended(queue, await queue.dead.retry_many(Target(group=group)))
    finally:
        dead_operations.SELECTED = small
    assert (done.total, done.moved, done.gone) == (50, 50, 0)


async def test_a_filter_chooses_and_its_values_do_not_stay(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n, "user": f"u{n % 3}"} for n in range(30)))
    chosen = Target(filter=Filter(where={"user": "u1"}))
    preview = await queue.dead.preview(chosen)
    assert (preview.count, preview.total) == (10, 30)
    done = await ended(queue, await queue.dead.retry_many(chosen))
    assert (done.moved, done.about) == (10, "filter by where")
    assert {job.id for job in await queue.browse.jobs("waiting")} == set(ids[1::3])
    assert "u1" not in str(await redis.hgetall(DeadKeys(queue.keys()).operation(done.id)))
    assert "u1" not in str(await audit.entries(queue.client(), queue.keys().prefix))


async def test_all_or_certain_jobs(queue: Queue) -> None:
    ids = await fail(queue, *({"n": n} for n in range(10)))
    done = await ended(queue, await queue.dead.retry_many(Target(ids=[ids[0], ids[1], "nobody"])))
    assert (done.total, done.moved) == (2, 2)
    done = await ended(queue, await queue.dead.retry_many(Target(filter=Filter())))
    assert (done.total, done.moved) == (8, 8)


async def test_jobs_that_fail_after_it_began_are_not_its_own(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    group = await group_of(queue)
    operation = await queue.dead.retry_many(Target(group=group))
    (late,) = await fail(queue, {"n": 2})
    await ended(queue, operation)
    assert [job.id for job in await queue.dead.jobs()] == [late]


async def test_two_carriers_and_two_operations_double_nothing(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n} for n in range(1_000)))
    group = await group_of(queue)
    first = await queue.dead.retry_many(Target(group=group))
    second = await queue.dead.retry_many(Target(group=group))
    await asyncio.gather(*(queue.dead.carry_on() for _ in range(4)))
    one, two = await queue.dead.operation(first.id), await queue.dead.operation(second.id)
    assert (one.state, two.state) == ("done", "done")
    assert one.moved + two.moved == 1_000
    waiting = await redis.lrange(queue.keys().wait, 0, -1)
    assert sorted(waiting) == sorted(ids)


async def test_a_carrier_that_died_is_followed_after_its_lease(queue: Queue, redis: Redis) -> None:
    await fail(queue, *({"n": n} for n in range(600)))
    operation = await queue.dead.retry_many(Target(group=await group_of(queue)))
    dead = Carrier(queue.client(), queue.keys(), "dead")
    await dead.select_group(operation.id)
    assert (await dead.retry(operation.id)).moved == 250
    other = Carrier(queue.client(), queue.keys(), "other")
    assert (await other.retry(operation.id)).verdict == "theirs"
    await redis.hset(DeadKeys(queue.keys()).operation(operation.id), "lease_until", 1)  # the lease is over
    assert (await ended(queue, operation)).moved == 600
    assert (await queue.counts())["waiting"] == 600


async def test_the_rate_is_kept_by_the_servers_clock(queue: Queue) -> None:
    await fail(queue, *({"n": n} for n in range(120)))
    operation = await queue.dead.retry_many(Target(group=await group_of(queue)), rate=200)
    await asyncio.gather(*(queue.dead.carry_on() for _ in range(3)))
    done = await queue.dead.operation(operation.id)
    assert (done.moved, done.rate) == (120, 200)
    events: Any = await queue.client().xrevrange(queue.keys().events)
    stamps = sorted(int(i.split(b"-")[0]) for i, fields in events if fields.get(b"prev") == b"failed")
    assert len(stamps) == 120
    for start, first in enumerate(stamps):  # in no span more than the rate and one burst
        within = sum(stamp < first + 200 for stamp in stamps[start:])
        assert within <= 200 * 0.2 + 200 * 0.25 + 1


async def test_a_stop_ends_it_between_two_steps(queue: Queue) -> None:
    await fail(queue, *({"n": n} for n in range(100)))
    group = await group_of(queue)
    operation = await queue.dead.retry_many(Target(group=group), rate=100)
    async for seen in queue.dead.follow(operation.id):
        if seen.moved:
            break
    stopping = await queue.dead.stop(operation.id, actor="cli:mia")
    assert stopping.state in ("stopping", "stopped")
    stopped = await ended(queue, operation)
    assert stopped.state == "stopped"
    assert 0 < stopped.moved < 100
    assert (await queue.counts())["failed"] == 100 - stopped.moved
    with pytest.raises(WrongState, match="has ended already"):
        await queue.dead.stop(operation.id)
    assert (await ended(queue, await queue.dead.retry_many(Target(group=group)))).moved == 100 - stopped.moved


async def test_an_operation_that_nobody_carries_stops_at_once(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    operation = await queue.dead.retry_many(Target(group=await group_of(queue)))
    assert (await queue.dead.stop(operation.id)).state == "stopped"


async def test_it_waits_for_a_breaker_and_whenever_that_opens_again(queue: Queue, redis_url: str) -> None:
    await fail(queue, *({"n": n} for n in range(3)))
    group = await group_of(queue)
    with pytest.raises(InvalidInput, match="No breaker"):
        await queue.dead.retry_many(Target(group=group), breaker="onfdo")
    breakers = Breakers(redis_url)
    await breakers.hold("onfido", "wrong key")
    operation = await queue.dead.retry_many(Target(group=group), breaker="onfido")
    await queue.dead.carry_on()
    waiting = await queue.dead.operation(operation.id)
    assert (waiting.state, waiting.total, waiting.moved) == ("waiting", 3, 0)
    carrying = asyncio.create_task(queue.dead.carry_on(wait=True))
    await breakers.resume("onfido")
    async with asyncio.timeout(20):
        await carrying
    done = await queue.dead.operation(operation.id)
    assert (done.state, done.moved, done.breaker) == ("done", 3, "onfido")


async def test_workers_carry_operations_on(
    queue: Queue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "INTERVAL_SECONDS", 0.05)
    ids = await fail(queue, *({"n": n} for n in range(20)))
    for job_id in ids:
        await queue.dead.edit(job_id, {"ok": True}, retry=False)
    operation = await queue.dead.retry_many(Target(group=await group_of(queue)))
    await start_worker(queue).ready()

    async def done() -> bool:
        return (await queue.dead.operation(operation.id)).state == "done"

    await eventually(done)
    await eventually(lambda: _completed(queue, 20))


async def _completed(queue: Queue, count: int) -> bool:
    return (await queue.counts())["completed"] == count


async def test_wrong_input(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    group = await group_of(queue)
    for rate in (0, -1, float("inf"), float("nan")):
        with pytest.raises(InvalidInput, match="jobs a second"):
            await queue.dead.retry_many(Target(group=group), rate=rate)
    with pytest.raises(DeadLetterNotFound):
        await queue.dead.discard_many(Target(group="nonsense"))
    with pytest.raises(DeadLetterNotFound):
        await queue.dead.operation("nonsense")
    with pytest.raises(DeadLetterNotFound):
        await queue.dead.undo("nonsense")
    with pytest.raises(InvalidInput, match="at most"):
        Target(ids=[str(n) for n in range(1_001)])


# Discard and undo


async def test_what_was_discarded_comes_back_byte_for_byte(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n} for n in range(300)))
    special = await fail(queue, {"n": "é\u2028", "blob": "x" * 100_000}, priority=7)
    group = await group_of(queue)
    every = [*ids, *special]
    base = queue.keys().base
    before = {job_id: await snapshot(redis, job_id, base) for job_id in every}

    discarded = await ended(queue, await queue.dead.discard_many(Target(group=group)))

    assert (discarded.moved, discarded.binned, discarded.final) == (301, 301, 0)
    assert (await queue.counts())["failed"] == 0
    assert await queue.get(special[0]) is None
    assert [key async for key in redis.scan_iter(f"{base}{special[0]}*")] == []
    page = await queue.dead.groups()
    assert (page.groups[0].count, page.standing.bin_jobs) == (0, 301)
    assert page.standing.bin_bytes > 100_000

    back = await ended(queue, await queue.dead.undo(discarded.id))

    assert (back.kind, back.state, back.moved, back.gone) == ("undo", "done", 301, 0)
    assert {job_id: await snapshot(redis, job_id, base) for job_id in every} == before
    assert (await queue.dead.groups()).standing.bin_jobs == 0
    assert (await queue.dead.groups()).standing.bin_bytes == 0
    await check_index(queue, redis)
    assert [key async for key in redis.scan_iter("corral:*binned*")] == []
    with pytest.raises(WrongState, match="left in the bin"):
        await queue.dead.undo(discarded.id)


async def test_one_is_discarded_and_brought_back(queue: Queue) -> None:
    (job_id,) = await fail(queue, {"n": 1})
    operation = await queue.dead.discard(job_id)
    assert (operation.state, operation.moved) == ("done", 1)
    assert operation.undo_until is not None
    with pytest.raises(JobNotFound):
        await queue.dead.discard(job_id)
    await ended(queue, await queue.dead.undo(operation.id))
    assert (await queue.dead.show(job_id)).data == {"n": 1}


async def test_the_bin_empties_itself(queue: Queue, redis: Redis) -> None:
    await fail(queue, *({"n": n} for n in range(3)))
    operation = await ended(queue, await queue.dead.discard_many(Target(group=await group_of(queue))))
    keys = [key async for key in redis.scan_iter("corral:*binned:*")]
    assert len(keys) == 6  # each with its log
    for key in keys:
        assert 0 < await redis.ttl(key) <= 600
    dead = DeadKeys(queue.keys())
    await redis.delete(*keys)  # ten minutes later
    for job_id in await redis.zrange(dead.own + "bin", 0, -1):
        await redis.zadd(dead.own + "bin", {job_id: 1})
    page = await queue.dead.groups()
    assert (page.standing.bin_jobs, page.standing.bin_bytes) == (0, 0)
    undone = await ended(queue, await queue.dead.undo(operation.id))
    assert (undone.moved, undone.gone) == (0, 3)


async def test_what_the_bin_has_no_room_for_is_gone_and_said_to_be(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_operations, "BIN_JOBS", 4)
    await fail(queue, *({"n": n} for n in range(10)))
    done = await ended(queue, await queue.dead.discard_many(Target(group=await group_of(queue))))
    assert (done.moved, done.binned, done.final) == (10, 4, 6)
    assert (await ended(queue, await queue.dead.undo(done.id))).moved == 4
    monkeypatch.setattr(dead_operations, "BIN_BYTES", 1)
    done = await ended(queue, await queue.dead.discard_many(Target(group=await group_of(queue))))
    assert (done.moved, done.binned) == (4, 0)
    with pytest.raises(WrongState, match="left in the bin"):
        await queue.dead.undo(done.id)


async def test_an_id_that_was_taken_meanwhile_keeps_its_new_job(queue: Queue) -> None:
    job = await queue.add("ship", {"n": 1}, job_id="order-7")
    await drain(queue)
    operation = await queue.dead.discard(job.id)
    await queue.add("ship", {"n": 2}, job_id="order-7")
    undone = await ended(queue, await queue.dead.undo(operation.id))
    assert (undone.moved, undone.gone) == (0, 1)
    found = await queue.get("order-7")
    assert found is not None
    assert (found.status, found.data) == ("waiting", {"n": 2})


async def test_a_retry_cannot_be_undone(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    done = await ended(queue, await queue.dead.retry_many(Target(group=await group_of(queue))))
    with pytest.raises(WrongState, match="did not discard"):
        await queue.dead.undo(done.id)


async def test_a_failed_child_lets_its_parent_go_as_bullmq_does(queue: Queue, redis: Redis) -> None:
    """A child without a policy, as stock producers add them, keeps its parent waiting for ever."""
    parent = await Flow(queue, "ship", {"ok": True}, children=[Flow(queue, "ship", {"n": 1})]).add()
    (waiting,) = await queue.browse.jobs("waiting")
    key = queue.keys().job(waiting.id)
    relation = msgspec.json.decode(await redis.hget(key, "parent"))
    await redis.hset(key, "parent", msgspec.json.encode({n: v for n, v in relation.items() if n != "fpof"}))
    await drain(queue)
    assert (await queue.counts())["waiting-children"] == 1
    (child,) = await queue.dead.jobs()
    await queue.dead.groups()
    before = await snapshot(redis, child.id, queue.keys().base)

    done = await ended(queue, await queue.dead.discard_many(Target(filter=Filter())))

    assert (done.moved, done.binned, done.gone) == (1, 1, 0)
    await drain(queue)
    assert await parent.result(timeout=5) == "shipped"
    await ended(queue, await queue.dead.undo(done.id))
    assert await snapshot(redis, child.id, queue.keys().base) == before
    await check_index(queue, redis)


# Clean-up and export


async def test_purge_counts_first_and_removes_by_age(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n} for n in range(4)))
    old = round((time.time() - 7_200) * 1000)
    await redis.zadd(queue.keys().failed, {ids[0]: old, ids[1]: old})
    assert await queue.dead.purge(older_than=3_600, dry_run=True) == 2
    assert (await queue.counts())["failed"] == 4
    assert await queue.dead.purge(older_than=3_600, actor="cli:mia") == 2
    assert (await queue.counts())["failed"] == 2
    (entry,) = await audit.entries(queue.client(), queue.keys().prefix)
    assert (entry.action, entry.facts["removed"]) == ("dead.purge", 2)
    with pytest.raises(InvalidInput):
        await queue.dead.purge(older_than=-1)


async def test_the_policy_is_shown(make_queue: MakeQueue) -> None:
    queue = declare(
        make_queue(retry=Retry(attempts=1), retention=Retention(failed=Keep(age=3_600, count=50)))
    )
    await fail(queue, {"n": 1})
    policy = await queue.dead.policy()
    assert (policy.age, policy.count, policy.failed, policy.due) == (3_600, 50, 1, 0)
    assert policy.oldest is not None


async def test_export_gives_each_once_from_the_newest(queue: Queue) -> None:
    ids = await fail(queue, *({"n": n, "mail": f"a{n}@example.com"} for n in range(120)))
    group = await group_of(queue)
    rows = [row async for row in queue.dead.export(Target(group=group))]
    assert sorted(row["id"] for row in rows) == sorted(ids)
    assert rows[0]["finishedAt"] >= rows[-1]["finishedAt"]
    assert rows[0]["attempts"][0]["trace"].startswith("Traceback")
    assert rows[0]["data"]["mail"].endswith("@example.com")
    filtered = [row async for row in queue.dead.export(Target(filter=Filter(where={"n": 5})), redact=True)]
    assert [row["id"] for row in filtered] == [ids[5]]
    assert filtered[0]["data"] == {"n": "[redacted]", "mail": "[redacted]"}
    assert "shelf" not in str(filtered)
