"""Managed API keys as they lie in Redis and as their operator sees them: values and decisions, no I/O."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from corral.credentials.grants import Grant, Rate, Role, end_of_day
from corral.errors import InvalidInput, UnknownKey

#: For asking afterwards what a key in a log was.
KEPT_SECONDS = 30 * 86_400.0

_LIFE = re.compile(r"([1-9]\d{0,5})([hd])")


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A key in Redis. Times are epoch seconds; `digest` in hex."""

    name: str
    role: Role
    digest: str
    created: float
    created_by: str
    queues: tuple[str, ...] | None = None
    expires: float | None = None
    rate: str | None = None
    note: str = ""
    revoked: float | None = None
    #: Its successor's id.
    replaced_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedKey:
    """A key as its operator sees it. Times are epoch seconds; `last_used` to the minute.

    state: active, expired, revoked; or replaced: it lives until `expires`, its successor is there.
    """

    id: str
    name: str
    role: Role
    state: str
    queues: tuple[str, ...] | None
    expires: float | None
    rate: str | None
    note: str
    created: float
    created_by: str
    last_used: float | None
    revoked: float | None
    replaced_by: str | None


def records(texts: Mapping[str, str]) -> dict[str, Record]:
    """What can be read of the records; one that a later version wrote in another way is left alone."""
    found = {}
    for key_id, text in texts.items():
        with contextlib.suppress(msgspec.DecodeError):
            found[key_id] = msgspec.json.decode(text, type=Record)
    return found


def grants(texts: Mapping[str, str]) -> list[Grant]:
    """The keys that the service is to know: all but those that were revoked."""
    found = []
    for key_id, record in records(texts).items():
        if record.revoked is not None:
            continue
        with contextlib.suppress(ValueError, InvalidInput):  # a digest or rate that nobody here wrote
            found.append(
                Grant(
                    name=record.name,
                    role=record.role,
                    digest=bytes.fromhex(record.digest),
                    id=key_id,
                    queues=None if record.queues is None else frozenset(record.queues),
                    expires=record.expires,
                    rate=None if record.rate is None else Rate.parse(record.rate),
                )
            )
    return found


def read_expiry(text: str, now: float) -> float:
    """Epoch seconds of the end of a day, as 2027-01-31 (UTC), or of `90d` or `12h` from now.

    Raises InvalidInput.
    """
    match = _LIFE.fullmatch(text)
    if match is not None:
        return now + int(match[1]) * (86_400.0 if match[2] == "d" else 3_600.0)
    try:
        return end_of_day(text)
    except InvalidInput:
        raise InvalidInput(f"{text[:30]!r} is no expiry. Write 2027-01-31, or 90d, or 12h.") from None


def find(known: Mapping[str, Record], key: str, now: float) -> tuple[str, Record]:
    record = known.get(key)
    if record is not None:
        return key, record
    named = [(key_id, record) for key_id, record in known.items() if record.name == key]
    active = [(key_id, record) for key_id, record in named if state(record, now) == "active"]
    if active or len(named) == 1:
        return (active or named)[0]
    if named:
        raise UnknownKey(f"No key {key!r} is active. Give the id of the one you mean.")
    raise UnknownKey(f"There is no managed key {key[:80]!r}. Those of CORRAL_API_KEYS are changed there.")


def state(record: Record, now: float) -> str:
    if record.revoked is not None:
        return "revoked"
    if record.expires is not None and record.expires <= now:
        return "expired"
    return "active" if record.replaced_by is None else "replaced"


def stale(known: Mapping[str, Record], now: float) -> list[str]:
    """What ended long ago."""
    return [
        key_id
        for key_id, record in known.items()
        if min(record.revoked or math.inf, record.expires or math.inf) < now - KEPT_SECONDS
    ]


def shown(key_id: str, record: Record, used: float | None, now: float) -> ManagedKey:
    return ManagedKey(
        id=key_id,
        name=record.name,
        role=record.role,
        state=state(record, now),
        queues=record.queues,
        expires=record.expires,
        rate=record.rate,
        note=record.note,
        created=record.created,
        created_by=record.created_by,
        last_used=used,
        revoked=record.revoked,
        replaced_by=record.replaced_by,
    )
