"""Dead letters in groups: what belongs together, what the index says, and what operators say of a group."""

from __future__ import annotations

import time

import pytest
from dead_letters import check_index, declare, fail
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Queue, Retry, audit
from corral.bullmq import dead_index
from corral.bullmq.keys import DeadKeys
from corral.dead import Filter, Target, all_groups
from corral.deadletters import indexing
from corral.errors import DeadLetterNotFound, InvalidInput, RedisUnavailable
from corral.worker import desk
from eventually import eventually


@pytest.fixture
def queue(make_queue: MakeQueue) -> Queue:
    return declare(make_queue(retry=Retry(attempts=1)))


async def test_failures_of_one_kind_are_one_group(queue: Queue, redis: Redis) -> None:
    await fail(queue, *({"n": n} for n in range(5)))
    await fail(queue, {"n": 1, "how": "value"}, {"n": 2, "how": "value"})
    (newest,) = await fail(queue, {"n": 7}, name="bill")

    page = await queue.dead.groups()

    assert [(g.name, g.error, g.count, g.frame.rpartition("/")[2]) for g in page.groups] == [
        ("bill", "dead_letters.OutOfStock", 1, "dead_letters.py in bill"),
        ("ship", "ValueError", 2, "dead_letters.py in _convert"),
        ("ship", "dead_letters.OutOfStock", 5, "dead_letters.py in ship"),
    ]
    assert page.groups[0].sample == newest
    assert page.groups[0].reason == "no paper"
    assert page.groups[2].first_seen <= page.groups[2].last_seen <= page.groups[0].last_seen
    assert (page.standing.failed, page.standing.indexed, page.standing.complete) == (8, 8, True)
    await check_index(queue, redis)


async def test_a_group_lists_its_jobs_from_the_newest_in_pages(queue: Queue) -> None:
    ids = await fail(queue, *({"n": n} for n in range(7)))
    await fail(queue, {"n": 1, "how": "value"})
    group = (await queue.dead.groups()).groups[1].id
    first = [job.id for job in await queue.dead.jobs(group, count=4)]
    rest = [job.id for job in await queue.dead.jobs(group, start=4)]
    assert set(first + rest) == set(ids)
    assert len(first + rest) == 7
    assert len(await queue.dead.jobs()) == 8


async def test_jobs_that_leave_by_other_hands_leave_the_index(queue: Queue, redis: Redis) -> None:
    ids = await fail(queue, *({"n": n} for n in range(6)))
    await queue.dead.groups()
    await queue.admin.retry(ids[0])  # and is not run
    await queue.admin.remove(ids[1])
    await redis.zrem(queue.keys().failed, ids[2])
    page = await queue.dead.groups()
    assert (page.groups[0].count, page.groups[0].total, page.standing.complete) == (3, 6, True)
    await check_index(queue, redis)
    await queue.admin.clean("failed")
    assert (await queue.dead.groups()).groups[0].count == 0


async def test_a_job_that_fails_anew_of_another_kind_changes_its_group(queue: Queue, redis: Redis) -> None:
    (job_id,) = await fail(queue, {"n": 1})
    await queue.dead.groups()
    await queue.admin.update_data(job_id, {"n": 1, "how": "value"})
    await queue.admin.retry(job_id)
    await drain(queue)
    page = await queue.dead.groups()
    assert [(group.error, group.count) for group in page.groups] == [
        ("ValueError", 1),
        ("dead_letters.OutOfStock", 0),
    ]
    await check_index(queue, redis)


async def test_a_failure_written_into_the_past_is_found(queue: Queue, redis: Redis) -> None:
    """A Node worker stamps by its own clock, which may be minutes behind."""
    await fail(queue, {"n": 1})
    await queue.dead.groups()
    (late,) = await fail(queue, {"n": 2})
    past = (time.time() - 600) * 1000
    await redis.zadd(queue.keys().failed, {late: round(past)})
    assert (await queue.dead.groups()).groups[0].count == 2
    await check_index(queue, redis)


