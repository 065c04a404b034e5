"""The job that is running: `current_job()`, anywhere below its handler.

A context variable holds a cell, and the cell holds the job. So it follows a job into the tasks that its
handler starts and into its thread, and a job that leaves nothing behind costs no more than to change what is
in the cell; binding a variable for each would cost half a microsecond. A task that is left behind must go on
seeing the job it came from, never the next one of its slot: then, and after each job that waited, the slot
takes a new cell. Whether anything is left shows in the number of references to the variables that a context
shares with its copies (`shared`); where an interpreter does not count them, each job gets a cell.

The limit: a handler that never waits, leaves one task behind, and then sets and resets a context variable of
its own; that task may see a later job.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from gc import get_referents
from sys import getrefcount
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corral.context import JobContext, ThreadJobContext


class Cell:
    """Holds the running job of a slot or a thread."""

    __slots__ = ("job",)

    def __init__(self, job: JobContext | ThreadJobContext | None = None) -> None:
        self.job = job


CURRENT: ContextVar[Cell | None] = ContextVar("corral_job", default=None)


def current_job() -> JobContext | ThreadJobContext | None:
    """The running job, or None outside of one. No round trip.

    It is what the handler got as `job`: a ThreadJobContext in a thread, else a JobContext. A batch runs
    several jobs at once, so in its handler there is no current one.
    """
    cell = CURRENT.get()
    return None if cell is None else cell.job


def with_cell(base: Context, cell: Cell) -> Context:
    """A copy of a context, with this cell in it."""
    context = base.copy()
    context.run(CURRENT.set, cell)
    return context


def shared(context: Context) -> Any:
    """What a context and its copies refer to as long as none of them changes: each holds one reference."""
    return get_referents(context)[0]


def _are_copies_counted() -> bool:
    try:
        context = with_cell(copy_context(), Cell())
        variables = shared(context)
        before = getrefcount(variables)
        copy = context.copy()
        during = getrefcount(variables)
        del copy
        return (during, getrefcount(variables)) == (before + 1, before)
    except IndexError:
        return False


#: True for CPython with its global lock.
COPIES_ARE_COUNTED = _are_copies_counted()
