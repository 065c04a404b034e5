"""/api/v1/keys: managed API keys are created, listed, revoked and rotated. For the role admin.

A secret is in the answer that makes its key, and nowhere else.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from corral.api.auth import Permission, Role
from corral.api.lookup import answering
from corral.credentials.managed import MOST_NOTE_CHARS, MOST_QUEUES, OVERLAP_SECONDS, ManagedKeys, NewKey
from corral.credentials.records import ManagedKey
from corral.manage.service import Actor, Management, asks_for


class KeyRow(msgspec.Struct, frozen=True, rename="camel"):
    """One key. Times are in epoch seconds; `last_used` to the minute. `queues`: null is all."""

    id: str
    name: str
    role: Role
    state: str
    queues: list[str] | None
    expires: float | None
    rate: str | None
    note: str
    created: float
    created_by: str
    last_used: float | None
    revoked: float | None
    replaced_by: str | None


class KeyList(msgspec.Struct, frozen=True, rename="camel"):
    """The newest first."""

    keys: list[KeyRow]


class CreatedKey(msgspec.Struct, frozen=True, rename="camel"):
    """A key with its secret, which is shown this once."""

    key: KeyRow
    secret: str


class KeyRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A key to make. `expires` in epoch seconds; `rate` as 100/s, for each process of the service."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Role
    queues: Annotated[list[str], Meta(min_length=1, max_length=MOST_QUEUES)] | None = None
    expires: float | None = None
    rate: Annotated[str, Meta(max_length=20)] | None = None
    note: Annotated[str, Meta(max_length=MOST_NOTE_CHARS)] = ""


class RotateRequest(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """`overlap`: seconds for which the old key is taken beside the new one."""

    overlap: Annotated[float, Meta(ge=0, le=365 * 86_400)] = OVERLAP_SECONDS


@get("/keys", guards=[asks_for(Permission.MANAGE_KEYS)], tags=["keys"])
async def list_keys(management: NamedDependency[Management]) -> KeyList:
    """The managed keys. Two round trips."""
    async with answering():
        found = await _keys(management).list()
    return KeyList([_row(key) for key in found])


@post("/keys", guards=[asks_for(Permission.MANAGE_KEYS)], tags=["keys"])
async def create_key(
    management: NamedDependency[Management], actor: NamedDependency[Actor], data: JSONBody[KeyRequest]
) -> CreatedKey:
    """Make a key."""
    async with answering():
        made = await _keys(management).create(
            data.name,
            data.role,
            actor=actor.name,
            queues=data.queues,
            expires=data.expires,
            rate=data.rate,
            note=data.note,
        )
    return _created(made)


@post("/keys/{key:str}/rotate", guards=[asks_for(Permission.MANAGE_KEYS)], tags=["keys"])
async def rotate_key(
    management: NamedDependency[Management],
    actor: NamedDependency[Actor],
    key: FromPath[str],
    data: JSONBody[RotateRequest],
) -> CreatedKey:
    """Make a key's successor; the old one lives on for the overlap. `key`: its id or name."""
    async with answering():
        made = await _keys(management).rotate(key, actor=actor.name, overlap=data.overlap)
    return _created(made)


@delete("/keys/{key:str}", status_code=200, guards=[asks_for(Permission.MANAGE_KEYS)], tags=["keys"])
async def revoke_key(
    management: NamedDependency[Management], actor: NamedDependency[Actor], key: FromPath[str]
) -> KeyRow:
    """Take a key no longer, within five seconds. `key`: its id or name."""
    async with answering():
        return _row(await _keys(management).revoke(key, actor=actor.name))


KEYS = [list_keys, create_key, rotate_key, revoke_key]


def _keys(management: Management) -> ManagedKeys:
    return ManagedKeys(management.client, management.prefix)


def _row(key: ManagedKey) -> KeyRow:
    return msgspec.convert(key, KeyRow, from_attributes=True)


def _created(made: NewKey) -> CreatedKey:
    return CreatedKey(_row(made.key), made.secret)
