"""What is refused at the edge, how texts are made, and what becomes of a job whose devices differ."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from corral.providers.errors import ProviderError, ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.providers.push import MAX_BYTES, collapse_key, size, texts
from corral.queues.notification_push import Tally, key_of, verdict
from corral.queues.notification_types import NotificationJob, sms_text
from corral.recipients import Device


def job(**more: Any) -> NotificationJob:
    raw = {"userId": "user-42", "type": "push", "title": "t", "body": "b"} | more
    return msgspec.json.decode(msgspec.json.encode(raw), type=NotificationJob)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"type": "fax"}, "type"),
        ({"userId": " "}, "userId"),
        ({"userId": ""}, "userId"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"body": "x" * 2001}, "body"),
        ({"data": [1]}, "data"),
        ({"data": {"from": "x"}}, r"data\.from"),
        ({"data": {"google.sent": "x"}}, r"data\.google\.sent"),
        ({"data": {"aps": {}}}, r"data\.aps"),
        ({"data": {"k": "x" * 4095}}, "4098 bytes together; a push message holds 4096"),
        ({"data": {"k": ["é" * 2048]}}, "bytes together"),
        ({"type": "sms", "body": "x" * 1599}, "1601 characters together; a text message holds 1600"),
    ],
)
def test_what_no_provider_would_take_is_refused(more: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason):
        job(**more)


def test_what_just_fits_is_taken() -> None:
    assert job(data={"k": "x" * 4093}).data
    assert job(type="sms", body="x" * 1598)
    # A text message hands no data over, so nothing in it matters.
    assert job(type="sms", data={"from": "x" * 5000})


def test_values_become_texts() -> None:
    given = {"text": "a", "number": 7, "flag": True, "nothing": None, "list": [1, "b"], "deep": {"x": 1.5}}
    assert texts(given) == {
        "text": "a", "number": "7", "flag": "true", "list": '[1,"b"]', "deep": '{"x":1.5}',
    }  # fmt: skip
    assert size("é", "b", {"k": "vv"}) == 6
    assert MAX_BYTES == 4096


@pytest.mark.parametrize(
    ("data", "urgent"),
    [
        ({"urgent": True}, True),
        ({"urgent": "true"}, True),
        ({"urgent": "no"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_urgent(data: dict[str, Any] | None, urgent: bool) -> None:
    assert job(data=data).urgent is urgent


def test_a_text_message_says_title_and_body_once() -> None:
    assert sms_text(job(type="sms", title="Code", body="1234")) == "Code\n1234"
    assert sms_text(job(type="sms", title="1234", body="1234")) == "1234"


def test_the_collapse_key_is_the_job_or_a_hash_of_it() -> None:
    assert collapse_key("kyc-kyc-7") == "kyc-kyc-7"
    for odd in ("x" * 65, "jöb", "a\nb"):
        key = collapse_key(odd)
        assert len(key) == 64
        assert key == collapse_key(odd)
        assert key.isalnum()


def test_a_device_in_the_checkpoint_is_nothing_to_send_to() -> None:
    device = Device("fcm", "secret-token")
    assert "secret-token" not in key_of(device) + repr(device)
    assert key_of(device) != key_of(Device("apns", "secret-token"))


SOON = ProviderRetryable("fcm", "r", after=5.0)
LATER = ProviderRetryable("fcm", "r", after=90.0)
REFUSED = ProviderPermanent("fcm", "r")
NO_KEY = ProviderMisconfigured("apns", "r")


@pytest.mark.parametrize(
    ("sent", "errors", "last", "raised"),
    [
        (1, (), False, None),
        (0, (), False, None),
        (0, (SOON, LATER, REFUSED), False, LATER),
        (0, (SOON,), True, SOON),
        # What got through is not lost in the dead letters because another device did not answer.
        (1, (SOON,), False, SOON),
        (1, (SOON,), True, None),
        (0, (REFUSED, NO_KEY), False, NO_KEY),
        (1, (NO_KEY,), False, None),
        (0, (REFUSED,), False, REFUSED),
        (2, (REFUSED,), False, None),
    ],
)
def test_what_becomes_of_the_job(
    sent: int, errors: tuple[ProviderError, ...], last: bool, raised: ProviderError | None
) -> None:
    tally = Tally(ids=("fcm:1",) * sent, errors=errors)
    assert verdict(tally, last=last) is raised
