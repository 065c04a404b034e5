"""Changing a queue from outside: pause, move, remove. BullMQ's scripts where they do it, else ours.

No call holds Redis for longer than BATCH jobs take (a few milliseconds): what concerns many jobs goes in
steps, and other clients are served in between. So none of these is atomic over the whole queue: a job that is
added while one runs may or may not be met by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from corral.bullmq import redis_errors
from corral.bullmq.codec import LARGEST
from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import Argument, Script, official, ours

if TYPE_CHECKING:
    import redis.asyncio as aioredis

#: Jobs in one step: some milliseconds of Redis.
BATCH = 250

#: Jobs of a list that are too young to be cleaned, before the search for older ones behind them ends.
YOUNGER = 5_000

#: Keys that one SCAN looks at.
SCAN_COUNT = 1_000

MISSING, WRONG_STATE, OF_SCHEDULE = -1, -3, -8
LOCKED = 0

_pack = msgspec.msgpack.Encoder().encode


# The queue


async def set_paused(client: aioredis.Redis, keys: QueueKeys, *, paused: bool) -> None:
    """Pause or resume. One round trip; a resume takes one for each 7,000 jobs that a v5 client left apart."""
    source, target = (keys.wait, keys.paused) if paused else (keys.paused, keys.wait)
    script_keys = [source, target, keys.meta, keys.prioritized, keys.events, keys.delayed, keys.marker]
    emit = "1"
    while int(await official("pause")(client, script_keys, "paused" if paused else "resumed", emit) or 0) > 0:
        emit = "0"


async def clean_list(
    client: aioredis.Redis, keys: QueueKeys, state: str, until_ms: int, limit: int, *, younger: int = YOUNGER
) -> int:
    """Remove from the old end of `wait` or `paused` what is not younger: see sweep_list.lua.

    Returns how many. Stops after `younger` that are, for the list is in the order of adding, but for jobs
    that were put back. A schedule's next run stays.
    One round trip a step, two more where jobs have a parent or a schedule.
    """
    removed = skipped = 0
    while removed < limit and skipped < younger:
        count = min(BATCH, limit - removed)
        arguments = _pack([keys.base, until_ms, skipped, count])
        gone, kept, held = await ours("sweep_list")(client, [keys.base + state, keys.events], arguments)
        codes = await remove(client, keys, [job_id.decode() for job_id in held], children=False)
        released = sum(code == 1 for code in codes)
        removed += gone + released
        skipped += kept + len(codes) - released
        if gone + kept + len(held) < count:
            break
    return removed


async def drain(client: aioredis.Redis, keys: QueueKeys, state: str) -> int:
    """Remove all jobs of `wait`, `paused`, `prioritized` or `delayed` but a schedule's next run.

    Returns how many. Ends when as many as were there at the beginning have been looked at.
    """
    key = keys.base + state
    if state in ("wait", "paused"):
        there = int(await client.llen(key))
        return await clean_list(client, keys, state, LARGEST, there, younger=there + 1)
    left = int(await client.zcard(key))
    script = official("cleanJobsInSet")
    removed = kept = 0
    while left > 0:
        count = min(BATCH, left)
        # What an earlier step kept lies first, and is looked at again.
        gone: Any = await script(
            client, [key, keys.events, keys.repeat], keys.base, LARGEST, count + kept, state
        )
        removed += len(gone)
        kept += max(0, count - len(gone))
        left -= count
    return removed


async def clean_set(client: aioredis.Redis, keys: QueueKeys, state: str, until_ms: int, limit: int) -> int:
    """Remove jobs of `delayed`, `prioritized` or `waiting-children` that were last touched before `until_ms`.

    Reads the whole set, BATCH jobs in two round trips. Returns how many; a schedule's next run stays.
    """
    key = keys.base + state
    removed = rank = 0
    while removed < limit:
        rows: Any = await client.zrange(key, rank, rank + BATCH - 1, withscores=True)
        if not rows:
            break
        # Below zero: kept here by what is not BullMQ, and none of this state's own.
        names = [job_id.decode() for job_id, score in rows if score >= 0]
        old = await touched_before(client, keys, names, until_ms)
        codes = await remove(client, keys, old[: limit - removed], children=True)
        gone = sum(code == 1 for code in codes)
        removed += gone
        rank += len(rows) - gone
    return removed


async def touched_before(
    client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str], until_ms: int
) -> list[str]:
    """Those of the jobs that were last started, or else added, by then. One round trip."""
    pipe = client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hmget(keys.job(job_id), "processedOn", "timestamp")
    stamps = await pipe.execute() if ids else []
    return [
        job_id
        for job_id, (started, added) in zip(ids, stamps, strict=True)
        if float(started or added or 0) <= until_ms
    ]


async def obliterate(client: aioredis.Redis, keys: QueueKeys, *, force: bool) -> bool:
    """Remove a paused queue with all its keys. False if jobs run and `force` is not set."""
    while True:
        left = int(
            await official("obliterate")(client, [keys.meta, keys.base], 1_000, "force" if force else "")
        )
        if left == -1:  # somebody resumed it meanwhile
            await set_paused(client, keys, paused=True)
        elif left < 0:
            return False
        elif left == 0:
            break
    pattern = "".join(f"\\{c}" if c in "*?[]\\" else c for c in keys.own()) + "*"
    async for key in client.scan_iter(match=pattern, count=SCAN_COUNT):
        await client.delete(key)
    return True


# Finished jobs


class Swept(NamedTuple):
    removed: int
    done: bool


async def sweep(
    client: aioredis.Redis,
    keys: QueueKeys,
    state: str,
    *,
    until_ms: int = -1,
    keep: int = -1,
    count: int = BATCH,
    by_hand: bool = False,
) -> Swept:
    """One step of removing finished jobs: see sweep.lua. One round trip, one more for failed children."""
    asked = min(count, BATCH)
    arguments = _pack([keys.base, until_ms, keep, asked, by_hand])
    removed, held = await ours("sweep")(client, [keys.base + state, keys.events], arguments)
    released = 0
    if held:
        codes = await remove(client, keys, [job_id.decode() for job_id in held], children=False)
        released = sum(code == 1 for code in codes)
    return Swept(removed + released, done=removed + released < asked)


# Jobs


class Requeued(NamedTuple):
    moved: int
    kept: int
    missing: int


async def requeue(
    client: aioredis.Redis,
    keys: QueueKeys,
    state: str,
    *,
    ids: Sequence[str] = (),
    start: int = 0,
    count: int = 0,
    name: str = "",
) -> Requeued:
    """Put finished or delayed jobs back to waiting: see requeue.lua. One round trip."""
    script_keys, arguments = requeue_call(keys, state, ids=ids, start=start, count=count, name=name)
    return Requeued(*await ours("requeue")(client, script_keys, arguments))


def requeue_call(
    keys: QueueKeys, state: str, *, ids: Sequence[str] = (), start: int = 0, count: int = 0, name: str = ""
) -> tuple[list[str], bytes]:
    """The keys and the argument of requeue.lua."""
    script_keys = [
        keys.base + state, keys.wait, keys.prioritized, keys.pc, keys.meta, keys.active, keys.marker,
        keys.events,
    ]  # fmt: skip
    return script_keys, _pack([keys.base, state, list(ids), start, count, name])


async def promote(client: aioredis.Redis, keys: QueueKeys, job_id: str) -> int:
    """Returns 0 or WRONG_STATE. One round trip."""
    script_keys = [
        keys.delayed, keys.wait, keys.paused, keys.meta, keys.prioritized, keys.active, keys.pc, keys.events,
        keys.marker,
    ]  # fmt: skip
    return int(await official("promote")(client, script_keys, keys.base, job_id))


async def change_delay(client: aioredis.Redis, keys: QueueKeys, job_id: str, delay_ms: int) -> int:
    """Returns 0, MISSING or WRONG_STATE. Two round trips: the time is the server's."""
    seconds, microseconds = await client.time()
    now_ms = seconds * 1000 + microseconds // 1000
    script_keys = [keys.delayed, keys.meta, keys.marker, keys.events]
    script = official("changeDelay")
    return int(await script(client, script_keys, delay_ms, now_ms, job_id, keys.job(job_id)))


