"""Scripted faults as a client sees them: any status with headers, a late answer, an error inside a 200."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from standins import forget_faults, running, script, talking_to

from corral.providers.errors import ProviderRetryable
from corral.sandbox.server import RunningSandbox

PROVIDERS = ("onfido", "idenfy", "supabase", "images", "s3", "cloudflare")
ANY_REQUEST = {
    "onfido": "/onfido/v3.6/checks",
    "idenfy": "/idenfy/api/v2/status",
    "supabase": "/supabase/rest/v1/anything",
    "images": "/photo.jpg",
    "s3": "/s3/corral-sandbox/file.webp",
    "cloudflare": "/cloudflare/client/v4/accounts/a/images/v1",
}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def client(sandbox: RunningSandbox) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False, timeout=30) as client:
        yield client
    await forget_faults(sandbox)


def request(provider: str) -> dict[str, Any]:
    host = {"Host": "images.example.com"} if provider == "images" else {}
    return {"url": ANY_REQUEST[provider], "headers": host}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 404, 429, 503, 529])
async def test_every_provider_answers_with_the_status_and_headers_that_were_asked_for(
    sandbox: RunningSandbox, client: httpx2.AsyncClient, provider: str, status: int
) -> None:
    await script(sandbox, provider=provider, fault=str(status), headers={"Retry-After": "37", "X-Test": "a"})
    answer = await client.get(**request(provider))
    assert (answer.status_code, answer.headers["retry-after"], answer.headers["x-test"]) == (
        status,
        "37",
        "a",
    )
    assert answer.content
    # One fault is one answer.
    assert (await client.get(**request(provider))).headers.get("x-test") is None


async def test_a_late_answer_is_the_usual_one_after_its_time(
    sandbox: RunningSandbox, client: httpx2.AsyncClient
) -> None:
    await script(sandbox, provider="images", latency=0.3)
    started = time.monotonic()
    answer = await client.get(**request("images"))
    assert time.monotonic() - started >= 0.3
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")


async def test_latency_goes_with_other_faults_and_holds_up_nobody_else(
    sandbox: RunningSandbox, client: httpx2.AsyncClient
) -> None:
    await script(sandbox, provider="images", fault="502", latency=100, path="GET /photo")
    late = asyncio.create_task(client.get(**request("images")))
    other = await client.get("/", headers={"Host": "images.example.com"})
    assert (other.status_code, late.done()) == (200, False)
    late.cancel()
    await script(sandbox, provider="images", fault="502", latency=0.1, path="GET /photo")
    assert (await client.get(**request("images"))).status_code == 502


async def test_a_sandbox_that_stops_does_not_wait_for_a_late_answer() -> None:
    with running() as server:
        await script(server, provider="images", latency=100)
        async with httpx2.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
            late = asyncio.create_task(client.get(**request("images")))
            while server.app.faults.show():
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.stop)
            assert (await late).status_code == 200


async def test_a_client_out_of_patience_meets_a_slow_provider(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="supabase", latency=5)
    async with talking_to(sandbox) as providers:
        providers.supabase._rest._client.timeout = httpx2.Timeout(0.2)
        with pytest.raises(ProviderRetryable, match="no answer"):
            await providers.supabase.select("kyc_verifications", {})


async def test_an_error_inside_a_200(sandbox: RunningSandbox, client: httpx2.AsyncClient) -> None:
    await script(sandbox, provider="idenfy", fault="soft")
    answer = await client.get(**request("idenfy"))
    assert (answer.status_code, list(answer.json())) == (200, ["message"])


async def test_a_wrong_fault_is_refused_with_its_reason(
    sandbox: RunningSandbox, client: httpx2.AsyncClient
) -> None:
    answer = await client.post("/faults", json={"provider": "onfido", "fault": "soft"})
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "a soft error is known of cloudflare, idenfy alone",
    )
