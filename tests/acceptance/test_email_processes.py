"""The queue `email` over several worker processes: kill -9 in the middle of a send, and its rate limit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from service import until
from workers import Workers, workers

from corral import Job, sandbox
from corral.bullmq.connection import close_shared_clients
from corral.errors import JobFailed
from corral.queues.email import queue
from corral.sandbox.server import RunningSandbox
from redis_process import RedisProcess


@pytest.fixture(scope="module")
def stand_in() -> Iterator[RunningSandbox]:
    with sandbox.serve(delay=0.0, public_url="http://127.0.0.1:1") as server:
        yield server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RedisProcess]:
    monkeypatch.chdir(tmp_path)
    running = RedisProcess()
    running.start()
    monkeypatch.setenv("REDIS_URL", running.url)
    yield running
    running.stop()


@pytest.fixture
def group(server: RedisProcess, stand_in: RunningSandbox, tmp_path: Path) -> Iterator[Workers]:
    settings = {
        "CORRAL_SANDBOX": "1", "CORRAL_SANDBOX_URL": stand_in.url,
        "CORRAL_LOCK_SECONDS": "2", "CORRAL_STALLED_SECONDS": "1",
    }  # fmt: skip
    with workers(server, tmp_path, "email_jobs:queue", **settings) as made:
        yield made


def mails(stand_in: RunningSandbox, job: Job) -> list[dict[str, Any]]:
    shown = httpx2.get(f"{stand_in.url}/outbox", params={"provider": "sendgrid"}).json()
    return [e for e in shown["entries"] if e["action"] == "mail" and e["job_id"] == job.id]


async def added(job_id: str, **more: Any) -> Job:
    data = {"to": "user-42@example.com", "template": "welcome", "data": {"name": "x"}, "provider": "sendgrid"}
    return await queue.add("send", data | more, job_id=job_id)


async def test_a_worker_killed_in_the_middle_of_a_send_leaves_a_doubt_that_the_job_decides(
    group: Workers, stand_in: RunningSandbox
) -> None:
    fault = {"provider": "sendgrid", "fault": "hang", "times": 2}
    httpx2.post(f"{stand_in.url}/faults", json=fault).raise_for_status()
    first = group.start()
    again = await added("mail-again")
    once = await added("mail-once", delivery="at_most_once")
    # Both were taken; their answers never come.
    until(lambda: [*mails(stand_in, again), *mails(stand_in, once)], lambda seen: len(seen) == 2)

    group.kill(first)
    group.start()
    assert (await again.result(timeout=60)).outcome == "sent"
    with pytest.raises(JobFailed, match="may have been sent"):
        await once.result(timeout=60)

    sent = mails(stand_in, again)
    assert [entry["message_id"] for entry in sent] == ["<mail-again@example.com>"] * 2
    assert len(mails(stand_in, once)) == 1
    await queue.close()
    await close_shared_clients()


async def test_the_rate_limit_holds_over_three_processes(group: Workers, server: RedisProcess) -> None:
    """A window of a second takes 4; with fixed windows any 9 starts have a whole one between them."""
    for _ in range(3):
        group.start()
    until(group.health, lambda reports: sum(report["ok"] for report in reports) == 3)
    jobs = [await added(f"mail-{number}") for number in range(13)]
    for job in jobs:
        await job.result(timeout=60)

    started: Any = [server.client.hget(f"bull:email:{job.id}", "processedOn") for job in jobs]
    times = sorted(int(at) for at in started)

    gaps = [later - earlier for earlier, later in zip(times, times[8:], strict=False)]
    assert min(gaps) >= 1000 - 5  # milliseconds; clocks are read before and after Redis's own
    await queue.close()
    await close_shared_clients()
