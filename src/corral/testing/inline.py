"""`with inline(queue):` every job runs at once, where it is added, without a server.

`add` and its kin check name, data and options as always, run the handler with its middleware and resources,
and return a Job whose result is there; what the handler raises comes out of `add`. Data and results travel
through JSON as they would. `await queue.add` runs `async def` handlers in the same loop and `def` ones in a
thread; `queue.sync.add` runs `def` handlers in the calling thread, so that they see its database transaction.

What is not played: `delay`, `at`, retries, time limits, `ttl`, `dedup`, groups, locks and rate limits (a job
runs once, now); `wait_for`, children and flows, and all that asks a server (counts, browse, admin, events,
schedules), which raise ConfigurationError. A batch has one job. `isolation="process"` runs in this process.
Resources are opened for each job and closed after it; startup and shutdown hooks run then, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corral.bullmq.connection import binding
from corral.errors import ConfigurationError
from corral.job import Job
from corral.queue import Queue, living
from corral.settings import Settings
from corral.testing.inline_queue import InlineQueue, InlineState, of_class
from corral.testing.replacing import replaced_resources


class InlineRun:
    """The jobs that ran, in the order they were added."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def named(self, name: str) -> list[Job]:
        return [job for job in self.jobs if job.name == name]


@contextlib.contextmanager
def inline(*queues: Queue, resources: Sequence[Callable[..., Any]] = ()) -> Iterator[InlineRun]:
    """Run jobs of these queues inline; of all that this process has declared if none is named.

    resources: functions as for `@queue.resource`, which take the place of those that give the same type.
    """
    with binding:
        chosen = list(queues or living)
        if any(isinstance(queue, InlineQueue) for queue in chosen):
            raise ConfigurationError("A queue is inline already: leave that `with inline(…)` first.")
        run = InlineRun()
        classes = [(queue, type(queue)) for queue in chosen]
    settings = Settings.load()
    with replaced_resources(chosen, resources):
        try:
            for queue, own in classes:
                queue.__class__ = of_class(own)
                queue.__dict__["_inline"] = InlineState(run.jobs, settings)
            yield run
        finally:
            for queue, own in classes:
                queue.__class__ = own
                queue.__dict__.pop("_inline", None)
