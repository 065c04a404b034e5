"""The same operations through the official scripts and through ours leave the same keys and values.

A Hypothesis state machine drives two queues side by side: one with the official scripts, one call a job;
one with `add.lua` and `step.lua`, one call a batch. After every rule both must hold the same jobs, lists,
sets, markers and events (field by field, in order; stream ids and lock tokens aside).

Left out on purpose:
- `drained` is advisory: BullMQ's own workers emit it in different moments, depending on whether they fetch with
  the same call. It has a test of its own below.
- the score of marker "1" may be earlier than the first due job (the official scripts leave it so when a batch
  promotes that job); it may never be later, or a worker would sleep too long.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from corral_scripts import CorralQueue, Spec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from official_scripts import OfficialQueue
from redis import Redis

START_MS = 1_750_000_000_000
LOCK_MS = 3_600_000
WORKER = "w-1"
NOT_ACTIVE = -3
JSON_FIELDS = {"data", "opts", "returnvalue", "stacktrace", "progress"}


# Reading a queue ---------------------------------------------------------------------------------------------


READ = {"string": "GET", "list": "LRANGE", "set": "SMEMBERS", "zset": "ZRANGE", "hash": "HGETALL", "stream": "XRANGE"}
BOUNDS = {"list": (0, -1), "zset": (0, -1, "WITHSCORES"), "stream": ("-", "+")}


def snapshot(redis: Redis, base: str) -> dict[str, Any]:
    """Everything under a queue's prefix, by suffix; three round trips."""
    keys = sorted(redis.keys(f"{base}*"))
    pipe = redis.pipeline(transaction=False)
    for key in keys:
        pipe.type(key)
    types = pipe.execute()
    for key, kind in zip(keys, types, strict=True):
        pipe.execute_command(READ[kind], key, *BOUNDS.get(kind, ()))
    return {
        key.removeprefix(base): plain(key, kind, value)
        for key, kind, value in zip(keys, types, pipe.execute(), strict=True)
    }


def plain(key: str, kind: str, value: Any) -> Any:
    match kind:
        case "string":
            return "(held)" if key.endswith(":lock") else value
        case "set":
            return sorted(value)
        case "hash":
            return {k: json.loads(v) if k in JSON_FIELDS else v for k, v in value.items()}
        case "stream":
            return [fields for _, fields in value]
        case _:
            return value


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the module docstring names."""
    result = dict(state)
    result["events"] = [e for e in state.get("events", []) if e["event"] != "drained"]
    result["marker"] = sorted(member for member, _ in state.get("marker", []))
    return result


def differences(ours: dict[str, Any], official: dict[str, Any]) -> list[str]:
    """One line a key that differs, short enough to read in a shrunken example."""
    keys = sorted({*ours, *official})
    return [f"{k}: {ours.get(k)} is not {official.get(k)}" for k in keys if ours.get(k) != official.get(k)]


# What the machine does ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """How one active job ends: one entry of step.lua's `settled`."""

    kind: str
    text: str = "null"
    keep_count: int = -1
    keep_age: int = -1
    attempts: int = 1
    lifo: bool = False
    delay: int = 1
    spend: bool = True
    fields: tuple[str, ...] = ()


texts = st.sampled_from(["null", '{"a":1}', '"ü☃"', "[]", "12.5"])
keeps = st.sampled_from([(-1, -1), (0, -1), (1, -1), (3, -1), (-1, 60), (2, 60)])
specs = st.builds(
    Spec,
    job_id=st.sampled_from([""] * 6 + ["alpha", "beta", "ga-mma"]),
    data=texts,
    delay=st.sampled_from([0] * 4 + [1, 50, 60_000]),
    priority=st.sampled_from([0, 0, 1, 5, 2_097_151]),
    lifo=st.booleans(),
    attempts=st.integers(0, 3),
)
outcomes = st.one_of(
    st.builds(lambda t, k: Outcome("complete", t, *k), texts, keeps),
    st.builds(lambda k, n: Outcome("fail", "it broke: ü", *k, attempts=n), keeps, st.integers(1, 3)),
    st.builds(lambda lifo: Outcome("retry", "again", lifo=lifo), st.booleans()),
    st.builds(
        lambda d, s, f: Outcome("delay", "later", delay=d, spend=s, fields=f),
        st.sampled_from([1, 50, 60_000]),
        st.booleans(),
        st.sampled_from([(), ("failedReason", "later", "stacktrace", '["at x"]')]),
    ),
    st.just(Outcome("put back")),
)


@dataclass
class Held:
    """A job that both sides fetched, with its two tokens."""

    job_id: str
    token: str


@dataclass
class World:
    redis: Redis
    official: OfficialQueue = field(init=False)
    ours: CorralQueue = field(init=False)

    def __post_init__(self) -> None:
        self.redis.flushall()
        self.official = OfficialQueue(self.redis, "official", "q")
        self.ours = CorralQueue(self.redis, "corral-side", "q")

    @property
    def bases(self) -> tuple[str, str]:
        return self.official.base, self.ours.base


def settle_officially(queue: OfficialQueue, held: Held, outcome: Outcome, now: int) -> int:
    match outcome.kind:
        case "complete" | "fail":
            failed = outcome.kind == "fail"
            keep = {"count": outcome.keep_count}
            if outcome.keep_age >= 0:
                keep = {"age": outcome.keep_age} | ({"count": outcome.keep_count} if outcome.keep_count >= 0 else {})
            return queue.finish(
                held.job_id,
                held.token,
                now=now,
                target="failed" if failed else "completed",
                value=outcome.text,
                keep=keep,
                attempts=outcome.attempts,
                fields=["failedReason", outcome.text, "stacktrace", '["at x"]'] if failed else None,
            )
        case "retry":
            fields = ["failedReason", outcome.text, "stacktrace", '["at x"]']
            return queue.retry_now(held.job_id, held.token, now=now, lifo=outcome.lifo, fields=fields)
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


