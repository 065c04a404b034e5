"""Calling a handler where it wants to run: in a thread, or in a process of its own.

The executor decides what becomes of a job; this file only knows how its handler is called.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from corral.context import JobContext, ThreadJobContext
from corral.current import CURRENT, Cell
from corral.definition import JobDefinition
from corral.errors import AttemptTimeout, JobCancelled
from corral.worker.processes.job import run_in_child
from corral.worker.processes.pool import ProcessPool
from corral.worker.slots import Slot

#: Said of a timeout, since it is the truth about threads.
THREAD_GOES_ON = "It runs in a thread, which cannot be stopped: what it does goes on."


class Invoker:
    """Runs the handlers of one queue."""

    def __init__(self, threads: ThreadPoolExecutor, processes: ProcessPool) -> None:
        self._threads = threads
        self._processes = processes
        self._loop = asyncio.get_running_loop()

    async def outside(self, slot: Slot, definition: JobDefinition, context: JobContext, data: Any) -> Any:
        """Run a handler that does not run in the event loop. What it raises comes out as it is.

        data: for a process the JSON as it came; it is read there.
        """
        if definition.isolation == "process":
            return await run_in_child(self._processes, slot, definition, context, data)
        thread_context = ThreadJobContext(context, self._loop)
        arguments = (thread_context, data) if definition.takes_data else (thread_context,)
        variables = contextvars.copy_context()
        variables.run(CURRENT.set, Cell(thread_context))
        call = partial(variables.run, _call, definition.handler, *arguments)
        try:
            return await self._loop.run_in_executor(self._threads, call)
        except asyncio.CancelledError:
            thread_context.cancelled = True
            if isinstance(slot.stopped_by, JobCancelled):
                slot.stopped_by.add_note(THREAD_GOES_ON)
            if isinstance(slot.stopped_by, AttemptTimeout):
                slot.stopped_by = AttemptTimeout(
                    f"The attempt of job {context.id} took longer than its time limit. {THREAD_GOES_ON}"
                )
            raise


def _call(handler: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return handler(*arguments)
    except StopIteration as error:  # a future refuses it, and the job would never end
        raise RuntimeError("The handler raised StopIteration.") from error
