"""The answers of FCM, Google's OAuth, APNs, push services and Twilio, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from corral.providers import apns, fcm, service_account, twilio, webpush
from corral.providers.verdict import Answer, Kind

OK, RETRY, PERMANENT, CONFIG = Kind.OK, Kind.RETRY, Kind.PERMANENT, Kind.MISCONFIGURED


def fcm_error(status: str, code: str = "", message: str = "m") -> dict[str, Any]:
    error: dict[str, Any] = {"code": 0, "message": message, "status": status}
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        error["details"] = [
            {"@type": "type.googleapis.com/google.rpc.Other"},
            {"@type": kind, "errorCode": code},
        ]
    return {"error": error}


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, {"name": "projects/p/messages/1"}, OK, "ok"),
        (404, fcm_error("NOT_FOUND", "UNREGISTERED"), PERMANENT, "UNREGISTERED"),
        (403, fcm_error("PERMISSION_DENIED", "SENDER_ID_MISMATCH"), PERMANENT, "SENDER_ID_MISMATCH"),
        (400, fcm_error("INVALID_ARGUMENT", "INVALID_ARGUMENT", "too big"), PERMANENT, "INVALID_ARGUMENT"),
        (
            400,
            fcm_error(
                "INVALID_ARGUMENT",
                "INVALID_ARGUMENT",
                "The registration token is not a valid FCM registration token",
            ),
            PERMANENT,
            "INVALID_REGISTRATION_TOKEN",
        ),
        (400, fcm_error("INVALID_ARGUMENT"), PERMANENT, "INVALID_ARGUMENT"),
        (401, fcm_error("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"), CONFIG, "THIRD_PARTY_AUTH_ERROR"),
        (401, fcm_error("UNAUTHENTICATED", "APNS_AUTH_ERROR"), CONFIG, "APNS_AUTH_ERROR"),
        (401, fcm_error("UNAUTHENTICATED"), RETRY, fcm.STALE),
        (403, fcm_error("PERMISSION_DENIED"), CONFIG, "PERMISSION_DENIED"),
        (404, fcm_error("NOT_FOUND"), CONFIG, "NOT_FOUND"),
        (404, None, CONFIG, "HTTP 404"),
        (429, fcm_error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), RETRY, "QUOTA_EXCEEDED"),
        (500, fcm_error("INTERNAL", "INTERNAL"), RETRY, "INTERNAL"),
        (503, fcm_error("UNAVAILABLE", "UNAVAILABLE"), RETRY, "UNAVAILABLE"),
        (502, None, RETRY, "HTTP 502"),
        (400, {"error": "no object"}, PERMANENT, "HTTP 400"),
        (400, ["no object"], PERMANENT, "HTTP 400"),
    ],
)
def test_fcm(status: int, body: Any, kind: Kind, code: str) -> None:
    verdict = fcm.classify(Answer(status, body))
    assert (verdict.kind, verdict.code) == (kind, code)


def test_fcms_quota_waits_a_minute_at_least() -> None:
    body = fcm_error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert fcm.classify(Answer(429, body, 5.0)).after == 60.0
    assert fcm.classify(Answer(429, body, 90.0)).after == 90.0
    assert fcm.classify(Answer(503, fcm_error("UNAVAILABLE", "UNAVAILABLE"), 7.0)).after == 7.0


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (200, "", OK),
        (400, "invalid_grant", CONFIG),
        (401, "invalid_client", CONFIG),
        (404, "", CONFIG),
        (429, "", RETRY),
        (500, "internal_failure", RETRY),
    ],
)
def test_the_token_endpoint(status: int, error: str, kind: Kind) -> None:
    assert service_account.classify(Answer(status, {"error": error})).kind is kind


@pytest.mark.parametrize(
    ("status", "reason", "kind", "code"),
    [
        (200, "", OK, "ok"),
        (400, "BadDeviceToken", PERMANENT, "BadDeviceToken"),
        (400, "DeviceTokenNotForTopic", PERMANENT, "DeviceTokenNotForTopic"),
        (410, "Unregistered", PERMANENT, "Unregistered"),
        (410, "ExpiredToken", PERMANENT, "ExpiredToken"),
        (410, "", PERMANENT, "Unregistered"),
        (400, "BadTopic", PERMANENT, "BadTopic"),
        (404, "BadPath", PERMANENT, "BadPath"),
        (405, "MethodNotAllowed", PERMANENT, "MethodNotAllowed"),
        (413, "PayloadTooLarge", PERMANENT, "PayloadTooLarge"),
        (403, "InvalidProviderToken", CONFIG, "InvalidProviderToken"),
        (403, "MissingProviderToken", CONFIG, "MissingProviderToken"),
        (403, "BadCertificate", CONFIG, "BadCertificate"),
        (403, "ExpiredProviderToken", RETRY, apns.EXPIRED),
        (429, "TooManyRequests", RETRY, "TooManyRequests"),
        (500, "InternalServerError", RETRY, "InternalServerError"),
        (503, "Shutdown", RETRY, "Shutdown"),
    ],
)
def test_apns(status: int, reason: str, kind: Kind, code: str) -> None:
    verdict = apns.classify(Answer(status, {"reason": reason} if reason else None))
    assert (verdict.kind, verdict.code) == (kind, code)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (201, OK),
        (200, OK),
        (202, OK),
        (302, PERMANENT),
        (400, PERMANENT),
        (401, PERMANENT),
        (403, PERMANENT),
        (404, PERMANENT),
        (410, PERMANENT),
        (413, PERMANENT),
        (429, RETRY),
        (500, RETRY),
    ],
)
def test_web_push(status: int, kind: Kind) -> None:
    assert webpush.classify(Answer(status)).kind is kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (201, None, OK),
        (400, 21211, PERMANENT),
        (400, 21614, PERMANENT),
        (400, 21610, PERMANENT),
        (400, 21408, PERMANENT),
        (403, 21408, PERMANENT),
        (400, 21606, PERMANENT),
        (400, 21612, PERMANENT),
        (400, 21611, RETRY),
        (429, 20429, RETRY),
        (429, None, RETRY),
        (500, 20500, RETRY),
        (503, 20503, RETRY),
        (401, 20003, CONFIG),
        (403, 20005, CONFIG),
        (404, 20404, CONFIG),
        (401, None, CONFIG),
        (400, "21211", PERMANENT),
    ],
)
def test_twilio(status: int, code: Any, kind: Kind) -> None:
    body = {"code": code, "message": "m", "status": status}
    assert twilio.classify(Answer(status, body)).kind is kind


def test_twilios_number_is_the_code() -> None:
    assert twilio.classify(Answer(400, {"code": 21610, "message": "m"})).code == "21610"
    assert twilio.classify(Answer(429, {"code": 20429, "message": "m"}, 3.0)).after == 3.0
