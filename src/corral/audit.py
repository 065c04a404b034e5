"""The audit log: who changed what, in Redis, for as long as it may be asked about.

Every change that an operator makes through the library's repair functions, the command line or the
management API is one entry: who, what, on what, with which facts. Facts hold ids, counts and settings, never
job data or secrets. Bounded to MOST_ENTRIES; the oldest go first.
"""

from __future__ import annotations

import getpass
import os
import re
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import redis.asyncio as aioredis

from corral.bullmq.keys import audit_key
from corral.data import decode_json, encode
from corral.errors import InvalidInput

#: About a year of a busy operator; some 3 MB.
MOST_ENTRIES = 20_000

#: Entries that one search looks at, so many a round trip.
MOST_SEARCHED, STEP = 5_000, 1_000

_ID = re.compile(r"\d{1,20}(-\d{1,20})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One change. `id` orders entries and is where a page goes on; `at` is epoch seconds."""

    id: str
    at: float
    #: `key:ops` (an API key's name), `user:mia` (of the dashboard), `cli:mia@host`, `corral` (by itself).
    actor: str
    #: What was done, as `dead.retry`, `breaker.resume`, `queue.pause`.
    action: str
    #: What it was done to: a queue, `queue:id`, a breaker, a rule.
    target: str
    facts: Mapping[str, Any]


def local_actor() -> str:
    """Who uses the command line here."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        name = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"cli:{name}@{socket.gethostname()}"


async def record(
    client: aioredis.Redis,
    prefix: str,
    actor: str,
    action: str,
    target: str,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write an entry. One round trip. Raises what redis-py raises."""
    fields: dict[Any, Any] = {
        "actor": actor,
        "action": action,
        "target": target,
        "facts": encode(dict(facts or {})),
    }
    await client.xadd(audit_key(prefix), fields, maxlen=MOST_ENTRIES, approximate=True)


async def entries(
    client: aioredis.Redis, prefix: str, *, before: str | None = None, count: int = 100
) -> list[AuditEntry]:
    """The newest `count` entries, or those older than entry `before`, newest first. One round trip.

    Raises InvalidInput for a `before` that is no id of an entry, and what redis-py raises.
    """
    if before is not None and not _ID.fullmatch(before):
        raise InvalidInput(f"before={before[:50]!r} is no id of an audit entry.")
    newest = "+" if before is None else f"({before}"
    rows: Any = await client.xrevrange(audit_key(prefix), max=newest, min="-", count=count)
    return [_entry(entry_id.decode(), fields) for entry_id, fields in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Entries that fit, newest first, of `searched`. next: go on before it; None: all were looked at."""

    entries: tuple[AuditEntry, ...]
    searched: int
    next: str | None


async def search(
    client: aioredis.Redis,
    prefix: str,
    *,
    text: str = "",
    about: Collection[str] = (),
    before: str | None = None,
    count: int = 100,
) -> Found:
    """The newest entries that fit, at most `count`. A round trip for each thousand, five at most.

    Raises InvalidInput for a `before` that is no id of an entry, and what redis-py raises.
    """
    step = STEP if text.strip() or about else count
    found: list[AuditEntry] = []
    searched = 0
    while searched < MOST_SEARCHED:
        page = await entries(client, prefix, before=before, count=step)
        for entry in page:
            searched += 1
            before = entry.id
            if fits(entry, text, about):
                found.append(entry)
                if len(found) == count:
                    return Found(entries=tuple(found), searched=searched, next=before)
        if len(page) < step:
            return Found(entries=tuple(found), searched=searched, next=None)
    return Found(entries=tuple(found), searched=searched, next=before)


def fits(entry: AuditEntry, text: str, about: Collection[str] = ()) -> bool:
    """Whether each word of `text` is somewhere in the entry, whatever its case; about: areas, as `queue`.

    The area of an action is what stands before its dot.
    """
    if about and entry.action.partition(".")[0] not in about:
        return False
    facts = encode(dict(entry.facts)).decode()
    said = f"{entry.actor} {entry.action} {entry.target} {facts}".casefold()
    return all(word in said for word in text.casefold().split())


def _entry(entry_id: str, fields: Mapping[bytes, bytes]) -> AuditEntry:
    text = {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
    facts = decode_json(fields.get(b"facts", b"{}"))
    return AuditEntry(
        id=entry_id,
        at=int(entry_id.partition("-")[0]) / 1000,
        actor=text.get("actor", ""),
        action=text.get("action", ""),
        target=text.get("target", ""),
        facts=facts if isinstance(facts, dict) else {},
    )
