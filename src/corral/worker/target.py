"""From `package.module:name` on a command line to the queues it means."""

from __future__ import annotations

from collections.abc import Sequence

from corral.errors import ConfigurationError
from corral.loading import load
from corral.queue import Queue
from corral.queues import built_in, check_runnable
from corral.worker.worker import Worker


def load_worker(target: str | None, queues: Sequence[str], concurrency: int) -> Worker:
    """A worker for a target (a Queue, a list of Queues, or a Worker), or for built-in queues.

    queues: names to restrict it to. Queues without a handler are left to others.
    Raises ConfigurationError, UnknownQueue.
    """
    if target is None:
        found: Sequence[Queue] = tuple(built_in(*queues).values())
        for queue in found:
            check_runnable(queue.name)
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


def load_queues(target: str) -> list[Queue]:
    """The queues of a target: a Queue, a list of Queues, or a Worker. Raises ConfigurationError."""
    loaded = _load(target)
    if isinstance(loaded, Worker):
        return list(loaded.queues)
    return [loaded] if isinstance(loaded, Queue) else loaded


def _load(target: str) -> Queue | Worker | list[Queue]:
    value = load(target, like="app.jobs:reports")
    if isinstance(value, (Queue, Worker)):
        return value
    if isinstance(value, (list, tuple, set)) and value and all(isinstance(v, Queue) for v in value):
        return list(value)
    raise ConfigurationError(
        f"{target!r} is a {type(value).__name__}. A worker runs a Queue, a list of Queues, or a Worker."
    )
