from __future__ import annotations

import datetime
import json
from typing import Any

import msgspec
import pytest

from corral.queues.kyc_types import KycJob, KycResult
from corral.queues.kyc_verification import queue
from corral.queues.notification import NotificationJob
from corral.queues.notification import queue as notification

MISSIONS_OWN = {
    "userId": "user-7",
    "documentType": "passport",
    "documentNumber": "SPECIMEN-1",
    "frontImageUrl": "https://docs.example.com/passport-front.jpg",
    "provider": "onfido",
}


def read(**changes: Any) -> KycJob:
    body = {k: v for k, v in (MISSIONS_OWN | changes).items() if v is not ...}
    return msgspec.json.decode(json.dumps(body).encode(), type=KycJob)


def test_the_plain_job_is_read_and_written_in_camel_case() -> None:
    job = read()
    assert (job.user_id, job.provider, job.back_image_url) == ("user-7", "onfido", None)
    assert json.loads(msgspec.json.encode(job)) == MISSIONS_OWN


def test_the_optional_fields() -> None:
    job = read(
        firstName="Sample", lastName="Specimen", dateOfBirth="1990-05-01", issuingCountry="FR",
        selfieImageUrl="https://docs.example.com/selfie.jpg",
    )  # fmt: skip
    assert job.date_of_birth == datetime.date(1990, 5, 1)
    assert json.loads(msgspec.json.encode(job))["dateOfBirth"] == "1990-05-01"


def test_unknown_fields_are_let_through() -> None:
    assert read(correlationId="x").user_id == "user-7"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"userId": ...}, "userId"),
        ({"userId": ""}, "userId"),
        ({"userId": "   "}, "userId"),
        ({"userId": 7}, "userId"),
        ({"userId": "a\nb"}, "userId"),
        ({"documentType": "visa"}, "documentType"),
        ({"documentType": "PASSPORT"}, "documentType"),
        ({"documentNumber": ""}, "documentNumber"),
        ({"documentNumber": "x" * 51}, "documentNumber"),
        ({"frontImageUrl": ...}, "frontImageUrl"),
        ({"frontImageUrl": "passport.jpg"}, "frontImageUrl"),
        ({"frontImageUrl": "ftp://example.com/a.jpg"}, "frontImageUrl"),
        ({"frontImageUrl": "file:///etc/passwd"}, "frontImageUrl"),
        ({"frontImageUrl": "https://"}, "frontImageUrl"),
        ({"frontImageUrl": "https:///a.jpg"}, "frontImageUrl"),
        ({"frontImageUrl": "https://example.com/a b.jpg"}, "frontImageUrl"),
        ({"frontImageUrl": "https://example.com/" + "a" * 2048}, "frontImageUrl"),
        ({"backImageUrl": "nothing"}, "backImageUrl"),
        ({"selfieImageUrl": "nothing"}, "selfieImageUrl"),
        ({"provider": ...}, "provider"),
        ({"provider": "jumio"}, "provider"),
        ({"firstName": ""}, "firstName"),
        ({"firstName": "<b>"}, "firstName"),
        ({"firstName": " "}, "firstName"),
        ({"lastName": "  "}, "lastName"),
        ({"lastName": "a\nb"}, "lastName"),
        ({"lastName": "a\n"}, "lastName"),
        ({"dateOfBirth": "2999-01-01"}, "dateOfBirth"),
        ({"dateOfBirth": "01.05.1990"}, "dateOfBirth"),
        ({"issuingCountry": "FRA"}, "issuingCountry"),
        ({"issuingCountry": "ZZ"}, "issuingCountry"),
        ({"provider": "idenfy", "documentType": "id_card"}, "backImageUrl"),
        ({"provider": "idenfy", "documentType": "driving_license"}, "backImageUrl"),
        ({"provider": "idenfy", "userId": "ü"}, "userId"),
        ({"provider": "idenfy", "userId": "u" * 101}, "userId"),
    ],
)
def test_a_wrong_field_is_refused_at_the_edge_and_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        read(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"documentType": "id_card"},
        {"documentType": "driving_license"},
        {"provider": "idenfy"},
        {"provider": "idenfy", "documentType": "id_card", "backImageUrl": "http://example.com/back.png"},
        {"userId": "ü" * 255},
        {"frontImageUrl": "HTTP://EXAMPLE.COM/A.JPG"},
        {"backImageUrl": None},
    ],
)
def test_what_is_allowed(changes: dict[str, Any]) -> None:
    assert read(**changes)


def test_the_result_on_the_wire() -> None:
    result = KycResult(success=True, status="approved", completed_at="2026-01-01T00:00:00.000Z")
    assert json.loads(msgspec.json.encode(result)) == {
        "success": True, "status": "approved", "completedAt": "2026-01-01T00:00:00.000Z",
    }  # fmt: skip


def test_the_queues_policy_is_the_contracts() -> None:
    assert queue.name == "kyc-verification"
    assert (queue.retry.attempts, queue.retry.delays) == (3, (60.0, 300.0, 900.0))
    assert (queue.timeout, queue.priority, queue.concurrency) == (60, 1, 5)
    assert set(queue.jobs) == {"verify", "review"}
    assert queue.jobs["verify"].data_type is KycJob
    assert queue.jobs["verify"].result_type is KycResult


def test_the_notification_queues_policy_is_the_contracts() -> None:
    assert notification.name == "notification"
    assert set(notification.jobs) == {"send"}
    assert (notification.retry.attempts, notification.priority) == (3, 1)
    message = NotificationJob(user_id="u", type="push", title="t", body="b")
    assert json.loads(msgspec.json.encode(message)) == {
        "userId": "u", "type": "push", "title": "t", "body": "b",
    }  # fmt: skip
