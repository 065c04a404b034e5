"""The matrix of providers' answers, as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from corral.errors import RetryAfter, Snooze, Unrecoverable
from corral.providers import idenfy, onfido, supabase
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.verdict import Answer, Kind, Verdict, by_status, parse_retry_after, raise_for

OK, RETRY, PERMANENT, CONFIG = Kind.OK, Kind.RETRY, Kind.PERMANENT, Kind.MISCONFIGURED


def onfido_error(kind: str, **fields: list[str]) -> dict[str, Any]:
    return {"error": {"type": kind, "message": "m", "fields": fields}}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, OK),
        (201, OK),
        (204, OK),
        (301, PERMANENT),
        (400, PERMANENT),
        (401, CONFIG),
        (403, CONFIG),
        (404, PERMANENT),
        (408, RETRY),
        (409, PERMANENT),
        (425, RETRY),
        (429, RETRY),
        (500, RETRY),
        (501, PERMANENT),
        (502, RETRY),
        (503, RETRY),
        (504, RETRY),
        (505, PERMANENT),
        (520, RETRY),
    ],
)
def test_the_default_rule(status: int, kind: Kind) -> None:
    assert by_status(Answer(status)).kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (201, {"id": "x"}, OK),
        (400, onfido_error("bad_request"), PERMANENT),
        (400, onfido_error("incorrect_base_url"), CONFIG),
        (401, onfido_error("authorization_error"), CONFIG),
        (401, onfido_error("expired_token"), CONFIG),
        (401, None, CONFIG),
        (403, onfido_error("account_disabled"), CONFIG),
        (403, onfido_error("trial_limits_reached"), CONFIG),
        (404, onfido_error("resource_not_found"), PERMANENT),
        (410, onfido_error("gone"), PERMANENT),
        (422, onfido_error("validation_error", detect_glare=["glare found in image"]), PERMANENT),
        (422, onfido_error("missing_billing_info"), CONFIG),
        (422, onfido_error("missing_documents"), PERMANENT),
        (422, onfido_error("invalid_reports_names"), PERMANENT),
        (429, onfido_error("rate_limit"), RETRY),
        (429, None, RETRY),
        (500, onfido_error("internal_server_error"), RETRY),
        (502, "a proxy's page", RETRY),
        (503, {"error": "not an object"}, RETRY),
    ],
)
def test_onfido(status: int, body: Any, kind: Kind) -> None:
    assert onfido.classify(Answer(status, body)).kind is kind


def test_onfido_names_the_fields_that_are_wrong() -> None:
    verdict = onfido.classify(Answer(422, onfido_error("validation_error", detect_glare=["glare"])))
    assert verdict.code == "validation_error"
    assert verdict.detail == "detect_glare; m"


def test_onfidos_rate_limit_waits_half_a_minute_where_nothing_is_said() -> None:
    assert onfido.classify(Answer(429, onfido_error("rate_limit"))).after == 30
    assert onfido.classify(Answer(429, onfido_error("rate_limit"), retry_after=90)).after == 90


def idenfy_error(identifier: str, message: str = "m") -> dict[str, str]:
    return {"identifier": identifier, "message": message}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, None, OK),
        (201, {"message": "Token created", "scanRef": "x"}, OK),
        # The identifier counts, whatever the status says.
        (200, idenfy_error("INTERNAL_ERROR"), RETRY),
        (400, idenfy_error("INTERNAL_ERROR"), RETRY),
        (400, idenfy_error("TOO_MANY_REQUESTS"), RETRY),
        (400, idenfy_error("BAD_VALUE"), PERMANENT),
        (400, idenfy_error("MISSING_VALUE"), PERMANENT),
        (400, idenfy_error("VALIDATION_ERROR"), PERMANENT),
        (400, idenfy_error("ENCODING_ERROR"), PERMANENT),
        (400, idenfy_error("JSON_ERROR"), PERMANENT),
        (400, idenfy_error("METHOD_NOT_ALLOWED"), PERMANENT),
        (400, idenfy_error("TOKEN_NOT_VALID"), PERMANENT),
        (500, idenfy_error("BAD_VALUE"), PERMANENT),
        (400, idenfy_error("UNAUTHORIZED"), CONFIG),
        (401, idenfy_error("UNAUTHORIZED"), CONFIG),
        (400, idenfy_error("PERMISSIONS_ERROR"), CONFIG),
        (400, idenfy_error("PARTNER_CONTRACT_ERROR"), CONFIG),
        (400, idenfy_error("VALIDATION_ERROR", "Partner reached token limit"), CONFIG),
        (401, None, CONFIG),
        (500, None, RETRY),
        (503, "a proxy's page", RETRY),
    ],
)
def test_idenfy(status: int, body: Any, kind: Kind) -> None:
    assert idenfy.classify(Answer(status, body)).kind is kind


def sql(code: str) -> dict[str, Any]:
    return {"code": code, "message": "m", "details": None, "hint": None}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, [], OK),
        (201, None, OK),
        (204, None, OK),
        (400, sql("22P02"), PERMANENT),
        (400, sql("23514"), PERMANENT),
        (409, sql("23505"), PERMANENT),
        (404, sql("42P01"), PERMANENT),
        (400, sql("PGRST102"), PERMANENT),
        (404, sql("PGRST205"), PERMANENT),
        (406, sql("PGRST116"), PERMANENT),
        # Serialization trouble and a stopping server come as 500: worth another try.
        (500, sql("40001"), RETRY),
        (500, sql("40P01"), RETRY),
        (500, sql("57014"), RETRY),
        (503, sql("08006"), RETRY),
        (503, sql("53300"), RETRY),
        (503, sql("PGRST001"), RETRY),
        (504, sql("PGRST003"), RETRY),
        (520, None, RETRY),
        (429, None, RETRY),
        (401, sql("PGRST301"), CONFIG),
        (401, {"message": "Invalid API key"}, CONFIG),
        (403, sql("42501"), CONFIG),
    ],
)
def test_supabase_rest(status: int, body: Any, kind: Kind) -> None:
    assert supabase.classify_rest(Answer(status, body)).kind is kind


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"Key": "images/a"}, OK),
        (400, {"statusCode": "404", "code": "NoSuchBucket"}, PERMANENT),
        (400, {"statusCode": "409", "code": "KeyAlreadyExists"}, PERMANENT),
        (400, {"statusCode": "403", "code": "AccessDenied"}, PERMANENT),
        (400, {"statusCode": "413", "code": "EntityTooLarge"}, PERMANENT),
        (400, {"statusCode": "415", "code": "InvalidMimeType"}, PERMANENT),
        (400, {"statusCode": "401", "code": "Unauthorized"}, CONFIG),
        (400, {"statusCode": "429", "code": "SlowDown"}, RETRY),
        (400, {"statusCode": "500", "code": "InternalError"}, RETRY),
        (400, {"statusCode": "544", "code": "DatabaseTimeout"}, RETRY),
        (400, {"statusCode": 544}, RETRY),
        (400, {"statusCode": "nonsense"}, PERMANENT),
        (400, None, PERMANENT),
        (401, None, CONFIG),
        (429, {"statusCode": "429"}, RETRY),
        (500, None, RETRY),
    ],
)
def test_supabase_storage(status: int, body: Any, kind: Kind) -> None:
    assert supabase.classify_storage(Answer(status, body)).kind is kind


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("86400", 3600),
        ("9" * 400, 3600),
        ("-5", 0),
        ("soon", 0),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Fri, 02 Jan 2026 12:00:00 GMT", 3600),
        ("٣", 0),
    ],
)
def test_retry_after(value: str | None, seconds: float) -> None:
    assert parse_retry_after(value, NOW) == seconds


@pytest.mark.parametrize(
    ("kind", "error", "steers"),
    [
        (RETRY, ProviderRetryable, RetryAfter),
        (PERMANENT, ProviderPermanent, Unrecoverable),
        (CONFIG, ProviderMisconfigured, Snooze),
    ],
)
def test_a_verdict_becomes_the_error_that_steers_the_job(
    kind: Kind, error: type[ProviderError], steers: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        raise_for("onfido", Verdict(kind, "some_code", after=9), "POST /checks: some_code")
    assert isinstance(caught.value, steers)
    assert str(caught.value) == "onfido: POST /checks: some_code"
    assert caught.value.code == "some_code"


def test_a_retryable_error_carries_the_wait_and_a_misconfigured_one_a_minute() -> None:
    assert ProviderRetryable("p", "r", after=9).seconds == 9
    assert ProviderMisconfigured("p", "r").seconds == 60


def test_an_ambiguous_error_is_an_ordinary_failed_attempt() -> None:
    assert not isinstance(ProviderAmbiguous("p", "r"), RetryAfter | Unrecoverable | Snooze)
