"""A queue's public operations and its workers' steps, in any order, against an exact model.

Two workers fetch, end, lose and forget jobs as a Worker does (its LockTable, Consumer and scripts); callers
add, cancel, pause, retry, promote, remove, drain and signal. After every step each list, set, count and
attempt is what the model says. In the end every job that is left gets its turn, and none completed twice.

QUEUE_EXAMPLES=2000 QUEUE_STEPS=80 makes it a long run, CORRAL_TESTS=long one of some minutes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest
from corral_scripts import Loop
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from queue_model import QueueModel
from redis import Redis

from amounts import amount
from corral import Cancelled, Queue, Retention
from corral.adding import AddOptions
from corral.bullmq import settlement as wire
from corral.bullmq.cancel import obeyed, pending
from corral.bullmq.connection import close_shared_clients
from corral.bullmq.consumer import Consumer, keep_locks
from corral.bullmq.keys import signal_key
from corral.bullmq.settlement import STAMPED_VALUES, Fetched, Settlement
from corral.errors import JobNotFound, WrongState
from corral.policy import Keep
from corral.worker.locks import LockTable

EXAMPLES = int(os.environ.get("QUEUE_EXAMPLES", amount(40, 400)))
STEPS = int(os.environ.get("QUEUE_STEPS", "10"))

FAR_SECONDS = 3600.0
LOCK_SECONDS = 3600.0
WORKERS = ("first", "second")
KINDS = ("completed", "completed", "failed", "retry", "later", "snooze", "wait", "put back", "cancelled")
SIGNALS = ("go", "stop")

#: Which job an operation means: its place among those there are, or one that never was.
picks = st.integers(-1, 30)
RARELY = st.sampled_from((False,) * 5 + (True,))


names = st.sampled_from(WORKERS)
signals = st.sampled_from(SIGNALS)


def _action(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *arguments)


_add = _action(
    "add",
    st.sampled_from(("", "", "", "own-1", "own-2")),
    st.sampled_from(("", "", "k1", "k2")),
    st.sampled_from((0, 0, 3, 7)),
    st.booleans(),
    st.sampled_from((False, False, True)),
)
_fetch = _action("fetch", names, st.integers(1, 6), RARELY)
_ends = st.lists(st.tuples(st.integers(0, 20), st.sampled_from(KINDS)), min_size=1, max_size=4)
_end = _action("end", names, _ends, signals)

#: One strategy for all: Hypothesis leaves out some rules in each example, and without fetch there is no end.
ACTIONS = st.one_of(
    _add, _fetch, _fetch, _end, _end, _end,
    _action("add_many", st.integers(1, 5)), _action("add_many", st.integers(1, 5)),
    _action("keep", names), _action("vanish", names, st.booleans()),
    _action("sweep"), _action("sweep"), _action("cancel", picks, RARELY), _action("cancel", picks, RARELY),
    _action("remove", picks, RARELY), _action("promote", picks, RARELY), _action("retry", picks, RARELY),
    _action("pause", RARELY), _action("signal", signals),
    _action("empty", RARELY, st.sampled_from(("drain", "drain all", "clean completed", "clean failed"))),
)  # fmt: skip


class Hands:
    """What one worker has in its hands."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.locks = LockTable(consumer.keys, lambda lost: None)
        self.fetched: dict[str, tuple[str, int]] = {}
        self.cancelled: set[str] = set()


