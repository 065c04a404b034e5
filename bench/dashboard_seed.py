"""Fills a server with what a dashboard has to show at its busiest: many queues, one with a million jobs.

Jobs are made by a script inside the server, so a million takes seconds. They are as BullMQ's `addStandardJob`
and `moveToFinished` leave them, so that everything reads them; nobody ran them. Statistics, schedules and
workers come the way they always come, through Corral's own writers.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import redis

from corral import Queue
from corral.bullmq import registry, statistics
from corral.bullmq.connection import close_shared_clients
from corral.bullmq.keys import QueueKeys
from corral.bullmq.statistics import Entry
from corral.data import encode

#: The queue with most jobs; it comes first by name, too.
BIG = "big"

#: Jobs that one call of the script makes: some 50 ms of the server.
CHUNK = 10_000

#: Why jobs of a queue failed, in turn: so many groups of dead letters.
REASONS = ("502 Bad Gateway", "Timeout after 30 s", "user 4711 unknown", "no such column", "quota exceeded")

_JOBS = """
local base, list = KEYS[1], ARGV[1]
local first, count, now = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local opts = '{"attempts":3,"backoff":{"type":"exponential","delay":1000}}'
for id = first, first + count - 1 do
  local at = now - 3600000 + id % 3600000
  local key, fields = base .. id, {
    "name", "send-" .. id % 7, "opts", opts, "timestamp", at, "delay", 0, "priority", 0,
    "data", '{"userId":' .. id .. ',"template":"welcome","to":"user' .. id .. '@example.com"}',
  }
  if list ~= "wait" and list ~= "delayed" then
    for _, more in ipairs({ "processedOn", at + 10, "finishedOn", at + 60, "atm", 1, "ats", 1 }) do
      fields[#fields + 1] = more
    end
  end
  if list == "failed" then
    local why = ARGV[5 + id % (#ARGV - 4)]
    local trace = '["Error: ' .. why .. '\\\\n    at send (/srv/app/mail.js:' .. id % 3 .. ':7)"]'
    for _, more in ipairs({ "failedReason", why, "stacktrace", trace }) do
      fields[#fields + 1] = more
    end
  elseif list == "completed" then
    fields[#fields + 1] = "returnvalue"
    fields[#fields + 1] = "1"
  end
  redis.call("HSET", key, unpack(fields))
  if list == "wait" then
    redis.call("LPUSH", base .. list, id)
  elseif list == "delayed" then
    redis.call("ZADD", base .. list, (now + 3600000 + id) * 4096, id)
  else
    redis.call("ZADD", base .. list, at + 60, id)
  end
end
redis.call("INCRBY", base .. "id", count)
redis.call("HSET", base .. "meta", "opts.maxLenEvents", 10000, "version", "bullmq:6.7.0")
"""


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is made: `jobs` in the big queue, 50 in each of the others, days of statistics of the big one."""

    queues: int = 200
    jobs: int = 1_000_000
    workers: int = 20
    days: int = 90


def seed(url: str, crowd: Crowd = Crowd(), prefix: str = "bull") -> list[str]:  # frozen
    """Fill the server. A full crowd takes half a minute. Returns the queues' names, the big one first."""
    names = [BIG, *(f"queue-{number:03}" for number in range(1, crowd.queues))]
    with redis.Redis.from_url(url) as client:
        for state, share in (("wait", 0.9), ("completed", 0.05), ("failed", 0.04), ("delayed", 0.01)):
            _add(client, prefix, BIG, state, round(crowd.jobs * share))
        for name in names[1:]:
            for state, count in (("wait", 20), ("completed", 20), ("failed", 5), ("delayed", 5)):
                _add(client, prefix, name, state, count)
    asyncio.run(_surroundings(url, prefix, names, crowd))
    return names


def _add(client: redis.Redis, prefix: str, queue: str, state: str, count: int) -> None:
    script = client.register_script(_JOBS)
    base = f"{prefix}:{queue}:"
    known: Any = client.get(f"{base}id")
    first, now = int(known or 0) + 1, round(time.time() * 1000)
    for start in range(first, first + count, CHUNK):
        part = min(CHUNK, first + count - start)
        script(keys=[base], args=[state, start, part, now, *REASONS])


async def _surroundings(url: str, prefix: str, names: list[str], crowd: Crowd) -> None:
    queues = [Queue(name, redis_url=url, prefix=prefix) for name in names]
    client = queues[0].client()
    now_ms = round(time.time() * 1000)
    try:
        await _count(client, prefix, [queue.keys() for queue in queues], crowd.days, now_ms)
        for number in range(crowd.workers):
            await registry.write_beat(
                client, prefix, f"worker-{number}", _beat(number, names, crowd.workers), seconds=86_400
            )
        for queue in queues:
            await queue.schedules.upsert("nightly", "report", cron="0 3 * * *", data={"month": "may"})
    finally:
        await close_shared_clients()


async def _count(client: Any, prefix: str, keys: list[QueueKeys], days: int, now_ms: int) -> None:
    """The last hour of every queue by minute, and every hour of the big one."""
    entry = Entry(
        {"arrived": 9, "started": 10, "completed": 9, "failed": 1},
        {bucket: 1 + bucket % 3 for bucket in range(0, 120, 3)},
        {bucket: 1 + bucket % 5 for bucket in range(40, 160, 3)},
    )
    names = {f"send-{number}": entry for number in range(7)}
    batch = 0
    for hour in range(days * 24, 0, -1):
        batch += 1
        one = statistics.counted(keys[0], names, {}, ())
        await statistics.write(client, prefix, "seed", batch, [one], now_ms=now_ms - hour * 3_600_000)
    for minute in range(60, -1, -1):
        batch += 1
        every = [statistics.counted(one, names, {}, ()) for one in keys]
        await statistics.write(client, prefix, "seed", batch, every, now_ms=now_ms - minute * 60_000)


def _beat(number: int, names: list[str], workers: int) -> bytes:
    mine = names[number::workers]
    jobs = [
        {"queue": mine[0], "id": str(job), "name": "send-1", "started_at": time.time() - job}
        for job in range(1, 21)
    ]
    return encode({
        "name": f"worker-{number}", "host": f"host-{number % 4}", "pid": 100 + number, "version": "v1",
        "queues": mine, "slots": 100, "busy": 20, "jobs": jobs, "memory_bytes": 80_000_000,
        "cpu_percent": 12.0, "beat_at": time.time(), "started_at": time.time() - 3_600,
        "places": {name: [10, 2] for name in mine},
    })  # fmt: skip
