from __future__ import annotations

import pytest

from corral.providers.redact import redact


@pytest.mark.parametrize(
    ("text", "private", "expected"),
    [
        ("first name Sample is odd", ["Sample"], "first name [redacted] is odd"),
        ("SAMPLE and sample", ["Sample"], "[redacted] and [redacted]"),
        ("Sampler is not Sample", ["Sample"], "Sampler is not [redacted]"),
        ("key api_live.abc-DEF.ghi failed", ["api_live.abc-DEF.ghi"], "key [redacted] failed"),
        ("number L01X00T471 is taken", [], "number [redacted] is taken"),
        ("born 1990-05-01", [], "born [redacted]"),
        ("mail sample@example.com bounced", [], "mail [redacted] bounced"),
        ("token eyJhbGciOiJIUzI1NiJ9.e30.abc", [], "token [redacted]"),
        ("image iVBORw0KGgo+AA8/x=", [], "image [redacted]"),
        ("No image provided for step 'BACK'", [], "No image provided for step 'BACK'"),
        ("status 422", [], "status 422"),
        ("two\nlines\tand  gaps", [], "two lines and gaps"),
        ("a (b) [c] is data", ["(b) [c]"], "a [redacted] is data"),
        ("x is short", ["x", ""], "x is short"),
    ],
)
def test_known_values_and_what_looks_like_one_are_replaced(
    text: str, private: list[str], expected: str
) -> None:
    assert redact(text, private) == expected


def test_the_longer_of_two_values_goes_first() -> None:
    assert redact("Sample One", ["Sample", "Sample One"]) == "[redacted]"


def test_a_long_message_is_cut() -> None:
    assert len(redact("word " * 500)) == 200
