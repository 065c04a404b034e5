"""From `package.module:name` on a command line to the queues it means."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from corral.errors import ConfigurationError
from corral.queue import Queue
from corral.queues import built_in
from corral.worker.worker import Worker


def load_worker(target: str | None, queues: Sequence[str], concurrency: int) -> Worker:
    """A worker for a target (a Queue, a list of Queues, or a Worker), or for built-in queues.

    queues: names to restrict it to. Queues without a handler are left to others.
    Raises ConfigurationError, UnknownQueue.
    """
    if target is None:
        found: Sequence[Queue] = tuple(built_in(*queues).values())
    else:
        loaded = _load(target)
        if isinstance(loaded, Worker):
            return loaded
        found = [loaded] if isinstance(loaded, Queue) else loaded
        if queues:
            found = [queue for queue in found if queue.name in queues]
    with_handlers = [queue for queue in found if queue.jobs]
    if not with_handlers:
        raise ConfigurationError(
            f"{target or 'The built-in queues'}: no queue with a handler to run. "
            "Declare one with @queue.job(name)."
        )
    return Worker(*with_handlers, concurrency=concurrency)


def _load(target: str) -> Queue | Worker | list[Queue]:
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise ConfigurationError(f"{target!r}: write package.module:name, for example app.jobs:reports.")
    # The command may be installed anywhere; what it runs lies where the user stands.
    if os.getcwd() not in sys.path:  # noqa: PTH109  # sys.path holds strings
        sys.path.insert(0, os.getcwd())  # noqa: PTH109  # as above
    try:
        value: Any = importlib.import_module(module_name)
        for part in attribute.split("."):
            value = getattr(value, part)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ConfigurationError(f"{target!r}: there is no module {error.name!r} here.") from error
        raise
    except AttributeError as error:
        raise ConfigurationError(f"{target!r}: {error}.") from error
    if isinstance(value, (Queue, Worker)):
        return value
    if isinstance(value, (list, tuple, set)) and value and all(isinstance(v, Queue) for v in value):
        return list(value)
    raise ConfigurationError(
        f"{target!r} is a {type(value).__name__}. A worker runs a Queue, a list of Queues, or a Worker."
    )
