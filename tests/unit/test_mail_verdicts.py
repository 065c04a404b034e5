"""The answers of the mail providers and of mail servers, as tables."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from corral.providers import mailgun, sendgrid, smtp
from corral.providers.http import read_answer
from corral.providers.verdict import Answer, Kind, parse_reset

OK, RETRY, PERMANENT, CONFIG = Kind.OK, Kind.RETRY, Kind.PERMANENT, Kind.MISCONFIGURED


def errors(message: str, field: str | None = None) -> dict[str, Any]:
    return {"errors": [{"message": message, "field": field, "help": None}]}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, None, OK),
        (200, None, OK),
        (400, errors("Does not contain a valid address", "personalizations.0.to.0.email"), PERMANENT),
        (401, errors("The provided authorization grant is invalid, expired, or revoked"), CONFIG),
        (401, errors("Maximum credits exceeded"), CONFIG),
        (403, errors("The from address does not match a verified Sender Identity", "from"), CONFIG),
        (403, None, CONFIG),
        (403, errors("Too many bad requests"), RETRY),
        (404, errors("not found"), PERMANENT),
        (406, None, PERMANENT),
        (413, errors("too large"), PERMANENT),
        (429, errors("too many requests"), RETRY),
        (429, None, RETRY),
        (500, errors("an internal error"), RETRY),
        (503, "a proxy's page", RETRY),
        (400, {"errors": "not a list"}, PERMANENT),
        (400, {"errors": [None, 7]}, PERMANENT),
    ],
)
def test_sendgrid(status: int, body: Any, kind: Kind) -> None:
    assert sendgrid.classify(Answer(status, body)).kind is kind


def test_sendgrids_rate_limit_waits_until_the_reset_unless_the_answer_says_better() -> None:
    limited = errors("too many requests")
    assert sendgrid.classify(Answer(429, limited, reset_after=17)).after == 17
    assert sendgrid.classify(Answer(429, limited, retry_after=5, reset_after=17)).after == 5
    assert sendgrid.classify(Answer(403, errors("too many bad requests"), reset_after=17)).after == 17
    # Other failures have the header, too; the queue's own waits hold for them.
    assert sendgrid.classify(Answer(500, None, reset_after=17)).after == 0


def test_sendgrid_names_the_fields_that_are_wrong_without_their_positions() -> None:
    body = {"errors": [{"field": f"personalizations.{n}.to.0.email", "message": "m"} for n in range(9)]}
    detail = sendgrid.classify(Answer(400, body)).detail
    assert detail == "; ".join(["personalizations.to.email: m"] * 3)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"id": "<x@example.com>", "message": "Queued. Thank you."}, OK),
        (400, {"message": "to parameter is not a valid address"}, PERMANENT),
        (401, None, CONFIG),
        (402, None, CONFIG),
        (403, {"message": "Domain example.com is not allowed to send"}, CONFIG),
        # With JSON it may pass by itself; without, the URL is wrong.
        (404, {"message": "template not found"}, RETRY),
        (404, {"message": "Domain not found: example.com"}, CONFIG),
        (404, None, CONFIG),
        (404, [], CONFIG),
        (413, {"message": "Request entity too large"}, PERMANENT),
        (429, {"message": "Too many requests"}, RETRY),
        (500, {"message": "Internal Server Error"}, RETRY),
        (502, None, RETRY),
    ],
)
def test_mailgun(status: int, body: Any, kind: Kind) -> None:
    assert mailgun.classify(Answer(status, body)).kind is kind


def test_mailguns_rate_limit_waits_as_long_as_it_says() -> None:
    assert mailgun.classify(Answer(429, {"message": "m"}, retry_after=9)).after == 9


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (421, RETRY),
        (450, RETRY),
        (451, RETRY),
        (452, RETRY),
        (454, RETRY),
        (500, PERMANENT),
        (530, CONFIG),
        (534, CONFIG),
        (535, CONFIG),
        (538, CONFIG),
        (550, PERMANENT),
        (552, PERMANENT),
        (554, PERMANENT),
    ],
)
def test_a_mail_servers_refusal(code: int, kind: Kind) -> None:
    verdict = smtp.classify(code, "text")
    assert verdict is not None
    assert verdict.kind is kind


def test_a_server_that_refuses_us_before_any_message_is_a_setting() -> None:
    refused = smtp.classify(554, "no service for you", greeting=True)
    busy = smtp.classify(421, "too many connections", greeting=True)
    assert refused is not None
    assert busy is not None
    assert (refused.kind, busy.kind) == (CONFIG, RETRY)


@pytest.mark.parametrize("code", [-1, 200, 354])
def test_what_is_no_refusal_is_judged_by_the_step_it_came_in(code: int) -> None:
    assert smtp.classify(code, "text") is None


def test_a_moment_is_counted_by_the_clock_of_who_named_it() -> None:
    """A worker whose clock is a day behind does not wait a day."""
    headers = {"Date": "Thu, 01 Jan 2026 12:00:00 GMT", "X-RateLimit-Reset": "1767268830"}
    answer = read_answer(httpx2.Response(429, headers=headers))
    assert answer.reset_after == 30
    headers["Retry-After"] = "Thu, 01 Jan 2026 12:00:09 GMT"
    assert read_answer(httpx2.Response(429, headers=headers)).retry_after == 9


NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0),
        ("", 0),
        (str(int(NOW.timestamp()) + 30), 30),
        (f" {int(NOW.timestamp()) + 30} ", 30),
        (str(int(NOW.timestamp()) - 30), 0),
        ("9" * 400, 3600),
        ("-5", 0),
        ("12.5", 0),
        ("soon", 0),
        ("٣", 0),
    ],
)
def test_the_moment_of_a_reset(value: str | None, seconds: float) -> None:
    assert parse_reset(value, NOW) == seconds
