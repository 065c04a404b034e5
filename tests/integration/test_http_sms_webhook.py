"""POST /webhooks/twilio: what became of a text message is in its job's log; a forger changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlencode

import httpx2
import pytest
from http_service import ADMIN, Service, serving
from structlog.testing import capture_logs

from corral import Queue
from corral.providers.twilio_webhook import sign

TOKEN = "the-auth-token"
PUBLIC = "https://api.example.com"
FORM = {"MessageSid": "SM1", "MessageStatus": "delivered", "To": "+15005551234"}


@pytest.fixture
async def api(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.delenv("CORRAL_SANDBOX", raising=False)
    monkeypatch.setenv("CORRAL_PUBLIC_URL", PUBLIC)
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", TOKEN)
    queue = Queue("notification", redis_url=redis_url, prefix="bull")
    async with serving(redis_url, more={"notification": queue}) as service:
        await queue.add("send", {"userId": "user-42"}, job_id="ntf-7")
        yield service


async def call(
    api: Service,
    form: dict[str, str],
    *,
    job: str = "ntf-7",
    signed_for: str | None = None,
    token: str = TOKEN,
) -> httpx2.Response:
    """As Twilio calls, through a proxy that makes plain HTTP of it: without a key of ours."""
    url = f"{PUBLIC}/webhooks/twilio?job={signed_for or job}"
    headers = {
        "X-Twilio-Signature": sign(token, url, list(form.items())),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    async with httpx2.AsyncClient(base_url=api.url) as bare:
        return await bare.post(f"/webhooks/twilio?job={job}", content=urlencode(form), headers=headers)


async def log_of(redis_url: str, job: str = "ntf-7") -> list[str]:
    queue = Queue("notification", redis_url=redis_url, prefix="bull")
    return await queue.logs(job)


async def test_the_states_of_a_message_are_in_its_jobs_log(api: Service, redis_url: str) -> None:
    failed = FORM | {"MessageStatus": "undelivered", "ErrorCode": "30005"}
    with capture_logs() as logs:
        for form in (FORM | {"MessageStatus": "sent"}, failed):
            answer = await call(api, form)
            assert (answer.status_code, answer.content) == (204, b"")
    assert await log_of(redis_url) == ["sms sent", "sms undelivered, Twilio's error 30005"]
    assert "5551234" not in str(logs)


async def test_a_forged_callback_changes_nothing(api: Service, redis_url: str) -> None:
    for answer in (
        await call(api, FORM, token="another"),
        await call(api, FORM, signed_for="ntf-8"),
    ):
        assert answer.status_code == 401
        assert answer.headers["content-type"].startswith("application/problem+json")
    async with httpx2.AsyncClient(base_url=api.url) as bare:
        assert (await bare.post("/webhooks/twilio?job=ntf-7", content=urlencode(FORM))).status_code == 401
        assert (await bare.post("/webhooks/twilio", content=b"x" * 2_000_000)).status_code == 413
    assert await log_of(redis_url) == []


async def test_a_job_that_is_gone_takes_no_row(api: Service, redis_url: str) -> None:
    assert (await call(api, FORM, job="gone")).status_code == 204
    assert await log_of(redis_url, "gone") == []
    assert (await call(api, {"MessageSid": "SM1"})).status_code == 204


async def test_the_routes_are_described(api: Service) -> None:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    described = (await api.http.get("/openapi.json", headers=headers)).json()
    assert described["paths"]["/webhooks/twilio"]["post"]["security"] == []
    assert "/notify" in described["paths"]