async def test_a_large_set_is_indexed_in_bounded_turns_and_says_how_far_it_is(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "READERS_NEW", 100)
    monkeypatch.setattr(dead_index, "LOOKS", 50)
    monkeypatch.setattr(dead_index, "READS", 20)
    await _plant(redis, queue, 1_000)
    first = await queue.dead.groups()
    assert first.standing.failed == 1_000
    assert 100 <= first.standing.indexed < 200
    assert not first.standing.complete
    while not (await queue.dead.index()).caught_up:
        pass
    assert (await queue.dead.groups()).standing.complete
    await check_index(queue, redis)


async def _plant(redis: Redis, queue: Queue, count: int, *, at: float | None = None) -> None:
    """Failed jobs as some client left them, many of them in one millisecond."""
    keys, now = queue.keys(), round((at or time.time() - 1) * 1000)
    pipe = redis.pipeline(transaction=False)
    for number in range(count):
        fields = {
            "name": "ship",
            "data": "{}",
            "timestamp": now,
            "finishedOn": now,
            "failedReason": f"no {number}",
        }
        pipe.hset(keys.job(f"p{number}"), mapping=fields)
        pipe.zadd(keys.failed, {f"p{number}": now + number // 300})
    await pipe.execute()


async def test_beyond_the_limit_new_kinds_share_one_group(
    queue: Queue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_index, "MOST_GROUPS", 1)
    await fail(queue, {"n": 1})
    await queue.dead.groups()
    await fail(queue, {"n": 1, "how": "value"})
    await fail(queue, {"n": 1}, name="bill")
    page = await queue.dead.groups()
    assert {(group.id == "other", group.count) for group in page.groups} == {(False, 1), (True, 2)}
    await check_index(queue, redis)


async def test_a_resolved_group_opens_again_with_its_next_failure(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    group = (await queue.dead.groups()).groups[0].id
    resolved = await queue.dead.resolve(group, actor="cli:mia")
    assert (resolved.state, resolved.state_by) == ("resolved", "cli:mia")
    assert (await queue.dead.groups(states=["open"])).groups == []
    assert (await queue.dead.groups(states=["resolved"])).groups == [resolved]

    await fail(queue, {"n": 2})

    (again,) = (await queue.dead.groups(states=["open"])).groups
    assert (again.state, again.reopened, again.count) == ("open", "resolved", 2)
    assert again.state_since == again.last_seen


async def test_a_failure_from_before_the_resolve_opens_nothing(queue: Queue, redis: Redis) -> None:
    await fail(queue, {"n": 1})
    group = (await queue.dead.groups()).groups[0].id
    ids = await fail(queue, {"n": 2})
    await redis.zadd(queue.keys().failed, {ids[0]: round(time.time() * 1000) - 5_000})
    await queue.dead.resolve(group)
    (seen,) = (await queue.dead.groups()).groups
    assert (seen.state, seen.count) == ("resolved", 2)


async def test_ignored_ends_with_a_number_of_failures(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    group = (await queue.dead.groups()).groups[0].id
    assert (await queue.dead.ignore(group, failures=3)).ignored_failures == 3
    await fail(queue, {"n": 2}, {"n": 3})
    (seen,) = (await queue.dead.groups()).groups
    assert (seen.state, seen.ignored_failures) == ("ignored", 1)
    await fail(queue, {"n": 4})
    (seen,) = (await queue.dead.groups()).groups
    assert (seen.state, seen.reopened, seen.ignored_failures) == ("open", "ignored", None)


async def test_ignored_ends_with_its_date(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    group = (await queue.dead.groups()).groups[0].id
    later = time.time() + 3_600
    seen = await queue.dead.ignore(group, until=later)
    assert seen.state == "ignored"
    assert seen.ignored_until == pytest.approx(later, abs=0.01)
    await fail(queue, {"n": 2})
    assert (await queue.dead.group(group)).state == "ignored"
    await queue.dead.ignore(group, until=time.time() - 1)
    assert (await queue.dead.group(group)).state == "open"
    await queue.dead.ignore(group)
    assert (await queue.dead.group(group)).state == "ignored"
    assert (await queue.dead.reopen(group)).state == "open"


async def test_notes_and_their_author(queue: Queue) -> None:
    await fail(queue, {"n": 1})
    group = (await queue.dead.groups()).groups[0].id
    await queue.dead.note(group, " the shelf is empty ", actor="user:mia")
    notes = await queue.dead.note(group, "ordered", actor="user:leo")
    assert [(note.by, note.text) for note in notes] == [
        ("user:mia", "the shelf is empty"),
        ("user:leo", "ordered"),
    ]
    assert (await queue.dead.group(group)).notes == 2
    with pytest.raises(InvalidInput, match="characters"):
        await queue.dead.note(group, "  ")


async def test_what_is_said_of_groups_is_in_the_audit_log_without_data(queue: Queue) -> None:
    await fail(queue, {"n": "secret-7"})
    group = (await queue.dead.groups()).groups[0].id
    await queue.dead.resolve(group, actor="key:ops")
    await queue.dead.note(group, "secret-7")
    entries = await audit.entries(queue.client(), queue.keys().prefix)
    assert [(e.actor, e.action, e.target) for e in entries] == [
        ("library", "dead.note", queue.name),
        ("key:ops", "dead.resolve", queue.name),
    ]
    assert "secret" not in str(entries)


async def test_a_group_that_is_not_there(queue: Queue) -> None:
    for call in (
        queue.dead.group("nonsense"),
        queue.dead.resolve("nonsense"),
        queue.dead.note("nonsense", "x"),
    ):
        with pytest.raises(DeadLetterNotFound, match="corral dead groups"):
            await call
    with pytest.raises(InvalidInput, match="a group, ids of jobs, or a filter"):
        Target()
    with pytest.raises(InvalidInput, match="states"):
        await queue.dead.groups(states=["closed"])  # type: ignore[list-item]  # the slip under test


async def test_an_obliterated_queue_leaves_nothing_of_the_desk(queue: Queue, redis: Redis) -> None:
    await fail(queue, {"n": 1})
    await queue.dead.groups()
    await queue.admin.obliterate(force=True)
    assert [key async for key in redis.scan_iter(f"*{queue.name}*")] == []
    assert (await queue.dead.groups()).groups == []


async def test_a_queue_that_others_obliterated_is_healed(queue: Queue, redis: Redis) -> None:
    await fail(queue, *({"n": n} for n in range(3)))
    await queue.dead.groups()
    keys = [key async for key in redis.scan_iter(f"{queue.keys().base}*")]
    await redis.delete(*keys)
    page = await queue.dead.groups()
    assert (page.groups[0].count, page.standing.failed, page.standing.stale) == (0, 0, 0)
    await check_index(queue, redis)


async def test_workers_keep_the_index(
    queue: Queue, redis: Redis, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "INTERVAL_SECONDS", 0.05)
    await start_worker(queue).ready()
    await start_worker(queue).ready()
    await queue.add_many("ship", [{"n": n} for n in range(20)])

    async def indexed() -> bool:
        return int(await redis.hlen(DeadKeys(queue.keys()).indexed)) == 20

    await eventually(indexed)
    (page,) = await all_groups([queue])
    assert page.groups[0].count == 20


async def test_groups_of_many_queues_in_one_answer(make_queue: MakeQueue) -> None:
    queues = [declare(make_queue(retry=Retry(attempts=1))) for _ in range(3)]
    for queue in queues[:2]:
        await fail(queue, {"n": 1})
        await queue.dead.groups()
    pages = await all_groups(queues)
    assert [(page.queue, len(page.groups)) for page in pages] == [
        (queues[0].name, 1),
        (queues[1].name, 1),
        (queues[2].name, 0),
    ]


async def test_redis_away_is_said(make_queue: MakeQueue) -> None:
    away = Queue("away", redis_url="redis://127.0.0.1:1")
    with pytest.raises(RedisUnavailable):
        await away.dead.groups()
    with pytest.raises(RedisUnavailable):
        await all_groups([away])


async def test_search_among_dead_letters(queue: Queue) -> None:
    ids = await fail(queue, *({"n": n} for n in range(4)))
    page = await queue.dead.search(Filter(where={"n": 2}))
    assert [job.id for job in page.jobs] == [ids[2]]
