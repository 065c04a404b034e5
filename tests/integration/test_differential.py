"""The same operations through the official scripts and through ours leave the same keys and values.

A Hypothesis state machine drives two queues side by side: one with the official scripts, one call a job;
one with `add.lua` and `step.lua`, one call a batch. After every rule both must hold the same jobs, lists,
sets, markers and events (field by field, in order; stream ids and lock tokens aside).

Left out on purpose:
- `drained` is advisory: BullMQ's own workers emit it in different moments, depending on whether they fetch
  with the same call. test_differential_cases.py has a test for it.
- marker "0" after a job with a priority was put back: the official script forgets it, so the job would wait
  for a worker's next poll. Ours sets it.
- marker "0" after a fetch that took the last job: the official script wakes a worker that finds nothing.
- the score of marker "1" may be earlier than the first due job (the official scripts leave it so when a batch
  promotes that job); it may never be later, or a worker would sleep too long.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from corral_scripts import CorralQueue, Loop, Spec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from official_scripts import OfficialQueue
from queue_snapshot import comparable, differences, markers, snapshots
from redis import Redis

from corral.bullmq import settlement as wire
from corral.bullmq.keys import QueueKeys
from corral.bullmq.settlement import Settlement
from corral.policy import Keep, RateLimit

START_MS = 1_750_000_000_000
LOCK_MS = 3_600_000
WORKER = "w-1"

#: Enough to find 19 of 21 faults put into the scripts on purpose (the others: test_differential_cases.py).
#: A long run sets the variable.
EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "30"))


KEEP_ALL = Keep()


@dataclass(frozen=True)
class Outcome:
    """How one active job ends."""

    kind: str
    text: str = "null"
    keep: Keep = KEEP_ALL
    attempts: int = 1
    lifo: bool = False
    delay: int = 1
    spend: bool = True
    fields: tuple[str, ...] = ()


STACK = '["at x"]'
LATER = ("failedReason", "later", "stacktrace", STACK)

# Everything is chosen from lists, one draw each: small examples leave Hypothesis room for long runs.
TEXTS = ("null", '{"a":1}', '"ü☃"', "[]", "12.5")
SPECS = [
    Spec(data=(text,) * copies, delay=delay, priority=priority, lifo=lifo, attempts=attempts)
    for text, copies, delay, priority, lifo, attempts in [
        ("null", 1, 0, 0, False, 0),
        ('{"a":1}', 3, 0, 0, False, 1),
        ('"ü☃"', 1, 0, 0, True, 3),
        ("[]", 2, 0, 0, True, 0),
        ("12.5", 1, 0, 1, False, 2),
        ('{"a":1}', 2, 0, 5, False, 0),
        ("null", 1, 0, 2_097_151, True, 0),
        ("[]", 1, 1, 0, False, 0),
        ('"ü☃"', 2, 50, 0, True, 1),
        ("12.5", 1, 60_000, 5, False, 3),
    ]
]
SPECS += [Spec(job_id=job_id, data=("1",)) for job_id in ("alpha", "beta")]
SPECS += [Spec(job_id="alpha", data=("2",), delay=50), Spec(job_id="beta", data=("3",), priority=3)]

KEEPS = (KEEP_ALL, Keep(count=0), Keep(count=1), Keep(age=60), Keep(3, 60))
FINISHES = [Outcome("complete", text, keep) for text, keep in zip(TEXTS, KEEPS, strict=True)]
FINISHES += [Outcome("fail", "it broke: ü", keep, attempts=1 + i % 3) for i, keep in enumerate(KEEPS)]
FINISHES += [
    Outcome("delay", delay=delay, spend=spend, fields=fields)
    for delay, spend, fields in ((1, True, LATER), (50, False, ()), (60_000, True, LATER))
]
batches = st.lists(st.sampled_from(SPECS), max_size=4)
AGAIN = [Outcome("retry", "again"), Outcome("retry", "again", lifo=True), Outcome("put back")]
OUTCOMES = [*FINISHES, *AGAIN, *AGAIN]


@dataclass(frozen=True)
class Held:
    """A job that both sides fetched, with what each holds it by."""

    job_id: str
    token: str
    ours: str


def settle_officially(queue: OfficialQueue, held: Held, outcome: Outcome, now: int) -> int:
    reason = ["failedReason", outcome.text, "stacktrace", STACK]
    match outcome.kind:
        case "complete" | "fail":
            bounds = {"count": outcome.keep.count, "age": outcome.keep.age}
            failed = outcome.kind == "fail"
            return queue.finish(
                held.job_id,
                held.token,
                now=now,
                target="failed" if failed else "completed",
                value=outcome.text,
                keep={k: v for k, v in bounds.items() if v is not None} or {"count": -1},
                attempts=outcome.attempts,
                fields=reason if failed else None,
            )
        case "retry":
            return queue.retry_now(held.job_id, held.token, now=now, lifo=outcome.lifo, fields=reason)
        case "delay":
            return queue.delay(
                held.job_id,
                held.token,
                now=now,
                delay_ms=outcome.delay,
                spend=outcome.spend,
                fields=list(outcome.fields),
            )
        case _:
            return queue.put_back(held.job_id, held.token)


def settlement(held: Held, outcome: Outcome) -> Settlement:
    """The same for our side."""
    head = (held.job_id, held.ours)
    match outcome.kind:
        case "complete":
            return wire.completed(*head, outcome.text, outcome.keep)
        case "fail":
            return wire.failed(*head, outcome.text, STACK, outcome.keep, outcome.attempts)
        case "retry":
            return wire.retry_now(*head, outcome.text, STACK, lifo=outcome.lifo)
        case "delay":
            return wire.delay(*head, outcome.delay, spend=outcome.spend, fields=list(outcome.fields))
        case _:
            return wire.put_back(*head)


class BothSides(RuleBasedStateMachine):
    """Subclassed by the test with `redis` and `loop` set: Hypothesis makes the instances itself."""

    redis: Redis
    loop: Loop
    #: Jobs that never ran are fetched without a lock.
    defers_locks: bool

    @initialize(limited=st.sampled_from([False, False, True]))
    def start(self, limited: bool) -> None:
        self.redis.flushall()
        keys = QueueKeys("corral-side", "q")
        self.bases = ("official:q:", keys.base)
        self.official = OfficialQueue(self.redis, "official", "q")
        self.ours = CorralQueue(
            self.loop,
            keys,
            WORKER,
            LOCK_MS,
            RateLimit(2, per=600) if limited else None,
            feed="f" if self.defers_locks else "",
        )
        #: What steers a queue has official scripts on both sides.
        self.steering = (self.official, OfficialQueue(self.redis, "corral-side", "q"))
        self.limiter = {"max": 2, "duration": 600_000} if limited else None
        self.now = START_MS
        self.calls = 0
        self.put_back = False
        self.held: list[Held] = []
        self.troubled: set[str] = set()

    def has_priority(self, held: Held) -> bool:
        return int(self.redis.hget(self.bases[0] + held.job_id, "priority") or 0) > 0

    # Two rules, because most of what happens to a queue is turns of workers and producers.
    @rule(data=st.data(), batch=batches, slots=st.sampled_from([5, 3, 1, 0]))
    def turn(self, data: st.DataObject, batch: list[Spec], slots: int) -> None:
        self.add(batch)
        self.step(data, slots)
        self.check()

    @rule(data=st.data(), batch=batches, ms=st.sampled_from([1, 51, 61_000]))
    def later_turn(self, data: st.DataObject, batch: list[Spec], ms: int) -> None:
        self.now += ms
        self.step(data, 5)
        self.add(batch)
        self.check()

    def add(self, batch: list[Spec]) -> None:
        expected = [
            self.official.add("job", data, spec.options(), job_id=spec.job_id, now=self.now)
            for spec in batch
            for data in spec.data
        ]
        if batch:
            assert self.ours.add("job", batch, now=self.now) == expected

    def step(self, data: st.DataObject, slots: int) -> None:
        count = min(len(self.held), data.draw(st.sampled_from([5, 3, 2, 0]), label="jobs to settle"))
        order = [data.draw(st.integers(0, len(self.held) - 1 - i)) for i in range(count)]
        held = [self.held.pop(index) for index in order]
        # What the official scripts do before they refuse, or instead of refusing, is left out.
        choices = [FINISHES if h.job_id in self.troubled else OUTCOMES for h in held]
        settled = [(h, data.draw(st.sampled_from(c))) for h, c in zip(held, choices, strict=True)]
        self.put_back |= any(o.kind == "put back" and self.has_priority(h) for h, o in settled)
        self.calls += 1
        token = f"t:{self.calls}"

        answers = {
            held.job_id: settle_officially(self.official, held, end, self.now) for held, end in settled
        }
        problems = {job_id: code for job_id, code in answers.items() if code < 0}
        fetched, rate_ttl = [], 0
        for _ in range(slots):
            job_id, job, rate_ttl = self.official.fetch(
                token, now=self.now, lock_ms=LOCK_MS, worker=WORKER, limiter=self.limiter
            )
            if not job_id:
                break
            fetched.append((job_id, job["data"], json.loads(job["opts"]), int(job["ats"])))

        answer = self.ours.step(token, slots, [settlement(*entry) for entry in settled], now=self.now)
        assert answer.problems == problems
        assert answer.fetched == fetched
        assert (answer.rate_ttl > 0) == (rate_ttl > 0)
        self.held += [
            Held(job_id, token, ours) for (job_id, *_), ours in zip(fetched, answer.tokens, strict=True)
        ]
        # The official scripts write some fields before they see that the job is not active; we write none.
        for job_id in (i for i, code in problems.items() if code == wire.NOT_ACTIVE):
            self.redis.delete(*(base + job_id for base in self.bases))

    @rule(how=st.sampled_from(["open", "open", "pause", "one at once", "three at once", "rate 1", "rate 3"]))
    def steer(self, how: str) -> None:
        for queue in self.steering:
            meta = f"{queue.base}meta"
            match how:
                case "pause":
                    queue.pause()
                case "one at once":
                    self.redis.hset(meta, "concurrency", 1)
                case "three at once":
                    self.redis.hset(meta, "concurrency", 3)
                case "rate 1":
                    self.redis.hset(meta, mapping={"max": 1, "duration": 600_000})
                case "rate 3":
                    self.redis.hset(meta, mapping={"max": 3, "duration": 600_000})
                case _:
                    queue.resume()
                    self.redis.hdel(meta, "concurrency", "max", "duration")
                    self.redis.delete(f"{queue.base}limiter")  # its window has passed
        self.check()

    @rule(
        what=st.sampled_from(["marker taken", "swept", "sentenced", "gone", "taken", "removed", "not active"])
    )
    def disturb(self, what: str) -> None:
        """What others do: sleeping workers, the stalled sweep, other workers, people."""
        # Jobs with an id of their own may come back under it, so trouble with them would mix two jobs.
        held = next((h.job_id for h in self.held if h.job_id.isdecimal()), "")
        if what not in ("marker taken", "swept"):
            if not held or (self.defers_locks and what in ("gone", "taken")):  # there may be no lock
                return
            if what != "sentenced":
                self.troubled.add(held)
        for base in self.bases:
            match what:
                case "marker taken":
                    self.redis.delete(f"{base}marker")
                    self.put_back = False
                case "swept":
                    active = self.redis.lrange(f"{base}active", 0, -1)
                    if active:
                        self.redis.sadd(f"{base}stalled", *active)
                case "sentenced":
                    self.redis.hset(f"{base}{held}", "defa", "job stalled more than allowable limit")
                case "gone":
                    self.redis.delete(f"{base}{held}:lock")
                case "taken":
                    self.redis.set(f"{base}{held}:lock", "somebody else")
                case "removed":
                    self.redis.delete(f"{base}{held}", f"{base}{held}:lock")
                case _:
                    self.redis.lrem(f"{base}active", 0, held)

    def check(self) -> None:
        official, ours = snapshots(self.redis, *self.bases)
        if self.defers_locks:
            for state in (official, ours):
                for key in [key for key in state if key.endswith(":lock")]:
                    del state[key]
        found = differences(comparable(ours), comparable(official))
        assert not found, "\n".join(found)
        extra = {"0"} if self.put_back else set()
        # Ours is left out where nothing waits any more: a worker that it woke would find nothing.
        needed = {"0"} if ours.get("wait") or ours.get("prioritized") else set()
        assert markers(official) - {"0"} <= markers(ours) <= markers(official) | extra
        assert markers(official) & needed <= markers(ours)
        for member, score in ours.get("marker", []):
            if member == "1" and ours.get("delayed"):
                assert score <= ours["delayed"][0][1] / 4096


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def loop(redis_url: str) -> Iterator[Loop]:
    loop = Loop(redis_url)
    yield loop
    loop.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("defers_locks", [False, True], ids=["locked at once", "locked later"])
def test_both_sides_stay_equal(redis: Redis, loop: Loop, defers_locks: bool) -> None:
    machine = type("Machine", (BothSides,), {"redis": redis, "loop": loop, "defers_locks": defers_locks})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
