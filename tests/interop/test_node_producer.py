"""Stock BullMQ adds jobs; a Corral worker runs them; BullMQ sees everything that it would see of its own."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from node_process import BOTH_VERSIONS, Node, Workers
from redis.asyncio import Redis

from corral import JobContext, Keep, Queue, Retention

pytestmark = BOTH_VERSIONS

KYC_DATA = {
    "userId": "user-1",
    "documentType": "passport",
    "documentNumber": "X1234567",
    "frontImageUrl": "https://images.example.com/front.jpg",
    "provider": "onfido",
}
KYC_OPTS = {"priority": 1, "attempts": 3, "backoff": {"type": "exponential", "delay": 60_000}}


class KycJob(msgspec.Struct, rename="camel"):
    user_id: str
    document_type: str
    document_number: str
    front_image_url: str
    provider: str


class KycResult(msgspec.Struct, rename="camel"):
    success: bool
    completed_at: str


@pytest.fixture
def kyc(redis_url: str) -> Queue:
    """A queue like the built-in one, with policies of its own that a producer's opts must win over."""
    queue = Queue("kyc-verification", redis_url=redis_url, retention=Retention(completed=Keep(count=100)))

    @queue.job("verify")
    async def verify(job: JobContext, data: KycJob) -> KycResult:
        await job.progress(50)
        await job.log(f"checking {data.document_type}")
        await job.progress({"step": "stored", "percent": 75})
        return KycResult(success=True, completed_at="2025-01-01T00:00:00Z")

    return queue


async def test_a_kyc_job_of_node_runs_here_and_node_sees_it_through(
    redis_url: str, node: Node, workers: Workers, kyc: Queue
) -> None:
    client = await node("client.mjs", redis_url, "kyc-verification")
    job_id = await client.call("add", "verify", KYC_DATA, KYC_OPTS)
    added = await client.call("job", job_id)

    await workers(kyc, concurrency=5, name="kyc-worker-1")

    assert await client.call("wait", job_id, 20_000) == {
        "success": True,
        "completedAt": "2025-01-01T00:00:00Z",
    }
    completed = await client.event("completed", jobId=job_id)
    assert completed["returnvalue"] == {"success": True, "completedAt": "2025-01-01T00:00:00Z"}
    assert completed["prev"] == "active"
    progress = [e["data"] for e in client.events if e["event"] == "progress"]
    assert progress == [50, {"step": "stored", "percent": 75}]
    assert client.events_of(job_id) == ["added", "waiting", "active", "progress", "progress", "completed"]

    job = await client.call("job", job_id)
    assert job["opts"] == added["opts"]
    assert {k: job["opts"][k] for k in KYC_OPTS} == KYC_OPTS
    assert job["data"] == KYC_DATA
    assert job["returnvalue"] == {"success": True, "completedAt": "2025-01-01T00:00:00Z"}
    assert (job["attemptsMade"], job["attemptsStarted"]) == (1, 1)
    assert job["processedBy"] == "kyc-worker-1"
    assert job["priority"] == 1
    assert job["progress"] == {"step": "stored", "percent": 75}
    assert job["timestamp"] <= job["processedOn"] <= job["finishedOn"]
    assert await client.call("state", job_id) == "completed"


