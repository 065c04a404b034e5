"""Other resources for a while: a test's fake in the place of what a queue declares."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corral.queue import Queue
from corral.resources import Resource, declare_resource


def replace(declared: Sequence[Resource], others: Sequence[Resource]) -> list[Resource]:
    """`others`, and those declared resources whose type none of them gives. Pure."""
    given = [other.provides for other in others]
    return [*others, *(resource for resource in declared if resource.provides not in given)]


@contextlib.contextmanager
def replaced_resources(queues: Sequence[Queue], resources: Sequence[Callable[..., Any]]) -> Iterator[None]:
    """Raises ConfigurationError for a function that does not say what it gives."""
    others = [declare_resource(function, _names_around(function)) for function in resources]
    before = [(queue, queue.resources) for queue in queues]
    try:
        for queue, declared in before:
            queue.resources = replace(declared, others)
        yield
    finally:
        for queue, declared in before:
            queue.resources = declared


def _names_around(function: Callable[..., Any]) -> dict[str, Any]:
    """Types declared beside a function inside a test are found in the frames that called us."""
    names: dict[str, Any] = {}
    frame = sys._getframe(1)  # noqa: SLF001  # types declared beside the caller
    module = getattr(function, "__module__", None)
    outer: Any = frame
    while outer is not None:
        if outer.f_globals.get("__name__") == module:
            names = {**outer.f_locals, **names}
        outer = outer.f_back
    return names
