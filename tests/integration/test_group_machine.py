"""Groups against a model: any order of adds, fetches, ends, stalls, pauses and limits.

The model knows the jobs of each fetch in order. After every rule the ring, the lines, the places and the
limited groups must be the same on both sides, and no job with room to run may be out of reach.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from corral_scripts import Loop
from group_model import Limits, Model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from corral.bullmq import grouping
from corral.bullmq import settlement as wire
from corral.bullmq.consumer import Consumer
from corral.bullmq.keys import GroupKeys, QueueKeys
from corral.bullmq.line import Line
from corral.bullmq.producer import NewJobs, Producer
from corral.bullmq.scripts import official
from corral.policy import Keep

START_MS = 1_750_000_000_000
LOCK_MS = 3_600_000
GROUPS = ("a", "b", "c", "lock:x", "lock:y")

#: A long run sets the variable.
EXAMPLES = int(os.environ.get("GROUP_EXAMPLES", "40"))

LIMITS = [Limits(), Limits(concurrency=1), Limits(2), Limits(jobs=2, per=60_000), Limits(2, 3, 60_000)]


class GroupMachine(RuleBasedStateMachine):
    redis: Redis
    loop: Loop

    @initialize(default=st.sampled_from(LIMITS))
    def begin(self, default: Limits) -> None:
        self.redis.flushall()
        self.keys = QueueKeys("bull", "groups")
        self.own = GroupKeys(self.keys)
        self.model = Model(default, now=START_MS)
        self.tokens: dict[str, str] = {}
        self.sequence = 0
        self.producer = self.loop.run(self._make_producer())
        self.consumer = Consumer(
            self.loop.client,
            self.loop.blocking,
            self.keys,
            worker="w",
            lock_seconds=LOCK_MS / 1000,
            rate_limit=None,
            group_limits=(default.concurrency, default.jobs, default.per, 0),
        )

    async def _make_producer(self) -> Producer:
        return Producer(self.loop.client, self.keys, Line(self.loop.client, None))

    # Adding

    @rule(
        group=st.sampled_from(("", *GROUPS)),
        count=st.integers(1, 4),
        priority=st.sampled_from((0, 0, 3, 7)),
        lifo=st.booleans(),
        delay=st.sampled_from((0, 0, 0, 500)),
    )
    def add(self, group: str, count: int, priority: int, lifo: bool, delay: int) -> None:
        jobs = NewJobs(
            id="",
            name="build",
            options="{}",
            delay_ms=delay,
            priority=priority if group else 0,
            lifo=lifo,
            timestamp_ms=self.model.now,
            once_key="",
            once_ms=0,
            data=["1"] * count,
            group=group,
        )

        async def send() -> list[str]:
            return (await self.producer.add(jobs)).ids

        for job in self.loop.run(send()):
            self.model.add(job, group, jobs.priority, lifo=lifo, delay=delay)

    # A worker's turn

    @rule(
        slots=st.integers(0, 6),
        ends=st.lists(
            st.tuples(st.integers(0, 50), st.sampled_from(("done", "failed", "retry", "back", "later"))),
            max_size=4,
        ),
    )
    def step(self, slots: int, ends: list[tuple[int, str]]) -> None:
        running = sorted(self.model.running, key=int)
        chosen = {running[n % len(running)]: kind for n, kind in ends} if running else {}
        settled = [_settlement(job, self.tokens[job], kind) for job, kind in chosen.items()]
        self.sequence += 1
        token = f"t:{self.sequence}"
        answer = self.loop.run(self.consumer.step(token, slots, settled, now_ms=self.model.now))
        assert answer.problems == []
        for job in chosen:
            self.model.leave(job)
        promoted = False
        for job, kind in chosen.items():
            if kind == "retry":
                if not promoted:
                    self.model.promote()
                promoted = True
                self.model.put(job, in_front=False)
            elif kind == "back":
                self.model.put(job, in_front=True)
            elif kind == "later":
                self.model.added += 1
                self.model.delayed.append((self.model.now + 500, self.model.added, job))
                self.model.delayed.sort()
        expected = self.model.fetch(slots) if slots else []
        fetched = [values[0] for values in answer.jobs]
        assert fetched == expected
        self.tokens |= dict.fromkeys(fetched, token)
        if slots and not fetched and self.model.limited:
            first = min([*self.model.limited.values(), *(due for due, _, _ in self.model.delayed)])
            assert 0 <= answer.rate_ttl_ms - max(1, first - self.model.now) <= 1

    @rule(milliseconds=st.sampled_from((1, 250, 500, 30_000, 60_000)))
    def time_passes(self, milliseconds: int) -> None:
        self.model.now += milliseconds

    # What else happens to jobs

    @precondition(lambda self: self.model.running)
    @rule(n=st.integers(0, 50))
    def stall(self, n: int) -> None:
        running = sorted(self.model.running, key=int)
        job = running[n % len(running)]
        self.redis.delete(self.keys.job(job) + ":lock")
        back = []
        for _ in range(2):
            self.redis.delete(self.keys.stalled_check)
            back += self.loop.run(self.consumer.sweep_stalled(1000, 60, self.model.now))
        assert back == [job]
        self.model.stall(job)

    @precondition(lambda self: self.model.priority_of)
    @rule(n=st.integers(0, 50))
    def stock_client_removes(self, n: int) -> None:
        jobs = sorted(self.model.priority_of, key=int)
        job = jobs[n % len(jobs)]
        if job in self.model.running or not self.redis.exists(self.keys.job(job)):
            return

        async def remove() -> Any:
            script = official("removeJob")
            keys = [self.keys.job(job), self.keys.repeat]
            return await script(self.loop.client, keys, job, 0, self.keys.base)

        assert self.loop.run(remove()) == 1
        self.model.remove(job)

    @rule()
    def heal(self) -> None:
        self.redis.delete(self.own.healed)
        self.loop.run(grouping.heal(self.loop.client, self.keys, 60_000))
        before = len(self.model.ring)
        self.model.heal()
        # A scan has no order, so neither have groups that it woke.
        ring: Any = self.redis.zrange(self.own.ready, 0, -1)
        assert ring[:before] == self.model.ring[:before]
        assert sorted(ring) == sorted(self.model.ring)
        self.model.ring = ring

    @rule(group=st.sampled_from(GROUPS[:3]), pause=st.booleans())
    def pause_or_resume(self, group: str, pause: bool) -> None:
        self._change(group, "pause" if pause else "resume", "")
        if pause:
            self.model.paused.add(group)
        else:
            self.model.paused.discard(group)
            self.model.change(group)

    @rule(group=st.sampled_from(GROUPS[:3]), limits=st.sampled_from((None, *LIMITS)))
    def limit(self, group: str, limits: Limits | None) -> None:
        if limits is None:
            self._change(group, "unlimit", "")
            self.model.limits.pop(group, None)
        else:
            self._change(group, "limit", json.dumps([limits.concurrency, limits.jobs, limits.per, 0]))
            self.model.limits[group] = limits
        self.model.change(group)

    def _change(self, group: str, what: str, value: str) -> None:
        self.loop.run(grouping.change(self.loop.client, self.keys, group, what, value))

    # What must hold

    @invariant()
    def both_sides_agree(self) -> None:
        model, own, keys = self.model, self.own, self.keys
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.zrange(own.ready, 0, -1)
        pipe.zrange(own.limited, 0, -1, withscores=True)
        pipe.lrange(keys.wait, 0, -1)
        pipe.lrange(keys.active, 0, -1)
        pipe.zrangebyscore(keys.waiting_children, "-inf", "(0")
        pipe.zcard(keys.waiting_children)
        pipe.smembers(own.all)
        for group in GROUPS:
            pipe.zrange(own.jobs(group), 0, -1)
            pipe.smembers(own.active(group))
        ring, limited, wait, active, parked, parents, known, *rest = pipe.execute()
        assert ring == model.ring
        assert dict(limited) == model.limited
        assert wait[::-1] == model.wait
        assert set(active) == model.running
        waiting = {job for group in model.groups.values() for _, job in group.line} - model.ghosts
        assert set(parked) == waiting
        assert parents == len(parked)
        for i, name in enumerate(GROUPS):
            one = model.group(name)
            assert rest[2 * i] == [job for _, job in one.line]
            assert rest[2 * i + 1] == one.active
            assert (name in known) or not (one.line or one.active)
            # Within reach: a turn is coming, or something that will give it one.
            within_reach = name in ring or name in model.limited or name in model.paused or one.active
            assert within_reach or not one.line
            if model.limits_of(name).concurrency == 1 and name.startswith("lock:"):
                assert len(one.active & model.running) <= 1

    def teardown(self) -> None:
        if not hasattr(self, "model") or sys.exc_info()[1] is not None:
            return
        # Everything that was added gets its turn in the end.
        for name in list(self.model.paused):
            self.pause_or_resume(name, pause=False)
        for _ in range(500):
            self.model.now += 60_000
            self.step(50, [(n, "done") for n in range(50)])
            self.heal()  # the place of a stalled job that a stock client removed
            if not any((self.model.running, self.model.delayed, self.model.limited, self.model.ring)):
                break
        assert not self.redis.exists(self.keys.wait, self.keys.waiting_children, self.keys.delayed)
        assert self.redis.keys("corral:*:active") == self.redis.keys("corral:*:jobs") == []


def _settlement(job: str, token: str, kind: str) -> wire.Settlement:
    match kind:
        case "done":
            return wire.completed(job, token, "null", Keep(count=0))
        case "failed":
            return wire.failed(job, token, "broke", "[]", Keep(count=0), 1)
        case "retry":
            return wire.retry_now(job, token, "again", "[]", lifo=False)
        case "back":
            return wire.put_back(job, token)
        case _:
            return wire.delay(job, token, 500, spend=True)


@pytest.fixture
def loop(redis_url: str) -> Iterator[Loop]:
    loop = Loop(redis_url)
    yield loop
    loop.close()


def test_groups_do_what_the_model_says(redis_url: str, loop: Loop) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        machine = type("Machine", (GroupMachine,), {"redis": redis, "loop": loop})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
