"""Stock Bull Board on our queues, over its own HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from node_process import Node, Workers

from corral import Flow, JobContext, Queue, Retry

Board = httpx2.AsyncClient


@pytest.fixture
def queue(redis_url: str) -> Queue:
    queue = Queue("image-processing", redis_url=redis_url, retry=Retry(attempts=1))
    runs: dict[str, int] = {}

    @queue.job("process")
    async def process(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
        runs[job.id] = runs.get(job.id, 0) + 1
        await job.log(f"run {runs[job.id]}")
        await job.progress(50)
        if runs[job.id] <= data.get("failures", 0):
            raise ValueError("the image is broken")
        return {"run": runs[job.id]}

    return queue


@pytest.fixture
async def board(redis_url: str, node: Node) -> AsyncIterator[Board]:
    script = await node("board.mjs", redis_url, "image-processing")
    port = (await script.event("listening"))["port"]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client


async def overview(board: Board, status: str = "latest") -> dict[str, Any]:
    answer = await board.get("/api/queues", params={"activeQueue": "image-processing", "status": status})
    assert answer.status_code == 200, answer.text
    queue: dict[str, Any]
    (queue,) = answer.json()["queues"]
    return queue


async def job_page(board: Board, job_id: str) -> dict[str, Any]:
    answer = await board.get(f"/api/queues/image-processing/{job_id}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_the_board_shows_our_queue_jobs_logs_and_workers(
    board: Board, workers: Workers, queue: Queue
) -> None:
    assert (await overview(board))["hasWorkers"] is False
    await workers(queue, name="image-worker")
    done = await queue.add("process", {"imageUrl": "https://images.example.com/a.jpg"})
    broken = await queue.add("process", {"failures": 1})
    await done.result(timeout=20)
    with pytest.raises(Exception, match="broken"):
        await broken.result(timeout=20)
    later = await queue.add("process", {}, delay=3600)

    shown = await overview(board)
    counts = {state: n for state, n in shown["counts"].items() if n}
    assert counts == {"completed": 1, "failed": 1, "delayed": 1}
    assert shown["hasWorkers"] is True
    assert {job["id"] for job in shown["jobs"]} == {done.id, broken.id, later.id}
    (completed,) = (await overview(board, "completed"))["jobs"]
    assert completed["returnValue"] == {"run": 1}
    assert completed["progress"] == 50
    assert completed["data"] == {"imageUrl": "https://images.example.com/a.jpg"}
    assert completed["processedBy"] == "image-worker"
    (failed,) = (await overview(board, "failed"))["jobs"]
    assert failed["failedReason"] == "the image is broken"
    assert "ValueError" in failed["stacktrace"][0]

    page = await job_page(board, done.id)
    assert page["status"] == "completed"
    logs = await board.get(f"/api/queues/image-processing/{done.id}/logs")
    assert logs.json() == ["run 1"] or logs.json() == {"logs": ["run 1"]}
    listed = (await board.get("/api/queues/image-processing/workers")).json()["workers"]
    assert len(listed) == 1


async def test_retry_on_the_board_makes_our_worker_run_the_job_again(
    board: Board, workers: Workers, queue: Queue
) -> None:
    await workers(queue)
    job = await queue.add("process", {"failures": 1})
    with pytest.raises(Exception, match="broken"):
        await job.result(timeout=20)
    answer = await board.put(f"/api/queues/image-processing/{job.id}/retry")
    assert answer.status_code == 204, answer.text
    assert await job.result(timeout=20) == {"run": 2}


async def test_retry_of_all_failed_on_the_board_runs_them_again(
    board: Board, workers: Workers, queue: Queue
) -> None:
    await workers(queue)
    jobs = [await queue.add("process", {"failures": 1}) for _ in range(3)]
    for job in jobs:
        with pytest.raises(Exception, match="broken"):
            await job.result(timeout=20)
    answer = await board.put("/api/queues/image-processing/retry/failed")
    assert answer.status_code == 200, answer.text
    assert [await job.result(timeout=20) for job in jobs] == [{"run": 2}] * 3


async def test_a_job_added_on_the_board_runs_here(board: Board, workers: Workers, queue: Queue) -> None:
    await workers(queue)
    body = {
        "name": "process",
        "data": {"imageUrl": "https://images.example.com/b.jpg"},
        "options": {"attempts": 2},
    }
    answer = await board.post("/api/queues/image-processing/add", json=body)
    assert answer.status_code == 200, answer.text
    job_id = answer.json()["job"]["id"]
    job = await queue.get(job_id)
    assert job
    assert await job.result(timeout=20) == {"run": 1}


async def test_pause_and_promote_on_the_board(board: Board, workers: Workers, queue: Queue) -> None:
    await workers(queue)
    assert (await board.put("/api/queues/image-processing/pause")).status_code == 200
    job = await queue.add("process", {}, delay=3600)
    assert (await board.put(f"/api/queues/image-processing/{job.id}/promote")).status_code in (200, 204)
    assert (await job_page(board, job.id))["status"] == "waiting"
    assert (await overview(board))["isPaused"] is True
    assert (await board.put("/api/queues/image-processing/resume")).status_code == 200
    assert await job.result(timeout=20) == {"run": 1}


async def test_the_board_draws_our_flow(board: Board, queue: Queue) -> None:
    flow = Flow(queue, "process", {}, children=[Flow(queue, "process", {"n": n}) for n in (1, 2)])
    job = await flow.add()
    leaf = flow.children[0].job
    assert leaf is not None
    answer = await board.get(f"/api/queues/image-processing/{leaf.id}/flow")
    assert answer.status_code == 200, answer.text
    root = answer.json()["flowRoot"]
    assert root["id"] == job.id
    assert {child["id"] for child in root["children"]} == {leaf.job.id for leaf in flow.children if leaf.job}
