# ruff: noqa: E501 - payloads are read best as rows
"""Job hashes, options and schedules that somebody with access to Redis has written to break their readers.

Whatever is in a field: the worker lives and runs its other jobs, and no page or route answers 500.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis.asyncio as aioredis
from http_service import Service, serving
from hypothesis import given
from hypothesis import strategies as st

from corral import JobContext, Queue, Retry, Worker
from corral.bullmq.codec import decode_options, decode_record

#: Each field of a job hash that somebody reads: BullMQ's, and ours.
FIELDS = [
    "name", "data", "opts", "timestamp", "processedOn", "finishedOn", "progress", "returnvalue", "failedReason",
    "stacktrace", "atm", "attemptsMade", "ats", "stc", "priority", "delay", "pb", "deid", "rjk", "nrjid",
    "corral:group", "corral:cancel", "corral:checkpoint", "corral:unknown", "corral:deaths",
    "corral:checkpointed",
]  # fmt: skip

VALUES: dict[str, bytes] = {
    "empty": b"",
    "not utf-8": b"\xff\xfe\x00\xc3\x28",
    "nan": b"NaN",
    "infinity": b"1e999",
    "huge": b"9" * 400,
    "negative": b"-9007199254740993",
    "deep": b"[" * 20_000,
    "deep object": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "wrong type": b'{"attempts":{"a":[1]},"backoff":[],"priority":{},"de":7,"repeat":"x","parent":9,"webhook":3}',
    "giant": b'{"attempts":1,"pad":"' + b"x" * 200_000 + b'"}',
    "lua": b"'); redis.call('FLUSHALL') --",
    "format": b"%s%n%d{0}{{7*7}}",
}


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    attacked = Queue("attacked", redis_url=redis_url, prefix="bull", retry=Retry(attempts=2, delays=(3_600,)))

    @attacked.job("build")
    async def build(job: JobContext, data: Any) -> Any:
        await job.checkpoint({"seen": True})
        return "built"

    async with serving(redis_url, more={"attacked": attacked}) as service:
        yield service


async def looked_at(api: Service, job_id: str) -> list[tuple[str, int]]:
    """What every way to look at a job answers with."""
    paths = [
        f"/job-status/{job_id}?queue=attacked",
        f"/v1/queues/attacked/jobs/{job_id}",
        f"/api/v1/queues/attacked/jobs/{job_id}",
        f"/api/v1/queues/attacked/jobs/{job_id}/why",
        f"/api/v1/queues/attacked/jobs/{job_id}/logs",
        f"/api/v1/queues/attacked/dead/jobs/{job_id}",
    ]
    return [(path, (await api.http.get(path)).status_code) for path in paths]


LISTS = [
    *(
        f"/api/v1/queues/attacked/jobs?status={status}"
        for status in ("waiting", "completed", "failed", "delayed", "active")
    ),
    "/api/v1/queues/attacked/dead/jobs",
    "/api/v1/queues/attacked/dead",
    "/api/v1/queues/attacked",
    "/api/v1/dead",
    "/api/v1/queues",
    "/metrics",
]


@pytest.mark.parametrize("kind", VALUES)
async def test_a_hostile_hash_costs_its_own_job_and_no_reader(
    api: Service, redis_url: str, kind: str
) -> None:
    queue = api.queues["attacked"]
    async with aioredis.Redis.from_url(redis_url) as client:
        await client.hset(queue.keys().meta, "paused", 1)
        odd = [await queue.add("build", 1) for _ in FIELDS]
        for job, field in zip(odd, FIELDS, strict=True):
            await client.hset(queue.keys().job(job.id), field, VALUES[kind])
        good = await queue.add_many("build", range(10))
        before = [await looked_at(api, job.id) for job in odd]
        await client.hdel(queue.keys().meta, "paused")
        worker = Worker(queue, concurrency=4)
        await worker.run(until_empty=True)
        assert [await job.result(timeout=15) for job in good] == ["built"] * 10
        counts = await queue.counts()
        assert counts["active"] == counts["waiting"] == 0
        # Also as an ended job: whatever it became, its readers meet the field once more.
        for job, field in zip(odd, FIELDS, strict=True):
            await client.hset(queue.keys().job(job.id), field, VALUES[kind])
        after = [await looked_at(api, job.id) for job in odd]
    lists = [(path, (await api.http.get(path)).status_code) for path in LISTS]
    answers = [answer for job in (*before, *after) for answer in job] + lists
    assert [answer for answer in answers if answer[1] >= 500 or answer[1] == 400] == []


async def test_a_parent_that_is_nonsense_costs_its_own_job(api: Service, redis_url: str) -> None:
    queue = api.queues["attacked"]
    parents = [b"x", b":::", b"bull:attacked:1", b"\xff", b"bull:other:{}", b"*", b"bull:attacked:meta"]
    async with aioredis.Redis.from_url(redis_url) as client:
        await client.hset(queue.keys().meta, "paused", 1)
        odd = [await queue.add("build", 1) for _ in parents]
        for job, parent in zip(odd, parents, strict=True):
            record = b'{"id":"1","queueKey":"' + parent.replace(b"\xff", b"") + b'","fpof":true}'
            key = queue.keys().job(job.id)
            await client.hset(key, mapping={"parentKey": parent, "parent": record})
        good = await queue.add_many("build", range(5))
        await client.hdel(queue.keys().meta, "paused")
        worker = Worker(queue)
        task = asyncio.create_task(worker.run())
        assert [await job.result(timeout=15) for job in good] == ["built"] * 5
        assert not task.done()
        worker.stop()
        await task
    for job in odd:
        assert not [row for row in await looked_at(api, job.id) if row[1] >= 500]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
OPTIONS = [
    "attempts", "backoff", "delay", "priority", "lifo", "timeout", "removeOnComplete", "removeOnFail", "kl",
    "keepLogs", "ttl", "webhook", "tm", "omc", "de", "repeat", "parent", "sizeLimit", "jobId", "fpof",
]  # fmt: skip


@given(st.dictionaries(st.sampled_from(OPTIONS), anything))
def test_no_options_break_their_reader(opts: dict[str, Any]) -> None:
    read = decode_options(json.dumps(opts).encode("utf-8", "surrogatepass"))  # with NaN and Infinity
    if read.retry is not None:
        assert read.retry.attempts >= 1
    assert read.timeout is None or read.timeout >= 0


@given(st.dictionaries(st.sampled_from([name.encode() for name in FIELDS]), st.binary(max_size=200)))
def test_no_bytes_in_a_hash_break_its_reader(stored: dict[bytes, bytes]) -> None:
    record = decode_record("7", stored)
    for moment in (record.enqueued_at, record.started_at, record.finished_at):
        assert moment is None or datetime.fromtimestamp(moment, UTC)
    assert (record.failed_reason or "").encode() is not None
