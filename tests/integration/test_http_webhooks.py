"""Signed callbacks wake the jobs that wait for them; forged ones wake nobody."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from http_service import Service, serving
from structlog.testing import capture_logs

from corral import JobContext, Queue, Worker

SECRET = "the-webhook-secret"
HEADERS = {"onfido": "X-SHA2-Signature", "idenfy": "Idenfy-Signature"}
BODIES: dict[str, dict[str, Any]] = {
    "onfido": {
        "payload": {
            "resource_type": "check",
            "action": "check.completed",
            "object": {
                "id": "check-7",
                "status": "complete",
                "href": "https://api.example.com/checks/check-7",
            },
        }
    },
    "idenfy": {"final": True, "platform": "PC", "status": {"overall": "APPROVED"}, "scanRef": "scan-7"},
}
SIGNALS = {"onfido": "onfido:check-7", "idenfy": "idenfy:scan-7"}


@pytest.fixture
async def api(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    for name in ("CORRAL_SANDBOX", "ONFIDO_API_KEY", "IDENFY_API_KEY", "IDENFY_API_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONFIDO_WEBHOOK_TOKEN", SECRET)
    monkeypatch.setenv("IDENFY_WEBHOOK_KEY", SECRET)
    async with serving(redis_url) as service:
        yield service


async def call(api: Service, provider: str, raw: bytes, signature: str | None) -> httpx2.Response:
    """As a provider calls: without a key of ours."""
    headers = {} if signature is None else {HEADERS[provider]: signature}
    async with httpx2.AsyncClient(base_url=api.url) as bare:
        return await bare.post(f"/webhooks/{provider}", content=raw, headers=headers)


def signed(raw: bytes) -> str:
    return hmac.new(SECRET.encode(), raw, hashlib.sha256).hexdigest()


async def waits_for(redis_url: str, signal: str) -> tuple[Queue, asyncio.Task[None], Worker]:
    """A queue whose job waits for a signal, and the worker that runs it."""
    queue = Queue("waiting", redis_url=redis_url, prefix="bull")

    @queue.job("wait")
    async def wait(job: JobContext, data: dict[str, str]) -> Any:
        return await job.wait_for(data["signal"], timeout=60)

    await queue.add("wait", {"signal": signal}, job_id="waiter")
    worker = Worker(queue)
    return queue, asyncio.create_task(worker.run()), worker


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
@pytest.mark.parametrize("early", [False, True])
async def test_a_genuine_callback_wakes_its_job(
    api: Service, redis_url: str, provider: str, early: bool
) -> None:
    raw = json.dumps(BODIES[provider], indent=3).encode()
    if early:  # the provider is faster than the job: the signal is kept for it
        assert (await call(api, provider, raw, signed(raw))).status_code == 204
    queue, running, worker = await waits_for(redis_url, SIGNALS[provider])
    async with asyncio.timeout(20):
        if not early:
            while True:
                job = await queue.get("waiter")
                if job is not None and job.status == "delayed":
                    break
                await asyncio.sleep(0.02)
            answer = await call(api, provider, raw, signed(raw))
            assert (answer.status_code, answer.content) == (204, b"")
        found = await api.http.get("/v1/queues/waiting/jobs/waiter?wait=20")
        worker.stop()
        await running
    await queue.close()
    assert found.json()["status"] == "completed"
    result = found.json()["result"]
    assert result["status" if provider == "onfido" else "overall"] in ("complete", "APPROVED")


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
async def test_a_forged_callback_wakes_nobody(api: Service, redis_url: str, provider: str) -> None:
    raw = json.dumps(BODIES[provider]).encode()
    genuine = signed(raw)
    with capture_logs() as logs:
        for body, signature in (
            (raw, None),
            (raw, ""),
            (raw, genuine[:-1] + ("0" if genuine[-1] != "0" else "1")),
            (raw + b" ", genuine),
            (b"", genuine),
            (b"not json", signed(b"not json")),
        ):
            answer = await call(api, provider, body, signature)
            assert answer.status_code == 401
            assert answer.json()["type"] == "urn:corral:problem:bad-signature"
    assert [e["provider"] for e in logs if e["event"] == "webhook_rejected"] == [provider] * 6
    assert "check-7" not in repr(logs)
    assert SECRET not in repr(logs)
    async with Queue("waiting", redis_url=redis_url, prefix="bull") as queue:
        client = queue._bind().client
        assert await client.keys("corral:bull:signal:*") == []


async def test_without_a_secret_no_callback_is_believed(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONFIDO_WEBHOOK_TOKEN", "")
    raw = json.dumps(BODIES["onfido"]).encode()
    key = hmac.new(b"", raw, hashlib.sha256).hexdigest()
    assert (await call(api, "onfido", raw, key)).status_code == 401


async def test_an_event_that_nobody_waits_for_is_taken_and_dropped(api: Service) -> None:
    body = json.loads(json.dumps(BODIES["onfido"]))
    body["payload"]["action"] = "check.started"
    raw = json.dumps(body).encode()
    assert (await call(api, "onfido", raw, signed(raw))).status_code == 204
