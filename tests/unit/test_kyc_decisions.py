from __future__ import annotations

from typing import Any

import pytest

from corral.errors import LockLost, Snooze
from corral.providers.countries import ALPHA3
from corral.providers.errors import (
    FetchBlocked,
    ProviderAmbiguous,
    ProviderHeld,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.onfido import Check, Report
from corral.queues import kyc_idenfy, kyc_onfido
from corral.queues.kyc_review import MESSAGES
from corral.queues.kyc_status import MAY_REPLACE
from corral.queues.kyc_types import KycJob, Status
from corral.queues.kyc_verification import is_last, time_left
from corral.queues.kyc_waits import IDENFY_WAIT, Polling, next_wait


def report(sub_result: str | None = None, numbers: tuple[str, ...] = ("X-1",)) -> Report:
    properties: dict[str, Any] = {
        "document_numbers": [{"type": "document_number", "value": n} for n in numbers]
    }
    return Report("r", "document", "complete", "clear", sub_result, properties)


def held_for_the_last_time() -> ProviderHeld:
    error = ProviderHeld("p", "r")
    error.last = True
    return error


@pytest.mark.parametrize(
    ("status", "result", "reports", "expected"),
    [
        ("complete", "clear", [report("clear")], Status.APPROVED),
        ("complete", "clear", [], Status.APPROVED),
        ("complete", "clear", [report("clear", numbers=())], Status.APPROVED),
        ("complete", "clear", [report("clear", numbers=("x1",))], Status.APPROVED),
        ("complete", "clear", [report("clear", numbers=("9", "X 1"))], Status.APPROVED),
        ("complete", "clear", [report("clear", numbers=("X-2",))], Status.PENDING_REVIEW),
        ("complete", "consider", [report("rejected")], Status.REJECTED),
        ("complete", "consider", [report("suspected")], Status.PENDING_REVIEW),
        ("complete", "consider", [report("caution")], Status.PENDING_REVIEW),
        ("complete", "consider", [report("clear"), report()], Status.PENDING_REVIEW),
        ("complete", None, [report("clear")], Status.PENDING_REVIEW),
        ("withdrawn", None, [], Status.EXPIRED),
    ],
)
def test_onfidos_outcome(status: str, result: str | None, reports: list[Report], expected: Status) -> None:
    assert kyc_onfido.outcome(Check("c", status, result), reports, "X-1") is expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("X-1", "x 1", True),
        ("AB 12.34/5", "ab12345", True),
        ("\uff21\uff11\uff12", "A12", True),  # full width
        ("МЮ 123456", "мю123456", True),
        ("МЮ 123456", "123456", False),
        ("МЮ 123456", "АБ 123456", False),
        ("O1", "01", False),  # a human decides
        ("012", "12", False),
    ],
)
def test_numbers_are_the_same_if_only_their_writing_differs(one: str, other: str, same: bool) -> None:
    assert (kyc_onfido.normal(one) == kyc_onfido.normal(other)) is same
    expected = Status.APPROVED if same else Status.PENDING_REVIEW
    check = Check("c", "complete", "clear")
    assert kyc_onfido.outcome(check, [report("clear", numbers=(one,))], other) is expected


@pytest.mark.parametrize("claimed", ["--", "№", "-"])
def test_a_number_without_a_letter_or_digit_is_like_no_other(claimed: str) -> None:
    check = Check("c", "complete", "clear")
    reports = [report("clear", numbers=(claimed,))]
    assert kyc_onfido.outcome(check, reports, "--") is Status.PENDING_REVIEW


@pytest.mark.parametrize("odd", [None, "X-1", ["X-1"], [None], [{}], [{"value": None}]])
def test_odd_number_lists_of_a_report_decide_nothing(odd: object) -> None:
    read = Report("r", "document", "complete", "clear", "clear", {"document_numbers": odd})
    assert kyc_onfido.outcome(Check("c", "complete", "clear"), [read], "X-1") is Status.APPROVED


@pytest.mark.parametrize(
    ("overall", "expected"),
    [
        ("APPROVED", Status.APPROVED),
        ("DENIED", Status.REJECTED),
        ("SUSPECTED", Status.PENDING_REVIEW),
        ("REVIEWING", Status.PENDING_REVIEW),
        ("SOMETHING_NEW", Status.PENDING_REVIEW),
        ("", Status.PENDING_REVIEW),
        ("EXPIRED", Status.EXPIRED),
        ("ACTIVE", Status.EXPIRED),
        ("DELETED", Status.EXPIRED),
        ("ARCHIVED", Status.EXPIRED),
        ("EXPIRED-DELETED", Status.EXPIRED),
    ],
)
def test_idenfys_outcome(overall: str, expected: Status) -> None:
    assert kyc_idenfy.outcome(overall) is expected


