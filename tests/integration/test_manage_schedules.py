"""Schedules in the management API: seen over all queues, shown with their runs, changed, by whom."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from http_service import READ, Service, serving
from running_worker import Redis, StartWorker

from corral import Unrecoverable
from corral.manage.schedule_rows import missed_ticks, slots_before
from corral.schedules import Schedule
from eventually import eventually

ONE = "/api/v1/queues/reports/schedule"


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as made:
        yield made


async def listed(service: Service) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await service.http.get("/api/v1/schedules")).json()["schedules"]
    return rows


async def trail(service: Service) -> list[tuple[str, str]]:
    entries = (await service.http.get("/api/v1/audit")).json()["entries"]
    return [(row["action"], row["target"]) for row in entries if row["actor"] == "key:ops"]


async def test_a_schedule_is_created_listed_shown_and_removed(service: Service) -> None:
    wish = {"name": "build", "cron": "0 3 * * 1-5", "tz": "Europe/Berlin", "data": {"month": "may"}}
    made = await service.http.put(ONE, params={"id": "nightly"}, json=wish)
    assert (made.status_code, made.json()["words"]) == (200, "at 03:00 on weekdays")
    other = {"name": "verify", "every": 900, "data": {"userId": "u", "documentType": "passport"}}
    await service.http.put("/api/v1/queues/kyc-verification/schedule", params={"id": "x/y"}, json=other)
    rows = await listed(service)
    assert [(row["queue"], row["id"], row["words"]) for row in rows] == [
        ("kyc-verification", "x/y", "every 15 minutes"),
        ("reports", "nightly", "at 03:00 on weekdays"),
    ]
    only = (await service.http.get("/api/v1/schedules", params={"queue": "reports"})).json()
    assert [row["id"] for row in only["schedules"]] == ["nightly"]
    shown = (await service.http.get(ONE, params={"id": "nightly", "zone": "Asia/Tokyo"})).json()
    assert len(shown["runs"]) == 5
    assert {run[-6:] for run in shown["runs"]} == {"+09:00"}
    assert {run[11:16] for run in shown["runs"]} <= {"10:00", "11:00"}
    assert (shown["dataShown"], shown["data"]) == (True, {"month": "may"})
    assert (await service.http.delete(ONE, params={"id": "nightly"})).status_code == 204
    assert (await service.http.get(ONE, params={"id": "nightly"})).status_code == 404
    assert (await trail(service))[0] == ("schedule.remove", "reports:nightly")


async def test_a_change_keeps_what_it_does_not_name(service: Service, redis: Redis) -> None:
    await service.queues["reports"].schedules.upsert(
        "nightly", "build", cron="0 3 * * *", data={"month": "may"}, priority=7
    )
    before = await redis.hget("bull:reports:repeat:nightly", "opts")
    answer = await service.http.put(ONE, params={"id": "nightly"}, json={"cron": "0 4 * * *"})
    assert answer.json()["words"] == "at 04:00 every day"
    assert await redis.hget("bull:reports:repeat:nightly", "opts") == before
    shown = (await service.http.get(ONE, params={"id": "nightly"})).json()
    assert shown["data"] == {"month": "may"}
    answer = await service.http.put(
        ONE, params={"id": "nightly"}, json={"name": "purge", "cron": "0 4 * * *"}
    )
    assert answer.status_code == 422


async def test_it_is_paused_resumed_and_run_now(service: Service) -> None:
    reports = service.queues["reports"]
    await reports.schedules.upsert("nightly", "build", every=3_600, data={"month": "may"})
    one = {"id": "nightly"}
    paused = await service.http.post(f"{ONE}/pause", params=one)
    assert (paused.status_code, paused.json()["paused"], paused.json()["nextRun"]) == (200, True, None)
    assert (await service.http.post(f"{ONE}/pause", params=one)).status_code == 409
    ran = (await service.http.post(f"{ONE}/run", params=one)).json()
    job = await reports.get(ran["jobId"])
    assert job is not None
    assert job.name == "build"
    resumed = await service.http.post(f"{ONE}/resume", params=one)
    assert (resumed.json()["paused"], resumed.json()["nextRun"] > time.time() - 60) == (False, True)
    assert (await service.http.post(f"{ONE}/resume", params=one)).status_code == 409
    assert [action for action, _ in await trail(service)] == [
        "schedule.resume", "schedule.run", "schedule.pause",
    ]  # fmt: skip


async def test_how_the_last_runs_went(service: Service, start_worker: StartWorker) -> None:
    calls: list[int] = []
    reports = service.queues["reports"]
    quick = type(reports)("quick", redis_url=reports.address().url, prefix="bull")

    @quick.job("tick")
    async def tick(job: Any, data: None) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Unrecoverable("<b>no</b>")

    await quick.schedules.upsert("ticks", "tick", every=0.2)
    worker = start_worker(quick)

    async def done() -> bool:
        return len(calls) >= 3

    await eventually(done)
    await quick.schedules.pause("ticks")
    await worker.stop()
    (row,) = await listed(service)
    assert row["last"]["outcome"] in ("completed", "failed")
    found = (await service.http.get("/api/v1/queues/quick/schedule", params={"id": "ticks"})).json()
    assert found["schedule"]["last"]["outcome"] in ("completed", "failed")
    outcomes = {run["outcome"]: run["error"] for run in found["results"]}
    assert outcomes.get("failed", "<b>no</b>") == "<b>no</b>"
    assert found["results"][0]["slot"] == found["schedule"]["lastRun"]
    await quick.close()


async def test_a_run_that_nobody_takes_is_late(service: Service) -> None:
    reports = service.queues["reports"]
    await reports.schedules.upsert("ticks", "build", every=0.05, data={"month": "may"})

    async def late() -> bool:
        (row,) = await listed(service)
        return bool(row["lateSeconds"] and row["lateSeconds"] > 1 and row["missed"] >= 20)

    await eventually(late)


async def test_a_rhythm_is_told_before_it_is_saved(service: Service) -> None:
    asked = {"cron": "*/15 * * * *"}
    told = (await service.http.post("/api/v1/schedules/preview?zone=Asia/Tokyo", json=asked)).json()
    assert (told["words"], len(told["runs"])) == ("every 15 minutes", 5)
    start = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    told = (await service.http.post("/api/v1/schedules/preview", json={"every": 3600, "start": start})).json()
    assert told["runs"][:2] == ["2030-01-01T00:00:00+00:00", "2030-01-01T01:00:00+00:00"]
    for wrong in (
        {},
        {"cron": "x"},
        {"every": 0},
        {"cron": "* * * * *", "tz": "Mars/Base"},
        {"start": 1e300},
    ):
        answer = await service.http.post("/api/v1/schedules/preview", json=wrong)
        assert answer.status_code == 422, wrong
        assert answer.headers["content-type"] == "application/problem+json"


async def test_what_is_wrong_changes_nothing(service: Service) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("a:b", {"name": "build", "every": 5}),
        ("a", {"name": "nobody", "every": 5}),
        ("a", {"name": "build", "every": 5, "data": {"months": 1}}),
        ("a", {"every": 5}),
        ("a", {"name": "build", "cron": "* * * * *", "every": 5}),
        ("a", {"name": "build", "evry": 5}),
    ]
    for schedule_id, wish in wrong:
        answer = await service.http.put(ONE, params={"id": schedule_id}, json=wish)
        assert answer.status_code in (400, 422), wish
    for what in ("run", "pause", "resume"):
        answer = await service.http.post(f"{ONE}/{what}", params={"id": "nobody"})
        assert answer.status_code == 404, what
    assert await listed(service) == []
    assert await trail(service) == []


async def test_reading_is_for_read_and_data_and_changing_for_admin(service: Service) -> None:
    await service.queues["reports"].schedules.upsert("s", "build", every=3_600, data={"month": "may"})
    as_reader = service.as_(READ)
    shown = await service.http.get(ONE, params={"id": "s"}, headers=as_reader)
    assert (shown.json()["dataShown"], shown.json()["data"]) == (False, None)
    for what in ("run", "pause", "resume"):
        answer = await service.http.post(f"{ONE}/{what}", params={"id": "s"}, headers=as_reader)
        assert answer.status_code == 403
    assert (await service.http.delete(ONE, params={"id": "s"}, headers=as_reader)).status_code == 403


def test_ticks_that_were_missed() -> None:
    due = datetime(2026, 3, 2, 3, tzinfo=UTC)
    plain = dict.fromkeys(("cron", "every", "offset", "start", "end", "limit", "last_run"))
    base: dict[str, Any] = {
        "id": "s",
        "name": "n",
        "data": None,
        "tz": "UTC",
        "iterations": 1,
        "paused": False,
        "next_run": due,
    }
    hourly, often = (
        Schedule(**{**plain, **base, **timing}) for timing in ({"cron": "0 * * * *"}, {"every": 60.0})
    )
    assert missed_ticks(hourly, 3_599) == 0
    assert missed_ticks(hourly, 3 * 3_600) == 3
    assert missed_ticks(hourly, 1e7) == 100
    assert missed_ticks(often, 150) == 2


def test_the_slots_before_the_last_one() -> None:
    def schedule(**timing: Any) -> Schedule:
        plain = dict.fromkeys(("cron", "every", "offset", "start", "end", "limit", "next_run", "last_run"))
        return Schedule(
            **{
                "id": "s",
                "name": "n",
                "data": None,
                "tz": "UTC",
                "iterations": 1,
                "paused": False,
                **plain,
                **timing,
            }
        )

    monday = datetime(2026, 3, 2, 3, tzinfo=UTC)
    days = [datetime.fromtimestamp(ms / 1000, UTC).day for ms in slots_before(
        schedule(cron="0 3 * * 1-5", last_run=monday), 3)]  # fmt: skip
    assert days[0] == 2
    assert set(days[1:]) <= {27, 26, 28, 1}
    newest = round(monday.timestamp() * 1000)
    assert slots_before(schedule(every=60.0, last_run=monday), 3) == [
        newest,
        newest - 60_000,
        newest - 120_000,
    ]
    assert slots_before(schedule(every=60.0), 3) == []
