"""Queues whose jobs fail as they are told, for the tests of the dead letter desk."""

from __future__ import annotations

from typing import Any

from running_worker import Redis, drain

from corral import JobContext, Queue
from corral.bullmq.keys import DeadKeys


class OutOfStock(Exception):
    pass


def declare(queue: Queue) -> Queue:
    """`ship` fails in one of two places, as its data says; `bill` always; data {"ok": true} completes."""

    @queue.job("ship")
    async def ship(job: JobContext, data: dict[str, Any]) -> str:
        await job.log(f"ships {data.get('n')}")
        await job.checkpoint({"packed": True})
        if data.get("ok"):
            return "shipped"
        if data.get("how") == "value":
            _convert(data)
        raise OutOfStock(f"no {data.get('n')} on the shelf")

    @queue.job("bill")
    async def bill(job: JobContext, data: dict[str, Any]) -> None:
        raise OutOfStock("no paper")

    return queue


def _convert(data: dict[str, Any]) -> None:
    raise ValueError(f"{data['n']} is no number")


async def fail(queue: Queue, *data: dict[str, Any], name: str = "ship", **options: Any) -> list[str]:
    """Add jobs and run them until each has failed. Returns their ids."""
    jobs = await queue.add_many(name, list(data), **options)
    await drain(queue)
    return [job.id for job in jobs]


async def snapshot(redis: Redis, job_id: str, base: str) -> dict[str, Any]:
    """All keys of a job as Redis has them, with their expiry and its place in the failed set."""
    found: dict[str, Any] = {"score": await redis.zscore(base + "failed", job_id)}
    for part in ("", ":logs", ":dependencies", ":processed", ":failed", ":unsuccessful"):
        key = base + job_id + part
        kind = await redis.type(key)
        readers = {
            "hash": redis.hgetall, "list": lambda k: redis.lrange(k, 0, -1), "set": redis.smembers,
            "zset": lambda k: redis.zrange(k, 0, -1, withscores=True),
        }  # fmt: skip
        if kind != "none":
            found[part] = (await readers[kind](key), await redis.ttl(key))
    return found


async def check_index(queue: Queue, redis: Redis) -> None:
    """The index and the failed set agree: each failed job is in exactly one group, with its score."""
    keys = queue.keys()
    dead = DeadKeys(keys)
    failed = dict(await redis.zrange(keys.failed, 0, -1, withscores=True))
    of = await redis.hgetall(dead.indexed)
    grouped: dict[str, float] = {}
    for group in await redis.zrange(dead.groups, 0, -1):
        for job_id, score in await redis.zrange(dead.group(group), 0, -1, withscores=True):
            assert job_id not in grouped
            assert of[job_id] == group
            grouped[job_id] = score
    assert grouped == failed
    assert of.keys() == failed.keys()
