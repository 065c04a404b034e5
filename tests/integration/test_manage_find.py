"""A job is found in any queue by its id, its deduplication id or its idempotency key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_service import ENQUEUE, READ, Service, serving

from corral import Dedup, Queue
from corral.bullmq.finding import MOST, find_everywhere
from corral.bullmq.keys import QueueKeys


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


async def find(service: Service, text: str) -> list[dict[str, Any]]:
    answer = await service.http.get("/api/v1/find", params={"id": text}, headers=service.as_(READ))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["jobs"]
    return found


async def test_an_id_is_found_in_every_queue_that_has_it(service: Service) -> None:
    reports = service.queues["reports"]
    other = Queue("made-by-node", redis_url=reports.address().url, prefix="bull")
    await other.add("send", 1, job_id="order-7")
    await reports.add("build", {"month": "may"}, job_id="order-7", delay=600)
    await reports.add("build", {"month": "may"}, job_id="order-70")
    await other.close()
    found = {
        (job["queue"], job["id"], job["name"], job["state"], job["by"])
        for job in await find(service, "order-7")
    }
    assert found == {
        ("reports", "order-7", "build", "delayed", "id"),
        ("made-by-node", "order-7", "send", "waiting", "id"),
    }
    assert await find(service, "order-8") == []


async def test_what_stands_for_a_job_finds_it(service: Service) -> None:
    reports = service.queues["reports"]
    held = await reports.add("build", {"month": "may"}, dedup=Dedup.simple("month-5"))
    once = await reports.add("build", {"month": "june"}, idempotency_key="request-6")
    assert [(job["id"], job["by"]) for job in await find(service, "month-5")] == [(held.id, "dedup")]
    assert [(job["id"], job["by"]) for job in await find(service, "request-6")] == [(once.id, "idempotency")]


OTHER_KEYS = ["wait", "meta", "id", "events", "completed", "*", "1:logs", "\x00"]


async def test_a_name_of_another_key_is_no_job(service: Service, subtests: pytest.Subtests) -> None:
    reports = service.queues["reports"]
    await reports.add("build", {"month": "may"})
    for name in OTHER_KEYS:
        with subtests.test(name=name):
            assert await find(service, name) == []


async def test_only_so_many_are_told_and_the_newest_come_first(service: Service) -> None:
    reports = service.queues["reports"]
    names = [f"q{number}" for number in range(MOST + 5)]
    for name in names:
        queue = Queue(name, redis_url=reports.address().url, prefix="bull")
        await queue.add("send", 1)
        await queue.close()
    found = await find_everywhere(reports.client(), [QueueKeys("bull", name) for name in names], "1")
    assert [one.keys.name for one in found][:3] == names[::-1][:3]
    assert len(found) == MOST


@pytest.mark.parametrize("query", ["", "id=", "id=" + "x" * 301])
async def test_what_cannot_be_an_id_is_refused(service: Service, query: str) -> None:
    answer = await service.http.get(f"/api/v1/find?{query}", headers=service.as_(READ))
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


async def test_who_may_not_watch_finds_nothing(service: Service) -> None:
    assert (await service.http.get("/api/v1/find?id=1", headers=service.as_(ENQUEUE))).status_code == 403
