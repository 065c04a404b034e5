"""The management API's reading of queues, statistics and workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_service import READ, Service, serving

from corral import Queue
from corral.breakers import Breakers
from corral.bullmq import discover, registry, statistics
from corral.bullmq.statistics import Entry, counted
from corral.data import encode
from corral.manage import queue_names
from eventually import eventually


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


async def did(queue: Queue, **names: Entry) -> None:
    """Have a worker write what it counted."""
    one = counted(queue.keys(), names, {}, ())
    await statistics.write(queue.client(), "bull", "w", time.time_ns() // 1000, [one])


async def test_all_queues_are_listed_with_how_they_stand(service: Service) -> None:
    reports = service.queues["reports"]
    other = Queue("made-by-node", redis_url=reports.address().url, prefix="bull")
    await other.add("x", 1)
    await other.close()
    await reports.add("build", {"month": "may"})
    await reports.add("build", {"month": "may"}, delay=600)
    job = await reports.add("build", {"month": "may"}, delay=600)
    await Breakers(reports.address().url).hold("onfido", "by hand")
    client = reports.client()
    await client.zadd("corral:bull::breaker:onfido:held", {f"reports:{job.id}": 1})
    await did(reports, build=Entry({"completed": 3, "failed": 1}, {1: 3}, {200: 4}))

    async def whole() -> dict[str, Any]:
        answer = await service.http.get("/api/v1/queues", headers=service.as_(READ))
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told if told["whole"] else {}

    rows = {row["queue"]: row for row in (await eventually(whole))["queues"]}
    assert rows.keys() == {"kyc-verification", "made-by-node", "reports"}
    row = rows["reports"]
    assert (row["states"]["waiting"], row["states"]["delayed"], row["states"]["held"]) == (1, 1, 1)
    assert row["held"] == {"onfido": 1}
    assert row["recent"]["failureRate"] == 0.25
    assert row["names"]["build"]["runP50"] == pytest.approx(row["recent"]["runP50"])
    assert 0 <= row["oldestWaitingSeconds"] < 30
    assert (await service.http.get("/api/v1/queues/reports")).json()["states"] == row["states"]


async def test_a_queue_that_nobody_knows_is_told_so_until_it_has_a_job(service: Service) -> None:
    async def asked(name: str) -> tuple[int, str]:
        answer = await service.http.get(f"/api/v1/queues/{name}", headers=service.as_(READ))
        return answer.status_code, answer.json().get("detail", "")

    status, detail = await asked("nowhere")
    assert status == 404
    assert "nowhere" in detail
    assert (await asked("kyc-verification"))[0] == 200  # declared, and never used
    nowhere = Queue("nowhere", redis_url=service.queues["reports"].address().url, prefix="bull")
    client = nowhere.client()
    beat = {"name": "w", "host": "h", "pid": 1, "version": "1", "queues": ["nowhere"], "slots": 1, "busy": 0,
            "memory_bytes": 1, "beat_at": time.time(), "started_at": time.time()}  # fmt: skip
    await registry.write_beat(client, "bull", "w", encode(beat), seconds=60)
    assert (await asked("nowhere"))[0] == 200  # a worker serves it
    await client.flushdb()
    assert (await asked("nowhere"))[0] == 404
    await nowhere.add("x", 1)
    await nowhere.admin.drain()
    assert (await asked("nowhere"))[0] == 200  # empty, and there
    await nowhere.admin.obliterate()
    assert (await asked("nowhere"))[0] == 404
    await nowhere.close()


async def test_the_overview_tells_rates_of_the_minutes_asked_for(service: Service) -> None:
    reports = service.queues["reports"]
    now_ms = round(time.time() * 1000)
    for number, (minutes, failed) in enumerate(((0, 0), (10, 3), (40, 5))):
        one = counted(reports.keys(), {"build": Entry({"completed": 4, "failed": failed})}, {}, ())
        await statistics.write(
            reports.client(), "bull", "w", number + 1, [one], now_ms=now_ms - minutes * 60_000
        )

    async def recent(**asked: int) -> tuple[int, float]:
        answer = await service.http.get("/api/v1/overview", params=asked, headers=service.as_(READ))
        rows = {one["row"]["queue"]: one["row"]["recent"] for one in answer.json()["queues"]}
        return rows["reports"]["failed"], round(rows["reports"]["failureRate"], 2)

    assert await recent() == await recent(minutes=5) == (0, 0)
    assert await recent(minutes=15) == (3, 0.27)
    assert await recent(minutes=60) == (8, 0.4)


@pytest.mark.parametrize("minutes", [0, 61, "x"])
async def test_rates_of_other_times_are_refused(service: Service, minutes: object) -> None:
    answer = await service.http.get("/api/v1/overview", params={"minutes": str(minutes)})
    assert answer.status_code in (400, 422)


async def test_what_a_queue_did_is_read_by_minute_and_hour(service: Service) -> None:
    reports = service.queues["reports"]
    await did(reports, build=Entry({"completed": 3}, {}, {200: 3}), purge=Entry({"completed": 5}))
    page = (await service.http.get("/api/v1/queues/reports/stats", params={"minutes": 10})).json()
    assert len(page["spans"]) == 10
    assert sum(span["completed"] for span in page["spans"]) == 8
    assert {span["runP95"] for span in page["spans"]} > {None}
    assert page["names"].keys() == {"build", "purge"}
    asked: dict[str, int | str] = {"hours": 24, "name": "purge"}
    page = (await service.http.get("/api/v1/queues/reports/stats", params=asked)).json()
    assert [span["seconds"] for span in page["spans"]] == [3600] * 24
    assert sum(span["completed"] for span in page["spans"]) == 5


@pytest.mark.parametrize("query", ["minutes=0", "hours=100000", "minutes=5&hours=5"])
async def test_a_length_out_of_range_is_refused(service: Service, query: str) -> None:
    answer = await service.http.get(f"/api/v1/queues/reports/stats?{query}")
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_workers_breakers_and_server_are_told(service: Service) -> None:
    reports = service.queues["reports"]
    job = {"queue": "reports", "id": "1", "name": "build", "started_at": 1.5}
    worker = {
        "name": "w-1", "host": "h", "pid": 7, "version": "v1", "queues": ["reports"], "slots": 20, "busy": 1,
        "jobs": [job], "a field of later versions": 1,
    }  # fmt: skip
    await registry.write_beat(reports.client(), "bull", "w-1", encode(worker), seconds=20)
    (row,) = (await service.http.get("/api/v1/workers")).json()["workers"]
    assert (row["name"], row["slots"], row["jobs"][0]["startedAt"]) == ("w-1", 20, 1.5)
    assert (await service.http.get("/api/v1/queues/reports")).json()["workers"] == 1
    standing = (await service.http.get("/api/v1/standing")).json()
    assert standing["server"]["memoryBytes"] > 0
    assert standing["breakers"] == []
    assert standing["workers"] == 1


async def test_groups_are_listed_paused_and_a_rate_limit_is_released(service: Service) -> None:
    reports = service.queues["reports"]
    for tenant, jobs in (("acme", 3), ("zeta", 1)):
        for _ in range(jobs):
            await reports.add("build", {"month": "may"}, group=tenant)
    await reports.add("build", {"month": "may"}, lock="user-7")
    at = "/api/v1/queues/reports"
    page = (await service.http.get(f"{at}/groups")).json()
    assert [(row["group"], row["waiting"], row["paused"]) for row in page["groups"]] == [
        ("acme", 3, False),
        ("zeta", 1, False),
    ]
    assert (page["locks"], page["more"]) == (1, False)
    assert (await service.http.post(f"{at}/groups/pause", json={"group": "acme"})).status_code == 204
    page = (await service.http.get(f"{at}/groups")).json()
    assert [row["group"] for row in page["groups"] if row["paused"]] == ["acme"]
    assert (await service.http.post(f"{at}/groups/resume", json={"group": "acme"})).status_code == 204
    assert (await service.http.post(f"{at}/groups/pause", json={"group": ""})).status_code in (400, 422)
    assert (await service.http.post(f"{at}/limits/release")).status_code == 204
    entries = (await service.http.get("/api/v1/audit")).json()["entries"]
    assert [entry["action"] for entry in entries] == ["queue.rate.release", "group.resume", "group.pause"]


async def test_lists_do_not_wait_for_a_walk_and_say_that_they_are_not_whole(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = service.queues["reports"]
    client, url = reports.client(), reports.address().url
    for name in ("noted-before", "removed-since", "not-noted"):
        other = Queue(name, redis_url=url, prefix="bull")
        await other.add("x", 1)
        await other.close()
    await discover.note_queues(client, "bull", ["noted-before", "removed-since"])
    await client.delete("bull:removed-since:meta")
    go_on = asyncio.Event()

    async def slow(*args: Any) -> list[str]:
        await go_on.wait()
        return await discover.queue_names(*args)

    monkeypatch.setattr(queue_names, "queue_names", slow)

    async def told(path: str) -> tuple[bool, set[str]]:
        answer = await service.http.get(path, headers=service.as_(READ))
        assert answer.status_code == 200
        rows = [row.get("row", row) for row in answer.json()["queues"]]
        return answer.json()["whole"], {row["queue"] for row in rows}

    for path in ("/api/v1/queues", "/api/v1/overview"):
        whole, names = await told(path)
        assert not whole
        assert names == {"kyc-verification", "noted-before", "reports"}
    go_on.set()

    async def all_told() -> bool:
        whole, names = await told("/api/v1/overview")
        return whole and names == {"kyc-verification", "noted-before", "not-noted", "reports"}

    await eventually(all_told)

    async def noted() -> bool:
        return {b"noted-before", b"not-noted"} <= await client.smembers("corral:bull::queues")

    await eventually(noted)
