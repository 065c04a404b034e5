"""How long a queue's dead letters stay. Workers apply it every minute (`worker/janitor.py`); here it is
shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from corral.bullmq.clock import server_ms
from corral.bullmq.dead_index import BIN_BYTES, BIN_JOBS, BIN_MS
from corral.environment import read_settings

if TYPE_CHECKING:
    from corral.queue import Queue


@dataclass(frozen=True, slots=True)
class Policy:
    """How long dead letters stay. Seconds; None: no bound.

    age, count: the queue's retention of failed jobs, which workers apply every minute. due: jobs over that
    age now.
    forget_after: when the data of a failed job is forgotten. oldest: epoch seconds of the oldest dead letter.
    bin_seconds, bin_jobs, bin_bytes: how long and how much the bin of discarded jobs keeps.
    """

    age: float | None
    count: int | None
    forget_after: float | None
    failed: int
    due: int
    oldest: float | None
    bin_seconds: float
    bin_jobs: int
    bin_bytes: int


async def read_policy(queue: Queue) -> Policy:
    """See `queue.dead.policy`."""
    keep = queue.retention.failed
    forget = queue.forgets(read_settings())
    with queue.redis_errors():
        client, key = queue.client(), queue.keys().failed
        until = "-inf" if keep.age is None else await server_ms(client) - round(keep.age * 1000)
        pipe = client.pipeline(transaction=False)
        pipe.zcard(key)
        pipe.zcount(key, "-inf", until)
        pipe.zrange(key, 0, 0, withscores=True)
        failed, due, oldest = await pipe.execute()
    return Policy(
        age=keep.age,
        count=keep.count,
        forget_after=None if forget is None else forget.failed_after,
        failed=failed,
        due=0 if keep.age is None else due,
        oldest=oldest[0][1] / 1000 if oldest else None,
        bin_seconds=BIN_MS / 1000,
        bin_jobs=BIN_JOBS,
        bin_bytes=BIN_BYTES,
    )
