"""Official scripts beside ours, where the state machine of test_differential.py does not go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from corral_scripts import CorralQueue, Loop, Spec
from official_scripts import OfficialQueue
from queue_snapshot import comparable, differences, snapshots
from redis import Redis

from corral.bullmq import settlement as wire
from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import MAX_BATCH_JOBS
from corral.policy import Keep

NOW = 1_750_000_000_000
WORKER = "w-1"
LOCK_MS = 3_600_000


class Pair:
    """One queue on each side."""

    def __init__(self, redis: Redis, loop: Loop) -> None:
        self.redis = redis
        keys = QueueKeys("corral-side", "q")
        self.bases = ("official:q:", keys.base)
        self.official = OfficialQueue(redis, "official", "q")
        self.ours = CorralQueue(loop, keys, WORKER, LOCK_MS, None)

    def add(self, count: int, **options: Any) -> list[str]:
        spec = Spec(data=tuple(f'{{"n":{n}}}' for n in range(count)), **options)
        for data in spec.data:
            self.official.add("job", data, spec.options(), job_id="", now=NOW)
        return self.ours.add("job", [spec], now=NOW)

    def add_in_steps(self, count: int, **options: Any) -> None:
        """Never more than one call of ours takes."""
        for start in range(0, count, MAX_BATCH_JOBS):
            self.add(min(MAX_BATCH_JOBS, count - start), **options)

    def fetch(self, count: int, token: str = "t:1") -> list[str]:
        fetched = [job_id for job_id, *_ in self.ours.step(token, count, [], now=NOW).fetched]
        for expected in fetched:
            job_id, _, _ = self.official.fetch(token, now=NOW, lock_ms=LOCK_MS, worker=WORKER, limiter=None)
            assert job_id == expected
        return fetched

    def assert_equal(self) -> None:
        official, ours = snapshots(self.redis, *self.bases)
        found = differences(comparable(ours), comparable(official))
        assert not found, "\n".join(line[:500] for line in found[:10])

    def events(self, name: str) -> list[list[dict[str, str]]]:
        return [[e for e in s["events"] if e["event"] == name] for s in snapshots(self.redis, *self.bases)]


@pytest.fixture
def pair(redis_url: str) -> Iterator[Pair]:
    loop = Loop(redis_url)
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield Pair(redis, loop)
    loop.close()


@pytest.mark.parametrize("keep", [Keep(), Keep(count=0), Keep(count=900), Keep(count=1, age=10)])
@pytest.mark.parametrize("failing", [False, True])
def test_a_batch_above_every_chunk_is_settled_like_its_jobs(pair: Pair, keep: Keep, failing: bool) -> None:
    for base in pair.bases:  # trimmed once a batch here and once a job there; see the last test
        pair.redis.hset(f"{base}meta", "opts.maxLenEvents", 100_000)
    pair.add_in_steps(1_050)
    ids = pair.fetch(1_050)
    assert len(ids) == 1_050
    target, prop = ("failed", "reason") if failing else ("completed", "1")
    bounds = {k: float(v) for k, v in (("count", keep.count), ("age", keep.age)) if v is not None}
    for job_id in ids:
        fields = ["failedReason", prop, "stacktrace", "[]"] if failing else None
        code = pair.official.finish(
            job_id,
            "t:1",
            now=NOW,
            target=target,
            value=prop,
            keep=bounds or {"count": -1},
            attempts=1,
            fields=fields,
        )
        assert code == 0
    settled = [
        wire.failed(job_id, "t:1", prop, "[]", keep, 1)
        if failing
        else wire.completed(job_id, "t:1", prop, keep)
        for job_id in ids
    ]
    assert pair.ours.step("t:2", 0, settled, now=NOW).problems == {}
    pair.assert_equal()


def test_bulk_adds_above_one_call_keep_their_order(pair: Pair) -> None:
    assert pair.add(2_500) == [str(n) for n in range(1, 2_501)]
    pair.add(2_500, delay=1000)
    pair.add(2_500, priority=3)
    pair.assert_equal()


def test_more_delayed_jobs_in_one_millisecond_than_there_are_places(pair: Pair) -> None:
    pair.add_in_steps(4_200, delay=5)
    pair.assert_equal()


def test_due_jobs_beyond_one_promotion_come_with_the_next(pair: Pair) -> None:
    pair.add_in_steps(1_500, delay=1)
    for later in (10, 20):
        ours = pair.ours.step("t:1", 3, [], now=NOW + later).fetched
        theirs = [
            pair.official.fetch("t:1", now=NOW + later, lock_ms=LOCK_MS, worker=WORKER, limiter=None)[0]
            for _ in range(3)
        ]
        # Three official calls promote three times; the order and the jobs are the same.
        assert [job_id for job_id, *_ in ours] == theirs


def test_a_retry_lets_due_jobs_go_first(pair: Pair) -> None:
    pair.add(1)
    (job_id,) = pair.fetch(1)
    pair.add(2, delay=5)
    fields = ["failedReason", "no", "stacktrace", "[]"]
    assert pair.official.retry_now(job_id, "t:1", now=NOW + 10, lifo=False, fields=fields) == 0
    pair.ours.step("t:2", 0, [wire.retry_now(job_id, "t:1", "no", "[]", lifo=False)], now=NOW + 10)
    pair.assert_equal()


def test_a_sentence_of_the_sweep_is_taken_off_when_the_job_has_failed(pair: Pair) -> None:
    pair.add(1)
    for base in pair.bases:
        pair.redis.hset(f"{base}1", "defa", "job stalled more than allowable limit")
    (job_id,) = pair.fetch(1)
    fields = ["failedReason", "no", "stacktrace", "[]"]
    code = pair.official.finish(
        job_id, "t:1", now=NOW, target="failed", value="no", keep={"count": -1}, attempts=1, fields=fields
    )
    assert code == 0
    pair.ours.step("t:2", 0, [wire.failed(job_id, "t:1", "no", "[]", Keep(), 1)], now=NOW)
    pair.assert_equal()


@pytest.mark.parametrize("how", ["paused", "concurrency"])
@pytest.mark.parametrize("options", [{}, {"priority": 3}], ids=["plain", "prioritized"])
def test_a_stopped_queue_wakes_nobody_for_a_new_job(pair: Pair, how: str, options: dict[str, Any]) -> None:
    pair.add(1)
    pair.fetch(1)
    for base in pair.bases:
        pair.redis.hset(f"{base}meta", how, 1)
        pair.redis.delete(f"{base}marker")
    pair.add(1, **options)
    assert pair.redis.exists(*(f"{base}marker" for base in pair.bases)) == 0
    pair.assert_equal()


def test_the_last_job_says_drained_once(pair: Pair) -> None:
    pair.add(2)
    first, second = pair.fetch(2)
    for job_id in (first, second):
        pair.official.finish(
            job_id, "t:1", now=NOW, target="completed", value="1", keep={"count": -1}, attempts=1
        )
        pair.ours.step("t:2", 1, [wire.completed(job_id, "t:1", "1", Keep())], now=NOW)
        expected = 1 if job_id == second else 0
        assert [len(events) for events in pair.events("drained")] == [expected, expected]


def test_no_drained_while_a_job_runs_or_waits(pair: Pair) -> None:
    pair.add(3)
    first, _ = pair.fetch(2)
    pair.ours.step("t:2", 0, [wire.completed(first, "t:1", "1", Keep())], now=NOW)
    assert pair.events("drained")[1] == []


@pytest.mark.parametrize(
    ("field", "value"), [("parentKey", "bull:other:7"), ("deid", "dedup-1")], ids=["a parent", "a dedup id"]
)
@pytest.mark.parametrize("failing", [False, True])
def test_a_job_that_is_not_plain_is_handed_back_untouched(
    pair: Pair, field: str, value: str, failing: bool
) -> None:
    base = pair.bases[1]
    plain, other = pair.ours.add("job", [Spec(data=("1", "2"))], now=NOW)
    pair.redis.hset(base + other, field, value)
    pair.ours.step("t:1", 2, [], now=NOW)
    before = pair.redis.hgetall(base + other)

    if failing:
        settled = [wire.failed(i, "t:1", "no", "[]", Keep(), 1) for i in (plain, other)]
    else:
        settled = [wire.completed(i, "t:1", "1", Keep()) for i in (plain, other)]
    assert pair.ours.step("t:2", 0, settled, now=NOW).problems == {other: wire.NOT_PLAIN}

    assert pair.redis.hgetall(base + other) == before
    assert pair.redis.get(f"{base}{other}:lock") == "t:1"
    assert pair.redis.lrange(f"{base}active", 0, -1) == [other]


@pytest.mark.parametrize("kind", ["dependencies", "unsuccessful"])
def test_a_job_with_children_is_not_completed_by_the_fast_script(pair: Pair, kind: str) -> None:
    base = pair.bases[1]
    (parent,) = pair.ours.add("job", [Spec()], now=NOW)
    if kind == "dependencies":
        pair.redis.sadd(f"{base}{parent}:dependencies", "bull:q:child")
    else:
        # What BullMQ writes when a child fails that its parent must not outlive.
        pair.redis.zadd(f"{base}{parent}:unsuccessful", {"bull:q:child": 1})
        pair.redis.hset(base + parent, "defa", "child bull:q:child failed")
    pair.ours.step("t:1", 1, [], now=NOW)
    problems = pair.ours.step("t:2", 0, [wire.completed(parent, "t:1", "1", Keep())], now=NOW).problems
    assert problems == {parent: wire.NOT_PLAIN}


def test_a_job_removed_while_it_waited_leaves_nothing_behind(pair: Pair) -> None:
    """The official script would write a hash for it; a worker would then run a job of no name."""
    base = pair.bases[1]
    gone, kept = pair.ours.add("job", [Spec(data=("1", "2"))], now=NOW)
    pair.redis.delete(base + gone)
    assert [job_id for job_id, *_ in pair.ours.step("t:1", 2, [], now=NOW).fetched] == [kept]
    assert not pair.redis.exists(base + gone, f"{base}{gone}:lock")
    assert pair.redis.lrange(f"{base}active", 0, -1) == [kept]


def test_markers_of_old_clients_in_the_wait_list_are_passed_over(pair: Pair) -> None:
    base = pair.bases[1]
    (job_id,) = pair.ours.add("job", [Spec()], now=NOW)
    pair.redis.rpush(f"{base}wait", "0:0", "0:1750000000000")
    assert [found for found, *_ in pair.ours.step("t:1", 1, [], now=NOW).fetched] == [job_id]
    assert pair.redis.llen(f"{base}wait") == 0


def test_the_event_stream_keeps_to_its_length(pair: Pair) -> None:
    for base in pair.bases:
        pair.redis.hset(f"{base}meta", "opts.maxLenEvents", 200)
    for _ in range(20):
        pair.add(100)
        for job_id in pair.fetch(100):
            pair.official.finish(
                job_id, "t:1", now=NOW, target="completed", value="1", keep={"count": 0}, attempts=1
            )
            pair.ours.step("t:2", 0, [wire.completed(job_id, "t:1", "1", Keep(count=0))], now=NOW)
    official, ours = (pair.redis.xlen(f"{base}events") for base in pair.bases)
    # Both trim by whole nodes of 100 entries, and before they write.
    assert official <= 600
    assert ours <= 600
