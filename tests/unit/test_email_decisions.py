"""What the queue `email` takes, whom it asks to send, and what a failure means."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from corral.providers.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.fetch import Fetched
from corral.providers.mail import Address
from corral.queues.email_message import (
    attachment_name,
    media_type,
    message_id,
    recipients_of,
    sender_of,
    unlike,
)
from corral.queues.email_sending import MayHaveBeenSent, Route, Taken, goes_on, route_of, taken, verdict
from corral.queues.email_types import AttachmentLink, EmailJob
from corral.settings import Settings

PLAIN: dict[str, Any] = {
    "to": "a@example.com",
    "template": "welcome",
    "data": {"name": "A"},
    "provider": "sendgrid",
}

RETRY = ProviderRetryable("sendgrid", "500")
OTHER_RETRY = ProviderRetryable("mailgun", "500")
WRONG_KEY = ProviderMisconfigured("sendgrid", "401")
REFUSED = ProviderPermanent("mailgun", "400")


def job(**change: Any) -> EmailJob:
    data = {name: value for name, value in {**PLAIN, **change}.items() if value is not None}
    return msgspec.convert(data, EmailJob)


# Data


def test_data_of_the_mission_is_taken_and_comes_back_the_same() -> None:
    assert msgspec.to_builtins(job()) == PLAIN
    assert job(to=["a@example.com", "User <b@example.com>"]).recipients[1] == "User <b@example.com>"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"to": []}, r"length >= 1.*\$.to"),
        ({"to": [f"user-{n}@example.com" for n in range(51)]}, r"length <= 50.*\$.to"),
        ({"to": None}, "missing required field `to`"),
        ({"to": 7}, r"\$.to"),
        ({"to": "nobody"}, "to: a mail address has no @"),
        ({"to": ["a@example.com", "b@example.com\r\nBcc: c@example.com"]}, r"to\[1\]: .* line break"),
        ({"to": "x@exa mple.com"}, "to: what is after the @"),
        ({"from": "nobody"}, "from: a mail address has no @"),
        ({"replyTo": "zoë@example.com"}, "replyTo: .* outside ASCII"),
        ({"template": None}, "either template or templateId"),
        ({"templateId": "d-1"}, "either template or templateId"),
        ({"template": "../etc/passwd"}, r"\$.template"),
        ({"template": None, "templateId": "d-1", "provider": "smtp"}, "keeps no templates"),
        ({"template": None, "templateId": "d-1", "subject": "x"}, "put it into data"),
        ({"template": None, "templateId": "d\r\n1"}, r"\$.templateId"),
        ({"subject": "a\r\nBcc: b@example.com"}, r"\$.subject"),
        ({"subject": ""}, r"\$.subject"),
        ({"data": []}, r"\$.data"),
        ({"provider": "postcard"}, r"\$.provider"),
        ({"provider": None}, "missing required field `provider`"),
        ({"attachments": [{"url": "ftp://example.com/a"}]}, r"\$.attachments\[0\].url"),
        ({"attachments": [{"url": "https://example.com/a", "name": "../a"}]}, r"\$.attachments\[0\].name"),
        ({"attachments": [{"url": "https://example.com/a", "name": "a\r\nb"}]}, r"\$.attachments\[0\].name"),
        ({"attachments": [{"url": "https://example.com/a"}] * 11}, r"length <= 10.*\$.attachments"),
        ({"tags": ["a\nb"]}, r"\$.tags\[0\]"),
        ({"tags": ["a"] * 11}, r"\$.tags"),
        ({"delivery": "twice"}, r"\$.delivery"),
    ],
)
def test_wrong_data_is_named_by_its_field(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=reason) as refused:
        job(**change)
    assert "@example" not in str(refused.value).replace("name@example.com", "")


# Recipients, sender, id


def test_each_mailbox_is_written_to_once_unless_it_is_suppressed() -> None:
    data = job(to=["A@example.com", "User <b@example.com>", "a@EXAMPLE.com", "c@example.com"])

    assert recipients_of(data, {}) == [
        Address("A@example.com"),
        Address("b@example.com", "User"),
        Address("c@example.com"),
    ]
    assert recipients_of(data, {"b@example.com": "bounce"}) == [
        Address("A@example.com"),
        Address("c@example.com"),
    ]


def settings(**values: Any) -> Settings:
    return Settings(_env_file=None, **values)


def test_the_sender_is_the_jobs_or_the_settings_or_the_sandboxes() -> None:
    assert sender_of(job(**{"from": "b@example.com"}), settings(CORRAL_MAIL_FROM="c@example.com")) == Address(
        "b@example.com"
    )
    assert sender_of(job(), settings(CORRAL_MAIL_FROM="Shop <c@example.com>")) == Address(
        "c@example.com", "Shop"
    )
    assert sender_of(job(), settings(CORRAL_SANDBOX=True)).email == "no-reply@example.com"


@pytest.mark.parametrize("value", ["", "nonsense", "a@example.com\r\nBcc: b@example.com"])
def test_without_a_sender_nothing_can_be_sent(value: str) -> None:
    with pytest.raises(ProviderMisconfigured, match="CORRAL_MAIL_FROM"):
        sender_of(job(), settings(CORRAL_MAIL_FROM=value))


def test_the_message_id_is_made_of_the_job() -> None:
    assert message_id("mail-0a1b", 1.5, "shop@example.com") == "<mail-0a1b@example.com>"
    assert message_id("7", 1_700_000_000.123, "shop@example.com") == "<7.1700000000123@example.com>"


@pytest.mark.parametrize("job_id", ["repeat:x:1700000000000", "a b>\r\nBcc: x", "ä", "x" * 200, "\ud800"])
def test_an_id_that_no_header_holds_is_hashed(job_id: str) -> None:
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", message_id(job_id, 1.0, "shop@example.com"))


def test_a_number_of_another_redis_is_another_message() -> None:
    assert message_id("7", 1.0, "a@example.com") != message_id("7", 2.0, "a@example.com")


# Attachments


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://example.com/files/report.pdf?sig=1", "report.pdf"),
        ("https://example.com/a%20b%0D%0Ac.pdf", "a b-c.pdf"),
        ("https://example.com/..%2F..%2Fetc%2Fpasswd", "passwd"),
        ("https://example.com/", "attachment"),
        ("https://example.com/...", "attachment"),
        (f"https://example.com/{'x' * 200}.pdf", f"{'x' * 96}.pdf"),
    ],
)
def test_a_file_is_named_by_its_url(url: str, name: str) -> None:
    assert attachment_name(AttachmentLink(url=url)) == name
    assert attachment_name(AttachmentLink(url=url, name="given.txt")) == "given.txt"


def test_two_files_of_one_name_are_told_apart() -> None:
    assert unlike(["a.pdf", "A.pdf", "b", "b", ".x", ".x"]) == ["a.pdf", "A-2.pdf", "b", "b-2", ".x", ".x-2"]


@pytest.mark.parametrize(
    ("name", "sniffed", "expected"),
    [
        ("a.txt", "application/pdf", "application/pdf"),
        ("a.csv", "application/octet-stream", "text/csv"),
        ("a.tar.gz", "application/octet-stream", "application/octet-stream"),
        ("a", "application/octet-stream", "application/octet-stream"),
    ],
)
def test_the_bytes_decide_what_a_file_is(name: str, sniffed: str, expected: str) -> None:
    assert media_type(name, Fetched(b"", sniffed, "")) == expected


# Who sends


def route(checkpoints: dict[str, Any], **more: Any) -> Route:
    options: dict[str, Any] = {"providers_template": False, "delivery": "at_least_once", **more}
    return route_of(checkpoints, "sendgrid", ("mailgun", "sendgrid", "smtp", "mailgun"), **options)


def test_the_jobs_own_provider_is_asked_first_and_each_once() -> None:
    assert route({}).providers == ("sendgrid", "mailgun", "smtp")
    assert not route({}).in_doubt


def test_a_providers_own_template_is_sent_by_nobody_else() -> None:
    assert route({}, providers_template=True).providers == ("sendgrid",)


MARKED = {"attempt_started": {"provider": "mailgun", "attempt": 1}}


def test_in_doubt_only_the_provider_that_may_have_it_is_asked_again() -> None:
    assert route(MARKED) == Route(("mailgun",), in_doubt=True, delivery="at_least_once")


def test_in_doubt_at_most_once_ends_in_the_dead_letters() -> None:
    with pytest.raises(MayHaveBeenSent, match="may have been sent: mailgun"):
        route(MARKED, delivery="at_most_once")


def test_a_marker_that_was_taken_back_leaves_no_doubt() -> None:
    assert not route({"attempt_started": None}, delivery="at_most_once").in_doubt


def test_what_was_sent_is_known() -> None:
    sent = {"provider": "smtp", "message_id": "<1@example.com>", "recipients": 2}

    assert taken({"sent": sent}) == Taken("smtp", "<1@example.com>", 2)
    assert taken(MARKED) is None


@pytest.mark.parametrize(
    ("failures", "expected"),
    [
        ([REFUSED, RETRY], REFUSED),
        ([RETRY], RETRY),
        ([RETRY, OTHER_RETRY], RETRY),
        ([RETRY, REFUSED], RETRY),
        ([WRONG_KEY], WRONG_KEY),
        ([WRONG_KEY, OTHER_RETRY], OTHER_RETRY),
        ([WRONG_KEY, REFUSED], WRONG_KEY),
    ],
)
def test_the_failure_that_counts(failures: list[ProviderError], expected: ProviderError) -> None:
    assert verdict(failures) is expected


def test_only_who_surely_did_not_take_it_is_followed_by_another() -> None:
    assert goes_on(RETRY)
    assert goes_on(WRONG_KEY)
    assert not goes_on(REFUSED)
