"""Mail addresses as people write them: checked, and brought into one form. Pure.

Accepts `a@example.com` and `Name <a@example.com>`. A domain outside ASCII is turned into its `xn--` form.
Limits: narrower than RFC 5322 on purpose. No quoted local parts, no comments, no address literals, no local
part outside ASCII (few servers take one), no domain without a dot. Whether a mailbox exists only its server
can say.
"""

from __future__ import annotations

import re

import httpx2

from corral.errors import InvalidInput
from corral.providers.mail import Address

#: RFC 5321: characters of a local part, and of a whole address.
_LOCAL_LENGTH = 64
_ADDRESS_LENGTH = 254

#: Characters of the name before an address.
NAME_LENGTH = 100

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?!\d+$)[a-z0-9-]{2,63}")
_NAMED = re.compile(r'\s*(?:"(?P<quoted>[^"\\]*)"|(?P<plain>[^"<>@,;:\\]*))\s*<(?P<email>[^<>]*)>\s*')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def parse_address(text: str) -> Address:
    """An address with or without a name. Raises InvalidInput, without the address in the message."""
    if _CONTROL.search(text):
        raise InvalidInput("a mail address has a line break or another control character in it")
    named = _NAMED.fullmatch(text)
    if named is None:
        return Address(check_email(text))
    name = (named["quoted"] or named["plain"] or "").strip()
    if len(name) > NAME_LENGTH:
        raise InvalidInput(f"the name before a mail address is longer than {NAME_LENGTH} characters")
    return Address(check_email(named["email"]), name)


def check_email(text: str) -> str:
    """A bare address with its domain in lower-case ASCII. Raises InvalidInput, as `parse_address` does."""
    if "," in text or ";" in text:
        raise InvalidInput("a mail address has a comma or semicolon in it; write several addresses as a list")
    local, at, domain = text.strip().rpartition("@")
    if not at:
        raise InvalidInput("a mail address has no @; write it as name@example.com")
    if not local.isascii():
        raise InvalidInput("a mail address has letters outside ASCII before the @; few servers take those")
    if len(local) > _LOCAL_LENGTH or not _LOCAL.fullmatch(local):
        raise InvalidInput("what is before the @ of a mail address cannot be used there")
    domain = _ascii_domain(domain)
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInput("what is after the @ of a mail address is not the name of a domain")
    if len(local) + 1 + len(domain) > _ADDRESS_LENGTH:
        raise InvalidInput(f"a mail address is longer than {_ADDRESS_LENGTH} characters")
    return f"{local}@{domain}"


def comparable(email: str) -> str:
    """The form in which two addresses are the same mailbox: servers ignore case in practice.

    An address that `check_email` would refuse is only lower-cased: it may come from a provider's event.
    """
    try:
        return check_email(email).lower()
    except InvalidInput:
        return email.strip().lower()


def _ascii_domain(domain: str) -> str:
    if domain.isascii():
        return domain.lower()
    try:
        return httpx2.URL(scheme="http", host=domain).raw_host.decode("ascii").lower()
    except (httpx2.InvalidURL, ValueError):
        return ""
