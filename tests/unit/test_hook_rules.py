"""What a hook says, how it is signed, and what settings and options make of one."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corral.bullmq.codec import decode_options, encode_options
from corral.errors import ConfigurationError, InvalidOptions
from corral.hook_settings import HookSettings, parse_secrets
from corral.hooks import DELIVERY_OPTIONS, DELIVERY_RETRY, EVENTS, HookRules, Webhook
from corral.policy import Retry
from corral.providers.standard_webhooks import classify, sign, verified
from corral.providers.verdict import Answer, Kind
from corral.queues.webhooks import Delivery, body, host_of, message_id, queue
from corral.settings import Settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(b"another key of 32 bytes, as such").decode()
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def keys(*secrets: str) -> tuple[bytes, ...]:
    return parse_secrets("X", " ".join(secrets))


# Signatures


def test_the_published_vector_is_signed_as_published() -> None:
    assert sign(keys(SECRET), MESSAGE, AT, BODY) == SIGNATURE


def test_two_secrets_sign_side_by_side_and_a_receiver_with_either_is_content() -> None:
    both = sign(keys(OTHER, SECRET), MESSAGE, AT, BODY)
    assert both.split()[1] == SIGNATURE
    headers = {"webhook-id": MESSAGE, "webhook-timestamp": str(AT), "webhook-signature": both}
    for secret in (SECRET, OTHER):
        assert verified(keys(secret), headers, BODY, AT)


@pytest.mark.parametrize(
    ("changes", "sent", "now"),
    [
        ({"webhook-id": "msg_other"}, BODY, AT),
        ({"webhook-timestamp": str(AT + 1)}, BODY, AT),
        ({"webhook-timestamp": "soon"}, BODY, AT),
        ({"webhook-signature": ""}, BODY, AT),
        ({"webhook-signature": "v1,ü"}, BODY, AT),
        ({}, BODY + b" ", AT),
        ({}, BODY, AT + 301),
        ({}, BODY, AT - 301),
    ],
)
def test_what_was_changed_or_is_old_is_not_verified(changes: dict[str, str], sent: bytes, now: float) -> None:
    headers = {"webhook-id": MESSAGE, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}
    assert verified(keys(SECRET), headers, BODY, AT)
    assert not verified(keys(SECRET), headers | changes, sent, now)


@pytest.mark.parametrize(
    "secret",
    ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_!!!!", "whsec_" + "QUFB" * 30, "whsec_"],
)
def test_a_malformed_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        parse_secrets("CORRAL_WEBHOOK_SECRET", f"{SECRET}, {secret}")
    assert "CORRAL_WEBHOOK_SECRET" in str(error.value)
    assert secret.removeprefix("whsec_") not in str(error.value) or secret == "whsec_"


# What is sent


def delivery(**changes: Any) -> Delivery:
    data = {
        "url": "https://receiver.example.org/in",
        "queue": "reports",
        "id": "17",
        "name": "build",
        "attemptsMade": 2,
        "event": "completed",
        "finishedOn": 1_750_000_000_123,
        "result": {"pages": 3},
    }
    return msgspec.json.decode(json.dumps(data | changes), type=Delivery)


def test_a_completed_job_is_told_with_its_result() -> None:
    assert json.loads(body(delivery())) == {
        "type": "job.completed",
        "timestamp": "2025-06-15T15:06:40.123Z",
        "data": {
            "id": "17",
            "queue": "reports",
            "name": "build",
            "status": "completed",
            "result": {"pages": 3},
            "attemptsMade": 2,
            "finishedOn": 1_750_000_000_123,
        },
    }


def test_a_failed_job_is_told_with_its_reason() -> None:
    told = json.loads(body(delivery(event="failed", failedReason="no such month", result=None)))
    assert told["type"] == "job.failed"
    assert (told["data"]["status"], told["data"]["failedReason"]) == ("failed", "no such month")
    assert "result" not in told["data"]


def test_a_result_that_is_too_large_is_left_out_and_the_body_says_so() -> None:
    left_out = json.loads(body(delivery(resultBytes=31_204, result=None)))["data"]
    assert (left_out["resultOmitted"], left_out["resultBytes"]) == (True, 31_204)
    assert "result" not in left_out
    fits_nearly = body(delivery(result="x" * 15_990, name="n" * 5_000))
    assert len(fits_nearly) < 20_000
    assert json.loads(fits_nearly)["data"]["resultBytes"] == 15_992


def test_the_longest_of_everything_stays_below_twenty_kilobytes() -> None:
    rules = HookRules("q" * 100, "bull:webhooks:", (Webhook("https://a.example.org/"),))
    targets = rules.targets()
    assert targets is not None
    ends = [
        targets.of_completed("i" * 255, "☃" * 500, 1, '"%s"' % ("☃" * 5_300)),
        targets.of_failed("i" * 255, "☃" * 500, 1, "\x01" * 5_000),
        targets.of_failed("i" * 255, "name", 1, "half a character: \ud800"),
    ]
    for _, _, heads, middle, tail, _ in ends:
        text = f'{heads[0]}{middle}{tail},"finishedOn":1}}'
        assert len(body(msgspec.json.decode(text, type=Delivery))) < 20_000


def test_a_message_keeps_its_id_over_tries_and_endpoints_and_every_end_has_another() -> None:
    same = {message_id(delivery()), message_id(delivery(url="https://other.example.org/"))}
    assert len(same) == 1
    others = [
        message_id(delivery(**change))
        for change in (
            {"id": "18"},
            {"queue": "r"},
            {"attemptsMade": 3},
            {"finishedOn": 1},
            {"event": "failed"},
        )
    ]
    assert len({*same, *others}) == 6


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    full = [DELIVERY_RETRY.wait_after(attempt, rand=lambda: 1.0) for attempt in range(1, 10)]
    spread = [DELIVERY_RETRY.wait_after(attempt, rand=lambda: 0.0) for attempt in range(1, 10)]
    assert full == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert all(0.85 * wait < jittered < wait for wait, jittered in zip(full, spread, strict=True))
    assert DELIVERY_RETRY.attempts == 10
    assert queue.retry is DELIVERY_RETRY


def test_a_delivery_has_the_options_that_adding_one_would_give_it() -> None:
    written = encode_options(
        retry=DELIVERY_RETRY, timeout=None, delay_ms=0, priority=0, lifo=False, job_id="", completed=None,
        failed=None,
    )  # fmt: skip
    assert json.loads(DELIVERY_OPTIONS) == json.loads(written)
    read = decode_options(DELIVERY_OPTIONS.encode()).retry
    assert read is not None
    assert (read.attempts, tuple(read.delays), read.jitter) == (10, DELIVERY_RETRY.delays, 0.1)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, Kind.OK), (204, Kind.OK), (299, Kind.OK), (301, Kind.RETRY), (307, Kind.RETRY),
        (400, Kind.RETRY), (401, Kind.RETRY), (403, Kind.RETRY), (404, Kind.RETRY),
        (410, Kind.PERMANENT), (429, Kind.RETRY),
        (500, Kind.RETRY), (501, Kind.RETRY), (502, Kind.RETRY), (504, Kind.RETRY), (505, Kind.RETRY),
    ],
)  # fmt: skip
def test_everything_but_2xx_and_410_is_tried_again(status: int, kind: Kind) -> None:
    verdict = classify(Answer(status, None, 7.0))
    assert verdict.kind is kind
    assert verdict.after == (7.0 if kind is Kind.RETRY else 0.0)


def test_a_host_is_found_in_any_text() -> None:
    assert host_of("https://user@Receiver.example.org:8443/secret?k=1") == "receiver.example.org"
    assert host_of("http://[broken") == ""


# Options


@pytest.mark.parametrize("events", [(), ("started",), ("completed", "gone")])
def test_an_event_that_there_is_not_is_refused(events: Any) -> None:
    with pytest.raises(InvalidOptions, match="completed, failed"):
        Webhook("https://a.example.org/", events)


@pytest.mark.parametrize(
    ("value", "hook"),
    [
        ({"url": "https://a/"}, Webhook("https://a/")),
        ("https://a/", Webhook("https://a/")),
        ({"url": "https://a/", "events": ["failed", "paused"]}, Webhook("https://a/", ("failed",))),
        ({"url": "https://a/", "events": "failed"}, None),
        ({"url": "https://a/", "events": []}, None),
        ({"url": 7}, None),
        ({"url": ""}, None),
        ([], None),
        (True, None),
        (None, None),
    ],
)
def test_options_of_any_producer_are_read(value: Any, hook: Webhook | None) -> None:
    assert decode_options(json.dumps({"webhook": value}).encode()).webhook == hook


@pytest.mark.parametrize("hook", [Webhook("https://a/ü"), Webhook("https://a/", ("failed",))])
def test_a_hook_survives_its_options(hook: Webhook) -> None:
    text = encode_options(
        retry=Retry(attempts=1), timeout=None, delay_ms=0, priority=0, lifo=False, job_id="", completed=None,
        failed=None, webhook=hook,
    )  # fmt: skip
    assert decode_options(text.encode()).webhook == hook


# Settings


def of(**settings: Any) -> HookSettings:
    return HookSettings.of(Settings(_env_file=None, **settings))


def test_endpoints_come_from_json_or_a_file_and_their_own_secret_signs(tmp_path: Path) -> None:
    text = json.dumps(
        [
            {"url": "https://a/", "secret": OTHER, "events": ["failed"]},
            {"url": "https://b/", "queues": ["email"]},
        ]
    )
    file = tmp_path / "webhooks.json"
    file.write_text(text)
    for value in (text, str(file)):
        hooks = of(CORRAL_WEBHOOKS=value, CORRAL_WEBHOOK_SECRET=SECRET)
        assert hooks.standing("email") == (Webhook("https://a/", ("failed",)), Webhook("https://b/", EVENTS))
        assert hooks.standing("reports") == (Webhook("https://a/", ("failed",)),)
        assert hooks.keys_for("https://a/") == keys(OTHER)
        assert hooks.keys_for("https://elsewhere/") == keys(SECRET)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[{}]", "url"),
        ('[{"url": "https://a/", "secrets": "x"}]', "secrets"),
        ('[{"url": "https://a/", "events": ["started"]}]', "started"),
        ('[{"url": "https://a/", "events": []}]', "completed, failed"),
        ('[{"url": "https://a/", "secret": "whsec_c2VjcmV0"}]', "24 to 64"),
        ("[{", "not JSON"),
        ("/nowhere/webhooks.json", "FileNotFoundError"),
    ],
)
def test_malformed_endpoints_are_refused(text: str, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word) as error:
        of(CORRAL_WEBHOOKS=text)
    assert "c2VjcmV0" not in str(error.value)


def test_the_sandbox_has_a_secret_of_its_own_and_only_the_sandbox() -> None:
    assert of(CORRAL_SANDBOX=True).keys_for("https://hooks.example.com/")
    assert of().keys_for("https://hooks.example.com/") == ()
    assert of(CORRAL_SANDBOX=True, CORRAL_WEBHOOK_SECRET=SECRET).secrets == keys(SECRET)
