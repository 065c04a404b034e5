"""Finding a handler in another process: by its module and qualified name.

A function inside another function has no such name; `define` refuses it. A handler in the script that was
started (`__main__`) has one that means something else in another process, so a worker does not start with it;
a script that only adds jobs may declare it.
"""

from __future__ import annotations

import importlib
import operator
import sys
from typing import Any

from corral.errors import ConfigurationError
from corral.queue import Queue


def check_found(queue: Queue) -> None:
    """When a worker starts: do the names lead to the handlers? Raises ConfigurationError."""
    for name, definition in queue.jobs.items():
        if definition.isolation != "process":
            continue
        module, qualname = definition.handler.__module__, definition.handler.__qualname__
        what = f"The handler of {name!r} in queue {queue.name!r} is to run in a process of its own, but "
        if module == "__main__":
            raise ConfigurationError(
                what + "it is in the script that was started. Move it to a module of its own, which that "
                "process can import."
            )
        if _found(module, qualname) is not definition.handler:
            where = f"{module}.{qualname}"
            raise ConfigurationError(
                f"{what}{where} is something else. Put @queue.job on top of its other decorators."
            )


def only_processes(queue: Queue) -> bool:
    """Do all its jobs run in processes? Then more slots than children would hold jobs back from others."""
    return {definition.isolation for definition in queue.jobs.values()} == {"process"}


def load(module: str, qualname: str) -> Any:
    """In the child: the handler. Raises what the import raises, and AttributeError."""
    return _reach(importlib.import_module(module), qualname)


def _found(module: str, qualname: str) -> Any:
    try:
        return _reach(sys.modules[module], qualname)
    except (KeyError, AttributeError):
        return None


def _reach(start: Any, path: str) -> Any:
    return operator.attrgetter(path)(start)
