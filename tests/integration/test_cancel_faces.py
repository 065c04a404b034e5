"""Cancelling over HTTP and on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_service import READ, Service, serving

from corral import JobContext, Queue, Retry, Worker
from corral.bullmq.connection import close_shared_clients
from eventually import eventually


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


class Slow:
    """A queue whose jobs run until they are cancelled, with a worker."""

    def __init__(self, redis_url: str) -> None:
        self.started = 0
        self.queue = Queue("slow", redis_url=redis_url, prefix="bull", retry=Retry(attempts=3))
        self.queue.job("wait")(self._wait)
        self.worker = Worker(self.queue)
        self.task = asyncio.create_task(self.worker.run())

    async def _wait(self, job: JobContext) -> None:
        self.started += 1
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self.worker.stop()
        await self.task
        await self.queue.close()


@pytest.fixture
async def slow(redis_url: str) -> AsyncIterator[Slow]:
    slow = Slow(redis_url)
    yield slow
    await slow.stop()
    await close_shared_clients()


async def test_delete_removes_a_job_that_waits(api: Service) -> None:
    job_id = (
        await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "1"}})
    ).json()["jobId"]
    path = f"/v1/queues/reports/jobs/{job_id}"
    refused = await api.http.delete(path, headers=api.as_(READ))
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:corral:problem:wrong-role")
    assert "cancel jobs" in refused.json()["detail"]
    assert (await api.http.delete(path, headers={"Authorization": ""})).status_code == 401
    answer = await api.http.delete(path, headers=api.as_("enqueue-key-0000001"))
    assert (answer.status_code, answer.json()) == (
        200,
        {"jobId": job_id, "queue": "reports", "status": "removed"},
    )
    again = await api.http.delete(path)
    assert (again.status_code, again.json()["type"]) == (404, "urn:corral:problem:job-not-found")


async def test_delete_ends_a_job_that_runs(api: Service, slow: Slow) -> None:
    job = await slow.queue.add("wait")
    await eventually(lambda: slow.started)
    path = f"/v1/queues/slow/jobs/{job.id}"
    waits = asyncio.create_task(api.http.get(path, params={"wait": 20}))
    answer = await api.http.delete(path, params={"reason": "the customer left"})
    assert (answer.status_code, answer.json()["status"]) == (202, "signalled")
    ended = (await waits).json()
    assert (ended["status"], ended["failedReason"]) == ("failed", "Cancelled: the customer left")
    late = await api.http.delete(path)
    assert (late.status_code, late.json()["type"]) == (409, "urn:corral:problem:job-finished")
    long = await api.http.delete(path, params={"reason": "x" * 2000})
    assert long.status_code == 422


async def test_a_long_poll_ends_when_its_job_is_removed(api: Service) -> None:
    job = await api.queues["reports"].add("purge", {})
    path = f"/v1/queues/reports/jobs/{job.id}"
    waits = asyncio.create_task(api.http.get(path, params={"wait": 30}))
    await eventually(lambda: api.queues["reports"]._bind().results._waiting)
    assert (await api.http.delete(path)).status_code == 200
    ended = (await waits).json()
    assert (ended["status"], ended["failedReason"]) == ("failed", "Cancelled: it was removed before it ran.")


async def test_a_scheduled_run_is_a_conflict(api: Service) -> None:
    job_id = "repeat:nightly:4102444800000"
    client = api.queues["reports"].client()
    await client.zadd("bull:reports:repeat", {"nightly": 4102444800000})
    await client.hset(f"bull:reports:{job_id}", mapping={"name": "x", "timestamp": 1, "rjk": "nightly"})
    answer = await api.http.delete(f"/v1/queues/reports/jobs/{job_id}")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:corral:problem:cannot-cancel")


async def test_the_command(redis_url: str, slow: Slow) -> None:
    async def run(*arguments: str) -> tuple[int | None, Any]:
        command = [sys.executable, "-m", "corral", "jobs", *arguments, "--json"]
        environment = os.environ | {
            "REDIS_URL": redis_url,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, env=environment
        )
        out, _ = await process.communicate()
        return process.returncode, json.loads(out) if out else None

    waits = await slow.queue.add("wait", delay=1000)
    assert await run("cancel", waits.id, "--queue", "slow") == (
        0,
        {"id": waits.id, "queue": "slow", "outcome": "removed"},
    )
    assert (await run("cancel", waits.id, "--queue", "slow"))[0] == 1
    runs = await slow.queue.add("wait")
    await eventually(lambda: slow.started)
    code, told = await run("cancel", runs.id, "--queue", "slow", "--reason", "on the shell")
    assert (code, told["outcome"]) == (0, "signalled")

    async def is_cancelled() -> bool:
        return (await runs.refresh()).cancelled

    await eventually(is_cancelled)
    assert runs.failed_reason == "Cancelled: on the shell"
    code, told = await run("cancel", runs.id, "--queue", "slow")
    assert (code, told["outcome"]) == (1, "finished")
