"""The longest stop of the last minute."""

from __future__ import annotations

import asyncio
import contextlib
import time

from corral.observe.loop_lag import WINDOW_SECONDS, LoopLag


def test_the_longest_of_the_window_is_told_until_it_leaves_it() -> None:
    now = 0.0
    lag = LoopLag(clock=lambda: now)
    assert lag.longest() == 0.0
    for now, late in ((1.0, 0.2), (2.0, 0.9), (3.0, 0.1), (30.0, 0.5), (31.0, -0.001)):  # noqa: B007  # the clock reads `now`
        lag.note(late)
    assert [lag.longest(), lag.longest()] == [0.9, 0.9]
    now = 2.5 + WINDOW_SECONDS
    assert lag.longest() == 0.5
    now = 30.5 + WINDOW_SECONDS
    assert lag.longest() == 0.0
    now = 100 + WINDOW_SECONDS
    assert lag.longest() == 0.0


def test_it_keeps_few() -> None:
    now = 0.0
    lag = LoopLag(clock=lambda: now)
    for tick in range(10_000):
        now = tick / 10
        lag.note(tick % 7 / 1000)
        lag.longest()
    assert len(lag._stops) <= WINDOW_SECONDS * 10 + 1
    assert lag.longest() == 0.006


async def test_a_handler_that_computes_is_seen() -> None:
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    try:
        await asyncio.sleep(0.02)
        time.sleep(0.4)  # what it is about
        async with asyncio.timeout(10):
            while lag.longest() < 0.2:
                await asyncio.sleep(0.01)
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
