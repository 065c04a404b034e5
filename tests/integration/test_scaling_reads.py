"""What a queue asks for, read from Redis: the library, the route for KEDA, and the kept decisions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from http_service import ENQUEUE, READ, Service, serving
from running_worker import MakeQueue, Redis, StartWorker

from corral import JobContext, Objective, Queue, RateLimit, Settings
from corral.bullmq import deciding
from corral.scaling import (
    Inputs,
    ScalingDecision,
    keep_decision,
    objective_of,
    read_demands,
    scaling_decisions,
)
from corral.worker import reporting
from eventually import eventually

DECISION = ScalingDecision(
    host="vm",
    pid=7,
    before=3,
    after=5,
    reason="3→5: load backlog 1,840, drain 92 s > 30 s; cooldown 60 s",
    queue="load",
    obstacle="",
    room=9,
    inputs={"load": Inputs(waiting=1_840, active=60, drain_seconds=92.0)},
)


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


async def scaling(service: Service, queue: str) -> dict[str, Any]:
    answer = await service.http.get(f"/api/v1/scaling/{queue}", headers=service.as_(READ))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_an_empty_queue_asks_for_nothing(service: Service) -> None:
    assert await scaling(service, "reports") == {
        "queue": "reports",
        "waiting": 0,
        "active": 0,
        "held": 0,
        "oldestSeconds": 0.0,
        "drainSeconds": 0.0,
        "liveProcesses": 0,
        "wantedProcesses": 0,
        "paused": False,
        "reason": "",
    }


async def test_jobs_without_a_worker_ask_for_one(service: Service) -> None:
    await service.queues["reports"].add_many("build", [{"month": "May"}] * 3)
    seen = await scaling(service, "reports")
    assert (seen["waiting"], seen["wantedProcesses"], seen["drainSeconds"]) == (3, 1, 31_536_000.0)
    await service.queues["reports"].add("purge", {}, delay=3_600)
    assert (await scaling(service, "reports"))["waiting"] == 3


async def test_a_paused_queue_says_why_it_gets_none(service: Service) -> None:
    reports = service.queues["reports"]
    reports.objective = Objective(drain=1, age=0.001)
    await reports.add("build", {"month": "May"})
    await reports.admin.pause()
    seen = await scaling(service, "reports")
    assert seen["paused"]
    assert seen["reason"].endswith("the queue is paused")


@pytest.mark.parametrize(("key", "status"), [(None, 401), (ENQUEUE, 403)])
@pytest.mark.parametrize("path", ["reports", "decisions"])
async def test_it_asks_for_the_role_read(service: Service, path: str, key: str | None, status: int) -> None:
    del service.http.headers["authorization"]
    answer = await service.http.get(f"/api/v1/scaling/{path}", headers=service.as_(key))
    assert answer.status_code == status


async def test_the_live_limits_and_processes_of_a_queue(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.05)
    queue = make_queue("calls", rate_limit=RateLimit(2, per=60.0))
    gate = asyncio.Event()

    @queue.job("call")
    async def call(job: JobContext) -> None:
        await gate.wait()

    await start_worker(queue, concurrency=7).ready()
    await queue.limits.set_concurrency(50)
    await queue.add_many("call", [None] * 5)
    settings = Settings(_env_file=None, scale_drain_seconds=7)

    async def limited() -> Any:
        (demand,), workers = await read_demands([queue], settings)
        return demand if demand.rate_limited_seconds > 0 and workers else None

    demand = await eventually(limited)
    assert (demand.live, demand.slots, demand.concurrency) == (1, 7, 50)
    assert demand.rate_limit == RateLimit(2, per=60.0)
    assert demand.objective == Objective(drain=7, age=60)
    gate.set()


def test_a_queue_has_its_own_objective_or_that_of_the_settings() -> None:
    settings = Settings(_env_file=None, scale_age_seconds=5)
    assert objective_of(Queue("own", objective=Objective(drain=1)), settings) == Objective(drain=1, age=60)
    assert objective_of(Queue("none"), settings) == Objective(drain=30, age=5)


async def test_decisions_are_kept_the_newest_first(service: Service, redis: Redis) -> None:
    client = service.queues["reports"].client()
    for after in (4, 5):
        await keep_decision(client, "bull", msgspec.structs.replace(DECISION, after=after))
    await redis.xadd("corral:bull::scaling", {"decision": "of another version"})
    newest, older = await scaling_decisions(client, "bull")
    assert (newest.after, older.after) == (5, 4)
    assert newest.at >= older.at > 1_700_000_000
    page = (await service.http.get("/api/v1/scaling/decisions", params={"count": 2})).json()
    (row,) = page["decisions"]
    assert row["reason"] == DECISION.reason
    assert row["inputs"]["load"] == {"waiting": 1_840, "active": 60, "drainSeconds": 92.0}


async def test_of_many_decisions_the_oldest_go(
    make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    monkeypatch.setattr(deciding, "MOST_DECISIONS", 10)
    client = make_queue().client()
    for _ in range(300):
        await keep_decision(client, "bull", DECISION)
    assert await redis.xlen("corral:bull::scaling") < 150
