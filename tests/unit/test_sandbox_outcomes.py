from __future__ import annotations

import pytest

from corral.sandbox import photographs
from corral.sandbox.faults import Faults
from corral.sandbox.outbox import Outbox, initial, masked
from corral.sandbox.outcomes import Outcome, outcome
from corral.sandbox.pictures import subject


@pytest.mark.parametrize(
    ("number", "name", "expected"),
    [
        ("L01X00T471", "", Outcome.APPROVE),
        ("L01X00T47-REJECT", "", Outcome.REJECT),
        ("x-reject", "", Outcome.REJECT),
        ("REJECTED1", "", Outcome.APPROVE),
        ("123REVIEW", "", Outcome.REVIEW),
        ("123EXPIRE", "", Outcome.EXPIRE),
        ("123SILENT", "", Outcome.SILENT),
        ("123NEVER", "", Outcome.NEVER),
        ("123BLUR", "", Outcome.BLUR),
        ("123MISMATCH", "", Outcome.MISMATCH),
        ("123", "Reject", Outcome.REJECT),
        ("", "", Outcome.APPROVE),
    ],
)
def test_the_senders_word_decides(number: str, name: str, expected: Outcome) -> None:
    assert outcome(number, name) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/kyc/passport.jpg", "passport"),
        ("/kyc/id-front.jpg", "front"),
        ("/kyc/license-back.png", "back"),
        ("/users/7/selfie", "selfie"),
        ("/users/7/profile.jpg", "selfie"),
        ("/moments/beach.jpg", "landscape"),
    ],
)
def test_the_words_of_a_path_choose_the_picture(path: str, expected: str) -> None:
    assert subject(path) == expected


@pytest.mark.parametrize(
    ("kind", "suffix", "media_type"),
    [
        *((kind, ".jpg", "image/jpeg") for kind in photographs.SUBJECTS),
        ("back", ".png", "image/png"),
        ("back", ".webp", "image/webp"),
    ],
)
def test_every_sample_is_a_readable_photograph_of_a_size_that_providers_take(
    kind: str, suffix: str, media_type: str
) -> None:
    content = photographs.photograph(kind, suffix)
    assert photographs.readable(content, media_type)
    assert 32 * 1024 < len(content) < 3 * 1024 * 1024


def test_the_broken_ones_are_not_readable() -> None:
    assert not photographs.readable(photographs.corrupt_jpeg(), "image/jpeg")
    assert not photographs.readable(photographs.huge_png(), "image/png")
    assert not photographs.readable(photographs.photograph("back", ".jpg"), "image/png")


def test_a_fault_is_used_up_and_may_be_limited_to_a_path() -> None:
    faults = Faults({"onfido", "idenfy"})
    faults.add({"provider": "onfido", "fault": "500", "times": 2, "path": "POST /checks"})
    assert faults.take("idenfy", "POST", "/checks") is None
    assert faults.take("onfido", "GET", "/checks") is None
    assert faults.take("onfido", "POST", "/checks") is not None
    assert faults.show() == [{"provider": "onfido", "fault": "500", "times": 1, "path": "POST /checks"}]
    assert faults.take("onfido", "POST", "/checks") is not None
    assert faults.take("onfido", "POST", "/checks") is None


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"provider": "nobody", "fault": "500"},
        {"provider": "onfido", "fault": "200"},
        {"provider": "onfido", "fault": "500", "times": 0},
        {"provider": "onfido", "fault": "500", "time": 3},
    ],
)
def test_a_misspelt_fault_is_an_error(spec: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Faults({"onfido", "idenfy"}).add(spec)


def test_the_outbox_is_bounded_and_shows_little() -> None:
    outbox = Outbox()
    for number in range(1200):
        outbox.record("onfido", "check", number=masked(f"secret-{number}"), name=initial("Sample"))
    shown = outbox.show("onfido")
    assert shown["counts"] == {"onfido.check": 1200}
    assert len(shown["entries"]) == 1000
    assert shown["entries"][-1] | {"at": 0} == {
        "at": 0, "provider": "onfido", "action": "check", "number": "…99", "name": "S.",
    }  # fmt: skip
    assert outbox.show("idenfy")["entries"] == []
