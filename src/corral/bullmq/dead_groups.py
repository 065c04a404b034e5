"""The wire of the groups of failed jobs: reading them, and what operators say of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import redis.asyncio as aioredis
from redis.exceptions import NoScriptError

from corral.bullmq.keys import DeadKeys, QueueKeys, dead_queues
from corral.bullmq.scripts import ours

#: Notes that a group keeps; the oldest go.
MOST_NOTES = 100

_pack = msgspec.msgpack.Encoder().encode


class GroupRow(NamedTuple):
    group: str
    size: int
    #: Its newest job, and why that one failed, cut.
    sample: str
    reason: str
    notes: int
    facts: dict[str, str]


class Groups(NamedTuple):
    failed: int
    indexed: int
    #: Up to when (epoch milliseconds) all failures were looked at.
    position_ms: int
    bin_jobs: int
    bin_bytes: int
    rows: list[GroupRow]


async def read_groups(
    client: aioredis.Redis, queues: Sequence[QueueKeys], *, start: int = 0, count: int = 1_000, only: str = ""
) -> list[Groups]:
    """The groups of each queue, those seen last first. One round trip for all of them."""
    if not queues:
        return []
    script = ours("dead_groups")
    while True:
        pipe = client.pipeline(transaction=False)
        for keys in queues:
            pipe.evalsha(script.sha, 1, keys.failed, _pack([keys.base, keys.dead(), start, count, only]))
        replies = await pipe.execute(raise_on_error=False)
        if not any(isinstance(reply, NoScriptError) for reply in replies):
            break
        await client.script_load(script.source)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return [_groups(reply) for reply in replies]


def _groups(reply: Any) -> Groups:
    failed, indexed, position, bin_jobs, bin_bytes, rows = reply
    return Groups(
        int(failed), int(indexed), int(float(position)), int(bin_jobs), int(bin_bytes),
        [_row(*row) for row in rows],
    )  # fmt: skip


def _row(group: bytes, size: int, sample: bytes, reason: bytes, notes: int, flat: list[bytes]) -> GroupRow:
    facts = {_text(name): _text(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}
    # Cut at a byte, which may be in the middle of a character.
    return GroupRow(_text(group), size, _text(sample), reason.decode(errors="ignore"), notes, facts)


async def queues_with_groups(client: aioredis.Redis, prefix: str) -> list[str]:
    """The queues that ever had dead letters, some of them perhaps gone. One round trip."""
    names: Any = await client.smembers(dead_queues(prefix))
    return sorted(_text(name) for name in names)


async def members(
    client: aioredis.Redis, keys: QueueKeys, group: str, start: int, count: int, *, newest_first: bool = True
) -> list[str]:
    """Ids of a group's jobs. One round trip."""
    key = DeadKeys(keys).group(group)
    rows: Any = await client.zrange(key, start, start + count - 1, desc=newest_first)
    return [_text(job_id) for job_id in rows]


async def members_before(
    client: aioredis.Redis, keys: QueueKeys, group: str, place: tuple[float, str] | None, count: int
) -> list[tuple[str, float]]:
    """About `count` of a group's jobs with their scores, from the newest on, behind `place`. Whoever comes
    or goes meanwhile, none is met twice and none passed over. One round trip.
    """
    key = DeadKeys(keys).group(group)
    highest = "+inf" if place is None else repr(place[0])
    while True:
        rows: Any = await client.zrange(
            key, highest, "-inf", byscore=True, desc=True, offset=0, num=count, withscores=True
        )
        found = [(_text(job_id), float(score)) for job_id, score in rows]
        behind = [row for row in found if place is None or (row[1], row[0]) < (place[0], place[1])]
        if behind or len(rows) < count:
            return behind
        count *= 2  # so many failed in one millisecond


async def mark(
    client: aioredis.Redis,
    keys: QueueKeys,
    group: str,
    *,
    facts: Sequence[str] = (),
    without: Sequence[str] = (),
    note: str = "",
) -> bool:
    """Change what is said of a group: see dead_mark.lua. False: there is none. One round trip."""
    dead = DeadKeys(keys)
    script_keys = [dead.groups, dead.facts(group), dead.notes(group)]
    return bool(
        await ours("dead_mark")(client, script_keys, group, _pack(facts), _pack(without), note, MOST_NOTES)
    )


async def notes(client: aioredis.Redis, keys: QueueKeys, group: str) -> list[bytes]:
    """What was noted of a group, oldest first, as it was written. One round trip."""
    rows: Any = await client.lrange(DeadKeys(keys).notes(group), 0, -1)
    return list(rows)


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
