"""CORRAL_API_KEYS: `name:secret:role[@queue+queue][~100/s][!2027-01-31],…`. Pure.

A secret is written as it is or, so that the setting holds none, as `sha256$` and the hex of its digest; `$`
is in no secret. The marks behind the role narrow the key, each at most once, in any order: `@` the queues it
is for, `~` how often it may call, `!` the last day (UTC) on which it is taken. No role has one of them in it,
nor has a queue that is named here; queues with stranger names need a managed key.

A malformed setting stops the service (ConfigurationError) and is described by position and name, never by its
secret. Emits: log `api_key_short` (warning) for a secret of fewer than 16 characters.
"""

from __future__ import annotations

import re
from typing import Any

import structlog

from corral.credentials import tokens
from corral.credentials.grants import Grant, Rate, Role, check_name, end_of_day
from corral.errors import ConfigurationError, InvalidInput

log = structlog.get_logger(__name__)

#: Below this many characters a secret can be guessed by a patient caller.
GUESSABLE_CHARS = 16

HASHED = "sha256$"

#: RFC 6750's token alphabet, minus ":" and ",", which separate the parts of the setting.
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")
_DIGEST = re.compile(r"sha256\$([0-9a-fA-F]{64})")
_QUEUE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_MARKS = re.compile(r"([@~!])([^@~!]*)")


def parse(setting: str) -> tuple[Grant, ...]:
    """The keys of the setting. Raises ConfigurationError if it is empty or malformed."""
    entries = [entry.strip() for entry in setting.split(",")]
    keys = [_key(number, entry) for number, entry in enumerate(entries, 1) if entry]
    if not keys:
        raise ConfigurationError(
            "CORRAL_API_KEYS is empty, so nobody could call the HTTP service. "
            "Set it to name:secret:role,… (roles: enqueue, read, admin)."
        )
    for what, values in (("name", [k.name for k in keys]), ("secret", [k.digest for k in keys])):
        for index, value in enumerate(values):
            if value in values[:index]:
                raise ConfigurationError(
                    f"CORRAL_API_KEYS: the {what} of key {keys[index].name!r} was given before. "
                    f"Give every key its own {what}."
                )
    return tuple(keys)


def _key(number: int, entry: str) -> Grant:
    parts = entry.split(":")
    if len(parts) != 3:
        raise ConfigurationError(
            f"CORRAL_API_KEYS: entry {number} has {len(parts)} part{'s'[: len(parts) != 1]} instead of 3. "
            "Write name:secret:role, with commas between keys and neither ':' nor ',' inside a secret."
        )
    name, secret, role = parts
    try:
        check_name(name)
    except InvalidInput:
        raise ConfigurationError(
            f"CORRAL_API_KEYS: the name of entry {number} must be 1 to 64 letters, digits, '.', '_' or '-'."
        ) from None
    digest = _digest(name, secret)
    plain = _MARKS.sub("", role)
    if plain not in set(Role):
        raise ConfigurationError(
            f"CORRAL_API_KEYS: {name!r} has an unknown role. Choose one of {', '.join(Role)}."
        )
    return Grant(name=name, role=Role(plain), digest=digest, **_narrowed(name, role[len(plain) :]))


def _digest(name: str, secret: str) -> bytes:
    if secret.startswith(HASHED):
        hashed = _DIGEST.fullmatch(secret)
        if hashed is None:
            raise ConfigurationError(
                f"CORRAL_API_KEYS: the hashed secret of {name!r} must be {HASHED} and 64 hex digits."
            )
        return bytes.fromhex(hashed[1])
    if not _SECRET.fullmatch(secret):
        raise ConfigurationError(
            f"CORRAL_API_KEYS: the secret of {name!r} must be 1 to 512 letters, digits or . _ ~ + / = -"
        )
    if len(secret) < GUESSABLE_CHARS:
        log.warning("api_key_short", key=name, chars=len(secret), advice=f"use {GUESSABLE_CHARS} or more")
    return tokens.digest(secret)


def _narrowed(name: str, marks: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for mark, text in _MARKS.findall(marks):
        what = {"@": "queues", "~": "rate", "!": "expires"}[mark]
        if what in given:
            raise ConfigurationError(f"CORRAL_API_KEYS: {name!r} has {mark!r} twice behind its role.")
        try:
            if mark == "@":
                given[what] = _queues(text)
            else:
                given[what] = Rate.parse(text) if mark == "~" else end_of_day(text)
        except InvalidInput as error:
            raise ConfigurationError(f"CORRAL_API_KEYS: {name!r}, behind its role: {error}") from None
    return given


def _queues(text: str) -> frozenset[str]:
    names = text.split("+")
    for name in names:
        if not _QUEUE.fullmatch(name):
            raise InvalidInput(
                f"{name[:100]!r} cannot be a queue here: letters, digits, '.', '_' and '-', with + between "
                "queues. A queue of another name needs a managed key (corral keys create)."
            )
    return frozenset(names)
