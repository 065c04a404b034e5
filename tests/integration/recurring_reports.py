"""A queue whose handler notes its runs, for the tests of schedules."""

from __future__ import annotations

import msgspec
from running_worker import Redis

from corral import JobContext, Queue

OSLO = {"city": "Oslo"}


class Report(msgspec.Struct):
    city: str


def declare_reports(queue: Queue) -> list[str]:
    """Declare `build`. Returns the list that gets the id of each job that runs."""
    done: list[str] = []

    @queue.job("build")
    async def build(job: JobContext, data: Report) -> str:
        done.append(job.id)
        return data.city

    return done


async def pending(queue: Queue, redis: Redis) -> list[str]:
    """Ids of the jobs that have not started."""
    keys = queue.keys()
    return [
        *await redis.zrange(keys.delayed, 0, -1),
        *await redis.lrange(keys.wait, 0, -1),
        *await redis.zrange(keys.prioritized, 0, -1),
    ]


async def has_delayed(queue: Queue, redis: Redis, count: int) -> bool:
    return bool(await redis.zcard(queue.keys().delayed) == count)
