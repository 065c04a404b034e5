"""The wire of alerts: a lease, the leader's state as one document, a bounded history, silences,
and who has what in hand.

Only who holds the lease writes the state, in one script that compares its token: an evaluator that was away
for longer than its lease cannot write over the next one's. Raises what redis-py raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import redis.asyncio as aioredis

from corral.bullmq.keys import alert_keys
from corral.bullmq.scripts import ours

#: A leader that died is followed after this time, and a look of the next one: within 30 s.
LEASE_SECONDS = 20.0

#: Entries of the history: some hundred kilobytes.
MOST_EVENTS = 1_000

#: The script pushes with one call.
_MOST_AT_ONCE = 500


class Lease(NamedTuple):
    """Whether the lease is ours, and since this call; Redis's clock in epoch seconds; the state if needed.

    silences, acknowledged: all that are written, also those that are over.
    """

    held: bool
    is_new: bool
    now: float
    state: bytes
    silences: list[bytes]
    acknowledged: list[bytes]


async def take_lease(client: aioredis.Redis, prefix: str, token: str, *, need_state: bool) -> Lease:
    """Take or renew the lease. One round trip. The state comes along if it is new, or needed anyway."""
    keys = alert_keys(prefix)
    held, now_ms, state, silent, acknowledged = await ours("alert_lease")(
        client,
        [keys.lease, keys.state, keys.silences, keys.acknowledged],
        token,
        round(LEASE_SECONDS * 1000),
        int(need_state),
    )
    return Lease(held > 0, held == 2, now_ms / 1000, state, silent, acknowledged)


async def commit(
    client: aioredis.Redis, prefix: str, token: str, state: bytes, events: Sequence[bytes] = ()
) -> bool:
    """Write the state, and add to the history. False: another leads. One round trip."""
    keys = alert_keys(prefix)
    written: int = await ours("alert_commit")(
        client,
        [keys.lease, keys.state, keys.history],
        token,
        round(LEASE_SECONDS * 1000),
        state,
        MOST_EVENTS,
        *events[-_MOST_AT_ONCE:],
    )
    return bool(written)


async def release(client: aioredis.Redis, prefix: str, token: str) -> None:
    """Give the lease back. One round trip."""
    await ours("alert_release")(client, [alert_keys(prefix).lease], token)


class Stored(NamedTuple):
    """Who leads (a token, or ""), the leader's state, and acknowledgements, also of what fires no more."""

    leader: str
    state: bytes
    acknowledged: list[bytes]


async def read(client: aioredis.Redis, prefix: str) -> Stored:
    """For those who only look. One round trip."""
    keys = alert_keys(prefix)
    pipe = client.pipeline(transaction=False)
    pipe.get(keys.lease)
    pipe.get(keys.state)
    pipe.hvals(keys.acknowledged)
    leader, state, acknowledged = await pipe.execute()
    return Stored((leader or b"").decode(errors="replace"), state or b"", acknowledged)


async def silences(client: aioredis.Redis, prefix: str) -> tuple[float, list[bytes]]:
    """Redis's clock in epoch seconds, and the silences that hold by it. One round trip."""
    now_ms, *rows = await ours("alert_silences")(client, [alert_keys(prefix).silences])
    return now_ms / 1000, rows


async def history(client: aioredis.Redis, prefix: str, count: int) -> list[bytes]:
    """The newest entries, newest first. One round trip."""
    rows: Any = await client.lrange(alert_keys(prefix).history, 0, count - 1)
    return list(rows)


async def put_silence(client: aioredis.Redis, prefix: str, silence_id: str, silence: bytes) -> None:
    """Write a silence over the one of the same id. One round trip."""
    write: Any = client.hset(alert_keys(prefix).silences, silence_id, silence)
    await write


async def drop_silence(client: aioredis.Redis, prefix: str, silence_id: str) -> bool:
    """Remove a silence. False: there was none. One round trip."""
    remove: Any = client.hdel(alert_keys(prefix).silences, silence_id)
    return bool(await remove)


async def put_acknowledgement(
    client: aioredis.Redis, prefix: str, alert: str, acknowledgement: bytes, over: Sequence[str]
) -> None:
    """Write that somebody has an alert in hand, and forget those of `over`. One round trip."""
    key = alert_keys(prefix).acknowledged
    pipe = client.pipeline(transaction=True)
    if over:
        pipe.hdel(key, *over)
    pipe.hset(key, alert, acknowledgement)
    await pipe.execute()


async def drop_acknowledgement(client: aioredis.Redis, prefix: str, alert: str) -> None:
    """Nobody has it in hand. One round trip."""
    remove: Any = client.hdel(alert_keys(prefix).acknowledged, alert)
    await remove
