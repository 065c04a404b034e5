"""Event loops of the unit tests: a module that drives coroutines itself names the loops it must work on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

Loops = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Function) -> Loops:
    loops: Loops = getattr(item.module, "LOOPS", {"asyncio": asyncio.new_event_loop})
    return loops
