"""What is reported about a job from outside its run."""

from __future__ import annotations

import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.scripts import official


async def add_log_row(client: aioredis.Redis, keys: QueueKeys, job_id: str, row: str, keep: int) -> bool:
    """Append a row to a job's log; the last `keep` stay. One round trip. False: there is no such job."""
    count = await official("addLog")(client, [keys.job(job_id), keys.logs(job_id)], job_id, row, keep)
    return int(count) >= 0
