"""The wire of breakers: one hash and one set of held jobs each, shared by all queues of a prefix.

A held job is a `delayed` job to every BullMQ tool, due when its longest hold is over, so that nothing is lost
if Corral is gone. Its field `corral:held` says which breaker holds it, and the set names it with its score in
`delayed`: an entry whose job has another score, or is elsewhere, holds nothing and is dropped when met.
Changes of a breaker are compare-and-set by its version: see lua/breaker_change.lua.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import msgspec
import redis.asyncio as aioredis

from corral.breaker import Breaker, Cause
from corral.bullmq.keys import breaker_keys, breakers_known, breakers_live, split_job_key
from corral.bullmq.scripts import ours

HELD_FIELD = "corral:held"

#: Entries that one call looks at while tidying: some milliseconds of Redis.
TIDY = 1_000

_pack = msgspec.msgpack.Encoder().encode


class Seen(NamedTuple):
    """A breaker as Redis has it, how many jobs it holds (entries to drop among them), and Redis's clock."""

    breaker: Breaker
    held: int
    now: float


class Changed(NamedTuple):
    """Answer to a change. `done` false: somebody else changed it first."""

    done: bool
    released: int
    dropped: int
    probe: str


async def live(client: aioredis.Redis, prefix: str) -> list[str]:
    """Breakers that are open or hold jobs. One round trip."""
    return await _names(client, breakers_live(prefix))


async def known(client: aioredis.Redis, prefix: str) -> list[str]:
    """Breakers that ever opened. One round trip."""
    return await _names(client, breakers_known(prefix))


async def _names(client: aioredis.Redis, key: str) -> list[str]:
    members: Any = await client.smembers(key)
    return sorted(member.decode() for member in members)


async def look(client: aioredis.Redis, prefix: str, names: Sequence[str]) -> list[Seen]:
    """These breakers, in order. One round trip."""
    if not names:
        return []
    pipe = client.pipeline(transaction=False)
    pipe.time()
    for name in names:
        keys = breaker_keys(prefix, name)
        pipe.hgetall(keys.state)
        pipe.zcard(keys.held)
    (seconds, microseconds), *rest = await pipe.execute()
    now = seconds + microseconds / 1_000_000
    return [
        Seen(_read(name, fields), int(held), now)
        for name, fields, held in zip(names, rest[::2], rest[1::2], strict=True)
    ]


async def change(
    client: aioredis.Redis, prefix: str, before: Breaker, after: Breaker, release: int
) -> Changed:
    """Write `after` over `before`, and let jobs go: `release` of them, or the probe that `after` asks for."""
    keys = breaker_keys(prefix, before.name)
    is_probe = after.probe == "?"
    answer = await ours("breaker_change")(
        client,
        [keys.state, keys.held, breakers_known(prefix), breakers_live(prefix)],
        _pack([before.name, prefix, before.version, _fields(after), 1 if is_probe else release, is_probe]),
    )
    done, released, dropped, probe = answer
    return Changed(bool(done), int(released), int(dropped), probe.decode())


async def probe_left(client: aioredis.Redis, prefix: str, probe: str) -> bool:
    """Whether the probe neither waits nor runs: it ended, or went back to `delayed`. One round trip."""
    queue, _, job_id = probe.partition(":")
    base = f"{prefix}:{queue}:"
    pipe = client.pipeline(transaction=True)
    pipe.exists(base + job_id)
    for state in ("delayed", "completed", "failed", "waiting-children"):
        pipe.zscore(base + state, job_id)
    exists, *scores = await pipe.execute()
    return not exists or any(score is not None for score in scores)


async def tidy(client: aioredis.Redis, prefix: str, name: str, *, start: int = 0) -> tuple[int, int]:
    """Drop entries that hold nothing among TIDY from rank `start` on. Returns (looked at, dropped)."""
    looked, dropped = await ours("breaker_tidy")(
        client, [breaker_keys(prefix, name).held], _pack([prefix, start, TIDY])
    )
    return int(looked), int(dropped)


async def held_jobs(
    client: aioredis.Redis, prefix: str, name: str, start: int, count: int
) -> list[tuple[str, str]]:
    """(queue, job id), those held longest first. One round trip."""
    members: Any = await client.zrange(breaker_keys(prefix, name).held, start, start + count - 1)
    return [split_job_key("", f":{member.decode()}") for member in members]


async def held_fields(
    client: aioredis.Redis, prefix: str, queue: str, ids: Sequence[str]
) -> list[tuple[str, bytes | None]]:
    """(name, what its hold says) of jobs of a queue. One round trip; none for none."""
    if not ids:
        return []
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(f"{prefix}:{queue}:{job_id}", "name", HELD_FIELD)
    return [((name or b"").decode(errors="replace"), held) for name, held in await pipe.execute()]


def _fields(breaker: Breaker) -> list[str]:
    return [
        "state", "open" if breaker.is_open else "closed",
        "version", str(breaker.version),
        "opening", str(breaker.opening),
        "since", f"{breaker.since:.3f}",
        "cause", breaker.cause,
        "reason", breaker.reason,
        "job", breaker.job,
        "probe", breaker.probe,
        "probe_until", f"{breaker.probe_until:.3f}",
        "failed_probes", str(breaker.failed_probes),
        "next_probe", f"{breaker.next_probe:.3f}",
        "rate", f"{breaker.rate:g}",
        "released_at", f"{breaker.released_at:.3f}",
    ]  # fmt: skip


#: A cause that is none of these was written by a later version: some fault, then, and no operator.
_CAUSES: dict[str, Cause] = {cause: cause for cause in get_args(Cause)}


def _read(name: str, fields: dict[bytes, bytes]) -> Breaker:
    if not fields:
        return Breaker(name)
    got = {key.decode(): value.decode(errors="replace") for key, value in fields.items()}
    return Breaker(
        name,
        version=int(got.get("version", 0)),
        is_open=got.get("state") == "open",
        opening=int(got.get("opening", 0)),
        since=float(got.get("since", 0)),
        cause=_CAUSES.get(got.get("cause", ""), "failures"),
        reason=got.get("reason", ""),
        job=got.get("job", ""),
        probe=got.get("probe", ""),
        probe_until=float(got.get("probe_until", 0)),
        failed_probes=int(got.get("failed_probes", 0)),
        next_probe=float(got.get("next_probe", 0)),
        rate=float(got.get("rate", 10)),
        released_at=float(got.get("released_at", 0)),
    )
