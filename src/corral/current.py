"""The job that is running: `current_job()`, anywhere below its handler.

It is a context variable, set anew for each job in a context of its own. So it follows a job into the tasks
that its handler starts and into its thread, and a task that is left behind keeps seeing the job it came
from, never the next one of its slot.
"""

from __future__ import annotations

from contextvars import ContextVar

from corral.context import JobContext, ThreadJobContext

CURRENT: ContextVar[JobContext | ThreadJobContext | None] = ContextVar("corral_job", default=None)


def current_job() -> JobContext | ThreadJobContext | None:
    """The running job, or None outside of one. No round trip.

    It is what the handler got as `job`: a ThreadJobContext in a thread, else a JobContext. A batch runs
    several jobs at once, so in its handler there is no current one.
    """
    return CURRENT.get()
