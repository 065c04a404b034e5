"""Slots: jobs that never wait cost no task, jobs that wait run side by side, and a stop hits one alone."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from corral.worker import slots as slots_module
from corral.worker.slots import Slot, Slots

Job = Callable[[], Awaitable[None]]


#: Jobs are driven by hand inside a task; both loops must take that.
TORN_DOWN = RuntimeError("torn down")

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Room:
    """Slots whose items are coroutine functions; it counts what runs at once, as an Executor would."""

    def __init__(self, limit: int) -> None:
        self.slots = Slots(limit, self._run)
        self.ended: list[Any] = []
        self.now = 0
        self.most = 0
        self._total = 0
        self._all_ended = asyncio.Event()

    async def _run(self, slot: Slot, item: tuple[Any, Job]) -> None:
        slot.job_id, job = item
        self.now += 1
        self.most = max(self.most, self.now)
        outcome: Any = None
        try:
            await job()
        except asyncio.CancelledError:
            outcome = slot.stopped_by
        except Exception as error:
            outcome = error
        finally:
            if slot.stopped_by is not None and slot.task is not None:
                slot.task.uncancel()
            slot.job_id = slot.deadline = slot.stopped_by = None
            self.now -= 1
        self.ended.append((item[0], outcome))
        if len(self.ended) == self._total:
            self._all_ended.set()

    def submit(self, *jobs: Job) -> None:
        self.submit_named(*enumerate(jobs, self._total))

    def submit_named(self, *items: tuple[Any, Job]) -> None:
        self._total += len(items)
        self._all_ended.clear()
        self.slots.submit(list(items))

    async def all_ended(self) -> list[Any]:
        async with asyncio.timeout(10):
            await self._all_ended.wait()
        return self.ended


@asynccontextmanager
async def room(limit: int) -> AsyncIterator[Room]:
    made = Room(limit)
    try:
        yield made
    finally:
        async with asyncio.timeout(10):
            await made.slots.close(TORN_DOWN)


async def nothing() -> None:
    pass


async def one_turn() -> None:
    await asyncio.sleep(0)


def held(by: asyncio.Event) -> Job:
    async def job() -> None:
        await by.wait()

    return job


async def turns(count: int = 10) -> None:
    """Let the loop run a fixed number of turns: enough for whatever is ready."""
    for _ in range(count):
        await asyncio.sleep(0)


# Running


async def test_jobs_that_never_wait_share_one_slot_and_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "TURN_SECONDS", 60)
    async with room(100) as r:
        r.submit(*[nothing] * 1_000)
        await asyncio.sleep(0)
        assert len(r.ended) == 1_000
        assert len(r.slots.all) == 1
        assert r.most == 1


async def test_a_job_that_waits_lets_the_next_one_start() -> None:
    gate = asyncio.Event()
    async with room(3) as r:
        r.submit(held(gate), held(gate), nothing, nothing)
        await turns()
        assert [name for name, _ in r.ended] == [2, 3]
        assert r.now == 2
        gate.set()
        assert len(await r.all_ended()) == 4


@pytest.mark.parametrize("limit", [1, 2, 7])
async def test_never_more_than_the_limit_at_once(limit: int) -> None:
    async with room(limit) as r:
        for _ in range(4):
            r.submit(*[one_turn, nothing] * 25)
            await turns(3)
        assert len(await r.all_ended()) == 200
        assert r.most == limit
        assert len(r.slots.all) == limit


async def test_as_many_waiting_jobs_as_there_are_slots_run_together() -> None:
    gate = asyncio.Event()
    async with room(500) as r:
        r.submit(*[held(gate)] * 500)
        await turns(1_010)
        assert r.now == 500
        gate.set()
        await r.all_ended()


async def test_idle_slots_are_used_again() -> None:
    async with room(5) as r:
        for _ in range(20):
            r.submit(*[one_turn] * 5)
            await r.all_ended()
        assert len(r.slots.all) <= 5
        assert len(r.ended) == 100


async def test_every_job_runs_once_whatever_the_mix() -> None:
    async with room(4) as r:
        for _ in range(50):
            r.submit(nothing, one_turn, one_turn, nothing, one_turn)
            await asyncio.sleep(0)
        ended = await r.all_ended()
        assert sorted(name for name, _ in ended) == list(range(250))


async def test_a_slot_yields_to_the_loop_when_its_turn_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that moves one millisecond a look, a turn of 5 ms is over after five jobs."""
    clock = 0.0

    def time() -> float:
        nonlocal clock
        clock += 0.001
        return clock

    monkeypatch.setattr(slots_module, "TURN_SECONDS", 0.005)
    async with room(1) as r:
        monkeypatch.setattr(r.slots, "_loop", FakeClockLoop(asyncio.get_running_loop(), time))
        r.submit(*[nothing] * 100)
        progress = []
        while len(r.ended) < 100:
            await asyncio.sleep(0)
            progress.append(len(r.ended))
        assert len(progress) >= 20
        assert progress[0] <= 6


