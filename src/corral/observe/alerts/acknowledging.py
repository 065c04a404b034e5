"""Acknowledgements: somebody has an alert in hand. Pure.

One is of one firing, told apart by when it began: a new firing of the same rule and subject is new to
everybody.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_LONGEST_TEXT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Who has it in hand, since when and why. Times are epoch seconds by the server's clock."""

    rule: str
    subject: str
    #: When the alert fired that it is of.
    fired_at: float
    by: str
    at: float
    note: str = ""

    @property
    def id(self) -> str:
        return f"{self.rule}:{self.subject}"


def acknowledgement(
    rule: str, subject: str, fired_at: float, note: str, *, by: str, now: float
) -> Acknowledgement:
    """One from now on; the note is put on one line and cut."""
    tidy = " ".join(note.split())[:_LONGEST_TEXT]
    return Acknowledgement(rule=rule, subject=subject, fired_at=fired_at, by=by, at=now, note=tidy)


def acknowledged(
    known: Iterable[Acknowledgement], rule: str, subject: str, fired_at: float | None
) -> Acknowledgement | None:
    """The one of this firing; None: nobody has it in hand."""
    return next(
        (one for one in known if (one.rule, one.subject, one.fired_at) == (rule, subject, fired_at)), None
    )
