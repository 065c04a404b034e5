"""What stands around the handlers of a worker: resources, middleware, hooks. Set up once, before the jobs.

`Equipment` belongs to a worker: it finds out what must be opened, opens it, runs the hooks, and closes.
`Around` belongs to one of its queues: it turns a job definition into one whose handler has its resources
bound, and whose `call` goes through the middleware. A definition with nothing around it stays as it is, so
that its jobs pay nothing.

Emits: shutdown_hook_failed (hook).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from corral.context import JobContext
from corral.definition import JobDefinition
from corral.errors import ConfigurationError
from corral.queue import Queue
from corral.resources import Hook, OpeningOrder, Resource, Scope
from corral.settings import Settings
from corral.worker.batches import check_not_mixed
from corral.worker.resources import OpenResources
from corral.worker.slots import Slot

log = structlog.get_logger(__name__)

#: How a job is run: all that the executor knows of it.
Call = Callable[[Slot, JobDefinition, JobContext, Any], Awaitable[Any]]


class Equipment:
    """The resources, middleware and hooks of one worker. Making it raises ConfigurationError."""

    def __init__(
        self,
        queues: Sequence[Queue],
        resources: Sequence[Resource],
        middleware: Sequence[Hook],
        settings: Settings,
    ) -> None:
        self._queues = queues
        self._open = OpenResources()
        self._started = False
        given = Resource(lambda: settings, "value", Settings, ())
        outer = Scope.of("this worker", [*resources, given])
        self._middleware = middleware
        self._scopes = {id(queue): Scope.of(repr(queue), queue.resources, outer) for queue in queues}
        self._order = OpeningOrder()
        for scope in (outer, *self._scopes.values()):
            for node in scope.all():
                self._order.add(node)
        for queue in queues:
            self._check(queue)

    def _check(self, queue: Queue) -> None:
        """Everything that a job will ask for is there: better said now than by the first job."""
        check_not_mixed(queue)
        scope = self._scopes[id(queue)]
        for hook in (*self._middleware, *queue.middlewares, *queue.startup_hooks, *queue.shutdown_hooks):
            scope.arguments(hook.title, hook.needs)
        for definition in queue.jobs.values():
            scope.arguments(_title(queue, definition), definition.needs)
            if definition.needs and definition.isolation not in ("async", "thread"):
                raise ConfigurationError(
                    f"{_title(queue, definition)} runs in another process, where this worker's resources are "
                    "not. Open what it needs in the handler."
                )

    async def start(self) -> None:
        """Open the resources, then run the startup hooks. What they raise comes out; then call `end`, too."""
        await self._open.open(self._order)
        for hook, queue in self._hooks(lambda queue: queue.startup_hooks):
            await _run(self._bound(hook, queue))
        self._started = True

    async def end(self) -> None:
        """Run the shutdown hooks, the last declared first, then close. Never raises what they raise.

        After a start that failed there is nothing to shut down, only what was opened to close.
        """
        hooks = self._hooks(lambda queue: queue.shutdown_hooks) if self._started else []
        for hook, queue in reversed(hooks):
            try:
                await _run(self._bound(hook, queue))
            except Exception:
                log.exception("shutdown_hook_failed", hook=hook.title)
        await self._open.close()

    def _hooks(self, of: Callable[[Queue], Iterable[Hook]]) -> list[tuple[Hook, Queue]]:
        """Each once, also if it is declared on several queues."""
        found: dict[Callable[..., Any], tuple[Hook, Queue]] = {}
        for queue in self._queues:
            for hook in of(queue):
                found.setdefault(hook.function, (hook, queue))
        return list(found.values())

    def _bound(self, hook: Hook, queue: Queue) -> Callable[..., Any]:
        arguments = self._scopes[id(queue)].arguments(hook.title, hook.needs)
        return _bind(hook.function, self._open.values(arguments))

    def around(self, queue: Queue) -> Around:
        """For one queue, once `start` has returned."""
        layers = [self._bound(hook, queue) for hook in (*self._middleware, *queue.middlewares)]
        return Around(queue, layers, self._scopes[id(queue)], self._open)


class Around:
    """What is around the handlers of one queue."""

    def __init__(
        self, queue: Queue, layers: Sequence[Callable[..., Any]], scope: Scope, values: OpenResources
    ) -> None:
        self._queue = queue
        self._layers = layers
        self._scope = scope
        self._values = values

    def prepare(self, definition: JobDefinition, outside: Call, in_batch: Call) -> JobDefinition:
        """Bind what its handler needs, and decide how it is called.

        outside: calls a handler that does not run in the event loop; in_batch: one that runs for many jobs.
        """
        if definition.needs:
            arguments = self._scope.arguments(_title(self._queue, definition), definition.needs)
            handler = _bind(definition.handler, self._values.values(arguments))
            definition = replace(definition, handler=handler)
        if definition.batch is not None:
            return replace(definition, call=wrap(in_batch, self._layers))
        if self._layers:
            inner = _in_loop if definition.isolation == "async" else outside
            return replace(definition, call=wrap(inner, self._layers))
        return definition


def wrap(call: Call, layers: Sequence[Callable[..., Any]]) -> Call:
    """Put middleware around a call; the first layer is outermost."""
    for layer in reversed(layers):
        call = _layer(layer, call)
    return call


def _layer(middleware: Callable[..., Any], inner: Call) -> Call:
    def call(slot: Slot, definition: JobDefinition, context: JobContext, data: Any) -> Awaitable[Any]:
        outcome: Awaitable[Any] = middleware(context, partial(inner, slot, definition, context, data))
        return outcome

    return call


def _in_loop(slot: Slot, definition: JobDefinition, context: JobContext, data: Any) -> Awaitable[Any]:  # noqa: ARG001  # a Call
    outcome: Awaitable[Any] = (
        definition.handler(context, data) if definition.takes_data else definition.handler(context)
    )
    return outcome


def _bind(function: Callable[..., Any], values: dict[str, Any]) -> Callable[..., Any]:
    return partial(function, **values) if values else function


async def _run(hook: Callable[..., Any]) -> None:
    outcome = hook()
    if inspect.isawaitable(outcome):
        await outcome


def _title(queue: Queue, definition: JobDefinition) -> str:
    return f"The handler of {definition.name!r} in queue {queue.name!r}"
