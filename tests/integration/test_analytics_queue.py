"""Analytics jobs from a real Redis through a real worker to the sinks."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kyc_bench import KEYS
from running_worker import Redis, StartWorker, drain
from standins import forget_faults, running, script
from structlog.testing import capture_logs

from corral import Job
from corral.bullmq.connection import close_shared_clients
from corral.providers import close_providers, providers
from corral.queues.analytics import Tracked, queue
from corral.sandbox.server import RunningSandbox
from eventually import eventually


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(autouse=True)
async def service(
    redis_url: str, sandbox: RunningSandbox, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, "POSTHOG_API_KEY", "SEGMENT_WRITE_KEY", "CLICKHOUSE_URL", "CORRAL_ANALYTICS_SINK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_SANDBOX", "1")
    monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox.url)
    monkeypatch.setenv("CORRAL_DATA_DIR", str(data_dir))
    yield
    await queue.close()
    await close_providers()
    await close_shared_clients()


def data(number: int = 1, **changes: Any) -> dict[str, Any]:
    event = {"event": "opened", "userId": "user-42", "properties": {"n": number}}
    return event | {"timestamp": "2026-01-02T03:04:05Z"} | changes


def rows(data_dir: Path) -> list[Any]:
    with sqlite3.connect(data_dir / "analytics.sqlite3") as db:
        found = db.execute("select event_id, name, props from events order by rowid").fetchall()
    db.close()
    return found


async def states(jobs: list[Job]) -> list[str]:
    return [(await job.refresh()).status or "" for job in jobs]


def delayed(count: int) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return (await queue.counts())["delayed"] == count

    return look


async def test_a_batch_is_stored_with_the_ids_of_its_jobs(data_dir: Path) -> None:
    jobs = await queue.add_many("track", [data(n) for n in range(700)])
    named = await queue.add("track", data(700, eventId="signup-1"), job_id="my-job")
    again = await queue.add("track", data(701, eventId="signup-1"))
    await drain(queue)
    stored = rows(data_dir)
    assert sorted(json.loads(row[2])["n"] for row in stored) == list(range(701))
    result = await jobs[0].result(timeout=5)
    (row_id,) = [row[0] for row in stored if row[2] == '{"n":0}']
    assert result == Tracked(event_id=row_id, sinks=("sqlite",))
    assert result.event_id.startswith(f"{jobs[0].id}-")
    assert (await named.result(timeout=5)).event_id == (await again.result(timeout=5)).event_id == "signup-1"


async def test_one_refused_event_among_many_goes_to_the_dead_letters_alone(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_ANALYTICS_SINK", "posthog")
    batch = [data(n, event="REFUSE" if n in (3, 60) else "opened") for n in range(100)]
    jobs = await queue.add_many("track", batch)
    await drain(queue)
    assert await states(jobs) == ["failed" if n in (3, 60) else "completed" for n in range(100)]
    refused = await queue.get(jobs[3].id)
    assert refused is not None
    assert refused.failed_reason == "posthog: POST /batch/: invalid_payload"
    assert refused.attempts_made == 1
    assert len(sandbox.app.posthog.tracked.events) == 98


async def test_data_of_a_foreign_producer_that_is_wrong_costs_its_job_alone(
    data_dir: Path, redis: Redis
) -> None:
    good = await queue.add("track", data(1))
    bad = await queue.add("track", data(2))
    await redis.hset(f"bull:analytics:{bad.id}", "data", json.dumps(data(2, timestamp=17)))
    await drain(queue)
    assert await states([good, bad]) == ["completed", "failed"]
    assert len(rows(data_dir)) == 1


async def test_a_sink_that_is_away_spends_an_attempt_and_then_has_every_event_once(
    sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker
) -> None:
    monkeypatch.setenv("CORRAL_ANALYTICS_SINK", "sqlite,segment,posthog")
    await script(sandbox, provider="segment", fault="500", times=100)
    jobs = await queue.add_many("track", [data(n) for n in range(20)])
    start_worker(queue)
    await eventually(delayed(20))
    assert len(rows(data_dir)) == 20  # the others have them meanwhile
    await forget_faults(sandbox)
    await queue.admin.promote_all()
    await eventually(lambda: len(sandbox.app.segment.tracked.events) == 20)
    results = [await job.result(timeout=10) for job in jobs]
    assert results[0].sinks == ("sqlite", "segment", "posthog")
    # Remembered in the jobs: those that had the events were not asked again.
    assert sandbox.counts["posthog.batch"] == 1
    assert len(rows(data_dir)) == 20


async def test_a_wrong_key_holds_the_jobs_without_spending_attempts(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker
) -> None:
    monkeypatch.setenv("CORRAL_ANALYTICS_SINK", "clickhouse")
    await script(sandbox, provider="clickhouse", fault="401", times=100)
    job = await queue.add("track", data())
    with capture_logs() as lines:
        start_worker(queue)

        await eventually(delayed(1))
    held = await queue.get(job.id)
    assert held is not None
    assert held.attempts_made == 0
    said = [line for line in lines if line["event"] == "analytics_not_stored"]
    assert [(line["sink"], line["events"], line["kind"]) for line in said] == [
        ("clickhouse", 1, "ProviderMisconfigured")
    ]


async def test_an_event_that_one_sink_refuses_is_in_the_others(
    sandbox: RunningSandbox, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_ANALYTICS_SINK", "sqlite,segment")
    job = await queue.add("track", data(properties={"text": "x" * 40_000}))
    await drain(queue)
    failed = await queue.get(job.id)
    assert failed is not None
    assert "segment takes 32,000" in str(failed.failed_reason)
    assert len(rows(data_dir)) == 1


async def test_events_whose_answer_was_lost_are_sent_again_and_count_once(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker
) -> None:
    monkeypatch.setenv("CORRAL_ANALYTICS_SINK", "posthog")
    await script(sandbox, provider="posthog", fault="drop")
    jobs = await queue.add_many("track", [data(n) for n in range(5)])
    start_worker(queue)
    await eventually(delayed(5))
    await queue.admin.promote_all()
    for job in jobs:
        await job.result(timeout=10)
    assert len(sandbox.app.posthog.tracked.events) == 5
    entries = sandbox.app.outbox.show("posthog")["entries"]
    assert sum(entry["events"] for entry in entries) == 10
    assert sum(entry["repeats"] for entry in entries) == 5


async def test_the_sinks_are_made_once_for_a_process() -> None:
    assert (await providers()).sinks is (await providers()).sinks
