"""Twilio's signatures: its own example, and what is not believed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from corral.providers.errors import WebhookRejected
from corral.providers.twilio import callback_url, webhook_token
from corral.providers.twilio_webhook import SmsState, read_callback, sign
from corral.sandbox import keys
from corral.settings import Settings

TOKEN = "the-auth-token"
URL = "https://api.example.com/webhooks/twilio?job=ntf-7"
FIELDS = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30005", "To": "+15005551234"}
RAW = urlencode(FIELDS).encode()


def signature(url: str = URL, token: str = TOKEN, fields: dict[str, str] = FIELDS) -> str:
    return sign(token, url, list(fields.items()))


def test_the_signature_is_twilios() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE", "Digits": "1234", "From": "+14158675309", "To": "+18005551212",
        "Caller": "+14158675309",
    }  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert sign("12345", url, list(fields.items())) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert sign("12345", url, [*fields.items(), ("Digits", "1234")]) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_a_genuine_callback_says_what_became_of_the_jobs_message() -> None:
    assert read_callback(URL, RAW, signature(), TOKEN) == SmsState("ntf-7", "undelivered", "30005")


@pytest.mark.parametrize("told", ["https://api.example.com:443", "https://api.example.com"])
@pytest.mark.parametrize("called", ["https://api.example.com:443", "https://api.example.com"])
def test_the_schemes_own_port_does_not_matter(told: str, called: str) -> None:
    path = "/webhooks/twilio?job=ntf-7"
    assert read_callback(told + path, RAW, signature(called + path), TOKEN) is not None


@pytest.mark.parametrize(
    ("url", "raw", "proof", "token"),
    [
        (URL, RAW, "", TOKEN),
        (URL, RAW, "bm90IGl0", TOKEN),
        (URL, RAW, "not ascii: é", TOKEN),
        (URL, RAW + b"&MessageStatus=delivered", signature(), TOKEN),
        (URL.replace("ntf-7", "ntf-8"), RAW, signature(), TOKEN),
        (URL, RAW, signature(token="another"), TOKEN),
        (URL, b"\xff\xfe", signature(), TOKEN),
        (URL, RAW, signature(), ""),
        ("https://api.example.com:8443/webhooks/twilio?job=ntf-7", RAW, signature(), TOKEN),
    ],
)
def test_what_is_not_proven_is_not_believed(url: str, raw: bytes, proof: str, token: str) -> None:
    with pytest.raises(WebhookRejected) as caught:
        read_callback(url, raw, proof, token)
    assert "+15005551234" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "fields"),
    [
        ("https://api.example.com/webhooks/twilio", FIELDS),
        (URL, {"MessageSid": "SM1"}),
        (URL, {"MessageStatus": "<b>sent</b>"}),
    ],
)
def test_a_genuine_callback_that_says_nothing_of_a_job_is_passed_over(
    url: str, fields: dict[str, str]
) -> None:
    assert read_callback(url, urlencode(fields).encode(), signature(url, fields=fields), TOKEN) is None


def settings(**more: Any) -> Settings:
    return Settings(_env_file=None, **more)


def test_callbacks_are_asked_for_where_twilio_can_reach_us() -> None:
    public = settings(CORRAL_PUBLIC_URL="https://api.example.com/")
    assert callback_url(public, sandbox=False) == "https://api.example.com/webhooks/twilio"
    assert callback_url(settings(), sandbox=False) == ""
    assert callback_url(settings(), sandbox=True) == "http://127.0.0.1:3000/webhooks/twilio"
    off = settings(CORRAL_PUBLIC_URL="https://api.example.com", TWILIO_STATUS_CALLBACKS=False)
    assert callback_url(off, sandbox=False) == ""


def test_whose_token_callbacks_are_checked_with() -> None:
    own = {"TWILIO_ACCOUNT_SID": "AC1", "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+15005550006"}
    assert webhook_token(settings()) == ""
    assert webhook_token(settings(CORRAL_SANDBOX=True)) == keys.TWILIO_AUTH_TOKEN
    assert webhook_token(settings(CORRAL_SANDBOX=True, **own)) == "t"
