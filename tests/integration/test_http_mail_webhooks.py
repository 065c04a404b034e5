"""Signed events of the mail providers reach the suppression list; forged, late and repeated ones do not."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from http_service import KEYS
from standins import running, talking_to
from structlog.testing import capture_logs

from corral import Queue, Settings
from corral.api.app import create_app
from corral.api.server import ApiServer
from corral.bullmq.connection import close_shared_clients
from corral.mail.suppression import SuppressionList
from corral.mail.tokens import Tokens
from corral.providers.mail import Address, Mail
from corral.sandbox import keys
from corral.sandbox.signing import mailgun_signature, signed_headers
from eventually import eventually

ADDRESS = "Gone@example.com"


@dataclass
class Api:
    url: str
    settings: Settings
    suppressed: SuppressionList

    async def post(self, provider: str, raw: bytes, headers: dict[str, str]) -> httpx2.Response:
        """As a provider calls: without a key of ours."""
        async with httpx2.AsyncClient(base_url=self.url, trust_env=False) as bare:
            return await bare.post(f"/webhooks/{provider}", content=raw, headers=headers)

    async def sendgrid(self, *events: dict[str, Any]) -> httpx2.Response:
        raw = json.dumps([{"email": ADDRESS, **event} for event in events], indent=1).encode()
        return await self.post("sendgrid", raw, signed_headers("sendgrid", raw))

    async def mailgun(self, signature: dict[str, str] | None = None, **event: Any) -> httpx2.Response:
        body = {
            "signature": signature or mailgun_signature(),
            "event-data": {"recipient": ADDRESS, "user-variables": {"job_id": "mail-7"}, **event},
        }
        return await self.post("mailgun", json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.fixture
async def api(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    for name in ("SENDGRID_API_KEY", "MAILGUN_API_KEY", "MAILGUN_DOMAIN"):
        monkeypatch.delenv(name, raising=False)
    # In sandbox mode: the sandbox's keys sign.
    settings = Settings(_env_file=None, redis_url=redis_url, api_keys=KEYS, CORRAL_SANDBOX=True)
    queue = Queue("email", redis_url=redis_url, prefix=settings.prefix)
    async with ApiServer(create_app(settings, {"email": queue}), grace_seconds=1) as server:
        yield Api(server.url, settings, SuppressionList(settings))
    await close_shared_clients()


async def test_sendgrids_events_reach_the_list(api: Api) -> None:
    with capture_logs() as logs:
        answer = await api.sendgrid(
            {"event": "delivered", "email": "fine@example.com", "job_id": "mail-7"},
            {"event": "bounce", "type": "bounce"},
            {"event": "spamreport", "email": "annoyed@example.com"},
            {"event": "bounce", "type": "blocked", "email": "full@example.com"},
        )
    assert (answer.status_code, answer.content) == (204, b"")
    asked = [ADDRESS, "annoyed@example.com", "full@example.com", "fine@example.com"]
    assert await api.suppressed.reasons(asked) == {ADDRESS: "bounce", "annoyed@example.com": "complaint"}
    (entry,) = [entry for entry in logs if entry["event"] == "mail_events"]
    assert entry["counts"] == {"delivered": 1, "bounced": 2, "complained": 1}
    assert (entry["provider"], entry["suppressed"]) == ("sendgrid", 2)
    assert "@" not in repr(logs)


async def test_a_mailgun_event_reaches_the_list(api: Api) -> None:
    # Exactly 200: Mailgun sends again what is answered with anything else.
    assert (await api.mailgun(event="unsubscribed")).status_code == 200
    assert (await api.mailgun(event="opened", recipient="fine@example.com")).status_code == 200
    assert await api.suppressed.reasons([ADDRESS, "fine@example.com"]) == {ADDRESS: "unsubscribe"}


@pytest.mark.parametrize("first", ["delivered", "opened"])
async def test_a_mailgun_token_counts_once_whatever_comes_with_it(api: Api, first: str) -> None:
    proof = mailgun_signature()
    assert (await api.mailgun(proof, event=first, recipient="fine@example.com")).status_code == 200
    with capture_logs() as logs:
        # Mailgun does not sign the event: without the memory, a seen signature would suppress anybody.
        answer = await api.mailgun(proof, event="complained", recipient="victim@example.com")
    assert answer.status_code == 200
    assert await api.suppressed.reason("victim@example.com") is None
    assert [entry["provider"] for entry in logs if entry["event"] == "mail_webhook_replayed"] == ["mailgun"]
    assert "victim" not in repr(logs)


async def test_a_token_is_free_again_when_what_it_stood_for_failed(api: Api) -> None:
    tokens = Tokens(api.settings)

    async def fail() -> None:
        async with tokens.once("t-1", 3600) as new:
            assert new
            raise OSError("away")

    with pytest.raises(OSError, match="away"):
        await fail()
    async with tokens.once("t-1", 3600) as new:
        assert new
        async with tokens.once("t-1", 3600) as second:
            assert not second
    async with tokens.once("t-1", 3600) as new:
        assert not new


async def test_tokens_are_forgotten_by_themselves(api: Api) -> None:
    queue = Queue("email", redis_url=api.settings.redis_url, prefix=api.settings.prefix)
    async with Tokens(api.settings).once("t-2", 3600):
        pass
    client = queue._bind().client
    (key,) = await client.keys("corral:*:mailgun-token-*")
    assert 3000 < await client.ttl(key) <= 3600
    await queue.close()


async def test_forged_and_late_webhooks_change_nothing(api: Api) -> None:
    raw = json.dumps([{"email": ADDRESS, "event": "spamreport"}]).encode()
    good = signed_headers("sendgrid", raw)
    late = str(int(time.time()) - 13 * 3600)
    old = hmac.new(keys.MAILGUN_WEBHOOK_KEY.encode(), f"{late}t".encode(), hashlib.sha256).hexdigest()
    with capture_logs() as logs:
        answers = [
            await api.post("sendgrid", raw, {}),
            await api.post("sendgrid", raw + b" ", good),
            await api.post("sendgrid", raw, good | {"X-Twilio-Email-Event-Webhook-Timestamp": late}),
            await api.post("mailgun", b"", {}),
            await api.mailgun(mailgun_signature() | {"signature": "0" * 64}, event="complained"),
            await api.mailgun({"timestamp": late, "token": "t", "signature": old}, event="complained"),
        ]
    assert [answer.status_code for answer in answers] == [401] * 6
    assert {answer.json()["type"] for answer in answers} == {"urn:corral:problem:bad-signature"}
    assert await api.suppressed.reason(ADDRESS) is None
    rejected = [entry["provider"] for entry in logs if entry["event"] == "webhook_rejected"]
    assert rejected == ["sendgrid"] * 3 + ["mailgun"] * 3
    assert "example.com" not in repr(logs)


@pytest.mark.parametrize("provider", ["sendgrid", "mailgun"])
async def test_the_sandbox_tells_the_service_what_became_of_a_mail(api: Api, provider: str) -> None:
    """From the provider's client through its stand-in and its signed webhook to the list."""
    with running(public_url=api.url) as sandbox:
        async with talking_to(sandbox) as providers:
            to = tuple(Address(f"{name}@example.com") for name in ("bounce-1", "complain-1", "fine"))
            mail = Mail(
                sender=Address("shop@example.com"),
                to=to,
                message_id="<mail-7@example.com>",
                job_id="mail-7",
                subject="Hello",
                text="Hello",
            )
            await getattr(providers, provider).send(mail)
        asked = [address.email for address in to]
        await eventually(lambda: sandbox.counts.get(f"{provider}.webhook") == 4)
    assert await api.suppressed.reasons(asked) == {asked[0]: "bounce", asked[1]: "complaint"}


async def test_while_redis_is_away_a_provider_is_asked_to_come_again(redis_url: str) -> None:
    settings = Settings(_env_file=None, redis_url="redis://127.0.0.1:1", api_keys=KEYS, CORRAL_SANDBOX=True)
    queue = Queue("email", redis_url="redis://127.0.0.1:1")
    async with ApiServer(create_app(settings, {"email": queue}), grace_seconds=1) as server:
        api = Api(server.url, settings, SuppressionList(settings))
        answers = await api.sendgrid({"event": "spamreport"}), await api.mailgun(event="complained")
    assert [(answer.status_code, "retry-after" in answer.headers) for answer in answers] == [(503, True)] * 2
    await close_shared_clients()