def test_onfido_is_polled_at_doubling_intervals_up_to_a_quarter_of_an_hour_for_a_day() -> None:
    waits, elapsed, polls = [], 0.0, 0
    while (wait := next_wait(Polling(), polls, elapsed)) is not None:
        waits.append(wait)
        elapsed += wait
        polls += 1
    assert waits[:7] == [30, 60, 120, 240, 480, 900, 900]
    assert max(waits) == 900
    assert elapsed == 24 * 3600


def test_a_huge_number_of_polls_does_not_overflow() -> None:
    assert next_wait(Polling(), 10**6, 0) == 900


def test_idenfy_is_asked_once_twenty_minutes_after_the_sessions_end() -> None:
    assert IDENFY_WAIT == 3600 + 1200


@pytest.mark.parametrize(
    ("error", "attempt", "last"),
    [
        (ValueError("x"), 1, False),
        (ValueError("x"), 3, True),
        (ProviderRetryable("p", "r"), 2, False),
        (ProviderRetryable("p", "r"), 3, True),
        (ProviderAmbiguous("p", "r"), 3, True),
        (ProviderPermanent("p", "r"), 1, True),
        (FetchBlocked("r"), 1, True),
        (ProviderMisconfigured("p", "r"), 3, False),
        (Snooze(1), 3, False),
        (held_for_the_last_time(), 1, True),
        (LockLost(), 3, False),
    ],
)
def test_failed_is_said_only_when_nobody_will_try_again(error: Exception, attempt: int, last: bool) -> None:
    assert is_last(error, attempt, 3) is last


@pytest.mark.parametrize(
    ("deadline", "left"), [(None, None), (160.0, 55.0), (110.0, 9.0), (100.0, 0.0), (50.0, 0.0)]
)
def test_an_attempt_keeps_time_back_to_write_down_that_it_failed(
    deadline: float | None, left: float | None
) -> None:
    assert time_left(deadline, 100.0) == left


def test_no_state_replaces_an_outcome() -> None:
    outcomes = {Status.APPROVED, Status.REJECTED, Status.PENDING_REVIEW, Status.EXPIRED}
    for replaceable in MAY_REPLACE.values():
        assert not outcomes & set(replaceable)
    assert set(MAY_REPLACE) == set(Status)


def test_every_outcome_has_a_message_without_a_number_in_it() -> None:
    assert set(MESSAGES) == {Status.APPROVED, Status.REJECTED, Status.PENDING_REVIEW, Status.EXPIRED}


def kyc_job(user_id: str = "user-7", **more: Any) -> KycJob:
    return KycJob(
        user_id=user_id, document_type="passport", document_number="X-1", front_image_url="https://e.org/a",
        provider="onfido", **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("job", "names"),
    [
        (kyc_job(), ("Unknown", "user-7")),
        (kyc_job(first_name="Sample", last_name="Specimen"), ("Sample", "Specimen")),
        (kyc_job(first_name="Sample"), ("Sample", "user-7")),
        (kyc_job('<"a";b>@c'), ("Unknown", "abc")),
        (kyc_job("{$}"), ("Unknown", "6709d9da0b2d")),
    ],
)
def test_onfido_gets_neutral_names_where_the_job_has_none(job: KycJob, names: tuple[str, str]) -> None:
    assert kyc_onfido.names(job) == names


def test_references_fit_and_differ() -> None:
    assert kyc_onfido.job_tag("7") == "job:7"
    assert kyc_idenfy.external_ref("7") == "7"
    long_one, long_two = "j" * 200 + "1", "j" * 200 + "2"
    for make, most in ((kyc_onfido.job_tag, 128), (kyc_idenfy.external_ref, 40)):
        assert len(make(long_one)) <= most
        assert make(long_one) != make(long_two)


def test_every_country_has_both_codes() -> None:
    assert len(ALPHA3) == 250
    assert len(set(ALPHA3.values())) == 250
    assert (ALPHA3["FR"], ALPHA3["LT"], ALPHA3["GB"]) == ("FRA", "LTU", "GBR")
    assert all(len(a) == 2 and len(b) == 3 for a, b in ALPHA3.items())
