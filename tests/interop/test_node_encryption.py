"""Stock BullMQ beside a queue that encrypts: its plain jobs run, and ours are to it an opaque object."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, Queue

pytestmark = BOTH_VERSIONS

DATA = {"userId": "user-1", "documentNumber": "X1234567"}
MARK = "$corral:enc"


@pytest.fixture
def private(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Queue:
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k1:{base64.b64encode(bytes(32)).decode()}")
    queue = Queue("private", redis_url=redis_url, encrypt=True)

    @queue.job("verify")
    async def verify(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
        return {"seen": data}

    return queue


async def test_a_plain_job_of_node_runs_and_its_result_is_sealed(
    redis_url: str, node: Node, workers: Workers, private: Queue
) -> None:
    client = await node("client.mjs", redis_url, "private")
    job_id = await client.call("add", "verify", DATA)
    await workers(private)
    sealed = await client.call("wait", job_id, 20_000)
    assert sealed.keys() == {MARK}
    assert sealed[MARK].startswith("v1.k1.")
    completed = await client.event("completed", jobId=job_id)
    assert completed["returnvalue"] == sealed
    job = await private.get(job_id)
    assert job is not None
    assert (job.data, job.result_value) == (DATA, {"seen": DATA})


async def test_node_sees_an_encrypted_job_as_an_opaque_object(
    redis_url: str, node: Node, workers: Workers, private: Queue
) -> None:
    client = await node("client.mjs", redis_url, "private")
    added = await private.add("verify", DATA)
    seen = await client.call("job", added.id)
    assert seen["data"].keys() == {MARK}
    assert DATA["documentNumber"] not in str(seen)
    await workers(private)
    assert await added.result(timeout=20) == {"seen": DATA}
    seen = await client.call("job", added.id)
    assert seen["returnvalue"].keys() == {MARK}
    # Node lets it run once more, as it is.
    await client.call("retry", added.id, "completed")
    assert await added.result(timeout=20) == {"seen": DATA}
