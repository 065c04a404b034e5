"""What an API key may do: its role, the queues it is for, until when, and how often. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from corral.errors import InvalidInput

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RATE = re.compile(r"([1-9]\d{0,8})/([smhd])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


class Permission(StrEnum):
    """What a route asks for."""

    ENQUEUE = "enqueue"
    CANCEL = "cancel jobs"
    READ_JOBS = "read jobs"
    READ_METRICS = "read metrics"
    READ_DESCRIPTION = "read the API's description"
    WATCH = "see how queues, workers and dead letters stand"
    READ_PAYLOADS = "see what jobs hold"
    OPERATE = "change queues, dead letters, breakers and alerts"
    MANAGE_KEYS = "manage API keys"


class Role(StrEnum):
    ENQUEUE = "enqueue"
    READ = "read"
    ADMIN = "admin"


#: Tuples, because `in` finds a member of a tuple by identity; a set would call the enum's slow hash.
GRANTS: dict[Role, tuple[Permission, ...]] = {
    Role.ENQUEUE: (
        Permission.ENQUEUE,
        Permission.CANCEL,
        Permission.READ_JOBS,
        Permission.READ_DESCRIPTION,
    ),
    Role.READ: (
        Permission.READ_JOBS,
        Permission.READ_METRICS,
        Permission.READ_DESCRIPTION,
        Permission.WATCH,
    ),
    Role.ADMIN: tuple(Permission),
}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in `per` seconds; as many may come at once after a rest."""

    requests: int
    per: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`100/s`, and m, h, d for minute, hour, day. Raises InvalidInput."""
        match = _RATE.fullmatch(text)
        if match is None:
            raise InvalidInput(f"{text[:30]!r} is no rate. Write 100/s, or m, h, d for minute, hour, day.")
        return cls(int(match[1]), _SECONDS[match[2]])

    def __str__(self) -> str:
        unit = next(letter for letter, seconds in _SECONDS.items() if seconds == self.per)
        return f"{self.requests}/{unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One API key, without its secret.

    digest: SHA-256 of the secret. id: of a managed key; "": from the setting.
    queues: those it is for; None: all. expires: epoch seconds; None: never.
    """

    name: str
    role: Role
    digest: bytes
    id: str = ""
    queues: frozenset[str] | None = None
    expires: float | None = None
    rate: Rate | None = None


def check_name(name: str) -> None:
    """Raise InvalidInput for what cannot name a key."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"{name[:80]!r} cannot name a key: 1 to 64 letters, digits, '.', '_' or '-'.")


def end_of_day(text: str) -> float:
    """The end of a day as 2027-01-31, by UTC, in epoch seconds. Raises InvalidInput."""
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        return (day + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidInput(f"{text[:30]!r} is no day. Write it as 2027-01-31.") from None
