"""Looks that several callers share."""

from __future__ import annotations

import asyncio

import pytest

from corral.manage.shared_look import SharedLook


class Counter:
    """A look that waits to be let go, and counts."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def __call__(self) -> int:
        self.begun += 1
        number = self.begun
        await self.go.wait()
        return number


async def test_who_comes_during_a_look_gets_the_next_one_together_with_all_others() -> None:
    looks, counter = SharedLook[int](), Counter()
    callers = [asyncio.create_task(looks.look(counter)) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert counter.begun == 1
    counter.go.set()
    assert await asyncio.gather(*callers) == [1, *[2] * 9]
    assert await looks.look(counter) == 3  # nothing is kept


async def test_one_who_leaves_takes_the_look_from_nobody() -> None:
    looks, counter = SharedLook[int](), Counter()
    first = asyncio.create_task(looks.look(counter))
    await asyncio.sleep(0)
    second = asyncio.create_task(looks.look(counter))
    await asyncio.sleep(0)
    first.cancel()
    counter.go.set()
    assert await second == 2


async def test_a_look_that_fails_fails_for_its_callers_alone() -> None:
    looks, counter = SharedLook[int](), Counter()
    counter.go.set()

    async def fail() -> int:
        raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await looks.look(fail)
    assert await looks.look(counter) == 1
