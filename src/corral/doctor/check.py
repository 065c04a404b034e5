"""A line of the checklist: a pure function from facts to a verdict, with its name and what it wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corral.doctor.facts import Facts
from corral.doctor.findings import Subject, Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """wants: what production should have, for the documentation. judge: raises Unknown."""

    name: str
    subject: Subject
    wants: str
    judge: Callable[[Facts], Verdict]
