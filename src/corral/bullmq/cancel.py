"""The wire of cancelling: one script, one field of a job, one channel of a prefix.

The field `corral:cancel` is the truth. `?reason` asks for the end of a job that runs; whoever has the job
next obeys it, so that neither a restart nor a lost message forgets it. `!reason` says that it was obeyed, and
tells a cancelled job from a dead letter; a job that is retried by hand after that runs again.
The channel only makes it quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from corral.bullmq.hooking import cancel_and_tell, removal
from corral.bullmq.keys import QueueKeys, control_channel
from corral.hooks import HookRules

if TYPE_CHECKING:
    import redis.asyncio as aioredis

FIELD = "corral:cancel"

#: How the failed reason of a cancelled job begins.
CANCELLED = "Cancelled: "
NO_REASON = "no reason given"

#: Longest reason kept.
REASON_LIMIT = 1_000

#: Answers of the script.
NO_JOB, LOCKED, REMOVED, RUNNING, FINISHED, SCHEDULED = -1, 0, 1, 2, 3, -8


class Message(msgspec.Struct, frozen=True):
    """What goes over the channel. `cancel` is the job's id."""

    queue: str
    cancel: str


_decode = msgspec.json.Decoder(Message).decode


async def cancel(client: aioredis.Redis, keys: QueueKeys, job_id: str, reason: str, rules: HookRules) -> int:
    """Ask for a job's end. One round trip, O(active). Returns one of the answers above.

    A job that is removed has its hooks told, as one that failed.
    """
    tidy = " ".join(reason.split())[:REASON_LIMIT].encode(errors="backslashreplace").decode()
    answer = await cancel_and_tell()(
        client,
        [keys.job(job_id), keys.repeat, keys.active, keys.completed, keys.failed],
        job_id,
        "1",
        keys.base,
        f"?{tidy or NO_REASON}",
        control_channel(keys.prefix),
        msgspec.json.encode(Message(keys.name, job_id)),
        removal(rules, f"{CANCELLED}{tidy or NO_REASON}"),
    )
    return int(answer)


async def asked(client: aioredis.Redis, keys: QueueKeys, job_ids: Sequence[str]) -> dict[str, str]:
    """Which of these jobs are to end, and why. One round trip."""
    pipe = client.pipeline(transaction=False)
    for job_id in job_ids:
        pipe.hget(keys.job(job_id), FIELD)
    marks = await pipe.execute()
    reasons = {job_id: pending(mark) for job_id, mark in zip(job_ids, marks, strict=True)}
    return {job_id: reason for job_id, reason in reasons.items() if reason is not None}


def read_message(data: bytes) -> Message | None:
    """None: a message of a version that this one does not know."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def pending(mark: bytes | None) -> str | None:
    """The reason for which the job is to end, or None."""
    return mark[1:].decode(errors="replace") if mark is not None and mark[:1] == b"?" else None


def obeyed(reason: str) -> list[str]:
    """The field of a job that was cancelled, for HSET."""
    return [FIELD, f"!{reason}"]


def was_cancelled(mark: bytes | None) -> bool:
    return mark is not None and mark[:1] == b"!"
