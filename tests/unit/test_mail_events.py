"""Signed events of the mail providers: vectors, forged and late ones, and what an event means."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from corral.providers import mailgun_events, sendgrid_events
from corral.providers.errors import WebhookRejected
from corral.providers.mail_events import MailEvent, MailEventKind, suppression_reason
from corral.sandbox import keys
from corral.sandbox.signing import sendgrid_public_key, signed_headers
from corral.settings import Settings

NOW = 1767268800.0

# Made once with a key that was thrown away.
SENDGRID_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEIUFVJJNrapd3lel4eIBCJbJszAZO+oNACXaFDXnmm6Pp5obpd1fM5doZJilNVnFJ"
    "AzBrOFl04yaqiKqVPVAHlg=="
)
SENDGRID_BODY = (
    b'[{"email":"a@example.com","timestamp":1767268800,"event":"bounce","type":"bounce","status":"5.1.1",'
    b'"job_id":"mail-7"}]'
)
SENDGRID_SIGNATURE = (
    "MEYCIQD9icmjUMhlgl4o4GNfzgAozE3izGHNBZN8A6569VciJQIhANhARxcDPkAh/JY5huk9KhYGQCndOd+ZG7FM+eMaAPmj"
)
BOUNCED = MailEvent(MailEventKind.BOUNCED, "a@example.com", "mail-7", permanent=True)


def read(
    body: bytes = SENDGRID_BODY,
    signature: str = SENDGRID_SIGNATURE,
    timestamp: str = "1767268800",
    key: str = SENDGRID_KEY,
    now: float = NOW,
) -> tuple[MailEvent, ...]:
    return sendgrid_events.read_events(body, signature, timestamp, key, now)


def test_sendgrids_vector() -> None:
    assert read() == (BOUNCED,)


@pytest.mark.parametrize(
    "forged",
    [
        {"body": SENDGRID_BODY + b" "},
        {"body": SENDGRID_BODY.replace(b"a@", b"b@")},
        {"body": b""},
        {"signature": ""},
        {"signature": "not base64!"},
        {"signature": base64.b64encode(b"not DER").decode()},
        {"signature": "Ünïcödé"},
        {"timestamp": "1767268801"},
        {"timestamp": ""},
        {"timestamp": "²"},
        {"key": keys.SENDGRID_WEBHOOK_KEY},
    ],
)
def test_a_forged_sendgrid_webhook_is_rejected(forged: dict[str, Any]) -> None:
    with pytest.raises(WebhookRejected, match="does not match"):
        read(**forged)


@pytest.mark.parametrize(("now", "taken"), [(NOW + 300, True), (NOW - 300, True), (NOW + 301, False)])
def test_a_sendgrid_webhook_counts_for_five_minutes(now: float, taken: bool) -> None:
    if taken:
        assert read(now=now) == (BOUNCED,)
    else:
        with pytest.raises(WebhookRejected, match="clocks"):
            read(now=now)


@pytest.mark.parametrize("key", ["", "no key", base64.b64encode(b"no key").decode(), SENDGRID_KEY[:-8]])
def test_without_a_usable_key_no_sendgrid_webhook_is_believed(key: str) -> None:
    with pytest.raises(WebhookRejected, match="SENDGRID_WEBHOOK_KEY"):
        read(key=key)


def of_sendgrid(*events: dict[str, Any]) -> list[tuple[str, bool]]:
    """The kinds of a batch that the sandbox signed."""
    raw = json.dumps([{"email": "a@example.com", **event} for event in events]).encode()
    headers = signed_headers("sendgrid", raw)
    timestamp = headers[sendgrid_events.TIMESTAMP_HEADER]
    found = sendgrid_events.read_events(
        raw,
        headers[sendgrid_events.SIGNATURE_HEADER],
        timestamp,
        keys.SENDGRID_WEBHOOK_KEY,
        float(timestamp),
    )
    return [(event.kind.value, event.permanent) for event in found]


def test_sendgrids_events() -> None:
    assert of_sendgrid(
        {"event": "delivered", "response": "250 OK"},
        {"event": "deferred", "attempt": "5"},
        {"event": "bounce", "type": "bounce"},
        {"event": "bounce", "type": "blocked"},
        {"event": "dropped", "reason": "Bounced Address"},
        {"event": "dropped", "reason": "Unsubscribed Address"},
        {"event": "dropped", "reason": "Recipient List over Package Quota"},
        {"event": "spamreport"},
        {"event": "unsubscribe"},
        # Nobody is suppressed for these.
        {"event": "processed"},
        {"event": "open", "useragent": "u"},
        {"event": "group_unsubscribe", "asm_group_id": 7},
        {"event": "delivered", "email": ""},
    ) == [
        ("delivered", False),
        ("deferred", False),
        ("bounced", True),
        ("bounced", False),
        ("dropped", True),
        ("dropped", True),
        ("dropped", False),
        ("complained", False),
        ("unsubscribed", False),
    ]


def test_a_foreign_job_id_does_not_lose_the_batch() -> None:
    assert of_sendgrid({"event": "spamreport", "job_id": 7}, {"event": "unsubscribe", "job_id": {}}) == [
        ("complained", False),
        ("unsubscribed", False),
    ]


@pytest.mark.parametrize("raw", [b"not json", b"{}", b'[{"email":"a@example.com"}]', b"\xff"])
def test_a_signed_sendgrid_body_of_another_form_is_rejected(raw: bytes) -> None:
    headers = signed_headers("sendgrid", raw)
    with pytest.raises(WebhookRejected, match="form"):
        sendgrid_events.read_events(
            raw,
            headers[sendgrid_events.SIGNATURE_HEADER],
            headers[sendgrid_events.TIMESTAMP_HEADER],
            keys.SENDGRID_WEBHOOK_KEY,
            float(headers[sendgrid_events.TIMESTAMP_HEADER]),
        )


MAILGUN_KEY = "mailgun-webhook-test-key"
TOKEN = "4f2d" * 12 + "4f"
PROOF = {
    "timestamp": "1767268800",
    "token": TOKEN,
    "signature": "75a8786e337b8de02556b162dd7780fb744e3ac12221f4931ba6873899a79c55",
}


def mailgun_body(event: Mapping[str, Any] | None = None, **proof: Any) -> bytes:
    data = event or {"event": "failed", "severity": "permanent", "reason": "bounce"}
    data = {"recipient": "a@example.com", "user-variables": {"job_id": "mail-7"}, **data}
    return json.dumps({"signature": PROOF | proof, "event-data": data}).encode()


def test_mailguns_vector() -> None:
    signed = mailgun_events.read_webhook(mailgun_body(), MAILGUN_KEY, NOW)
    assert (signed.token, signed.event) == (TOKEN, BOUNCED)


def resigned(timestamp: str, token: str = TOKEN) -> dict[str, str]:
    signature = hmac.new(MAILGUN_KEY.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": signature}


@pytest.mark.parametrize(
    "proof",
    [
        {"timestamp": "1767268801"},
        {"token": TOKEN[:-1] + "0"},
        {"signature": "0" * 64},
        {"signature": ""},
        {"signature": "Ünïcödé"},
        resigned("²"),
        resigned("1767268800", token=""),
        resigned("soon"),
    ],
)
def test_a_forged_mailgun_webhook_is_rejected(proof: dict[str, Any]) -> None:
    with pytest.raises(WebhookRejected):
        mailgun_events.read_webhook(mailgun_body(**proof), MAILGUN_KEY, NOW)


def test_without_a_key_no_mailgun_webhook_is_believed() -> None:
    signature = hmac.new(b"", f"1767268800{TOKEN}".encode(), hashlib.sha256).hexdigest()
    with pytest.raises(WebhookRejected, match="MAILGUN_WEBHOOK_KEY"):
        mailgun_events.read_webhook(mailgun_body(signature=signature), "", NOW)


@pytest.mark.parametrize(
    ("age", "taken"), [(12 * 3600, True), (12 * 3600 + 1, False), (-300, True), (-301, False)]
)
def test_a_mailgun_token_is_remembered_for_longer_than_it_counts(age: float, taken: bool) -> None:
    if taken:
        signed = mailgun_events.read_webhook(mailgun_body(), MAILGUN_KEY, NOW + age)
        with pytest.raises(WebhookRejected, match="clocks"):
            mailgun_events.read_webhook(mailgun_body(), MAILGUN_KEY, NOW + age + signed.expires_in)
    else:
        with pytest.raises(WebhookRejected, match="clocks"):
            mailgun_events.read_webhook(mailgun_body(), MAILGUN_KEY, NOW + age)


@pytest.mark.parametrize(
    ("event", "kind", "permanent"),
    [
        ({"event": "delivered"}, "delivered", False),
        ({"event": "complained"}, "complained", False),
        ({"event": "unsubscribed"}, "unsubscribed", False),
        ({"event": "rejected", "reject": {"reason": "a virus"}}, "dropped", False),
        ({"event": "failed", "severity": "temporary", "reason": "generic"}, "deferred", False),
        ({"event": "failed", "severity": "permanent", "reason": "bounce"}, "bounced", True),
        ({"event": "failed", "severity": "permanent"}, "bounced", True),
        ({"event": "failed", "severity": "permanent", "reason": "old"}, "bounced", False),
        ({"event": "failed", "severity": "permanent", "reason": "suppress-complaint"}, "dropped", True),
        ({"event": "opened"}, None, False),
        ({"event": "delivered", "recipient": ""}, None, False),
    ],
)
def test_mailguns_events(event: dict[str, Any], kind: str | None, permanent: bool) -> None:
    found = mailgun_events.read_webhook(mailgun_body(event), MAILGUN_KEY, NOW).event
    assert (found and found.kind.value, bool(found and found.permanent)) == (kind, permanent)


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"signature":{}}', b'{"event-data":{}}', b"\xff"])
def test_a_mailgun_body_of_another_form_is_rejected(raw: bytes) -> None:
    with pytest.raises(WebhookRejected):
        mailgun_events.read_webhook(raw, MAILGUN_KEY, NOW)


@pytest.mark.parametrize(
    ("kind", "permanent", "reason"),
    [
        (MailEventKind.DELIVERED, False, None),
        (MailEventKind.DEFERRED, False, None),
        (MailEventKind.BOUNCED, True, "bounce"),
        (MailEventKind.BOUNCED, False, None),
        (MailEventKind.DROPPED, True, "dropped"),
        (MailEventKind.DROPPED, False, None),
        (MailEventKind.COMPLAINED, False, "complaint"),
        (MailEventKind.UNSUBSCRIBED, False, "unsubscribe"),
    ],
)
def test_who_is_not_written_to_again(kind: MailEventKind, permanent: bool, reason: str | None) -> None:
    assert suppression_reason(MailEvent(kind, "a@example.com", permanent=permanent)) == reason


def test_the_sandboxs_public_keys_count_only_in_the_sandbox() -> None:
    def both(**environment: Any) -> tuple[str, str]:
        made = Settings(_env_file=None, **environment)
        return sendgrid_events.webhook_key(made), mailgun_events.webhook_key(made)

    assert sendgrid_public_key() == keys.SENDGRID_WEBHOOK_KEY
    real = {"SENDGRID_API_KEY": "k", "MAILGUN_API_KEY": "k", "MAILGUN_DOMAIN": "d"}
    given = {"SENDGRID_WEBHOOK_KEY": "s", "MAILGUN_WEBHOOK_KEY": "m"}
    assert both(CORRAL_SANDBOX=False) == ("", "")
    assert both(CORRAL_SANDBOX=True) == (keys.SENDGRID_WEBHOOK_KEY, keys.MAILGUN_WEBHOOK_KEY)
    assert both(CORRAL_SANDBOX=True, **real) == ("", "")
    assert both(CORRAL_SANDBOX=False, **given) == ("s", "m")