def settle_entry(held: Held, outcome: Outcome) -> list[Any]:
    """The same as one entry of our batch."""
    head = [held.job_id, held.token]
    match outcome.kind:
        case "complete":
            return [*head, 1, outcome.text, outcome.keep_count, outcome.keep_age]
        case "fail":
            stack = '["at x"]'
            return [*head, 2, outcome.text, stack, outcome.keep_count, outcome.keep_age, outcome.attempts]
        case "retry":
            return [*head, 3, outcome.text, '["at x"]', outcome.lifo]
        case "delay":
            return [*head, 4, outcome.delay, outcome.spend, list(outcome.fields), "", 0]
        case _:
            return [*head, 5]


class BothSides(RuleBasedStateMachine):
    """Subclassed by the test with `redis` set: Hypothesis makes the instances itself."""

    redis: Redis

    @initialize(limiter=st.sampled_from([None, None, {"max": 2, "duration": 600_000}]))
    def start(self, limiter: dict[str, int] | None) -> None:
        self.world = World(self.redis)
        self.limiter = limiter
        self.now = START_MS
        self.calls = 0
        self.held: list[Held] = []

    @rule(batch=st.lists(specs, min_size=1, max_size=6))
    def add(self, batch: list[Spec]) -> None:
        expected = [
            self.world.official.add("job", s.data, s.options(), job_id=s.job_id, now=self.now) for s in batch
        ]
        assert self.world.ours.add("job", batch, now=self.now) == expected

    @rule(data=st.data(), slots=st.integers(0, 5))
    def step(self, data: st.DataObject, slots: int) -> None:
        count = data.draw(st.integers(0, min(len(self.held), 4)), label="jobs to settle")
        settled = [(self.held.pop(0), data.draw(outcomes)) for _ in range(count)]

        problems = {}
        for held, outcome in settled:
            code = settle_officially(self.world.official, held, outcome, self.now)
            if code < 0:
                problems[held.job_id] = code
        self.calls += 1
        token = f"t:{self.calls}"
        fetched, rate_ttl = [], 0
        for _ in range(slots):
            job_id, job, rate_ttl = self.world.official.fetch(
                token, now=self.now, lock_ms=LOCK_MS, worker=WORKER, limiter=self.limiter
            )
            if not job_id:
                break
            fetched.append((job_id, job["data"], json.loads(job["opts"]), int(job["ats"])))

        answer = self.world.ours.step(
            token,
            now=self.now,
            lock_ms=LOCK_MS,
            worker=WORKER,
            slots=slots,
            limiter=self.limiter,
            settled=[settle_entry(*entry) for entry in settled],
        )
        assert answer.problems == problems
        assert answer.fetched == fetched
        assert (answer.rate_ttl > 0) == (rate_ttl > 0)
        self.held += [Held(job_id, token) for job_id, *_ in fetched]
        # The official scripts write some fields before they see that the job is not active; we write none.
        for job_id in (i for i, code in problems.items() if code == NOT_ACTIVE):
            self.redis.delete(*(base + job_id for base in self.world.bases))

    @rule(ms=st.sampled_from([1, 49, 51, 61_000]))
    def advance(self, ms: int) -> None:
        self.now += ms

    @rule()
    def rate_window_passes(self) -> None:
        for base in self.world.bases:
            self.redis.delete(f"{base}limiter")

    @rule()
    def pause(self) -> None:
        for base in self.world.bases:
            OfficialQueue(self.redis, *base.rstrip(":").split(":")).pause()

    @rule()
    def resume(self) -> None:
        for base in self.world.bases:
            OfficialQueue(self.redis, *base.rstrip(":").split(":")).resume()

    @rule(limit=st.sampled_from([None, 1, 3]))
    def set_global_concurrency(self, limit: int | None) -> None:
        for base in self.world.bases:
            if limit:
                self.redis.hset(f"{base}meta", "concurrency", limit)
            else:
                self.redis.hdel(f"{base}meta", "concurrency")

    @rule(limit=st.sampled_from([None, 1, 3]))
    def set_global_rate_limit(self, limit: int | None) -> None:
        for base in self.world.bases:
            if limit:
                self.redis.hset(f"{base}meta", mapping={"max": limit, "duration": 600_000})
            else:
                self.redis.hdel(f"{base}meta", "max", "duration")

    @precondition(lambda self: self.held)
    @rule(what=st.sampled_from(["lock expires", "another worker takes it", "job is removed", "not active"]))
    def trouble(self, what: str) -> None:
        job_id = self.held[0].job_id
        for base in self.world.bases:
            match what:
                case "lock expires":
                    self.redis.delete(f"{base}{job_id}:lock")
                case "another worker takes it":
                    self.redis.set(f"{base}{job_id}:lock", "somebody else")
                case "job is removed":
                    self.redis.delete(f"{base}{job_id}", f"{base}{job_id}:lock")
                case _:
                    self.redis.lrem(f"{base}active", 0, job_id)

    @invariant()
    def both_hold_the_same(self) -> None:
        if not hasattr(self, "world"):
            return
        official, ours = (snapshot(self.redis, base) for base in self.world.bases)
        assert differences(comparable(ours), comparable(official)) == []
        for member, score in ours.get("marker", []):
            if member == "1" and ours.get("delayed"):
                assert score <= ours["delayed"][0][1] / 4096


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def test_both_sides_stay_equal(redis: Redis) -> None:
    machine = type("Machine", (BothSides,), {"redis": redis})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
