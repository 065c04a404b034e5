"""Waiting in tests: look again until a condition holds, never longer than a bound."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

#: Between two looks: soon at first, then seldom, since looking takes the processor from what is waited for.
LOOK_SECONDS = 0.005
SELDOM_SECONDS = 0.05


async def eventually(condition: Callable[[], Any | Awaitable[Any]], within: float = 15.0) -> Any:
    """The first truthy value of `condition`. Fails with its last value after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    pause = LOOK_SECONDS
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"Not so within {within} s; the last look gave {value!r}.")
        await asyncio.sleep(pause)
        pause = min(pause * 1.2, SELDOM_SECONDS)
