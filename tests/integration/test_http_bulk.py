"""A bulk of different jobs over HTTP is one call; a KYC job has its own kind of id, with a key too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import redis.asyncio as aioredis
from http_service import KYC, Service, serving


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}], ids=["plain", "with a key"])
async def test_a_mixed_bulk_is_one_call(api: Service, store: aioredis.Redis, headers: dict[str, str]) -> None:
    async def script_calls() -> int:
        stats = await store.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "evalsha"))

    def bulk(offset: int) -> dict[str, list[dict[str, object]]]:
        jobs: list[dict[str, object]] = []
        for n in range(500):
            jobs.append(
                {"name": "build", "data": {"month": f"m{offset + n}"}, "opts": {"priority": 1 + n % 9}}
            )
            jobs.append({"name": "purge", "data": {"n": offset + n}, "opts": {"delay": n}})
        return {"jobs": jobs}

    path = "/v1/queues/reports/jobs/bulk"
    assert (await api.http.post(path, json=bulk(0))).status_code == 202
    before = await script_calls()
    answer = await api.http.post(path, json=bulk(1000), headers=headers)
    assert answer.status_code == 202
    assert await script_calls() - before == 1
    ids = [int(job_id) for job_id in answer.json()["jobIds"]]
    assert ids == list(range(1001, 2001))
    assert await store.hget(f"bull:reports:{ids[1]}", "data") == b'{"n":1000}'


async def test_one_job_that_cannot_be_written_adds_none_of_a_mixed_bulk(
    api: Service, store: aioredis.Redis
) -> None:
    """A full Redis refuses the call as a whole."""
    await api.http.post("/v1/queues/reports/jobs/bulk", json={"jobs": [{"name": "purge", "data": {}}]})
    before = await store.dbsize()
    await store.config_set("maxmemory", 1)
    try:
        answer = await api.http.post(
            "/v1/queues/reports/jobs/bulk",
            json={"jobs": [{"name": "purge", "data": {}}, {"name": "build", "data": {"month": "m"}}]},
        )
    finally:
        await store.config_set("maxmemory", 0)
    assert answer.status_code == 503
    assert await store.dbsize() == before


async def test_a_kyc_job_with_a_key_has_an_id_that_nobody_counts_to(api: Service) -> None:
    headers = {"Idempotency-Key": "order 42"}
    first = (await api.http.post("/verify-kyc", json=KYC, headers=headers)).json()
    again = (await api.http.post("/verify-kyc", json=KYC, headers=headers)).json()
    assert first == again
    assert first["jobId"].startswith("kyc-")
