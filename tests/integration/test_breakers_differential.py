"""What a hold and its end leave in Redis, beside BullMQ's own moveToDelayed and promote."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from corral_scripts import CorralQueue, Loop, Spec
from official_scripts import OfficialQueue
from queue_snapshot import comparable, differences, snapshots
from redis import Redis

from corral.breaker import Breaker, Rules, closed, opened
from corral.bullmq import breaking
from corral.bullmq import settlement as wire
from corral.bullmq.keys import QueueKeys, breaker_keys

NOW = 1_750_000_000_000
LIMIT_MS = 86_400_000
RULES = Rules()


class Pair:
    """A job on each side, fetched; on ours, a breaker that is open."""

    def __init__(self, redis: Any, loop: Loop, priority: int) -> None:
        self.redis = redis
        self._loop = loop
        self.keys = QueueKeys("ours", "q")
        self.official = OfficialQueue(redis, "official", "q")
        self.ours = CorralQueue(loop, self.keys, "w", 30_000, None)
        spec = Spec(priority=priority)
        for _ in range(2):
            self.official.add("job", "{}", spec.options(), job_id="", now=NOW)
            self.ours.add("job", [spec], now=NOW)
        fetched = self.ours.step("t", 2, [], now=NOW).fetched
        self.ids = [job_id for job_id, *_ in fetched]
        for expected in self.ids:
            job_id, *_ = self.official.fetch("t", now=NOW, lock_ms=30_000, worker="w", limiter=None)
            assert job_id == expected
        self.breaker = self.change(
            Breaker("acme"), opened(Breaker("acme"), "configuration", "?", "", 1.0, RULES)
        )

    def change(self, before: Breaker, after: Breaker | None, release: int = 0) -> Breaker:
        assert after is not None
        assert self._loop.run(breaking.change(self._loop.client, "ours", before, after, release)).done
        return after

    def hold(self) -> None:
        keys = breaker_keys("ours", "acme")
        settled = []
        for job_id in self.ids:
            field = [breaking.HELD_FIELD, f"acme 1 {NOW}"]
            settled.append(wire.hold(job_id, "t", LIMIT_MS, field, keys.state, keys.held, f"q:{job_id}"))
        assert self.ours.step("t", 0, settled, now=NOW).problems == {}

    def delay_officially(self) -> None:
        for job_id in self.ids:
            assert not self.official.delay(job_id, "t", now=NOW, delay_ms=LIMIT_MS, spend=False, fields=[])

    def promote_officially(self) -> None:
        keys = ["delayed", "wait", "paused", "meta", "prioritized", "active", "pc", "events", "marker"]
        for job_id in self.ids:
            self.official._run("promote", keys, [self.official.base, job_id])

    def held(self) -> list[tuple[str, float]]:
        rows: Any = self.redis.zrange(breaker_keys("ours", "acme").held, 0, -1, withscores=True)
        return list(rows)

    def assert_same(self) -> None:
        official, ours = snapshots(self.redis, "official:q:", "ours:q:")
        for job_id in self.ids:
            ours[job_id].pop(breaking.HELD_FIELD)
        found = differences(comparable(ours), comparable(official))
        assert not found, "\n".join(found)


@pytest.fixture(params=[0, 3], ids=["plain", "prioritized"])
def pair(redis_url: str, request: pytest.FixtureRequest) -> Iterator[Pair]:
    loop = Loop(redis_url)
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        yield Pair(redis, loop, request.param)
    loop.close()


def test_a_held_job_is_a_delayed_one_to_bullmq(pair: Pair) -> None:
    pair.hold()
    pair.delay_officially()
    pair.assert_same()
    scores = {job_id: pair.redis.zscore(pair.keys.delayed, job_id) for job_id in pair.ids}
    assert dict(pair.held()) == {f"q:{job_id}": score for job_id, score in scores.items()}


def test_one_that_is_let_go_is_a_promoted_one(pair: Pair) -> None:
    pair.hold()
    pair.delay_officially()
    pair.promote_officially()
    pair.change(pair.breaker, closed(pair.breaker, 2.0, 5), release=2)
    pair.assert_same()
    assert pair.held() == []
    marks = [pair.redis.hget(pair.keys.job(job_id), breaking.HELD_FIELD) for job_id in pair.ids]
    assert marks == [f"acme 1 {NOW} released"] * 2


def test_a_breaker_that_has_closed_holds_nothing(pair: Pair) -> None:
    pair.change(pair.breaker, closed(pair.breaker, 2.0, 5))
    pair.hold()
    assert pair.held() == []
    scores: Any = pair.redis.zrange(pair.keys.delayed, 0, -1, withscores=True)
    assert {int(score) // 4096 for _, score in scores} == {NOW + wire.CLOSED_MS}


def test_a_change_over_an_older_version_changes_nothing(pair: Pair) -> None:
    pair.hold()
    after = closed(pair.breaker, 2.0, 5)
    pair.change(pair.breaker, after)
    loop = pair._loop
    late = replace(pair.breaker, version=pair.breaker.version + 1, reason="late")
    assert not loop.run(breaking.change(loop.client, "ours", pair.breaker, late, 2)).done
    assert len(pair.held()) == 2
    assert loop.run(breaking.look(loop.client, "ours", ["acme"]))[0].breaker == after


def test_an_entry_whose_job_was_delayed_anew_wakes_nothing(pair: Pair) -> None:
    pair.hold()
    first, second = pair.ids
    pair.redis.zadd(pair.keys.delayed, {first: NOW * 4096.0})
    changed = pair._loop.run(
        breaking.change(pair._loop.client, "ours", pair.breaker, closed(pair.breaker, 2.0, 5), 2)  # type: ignore[arg-type]  # the loop's own client
    )
    assert (changed.released, changed.dropped) == (1, 1)
    assert pair.redis.zscore(pair.keys.delayed, first) is not None
    assert pair.redis.zscore(pair.keys.delayed, second) is None
