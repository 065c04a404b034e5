"""What a handler left with, found inside the exception groups of its task groups. Pure."""

from __future__ import annotations

from corral.children import WaitingForChildren
from corral.context import Suspended
from corral.errors import Held


def suspended_in(error: BaseException) -> Suspended | WaitingForChildren | None:
    """The wait that a handler left from inside a task group."""
    while isinstance(error, BaseExceptionGroup):
        waits = error.subgroup((Suspended, WaitingForChildren))
        if waits is None:
            return None
        error = waits.exceptions[0]
    return error if isinstance(error, (Suspended, WaitingForChildren)) else None


def held_in(error: BaseException) -> Held | None:
    """The hold that a handler met, also inside a task group: what else went wrong there will be met again."""
    while isinstance(error, BaseExceptionGroup):
        holds = error.subgroup(Held)
        if holds is None:
            return None
        error = holds.exceptions[0]
    return error if isinstance(error, Held) else None
