"""Deduplication: of jobs that share an id, one is kept. BullMQ's modes, decided by BullMQ's own scripts.

A pure value. What becomes of a job that came second is settled in Redis, atomically; see
`corral.bullmq.official_add`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from corral.errors import InvalidOptions

#: Longest time for which an id can be held; beyond it a number is surely in the wrong unit.
MAX_SECONDS = 100 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Dedup:
    """How jobs with one deduplication id are thinned out. Use the named constructors; the fields combine.

    id: jobs with the same one, in the same queue, are the same work.
    ttl: seconds for which the id is held; None: until the job that holds it has finished.
    extend: each further add starts the ttl anew.
    replace: while the job that holds the id is delayed, the newer one takes its place.
    keep_last_if_active: while the job that holds the id runs, the newest one that came is remembered, and
        added when it has finished.
    """

    id: str
    ttl: float | None = None
    extend: bool = False
    replace: bool = False
    keep_last_if_active: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not self.id:
            raise InvalidOptions(f"Dedup(id={self.id!r}): jobs are told apart by a text that is not empty.")
        try:
            self.id.encode()
        except UnicodeEncodeError:
            raise InvalidOptions(f"Dedup(id={self.id!r}): it holds half a character.") from None
        if self.ttl is not None and not 0.001 <= self.ttl <= MAX_SECONDS:
            raise InvalidOptions(f"Dedup(ttl={self.ttl}): seconds from 0.001 to 100 years, or None.")

    @classmethod
    def simple(cls, id: str) -> Self:  # noqa: A002  # the field's name, and BullMQ's
        """One unfinished job at a time: what is added until it has finished for good is dropped."""
        return cls(id)

    @classmethod
    def throttle(cls, id: str, seconds: float) -> Self:  # noqa: A002  # BullMQ's word
        """The first of a period counts: what is added within `seconds` after it is dropped."""
        return cls(id, ttl=seconds)

    @classmethod
    def debounce(cls, id: str, seconds: float) -> Self:  # noqa: A002  # BullMQ's word
        """The last counts, once nothing came for `seconds`: each add replaces the one before and waits anew.

        The job's `delay` is `seconds` unless the add says another.
        """
        return cls(id, ttl=seconds, extend=True, replace=True)

    @classmethod
    def keep_last(cls, id: str) -> Self:  # noqa: A002  # BullMQ's word
        """One at a time, and the last word counts: what is added while one waits is dropped; of those added
        while one runs, the newest runs after it.
        """
        return cls(id, keep_last_if_active=True)

    @property
    def default_delay(self) -> float | None:
        """Seconds that a job waits if its add says nothing: only a delayed job can be replaced."""
        return self.ttl if self.replace else None
