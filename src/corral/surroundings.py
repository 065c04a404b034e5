"""What a queue puts around its jobs: resources, middleware, and hooks at the worker's start and end.

The part of `Queue` that declares them; `worker/around.py` puts them to work.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from corral.errors import ConfigurationError
from corral.resources import Hook, Resource, Scope, declare_hook, declare_resource, name_of

Function = TypeVar("Function", bound=Callable[..., Any])


class Surroundings:
    """Declared before a worker starts; what comes later is not seen by a worker that runs."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []
        self.middlewares: list[Hook] = []
        self.startup_hooks: list[Hook] = []
        self.shutdown_hooks: list[Hook] = []

    def resource(self, function: Function) -> Function:
        """Declare a resource: opened once per worker process, given to who asks for its type.

        An (async) generator function that yields it and closes it after the yield, a function that
        returns it, or a class, entered and left if it is a context manager. Its own parameters are resources,
        too; `Settings` is always there. Raises ConfigurationError if the type it gives is not annotated.
        """
        declared = declare_resource(function, _locals_of_caller())
        self.resources = _with_resource(type(self).__name__, self.resources, declared)
        return function

    def middleware(self, function: Function) -> Function:
        """Put `async def middleware(job, run)` around every job; the one declared first is outermost.

        `await run()` runs the job and gives its result, or raises what its handler raised. What the
        middleware returns is the job's result. Further parameters are resources.
        """
        self.middlewares.append(declare_middleware(function, _locals_of_caller()))
        return function

    def on_startup(self, function: Function) -> Function:
        """Call a function when a worker process has opened its resources, before the first job.

        `def` or `async def`; parameters are resources. What it raises ends the worker.
        """
        self.startup_hooks.append(
            declare_hook(f"The hook {name_of(function)}", function, _locals_of_caller(), skip=0)
        )
        return function

    def on_shutdown(self, function: Function) -> Function:
        """Call a function after the last job, before resources close; the last declared is called first."""
        self.shutdown_hooks.append(
            declare_hook(f"The hook {name_of(function)}", function, _locals_of_caller(), skip=0)
        )
        return function


def declare_middleware(function: Any, local_names: Mapping[str, Any]) -> Hook:
    title = f"The middleware {name_of(function)}"
    call = function if inspect.isroutine(function) else getattr(function, "__call__", None)  # noqa: B004  # looked at, not called
    if not inspect.iscoroutinefunction(call):
        raise ConfigurationError(f"{title} is no `async def {name_of(function)}(job, run)`.")
    return declare_hook(title, function, local_names, skip=2)


def _with_resource(title: str, resources: list[Resource], declared: Resource) -> list[Resource]:
    if any(resource.function is declared.function for resource in resources):
        return resources
    longer = [*resources, declared]
    Scope.of(f"This {title.lower()}", longer)  # says at once that two give the same
    return longer


def _locals_of_caller() -> Mapping[str, Any]:
    """Types declared beside a nested function are found there."""
    return sys._getframe(2).f_locals  # noqa: SLF001  # types declared beside the caller