class FakeClockLoop:
    def __init__(self, loop: asyncio.AbstractEventLoop, time: Callable[[], float]) -> None:
        self._loop = loop
        self.time = time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


async def test_other_tasks_get_their_turn_while_jobs_are_ready() -> None:
    """Real time: jobs that each take a while must not keep the loop for themselves."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    async def busy() -> None:
        end = asyncio.get_running_loop().time() + 0.001
        while asyncio.get_running_loop().time() < end:
            pass

    ticker = asyncio.create_task(tick())
    async with room(1) as r:
        r.submit(*[busy] * 50)
        await r.all_ended()
    ticker.cancel()
    assert ticks >= 5


# Stopping


async def test_a_stop_cancels_one_job_alone_and_the_slot_goes_on() -> None:
    gate, reason = asyncio.Event(), TimeoutError("late")
    async with room(3) as r:
        r.submit_named(("a", held(gate)), ("b", held(gate)), ("c", held(gate)))
        await turns()
        next(slot for slot in r.slots.running() if slot.job_id == "b").stop(reason)
        await turns()
        assert r.ended == [("b", reason)]
        r.submit_named(("d", nothing), ("e", one_turn))
        await turns()
        assert [name for name, _ in r.ended] == ["b", "d", "e"]
        gate.set()
        assert dict(await r.all_ended()) == {"a": None, "b": reason, "c": None, "d": None, "e": None}
        assert all(slot.task is not None and not slot.task.done() for slot in r.slots.all)


async def test_the_first_reason_for_a_stop_counts() -> None:
    gate, first = asyncio.Event(), TimeoutError("first")
    async with room(1) as r:
        r.submit(held(gate))
        await turns()
        (slot,) = r.slots.running()
        slot.stop(first)
        slot.stop(ValueError("second"))
        assert await r.all_ended() == [(0, first)]


async def test_stopping_an_idle_slot_does_nothing() -> None:
    async with room(1) as r:
        r.submit(nothing)
        await r.all_ended()
        (slot,) = r.slots.all
        slot.stop(TimeoutError("late"))
        r.submit(one_turn)
        assert [outcome for _, outcome in await r.all_ended()] == [None, None]


async def test_a_stop_does_not_leak_into_the_next_job() -> None:
    """A task keeps count of its cancellations; a left-over one would break `asyncio.timeout` there."""
    gate = asyncio.Event()
    caught: list[str] = []

    async def with_timeout() -> None:
        try:
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        except TimeoutError:
            caught.append("timeout")

    async with room(1) as r:
        r.submit(held(gate), with_timeout)
        await turns()
        r.slots.running()[0].stop(TimeoutError("late"))
        await r.all_ended()
        (slot,) = r.slots.all
        assert slot.task is not None
        assert slot.task.cancelling() == 0
    assert caught == ["timeout"]


async def test_a_job_that_swallows_its_cancellation_keeps_only_itself_busy() -> None:
    gate, entered = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            entered.set()
            await gate.wait()

    async with room(2) as r:
        r.submit_named(("stubborn", stubborn))
        await turns()
        r.slots.running()[0].stop(TimeoutError("late"))
        async with asyncio.timeout(5):
            await entered.wait()
        r.submit_named(("other", one_turn))
        await turns()
        assert r.ended == [("other", None)]
        gate.set()
        await r.all_ended()
        r.submit_named(("after", one_turn), ("after too", one_turn))
        assert [outcome for _, outcome in await r.all_ended()] == [None] * 4


# What a job may do


async def test_asyncio_timeout_inside_a_job_works() -> None:
    async def slow() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async with room(1) as r:
        r.submit(slow, one_turn)
        first, second = await r.all_ended()
        assert isinstance(first[1], TimeoutError)
        assert second[1] is None


async def test_task_groups_inside_a_job_work() -> None:
    results: list[int] = []

    async def part(number: int) -> None:
        await asyncio.sleep(0)
        results.append(number)

    async def parallel() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(part(number))

    async def broken() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            raise ValueError("boom")

    async with room(1) as r:
        r.submit(parallel, broken, parallel)
        outcomes = [outcome for _, outcome in await r.all_ended()]
    assert results == [0, 1, 2] * 2
    assert outcomes[0] is outcomes[2] is None
    assert isinstance(outcomes[1], ExceptionGroup)


async def test_threads_futures_and_nested_tasks_can_be_awaited_at_the_first_step() -> None:
    loop = asyncio.get_running_loop()

    async def in_thread() -> None:
        assert await asyncio.to_thread(sum, [1, 2]) == 3

    async def on_future() -> None:
        future: asyncio.Future[int] = loop.create_future()
        loop.call_soon(future.set_result, 7)
        assert await future == 7

    async def on_task() -> None:
        assert asyncio.current_task() is not None
        await asyncio.create_task(asyncio.sleep(0))

    async with room(2) as r:
        r.submit(in_thread, on_future, on_task, on_future)
        assert {outcome for _, outcome in await r.all_ended()} == {None}


async def test_exceptions_before_and_after_waiting_cost_no_slot() -> None:
    async def at_once() -> None:
        raise ValueError("at once")

    async def later() -> None:
        await asyncio.sleep(0)
        raise ValueError("later")

    async with room(2) as r:
        r.submit(*[at_once, later, one_turn] * 20)
        ended = await r.all_ended()
        assert sum(isinstance(outcome, ValueError) for _, outcome in ended) == 40
        assert len(r.slots.all) <= 2


async def test_what_a_job_binds_to_its_context_ends_with_it() -> None:
    """Else the user id that one job bound for its logs would stand in the logs of the next one."""
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
    seen: list[str] = []

    def for_user(name: str, *, waits: bool) -> Job:
        async def job() -> None:
            seen.append(user.get())
            user.set(name)
            if waits:
                await asyncio.sleep(0)
                await asyncio.create_task(asyncio.sleep(0))
            assert user.get() == name

        return job

    async with room(1) as r:
        for waits in (False, True):
            r.submit(for_user("ann", waits=waits), for_user("bob", waits=waits), for_user("cid", waits=waits))
        outcomes = [outcome for _, outcome in await r.all_ended()]
    assert outcomes == [None] * 6
    assert seen == ["nobody"] * 6


# Ending


async def test_what_has_not_started_can_be_taken_back() -> None:
    gate = asyncio.Event()
    async with room(2) as r:
        r.submit(*[held(gate)] * 5)
        await turns()
        assert [name for name, _ in r.slots.take_back()] == [2, 3, 4]
        assert r.slots.take_back() == []
        gate.set()
        await turns()
        assert [name for name, _ in r.ended] == [0, 1]


async def test_closing_cancels_what_runs_and_starts_nothing_more() -> None:
    gate = asyncio.Event()
    made = Room(2)
    made.submit(*[held(gate)] * 5)
    await turns()
    async with asyncio.timeout(5):
        await made.slots.close(TORN_DOWN)
    assert sorted(made.ended) == [(0, TORN_DOWN), (1, TORN_DOWN)]
    assert made.slots.running() == []
    assert all(slot.task is not None and slot.task.done() for slot in made.slots.all)


async def test_closing_idle_slots_is_quick_and_can_be_repeated() -> None:
    made = Room(2)
    made.submit(one_turn, one_turn)
    await made.all_ended()
    async with asyncio.timeout(5):
        await made.slots.close(TORN_DOWN)
        await made.slots.close(TORN_DOWN)
    assert all(slot.task is not None and slot.task.done() for slot in made.slots.all)
