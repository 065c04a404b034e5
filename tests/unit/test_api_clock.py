"""The cheap time-out: it cuts off what is late and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from corral.api.clock import Clock


async def value_after(event: asyncio.Event) -> str:
    await event.wait()
    return "value"


async def test_what_is_in_time_is_returned() -> None:
    event = asyncio.Event()
    event.set()
    assert await Clock(5).bound(value_after(event)) == "value"


async def test_what_is_late_is_cut_off() -> None:
    clock, never = Clock(0.05), asyncio.Event()
    cut = []

    async def late() -> None:
        try:
            await never.wait()
        finally:
            cut.append(True)

    async with asyncio.timeout(5):
        with pytest.raises(TimeoutError):
            await clock.bound(late())
    assert cut == [True]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_many_late_calls_are_all_cut_off_and_later_ones_are_not() -> None:
    clock, never, event = Clock(0.2), asyncio.Event(), asyncio.Event()

    async def late() -> str:
        try:
            return await clock.bound(value_after(never))
        except TimeoutError:
            return "late"

    first = [asyncio.create_task(late()) for _ in range(50)]
    async with asyncio.timeout(5):
        done, _ = await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        assert done
        # Started when the others were due: it has its own time.
        fresh = asyncio.create_task(clock.bound(value_after(event)))
        assert await asyncio.gather(*first) == ["late"] * 50
        event.set()
        assert await fresh == "value"


async def test_somebody_elses_cancellation_stays_a_cancellation() -> None:
    clock, never = Clock(60), asyncio.Event()
    task = asyncio.create_task(clock.bound(value_after(never)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_calls_own_error_comes_through() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await Clock(5).bound(fail())


async def test_the_timer_rests_when_there_is_nothing_to_bound() -> None:
    clock = Clock(5)
    event = asyncio.Event()
    event.set()
    await clock.bound(value_after(event))
    loop = asyncio.get_running_loop()
    clock._tick(loop)
    assert not clock._buckets
    assert await clock.bound(value_after(event)) == "value"