class QueueMachine(RuleBasedStateMachine):
    redis: Redis
    plain: Redis
    loop: Loop
    url: str

    @initialize(count=st.integers(0, 8))
    def begin(self, count: int) -> None:
        self.redis.flushall()
        self.queue = Queue("machine", redis_url=self.url, prefix="bull", retention=Retention())
        self.keys = self.queue.keys()
        self.model = QueueModel()
        self.hands = {name: self._worker(name) for name in WORKERS}
        self.calls = 0
        if count:
            self.add_many(count)

    @rule(actions=st.lists(ACTIONS, min_size=8, max_size=30))
    def steps(self, actions: list[tuple[Any, ...]]) -> None:
        """Many at once: by itself Hypothesis mostly makes short stories, in which nothing can go wrong."""
        for name, *arguments in actions:
            getattr(self, name)(*arguments)
            self.redis_is_as_the_model_says()

    def _worker(self, name: str) -> Hands:
        consumer = Consumer(
            self.loop.client, self.loop.blocking, self.keys, worker=name, lock_seconds=LOCK_SECONDS,
            rate_limit=None, feed=name,
        )  # fmt: skip
        hands = Hands(consumer)
        consumer.on_locked = hands.locks.note_written
        return hands

    def run(self, call: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(call)

    def _pick(self, number: int, *states: str) -> str:
        ids = sorted(self.model.ids(*states) if states else self.model.jobs, key=lambda i: (len(i), i))
        return ids[number % len(ids)] if ids and number >= 0 else "none of them"

    # Who adds

    def add(self, job_id: str, key: str, priority: int, lifo: bool, delayed: bool) -> None:
        options: AddOptions = {"priority": priority, "lifo": lifo and not priority}
        if delayed:
            options["delay"] = FAR_SECONDS
        if job_id:
            options["job_id"], key = job_id, ""
        if key:
            options["idempotency_key"] = key
        job = self.run(self.queue.add("build", {"a": 1}, **options))
        met = self.model.known(job_id, key)
        assert job.existed == (met is not None)
        if met is not None:
            assert job.id == met
            return
        if job_id:
            assert job.id == job_id
        else:
            self._is_new(job.id)
        self.model.add(job.id, key, priority=priority, lifo=lifo and not priority, delayed=delayed)

    def _is_new(self, job_id: str) -> None:
        """Numbers rise, and none comes twice; BullMQ counts jobs with ids of their own too."""
        assert int(job_id) > self.model.count
        self.model.count = int(job_id)

    def add_many(self, count: int) -> None:
        for job in self.run(self.queue.add_many("build", [{"a": 1}] * count)):
            self._is_new(job.id)
            self.model.add(job.id, "", priority=0, lifo=False, delayed=False)

    # Workers

    def fetch(self, name: str, slots: int, is_lost: bool) -> None:
        """A fetch; or one whose answer is lost, after which the worker asks for what it held."""
        self.calls += 1
        token = f"{name}:{self.calls}"
        hands = self.hands[name]
        record = hands.consumer.next_record()
        step = self.run(hands.consumer.step(token, slots, [], record=record))
        expected = self.model.fetch(slots, (name, self.calls))
        assert [values[0] for values in step.jobs] == expected
        if is_lost:
            back = self.run(hands.consumer.recover([(record, token)]))
            assert back == expected
            for job_id in back:
                self.model.back(job_id)
            return
        for values in step.jobs:
            job = Fetched(*values)
            job_id = job.id
            hands.locks.held[job_id] = step.stamp if len(values) == STAMPED_VALUES else token
            hands.fetched[job_id] = (name, self.calls)
            hands.cancelled.discard(job_id)
            if job.cancel is not None and pending(job.cancel) is not None:
                assert self.model.jobs[job_id].cancel == "?"
                hands.cancelled.add(job_id)
            else:
                assert self.model.jobs[job_id].cancel != "?"

    def end(self, name: str, ends: list[tuple[int, str]], signal: str) -> None:
        if not self.hands[name].locks.held:
            name = next((other for other in WORKERS if self.hands[other].locks.held), name)
        hands = self.hands[name]
        held = sorted(hands.locks.held, key=lambda i: (len(i), i))
        chosen = {held[n % len(held)]: kind for n, kind in ends} if held else {}
        for job_id in chosen:
            if job_id in hands.cancelled:  # whoever fetches it ends it
                chosen[job_id] = "cancelled"
        settled = [self._settlement(i, hands.locks.held[i], kind, signal) for i, kind in chosen.items()]
        sent = hands.locks.with_marks(settled)
        step = self.run(hands.consumer.step("", 0, sent))
        for job_id, token in hands.locks.strays(sent):
            self.run(hands.consumer.release_lock(job_id, token))
        refused = dict(step.problems)
        for job_id, kind in chosen.items():
            mine = hands.fetched.pop(job_id)
            del hands.locks.held[job_id]
            job = self.model.jobs.get(job_id)
            if job is not None and job.state == "active" and job.owner == mine:
                assert job_id not in refused, (job_id, refused)
                self.model.end(job_id, kind, signal)
            else:  # it was taken over: fenced
                assert refused[job_id] in (wire.JOB_GONE, wire.LOCK_GONE, wire.NOT_ACTIVE, wire.LOCK_TAKEN)

    def _settlement(self, job_id: str, token: str, kind: str, signal: str) -> Settlement:
        far_ms = round(FAR_SECONDS * 1000)
        match kind:
            case "completed":
                return wire.completed(job_id, token, "1", Keep())
            case "failed":
                return wire.failed(job_id, token, "broke", "[]", Keep(), 1)
            case "cancelled":
                return wire.failed(job_id, token, "Cancelled: x", "[]", Keep(), 1, fields=obeyed("x"))
            case "retry":
                job = self.model.jobs.get(job_id)
                return wire.retry_now(job_id, token, "again", "[]", lifo=job is not None and job.lifo)
            case "later":
                return wire.delay(job_id, token, far_ms, spend=True)
            case "snooze":
                return wire.delay(job_id, token, far_ms, spend=False)
            case "wait":
                key = signal_key(self.keys.prefix, signal)
                return wire.delay(job_id, token, far_ms, spend=False, signal=key)
            case _:
                return wire.put_back(job_id, token)

    def keep(self, name: str) -> None:
        """The thread that keeps locks comes round: writes the first ones, renews, and hears of lost ones."""
        hands = self.hands[name]
        due = hands.locks.due(everything=True)
        lost = set(keep_locks(self.plain, self.keys, due, LOCK_SECONDS)) if due else set()
        for job_id in due:
            job = self.model.jobs.get(job_id)
            is_mine = job is not None and job.state == "active" and job.owner == hands.fetched[job_id]
            assert (job_id not in lost) == is_mine, job_id
            if is_mine:
                self.model.marked.discard(job_id)
            else:  # its handler is stopped, and says nothing
                del hands.locks.held[job_id], hands.fetched[job_id]

    def vanish(self, name: str, is_frozen: bool) -> None:
        """Its locks run out: it is dead and forgets all, or frozen and will come back with its ends."""
        hands = self.hands[name]
        for job_id in hands.locks.held:
            job = self.model.jobs.get(job_id)
            if job is not None and job.owner == hands.fetched[job_id]:
                self.redis.delete(f"{self.keys.job(job_id)}:lock")
        if is_frozen:
            # One that had a lock and lost it is not known by its stamp; what `keep` wrote first, still is.
            self._lock_is_gone(hands)
        else:
            self.hands[name] = self._worker(name)

    def _lock_is_gone(self, hands: Hands) -> None:
        for job_id, token in list(hands.locks.held.items()):
            job = self.model.jobs.get(job_id)
            if not token.startswith("@") and job is not None and job.owner == hands.fetched[job_id]:
                job.owner = None

    def sweep(self) -> None:
        has_lock = {i for i in self.model.jobs if self.redis.exists(f"{self.keys.job(i)}:lock")}
        self.redis.delete(self.keys.stalled_check)
        rescued = self.run(self.hands["first"].consumer.sweep_stalled(2, 60, 0))
        assert set(rescued) == self.model.sweep(has_lock)
        for job_id in rescued:
            if self.model.jobs[job_id].priority:
                score = self.redis.zscore(self.keys.prioritized, job_id)
                if score is not None:  # BullMQ puts a stalled job into `wait`, whatever its priority
                    self.model.prioritized[job_id] = int(score)
                    continue
            job = self.model.jobs[job_id]
            job.state, job.owner = "waiting", None
            self.model.wait.append(job_id)

    # Hands from outside

    def cancel(self, number: int, is_any: bool) -> None:
        job_id = self._pick(
            number,
            *(
                ()
                if is_any
                else (
                    "active",
                    "waiting",
                    "delayed",
                )
            ),
        )
        job = self.model.jobs.get(job_id)
        if job is None:
            with pytest.raises(JobNotFound):
                self.run(self.queue.cancel(job_id))
            return
        met = self.run(self.queue.cancel(job_id, "x"))
        if job.state in ("completed", "failed"):
            assert met is Cancelled.FINISHED
        elif job.state == "active":
            assert met is Cancelled.SIGNALLED
            job.cancel = "?"
        else:
            assert met is Cancelled.REMOVED
            self.model.forget(job_id)

    def remove(self, number: int, is_any: bool) -> None:
        job_id = (
            self._pick(number) if is_any else self._pick(number, "waiting", "delayed", "completed", "failed")
        )
        job = self.model.jobs.get(job_id)
        if job is None or job.state == "active":
            with pytest.raises((JobNotFound, WrongState)):
                self.run(self.queue.admin.remove(job_id))
            return
        self.run(self.queue.admin.remove(job_id))
        self.model.forget(job_id)

    def promote(self, number: int, is_any: bool) -> None:
        job_id = self._pick(number, *(() if is_any else ("delayed",)))
        job = self.model.jobs.get(job_id)
        if job is None or job.state != "delayed":
            with pytest.raises((JobNotFound, WrongState)):
                self.run(self.queue.admin.promote(job_id))
            return
        self.run(self.queue.admin.promote(job_id))
        self.model.put(job_id, in_front=False)

    def retry(self, number: int, is_any: bool) -> None:
        job_id = self._pick(
            number,
            *(
                ()
                if is_any
                else (
                    "completed",
                    "failed",
                )
            ),
        )
        job = self.model.jobs.get(job_id)
        if job is None or job.state not in ("completed", "failed"):
            with pytest.raises((JobNotFound, WrongState)):
                self.run(self.queue.admin.retry(job_id))
            return
        self.run(self.queue.admin.retry(job_id))
        self.model.retry(job_id)

    def empty(self, is_wanted: bool, how: str) -> None:
        if is_wanted and how.startswith("drain"):
            self.drain(how == "drain all")
        elif is_wanted:
            self.clean(how.removeprefix("clean "))

    def drain(self, delayed: bool) -> None:
        gone = self.model.ids("waiting") | (self.model.ids("delayed") if delayed else set())
        assert self.run(self.queue.admin.drain(delayed=delayed)) == len(gone)
        for job_id in gone:
            self.model.forget(job_id)

    def clean(self, state: Any) -> None:
        gone = self.model.ids(state)
        assert self.run(self.queue.admin.clean(state)) == len(gone)
        for job_id in gone:
            self.model.forget(job_id)

    def pause(self, paused: bool) -> None:
        self.run(self.queue.admin.pause() if paused else self.queue.admin.resume())
        self.model.paused = paused

    def signal(self, name: str) -> None:
        assert self.run(self.queue.signal(name, {})) == self.model.signal(name)

    # What must hold

    @invariant()
    def redis_is_as_the_model_says(self) -> None:
        model, keys = self.model, self.keys
        ids = list(model.jobs)
        pipe: Any = self.redis.pipeline(transaction=False)
        pipe.lrange(keys.wait, 0, -1)
        pipe.zrange(keys.prioritized, 0, -1, withscores=True)
        pipe.lrange(keys.active, 0, -1)
        for place in (keys.delayed, keys.completed, keys.failed):
            pipe.zrange(place, 0, -1)
        pipe.keys(f"{keys.base}*")
        for job_id in ids:
            pipe.hmget(keys.job(job_id), "atm", "stc", "corral:cancel", "finishedOn")
        (
            wait,
            prioritized,
            active,
            *sets,
            names,
        ) = (replies := pipe.execute())[:7]
        assert wait == model.wait
        assert {job: int(score) for job, score in prioritized} == model.prioritized
        assert [job for job, _ in prioritized] == model.line()
        assert sorted(active) == sorted(model.ids("active"))
        for found, state in zip(sets, ("delayed", "completed", "failed"), strict=True):
            assert set(found) == model.ids(state), state
        own = {name.removeprefix(keys.base) for name in names}
        assert {
            name for name in own if name.isdigit() or (name.startswith("own-") and ":" not in name)
        } == set(ids)
        locks = {name.removesuffix(":lock") for name in own if name.endswith(":lock")}
        assert locks <= model.ids("active")
        for job_id, (made, stalls, cancel, finished) in zip(ids, replies[7:], strict=True):
            job = model.jobs[job_id]
            assert (int(made or 0), int(stalls or 0)) == (job.attempts, job.stalls), job_id
            assert (cancel[0] if cancel else None) == job.cancel, job_id
            assert (finished is not None) == (job.state in ("completed", "failed")), job_id

    @invariant()
    def counts_and_states_are_told_rightly(self) -> None:
        counts = self.run(self.queue.counts())
        wait, line = len(self.model.wait), len(self.model.prioritized)
        expected = {
            state: len(self.model.ids(state)) for state in ("active", "delayed", "completed", "failed")
        }
        expected |= {"prioritized": line}
        assert {state: counts[state] for state in expected} == expected
        assert counts["waiting"] + counts.get("paused", 0) == wait
        if self.model.jobs:
            job_id = self._pick(self.calls)
            found = self.run(self.queue.get(job_id))
            assert found is not None
            assert found.status == self.model.jobs[job_id].state

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        try:
            if sys.exc_info()[1] is None:
                self._everything_ends()
        finally:
            self.run(self.queue.close())
            self.run(close_shared_clients())

    def _everything_ends(self) -> None:
        self.pause(paused=False)
        for name in WORKERS:
            self.vanish(name, is_frozen=False)
        self.sweep()
        self.sweep()
        for job_id in sorted(self.model.ids("delayed")):
            self.run(self.queue.admin.promote(job_id))
            self.model.put(job_id, in_front=False)
        while self.model.ids("waiting"):
            self.fetch("first", 6, is_lost=False)
            count = len(self.hands["first"].locks.held)
            if count:
                self.end("first", [(n, "completed") for n in range(count)], "go")
            self.redis_is_as_the_model_says()
        assert not self.model.ids("active", "delayed", "waiting")


@pytest.fixture
def loop(redis_url: str) -> Iterator[Loop]:
    loop = Loop(redis_url)
    yield loop
    loop.close()


@pytest.mark.timeout(900)  # one that fails is made shorter for minutes, and must be told whole
def test_the_queue_does_what_the_model_says(redis_url: str, loop: Loop) -> None:
    with contextlib.closing(Redis.from_url(redis_url, decode_responses=True)) as redis:
        plain = Redis.from_url(redis_url)
        machine = type(
            "Machine", (QueueMachine,), {"redis": redis, "plain": plain, "loop": loop, "url": redis_url}
        )
        try:
            run_state_machine_as_test(
                machine,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            plain.close()
