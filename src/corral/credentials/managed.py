"""Managed API keys: created, listed, revoked and rotated while the service runs; in Redis, hashed at rest.

A secret is shown once, by what creates it; Redis has its digest. Every process of the HTTP service knows a
change within five seconds. A key that was rotated lives on for the overlap, so that its users can change over
one by one; then only its successor does. What was revoked or has expired is listed for 30 days more.

Every change is in the audit log, by name and id. Limits: last use is known to the minute; at most MOST_KEYS.
"""

from __future__ import annotations

import contextlib
import math
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral import audit
from corral.bullmq import api_keys as wire
from corral.bullmq.clock import server_seconds
from corral.bullmq.failures import as_corral_error
from corral.bullmq.keys import check_queue_name
from corral.credentials import tokens
from corral.credentials.grants import Rate, Role, check_name
from corral.credentials.records import ManagedKey, Record, find, records, shown, stale, state
from corral.errors import InvalidInput, WrongState

MOST_KEYS = 1_000
MOST_QUEUES = 100
MOST_NOTE_CHARS = 200

#: How long a rotated key lives on unless told otherwise.
OVERLAP_SECONDS = 86_400.0

#: Changes over which somebody else was faster, before giving up.
TRIES = 5


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. Its secret is nowhere else."""

    key: ManagedKey
    secret: str = field(repr=False)


class ManagedKeys:
    """The managed keys of one prefix. Methods raise RedisUnavailable. `actor`: who asks, for the log."""

    def __init__(self, client: aioredis.Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def create(
        self,
        name: str,
        role: Role,
        *,
        actor: str,
        queues: Collection[str] | None = None,
        expires: float | None = None,
        rate: str | None = None,
        note: str = "",
    ) -> NewKey:
        """Make a key. Four round trips.

        queues: those it is for; None: all. expires: epoch seconds. rate: `100/s` for each process of the
        service. Raises InvalidInput, also for the name of a key that is still taken.
        """
        chosen = _checked(name, queues, rate, note)
        with self._redis_errors():
            now = await self._now()
            if expires is not None and not now < expires < math.inf:
                raise InvalidInput("A key's expiry lies in the future, in epoch seconds.")
            secret = tokens.generate()
            record = Record(
                name=name,
                role=role,
                digest=tokens.digest(secret).hex(),
                created=now,
                created_by=actor,
                queues=chosen,
                expires=expires,
                rate=rate,
                note=note,
            )
            key_id = _new_id()
            for _ in range(TRIES):
                texts, known, _ = await self._read()
                if any(other.name == name and state(other, now) == "active" for other in known.values()):
                    raise InvalidInput(f"There is a key {name!r} already. Rotate it, or choose another name.")
                gone = stale(known, now)
                if len(texts) - len(gone) >= MOST_KEYS:
                    raise InvalidInput(f"There are {MOST_KEYS:,} keys. Revoke what nobody uses first.")
                removals = [(old, texts[old], "") for old in gone]
                if await wire.change(self._client, self._prefix, [(key_id, "", _text(record)), *removals]):
                    break
            else:
                raise _outpaced()
            facts = {"id": key_id, "role": role, "queues": chosen, "expires": expires, "rate": rate}
            await audit.record(self._client, self._prefix, actor, "key.create", name, facts)
        return NewKey(shown(key_id, record, None, now), secret)

    async def list(self) -> list[ManagedKey]:
        """All keys, the newest first. Two round trips."""
        with self._redis_errors():
            now = await self._now()
            _, known, used = await self._read()
        rows = [shown(key_id, record, used.get(key_id), now) for key_id, record in known.items()]
        return sorted(rows, key=lambda row: row.created, reverse=True)

    async def revoke(self, key: str, *, actor: str) -> ManagedKey:
        """Take a key no longer, on every process of the service within five seconds. Four round trips.

        key: its id, or its name. A name stands for the key that is active. Raises UnknownKey, WrongState.
        """
        with self._redis_errors():
            now = await self._now()
            for _ in range(TRIES):
                texts, known, used = await self._read()
                key_id, record = find(known, key, now)
                if record.revoked is not None:
                    raise WrongState(f"Key {key!r} is revoked already.")
                after = msgspec.structs.replace(record, revoked=now)
                if await wire.change(self._client, self._prefix, [(key_id, texts[key_id], _text(after))]):
                    break
            else:
                raise _outpaced()
            facts = {"id": key_id}
            await audit.record(self._client, self._prefix, actor, "key.revoke", record.name, facts)
        return shown(key_id, after, used.get(key_id), now)

    async def rotate(self, key: str, *, actor: str, overlap: float = OVERLAP_SECONDS) -> NewKey:
        """Make a key's successor: same name, role, queues, rate and length of life, another secret.

        The old one is taken for `overlap` seconds more. Four round trips.
        Raises UnknownKey, WrongState for a key that is not active, InvalidInput.
        """
        if not 0 <= overlap <= 365 * 86_400:
            raise InvalidInput(f"overlap={overlap}: seconds from 0 to a year.")
        with self._redis_errors():
            now = await self._now()
            secret, new_id = tokens.generate(), _new_id()
            for _ in range(TRIES):
                texts, known, _ = await self._read()
                old_id, old = find(known, key, now)
                if state(old, now) != "active":
                    raise WrongState(f"Key {key!r} is {state(old, now)}, so it cannot be rotated.")
                ends = now + overlap if old.expires is None else min(old.expires, now + overlap)
                before = msgspec.structs.replace(old, expires=ends, replaced_by=new_id)
                after = msgspec.structs.replace(
                    old,
                    digest=tokens.digest(secret).hex(),
                    created=now,
                    created_by=actor,
                    expires=None if old.expires is None else now + (old.expires - old.created),
                )
                changes = [(old_id, texts[old_id], _text(before)), (new_id, "", _text(after))]
                if await wire.change(self._client, self._prefix, changes):
                    break
            else:
                raise _outpaced()
            facts = {"id": new_id, "replaces": old_id, "overlap": overlap}
            await audit.record(self._client, self._prefix, actor, "key.rotate", old.name, facts)
        return NewKey(shown(new_id, after, None, now), secret)

    async def _now(self) -> float:
        return await server_seconds(self._client)

    async def _read(self) -> tuple[Mapping[str, str], Mapping[str, Record], Mapping[str, float]]:
        _, texts, used = await wire.read(self._client, self._prefix)
        return texts, records(texts), used

    @contextlib.contextmanager
    def _redis_errors(self) -> Iterator[None]:
        try:
            yield
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "API keys") from error


def _checked(
    name: str, queues: Collection[str] | None, rate: str | None, note: str
) -> tuple[str, ...] | None:
    check_name(name)
    if rate is not None:
        Rate.parse(rate)
    if len(note) > MOST_NOTE_CHARS or not note.isprintable():
        raise InvalidInput(f"A note has at most {MOST_NOTE_CHARS} printable characters.")
    if queues is None:
        return None
    if not 1 <= len(queues) <= MOST_QUEUES:
        raise InvalidInput(f"A key is for 1 to {MOST_QUEUES} queues, or for all: then name none.")
    for queue in queues:
        check_queue_name(queue)
    return tuple(sorted(set(queues)))


def _text(record: Record) -> str:
    return msgspec.json.encode(record).decode()


def _new_id() -> str:
    return secrets.token_hex(6)


def _outpaced() -> WrongState:
    return WrongState("Others keep changing the keys. Try again.")
