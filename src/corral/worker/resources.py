"""Opens the resources of a worker at its start and closes them at its end, in reverse order.

All are opened before the first job, in the task that closes them, so that a resource may hold a task group.
What fails to open ends the worker, which closes those that are open. What fails to close is logged, and the
others are closed all the same.

Emits: resource_open_failed, resource_close_failed (resource).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import structlog

from corral.resources import Node, OpeningOrder, name_of

log = structlog.get_logger(__name__)

Close = Callable[[], Awaitable[None] | None]


class OpenResources:
    """The values of opened nodes."""

    def __init__(self) -> None:
        self._values: dict[Node, Any] = {}
        self._closers: list[tuple[Node, Close]] = []

    async def open(self, order: OpeningOrder) -> None:
        """Open all. What one of them raises comes out; close then closes those before it."""
        for node in order.nodes:
            try:
                await self._open(node)
            except Exception:
                log.error("resource_open_failed", resource=name_of(node.function))  # raised on
                raise

    async def close(self) -> None:
        while self._closers:
            node, close = self._closers.pop()
            try:
                closing = close()
                if closing is not None:
                    await closing
            except Exception:
                log.exception("resource_close_failed", resource=name_of(node.function))
        self._values.clear()

    def values(self, arguments: tuple[tuple[str, Node], ...]) -> dict[str, Any]:
        """What to call a function with, by parameter."""
        return {parameter: self._values[node] for parameter, node in arguments}

    async def _open(self, node: Node) -> None:
        function, arguments = node.function, self.values(node.arguments)
        made: Any
        match node.kind:
            case "async generator":
                made = contextlib.asynccontextmanager(function)(**arguments)
            case "generator":
                made = contextlib.contextmanager(function)(**arguments)
            case _:
                made = function(**arguments)
                if inspect.isawaitable(made):
                    made = await made
        if node.kind == "value":
            self._values[node] = made  # whoever makes it without a yield says that nothing is to be closed
        elif isinstance(made, AbstractAsyncContextManager):
            self._values[node] = await made.__aenter__()
            self._closers.append((node, lambda: made.__aexit__(None, None, None)))
        elif isinstance(made, AbstractContextManager):
            self._values[node] = made.__enter__()
            self._closers.append((node, lambda: _leave(made)))
        else:
            self._values[node] = made


def _leave(made: AbstractContextManager[Any]) -> None:
    made.__exit__(None, None, None)