async def test_the_handler_gets_node_data_typed_with_the_producers_attempts(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("typed", redis_url=redis_url)
    seen: list[Any] = []

    @queue.job("verify")
    async def verify(job: JobContext, data: KycJob) -> None:
        seen.append((data, job.attempt, job.attempts, job.id, job.name, job.queue))

    client = await node("client.mjs", redis_url, "typed")
    job_id = await client.call("add", "verify", KYC_DATA, KYC_OPTS)
    await workers(queue)
    assert await client.call("wait", job_id, 20_000) is None

    data = KycJob("user-1", "passport", "X1234567", "https://images.example.com/front.jpg", "onfido")
    assert seen == [(data, 1, 3, job_id, "verify", "typed")]


async def test_jobs_of_node_run_in_the_order_that_node_would_run_them(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("order", redis_url=redis_url)
    ran: list[str] = []

    @queue.job("note")
    async def note(job: JobContext, data: str) -> None:
        ran.append(data)

    client = await node("client.mjs", redis_url, "order")
    jobs = [
        {"name": "note", "data": "low", "opts": {"priority": 10}},
        {"name": "note", "data": "first", "opts": {}},
        {"name": "note", "data": "second", "opts": {}},
        {"name": "note", "data": "high", "opts": {"priority": 1}},
        {"name": "note", "data": "lifo", "opts": {"lifo": True}},
        {"name": "note", "data": "delayed", "opts": {"delay": 50}},
    ]
    ids = await client.call("addBulk", jobs)
    await workers(queue, concurrency=1)
    await asyncio.gather(*(client.call("wait", job_id, 20_000) for job_id in ids))

    assert [name for name in ran if name != "delayed"] == ["lifo", "first", "second", "high", "low"]
    assert "delayed" in ran


async def test_remove_on_complete_of_the_producer_is_obeyed(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("gone", redis_url=redis_url)

    @queue.job("x")
    async def run(job: JobContext, data: int) -> int:
        return data

    client = await node("client.mjs", redis_url, "gone")
    kept = await client.call("add", "x", 1, {"removeOnComplete": 1})
    newer = await client.call("add", "x", 2, {"removeOnComplete": 1})
    removed = await client.call("add", "x", 3, {"removeOnComplete": True})
    await workers(queue, concurrency=1)
    assert (await client.event("completed", jobId=removed))["returnvalue"] == 3

    assert await client.call("ids", "completed") == [newer]
    async with Redis.from_url(redis_url) as redis:
        assert await redis.exists(f"bull:gone:{kept}", f"bull:gone:{removed}") == 0


async def test_a_deduplicated_job_runs_and_frees_its_key(
    redis_url: str, node: Node, workers: Workers
) -> None:
    queue = Queue("dedup", redis_url=redis_url)

    @queue.job("x")
    async def run(job: JobContext, data: dict[str, Any]) -> str:
        if data["fail"]:
            raise ValueError("no")
        return "done"

    client = await node("client.mjs", redis_url, "dedup")
    opts = {"deduplication": {"id": "one"}}
    for fail in (False, True):
        job_id = await client.call("add", "x", {"fail": fail}, opts)
        assert await client.call("add", "x", {"fail": fail}, opts) == job_id
        assert (await client.event("deduplicated", jobId=job_id))["deduplicationId"] == "one"
        assert await client.call("dedupJobId", "one") == job_id

        worker = await workers(queue)
        await client.event("failed" if fail else "completed", jobId=job_id)
        worker.stop()
        assert await client.call("dedupJobId", "one") is None

    assert await client.call("add", "x", {"fail": False}, opts) not in {"", None}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        pytest.param("a plain string", "str", id="string where an object is declared"),
        pytest.param({**KYC_DATA, "userId": 7}, "userId", id="wrong type in a field"),
        pytest.param({"userId": "user-1"}, "documentType", id="missing fields"),
        pytest.param(None, "null", id="no data at all"),
    ],
)
async def test_bad_data_of_node_fails_with_our_reason_and_stays_as_it_came(
    redis_url: str, node: Node, workers: Workers, kyc: Queue, data: Any, path: str
) -> None:
    client = await node("client.mjs", redis_url, "kyc-verification")
    job_id = await client.call("add", "verify", data, KYC_OPTS)
    async with Redis.from_url(redis_url) as redis:
        raw = await redis.hget(f"bull:kyc-verification:{job_id}", "data")

        await workers(kyc)
        failed = await client.event("failed", jobId=job_id)

        assert await redis.hget(f"bull:kyc-verification:{job_id}", "data") == raw
    assert path in failed["failedReason"]
    job = await client.call("job", job_id)
    assert job["failedReason"] == failed["failedReason"]
    assert job["attemptsMade"] == 1  # trying again would read the same data
    assert await client.call("state", job_id) == "failed"


async def test_an_unknown_name_of_node_is_held_and_not_failed(
    redis_url: str, node: Node, workers: Workers, kyc: Queue
) -> None:
    client = await node("client.mjs", redis_url, "kyc-verification")
    job_id = await client.call("add", "from-next-weeks-release", {"a": 1}, {})
    await workers(kyc)
    await client.event("delayed", jobId=job_id)

    job = await client.call("job", job_id)
    assert await client.call("state", job_id) == "delayed"
    assert job["attemptsMade"] == 0
    assert job["data"] == {"a": 1}
