"""Analytics as their senders use it: over HTTP, with real workers that die and stop at any moment."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from service import PATIENCE, Service, running_service, until

EVENT = {"event": "opened", "userId": "user-42", "properties": {}, "timestamp": "2026-01-02T03:04:05Z"}
QUICK = {"CORRAL_LOCK_SECONDS": "2", "CORRAL_STALLED_SECONDS": "1"}
POISON = range(13, 2_000, 250)


def rows(data_dir: Path) -> list[Any]:
    """What is in the file: an event's number, if it has one, and its id."""
    file = data_dir / "analytics.sqlite3"
    if not file.exists():
        return []
    with sqlite3.connect(file, timeout=PATIENCE) as db:
        try:
            found = db.execute("select props ->> 'n', event_id from events").fetchall()
        except sqlite3.OperationalError:
            found = []  # being made
    db.close()
    return found


def workers_of(service: Service) -> list[psutil.Process]:
    family = psutil.Process(service.process.pid).children(recursive=True)
    return [child for child in family if "corral.worker.process" in child.cmdline()]


def in_queue(service: Service, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get(f"/v1/queues/analytics/jobs/{job_id}", timeout=PATIENCE).json()
    return found


def bulk(service: Service, numbers: range) -> list[str]:
    jobs = [
        {
            "name": "track",
            "data": EVENT | {"event": "REFUSE" if n in POISON else "opened", "properties": {"n": n}},
        }
        for n in numbers
    ]
    answer = service.post("/v1/queues/analytics/jobs/bulk", {"jobs": jobs})
    assert answer.status_code == 202, answer.text
    ids: list[str] = answer.json()["jobIds"]
    return ids


def test_a_killed_worker_costs_no_event_and_none_is_stored_twice(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_service(data_dir, CORRAL_ANALYTICS_SINK="sqlite,posthog", **QUICK) as service:
        # PostHog takes the batches and does not answer: the kill comes in the middle of each.
        faults, outbox = f"{service.sandbox}/faults", f"{service.sandbox}/outbox?provider=posthog"
        httpx2.post(faults, json={"provider": "posthog", "fault": "hang", "times": 1_000})
        ids = [*bulk(service, range(1_000)), *bulk(service, range(1_000, 2_000))]
        until(lambda: len(rows(data_dir)), lambda count: count >= 500)
        assert {in_queue(service, ids[n])["status"] for n in (0, 1_000)} <= {"active", "waiting"}
        for worker in workers_of(service):
            worker.kill()
        httpx2.delete(faults)

        for n in POISON:
            seen = until(lambda n=n: in_queue(service, ids[n]), lambda seen: seen["status"] == "failed")  # type: ignore[misc]  # binds the loop's value
            assert "invalid_payload" in seen["failedReason"]
        for n in range(0, 2_000, 50):
            until(lambda n=n: in_queue(service, ids[n])["status"], lambda seen: seen == "completed")  # type: ignore[misc]  # the same
        stored = rows(data_dir)
        assert sorted(int(number) for number, _ in stored) == list(range(2_000))
        assert len({event_id for _, event_id in stored}) == 2_000
        # Every good event reached PostHog; those that were sent twice had the same uuid.
        entries = httpx2.get(outbox).json()["entries"]
        assert sum(entry["events"] - entry["repeats"] for entry in entries) == 2_000 - len(POISON)
        assert service.stop() == 0


def test_control_c_with_a_batch_that_is_not_full_loses_nothing(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_service(data_dir, **QUICK) as first:
        answers = [first.post("/track", EVENT | {"properties": {"n": n}}) for n in range(5)]
        assert [answer.status_code for answer in answers] == [202] * 5
        # A terminal sends it to all of them.
        family = psutil.Process(first.process.pid).children(recursive=True)
        for pid in [first.process.pid, *(child.pid for child in family)]:
            with contextlib.suppress(ProcessLookupError):  # one may be over already
                os.kill(pid, signal.SIGINT)
        first.process.wait(PATIENCE)
    with running_service(data_dir, **QUICK) as second:
        until(lambda: sorted(int(n) for n, _ in rows(data_dir)), lambda seen: seen == list(range(5)))
        for answer in answers:
            job = answer.json()["jobId"]
            seen = second.until_ended(job)
            assert seen["status"] == "completed"
            assert seen["result"] == {"eventId": job, "sinks": ["sqlite"]}
        assert second.stop() == 0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running_service(tmp_path_factory.mktemp("analytics") / "data") as running:
        yield running


def test_an_event_is_tracked_and_the_same_key_gives_the_same_job(service: Service) -> None:
    def post() -> httpx2.Response:
        headers = {"Idempotency-Key": "signup-42"}
        return service.client.post("/track", json=EVENT, headers=headers, timeout=PATIENCE)

    first, second = post(), post()
    assert first.status_code == second.status_code == 202
    body = first.json()
    assert body["jobId"] == second.json()["jobId"]
    assert body["message"].startswith("The event is queued.")
    assert service.until_ended(body["jobId"])["queue"] == "analytics"


def test_one_wrong_event_refuses_its_whole_request_with_the_path(service: Service) -> None:
    """A request is all or nothing, so that its sender can mend it and send it again."""
    jobs = [{"name": "track", "data": EVENT}, {"name": "track", "data": EVENT | {"timestamp": "tomorrow"}}]
    answer = service.post("/v1/queues/analytics/jobs/bulk", {"jobs": jobs})
    assert answer.status_code == 422
    assert "$.jobs[1].data.timestamp" in answer.text
    answer = service.post("/track", EVENT | {"timestamp": 1_767_323_045})
    assert answer.status_code == 422
    assert "timestamp" in answer.text