async def change_priority(
    client: aioredis.Redis, keys: QueueKeys, job_id: str, priority: int, *, lifo: bool
) -> int:
    """Returns 0 or MISSING. One round trip."""
    script_keys = [
        keys.wait, keys.paused, keys.meta, keys.prioritized, keys.active, keys.pc, keys.marker,
    ]  # fmt: skip
    script = official("changePriority")
    return int(await script(client, script_keys, priority, keys.base, job_id, int(lifo)))


async def update_data(client: aioredis.Redis, keys: QueueKeys, job_id: str, data: str) -> int:
    """Returns 0 or MISSING. One round trip."""
    return int(await official("updateData")(client, [keys.job(job_id)], data))


async def remove(client: aioredis.Redis, keys: QueueKeys, ids: Sequence[str], *, children: bool) -> list[int]:
    """Remove jobs from whatever state they are in. Two round trips.

    Returns for each: 1, LOCKED (it runs, or one of its children does), MISSING or OF_SCHEDULE.
    """
    if not ids:
        return []
    there = client.pipeline(transaction=False)
    for job_id in ids:
        there.hexists(keys.job(job_id), "timestamp")
    known = await there.execute(raise_on_error=False)
    calls: list[tuple[list[str], list[Argument]]] = [
        ([keys.job(job_id), keys.repeat, keys.active], [job_id, int(children), keys.base])
        for job_id, is_there in zip(ids, known, strict=True)
        if is_there == 1
    ]
    answers = iter(await _each(client, _remove_idle(), calls))
    return [int(next(answers)) if k == 1 else MISSING for k in known]


@cache
def _remove_idle() -> Script:
    """BullMQ's removeJob, which knows a running job by its lock. A young one of ours has none yet."""
    script = official("removeJob")
    guard = f'if redis.call("LPOS", KEYS[3], ARGV[1]) then return {LOCKED} end\n'
    return Script(f"guarded {script.name}", guard + script.source)


async def _each(
    client: aioredis.Redis, script: Script, calls: Sequence[tuple[list[str], list[Argument]]]
) -> list[Any]:
    """The same script for many, in one round trip; one more when the server has to be given it."""
    if not calls:
        return []
    while True:
        pipe = client.pipeline(transaction=False)
        for script_keys, arguments in calls:
            pipe.evalsha(script.sha, len(script_keys), *script_keys, *arguments)
        replies = await pipe.execute(raise_on_error=False)
        if not any(isinstance(reply, redis_errors.NoScriptError) for reply in replies):
            break
        await client.script_load(script.source)  # none has run: a server knows a script or does not
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies
