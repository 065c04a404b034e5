"""What counts as a mail address, and what is refused with which reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import InvalidInput
from corral.mail.addresses import check_email, comparable, parse_address
from corral.providers.mail import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("a@example.com", Address("a@example.com")),
        (" A.b+tag@Mail.Example.COM ", Address("A.b+tag@mail.example.com")),
        ("User <a@example.com>", Address("a@example.com", "User")),
        ('"User, the first" <a@example.com>', Address("a@example.com", "User, the first")),
        ("<a@example.com>", Address("a@example.com")),
        ("a@bücher.example", Address("a@xn--bcher-kva.example")),
        ("Zoë 田中 <a@example.com>", Address("a@example.com", "Zoë 田中")),
        (f"{'x' * 64}@example.com", Address(f"{'x' * 64}@example.com")),
    ],
)
def test_an_address_is_brought_into_one_form(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no @"),
        ("example.com", "no @"),
        ("@example.com", "before the @"),
        ("a@", "after the @"),
        ("a@localhost", "after the @"),
        ("a@10.0.0.1", "after the @"),
        ("a@[10.0.0.1]", "after the @"),
        ("a@-bad.example.com", "after the @"),
        ("a@example..com", "after the @"),
        ("a@exa mple.com", "after the @"),
        ("a@☃\u0301\u200d..example", "after the @"),
        ("a..b@example.com", "before the @"),
        ("a b@example.com", "before the @"),
        ("a@b@example.com", "before the @"),
        ('"a b"@example.com', "before the @"),
        ("zoë@example.com", "outside ASCII"),
        (f"{'x' * 65}@example.com", "before the @"),
        (f"a@{'x' * 60}.{'x' * 60}.{'x' * 60}.{'x' * 60}.{'x' * 60}.com", "longer than 254"),
        ("a@example.com, b@example.com", "as a list"),
        ("a@example.com;b@example.com", "as a list"),
        ("a@example.com\r\nBcc: b@example.com", "line break"),
        ("User\nBcc: x <a@example.com>", "line break"),
        ("User\u2028 <a@example.com>", "line break"),
        (f"{'N' * 101} <a@example.com>", "name before"),
        ("User <a@example.com> b", "before the @|after the @"),
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as refused:
        parse_address(text)
    assert "example" not in str(refused.value).replace("name@example.com", "")


@given(st.text(max_size=80))
def test_whatever_is_accepted_has_no_line_break_and_stays_the_same(text: str) -> None:
    try:
        email = check_email(text)
    except InvalidInput:
        return
    assert email.isascii()
    assert email.isprintable()
    assert check_email(email) == email


def test_addresses_are_compared_without_case_and_in_ascii() -> None:
    assert comparable("A@BÜCHER.example") == comparable("a@xn--bcher-kva.EXAMPLE")
    assert comparable(" Not An Address ") == "not an address"
