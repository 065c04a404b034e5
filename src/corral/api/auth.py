"""Who may call: bearer keys from CORRAL_API_KEYS, each with a name and a role.

The setting is `name:secret:role,…`. A name is what logs and later audits show; the secret itself is
never kept: only its SHA-256 digest is, and a presented key is compared with every digest in constant
time, so neither the time nor the memory of the process gives a key away. A malformed setting stops the
service (ConfigurationError) and is described by position and name, never by its secret.

Roles: `enqueue` adds and cancels jobs and reads their status; `read` reads jobs, metrics and the description
of the API; `admin` does everything.

Emits: log `api_key_short` (warning) for a secret of fewer than 16 characters.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import StrEnum

import structlog

from corral.api.problems import Problem, Refused
from corral.errors import ConfigurationError

log = structlog.get_logger(__name__)

#: Below this many characters a secret can be guessed by a patient caller.
GUESSABLE_CHARS = 16

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: RFC 6750's token alphabet, minus ":" and ",", which separate the parts of the setting.
_SECRET = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")


class Permission(StrEnum):
    """What a route asks for."""

    ENQUEUE = "enqueue"
    CANCEL = "cancel jobs"
    READ_JOBS = "read jobs"
    READ_METRICS = "read metrics"
    READ_DESCRIPTION = "read the API's description"
    WATCH = "see how queues, workers and dead letters stand"
    READ_PAYLOADS = "see what jobs hold"
    OPERATE = "change queues, dead letters, breakers and alerts"


class Role(StrEnum):
    ENQUEUE = "enqueue"
    READ = "read"
    ADMIN = "admin"


#: Tuples, because `in` finds a member of a tuple by identity; a set would call the enum's slow hash.
GRANTS: dict[Role, tuple[Permission, ...]] = {
    Role.ENQUEUE: (
        Permission.ENQUEUE,
        Permission.CANCEL,
        Permission.READ_JOBS,
        Permission.READ_DESCRIPTION,
    ),
    Role.READ: (
        Permission.READ_JOBS,
        Permission.READ_METRICS,
        Permission.READ_DESCRIPTION,
        Permission.WATCH,
    ),
    Role.ADMIN: tuple(Permission),
}

_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="corral"'),)
_CHALLENGE_INVALID = (("WWW-Authenticate", 'Bearer realm="corral", error="invalid_token"'),)

_NO_KEY = Problem(
    401,
    "missing-key",
    "No API key",
    "This service answers nobody without a key. Send `Authorization: Bearer <key>`.",
    headers=_CHALLENGE,
)
_BAD_SCHEME = Problem(
    401,
    "missing-key",
    "No API key",
    "The Authorization header is not of the form `Bearer <key>`.",
    headers=_CHALLENGE,
)
_UNKNOWN_KEY = Problem(
    401,
    "unknown-key",
    "Unknown API key",
    "This key is not one of CORRAL_API_KEYS. Check for a typing error, or ask the operator for a key.",
    headers=_CHALLENGE_INVALID,
)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One caller. `digest` is SHA-256 of the secret."""

    name: str
    role: Role
    digest: bytes
    grants: tuple[Permission, ...]


class Keyring:
    """The keys this service accepts. Make it with `Keyring.parse(setting)`."""

    __slots__ = ("_keys",)

    def __init__(self, keys: tuple[ApiKey, ...]) -> None:
        self._keys = keys

    @classmethod
    def parse(cls, setting: str) -> Keyring:
        """Read `name:secret:role,…`. Raises ConfigurationError if it is empty or malformed."""
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
        return cls(tuple(keys))

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(f'{k.name}:{k.role}' for k in self._keys)})"

    def require(self, authorization: bytes | None, permission: Permission) -> ApiKey:
        """The caller of this Authorization header. Raises Refused: 401 for no known key, 403 for no leave.

        Compares with every key, also after a match, so that the time tells nothing.
        """
        if not authorization:
            raise Refused(_NO_KEY)
        scheme, _, token = authorization.partition(b" ")
        if scheme != b"Bearer" and scheme.lower() != b"bearer":
            raise Refused(_BAD_SCHEME)
        digest = hashlib.sha256(token.strip()).digest()
        found: ApiKey | None = None
        for key in self._keys:
            if hmac.compare_digest(digest, key.digest):
                found = key
        if found is None:
            raise Refused(_UNKNOWN_KEY)
        if permission not in found.grants:
            raise Refused(_wrong_role(found, permission))
        return found


def _key(number: int, entry: str) -> ApiKey:
    parts = entry.split(":")
    if len(parts) != 3:
        raise ConfigurationError(
            f"CORRAL_API_KEYS: entry {number} has {len(parts)} part{'s'[: len(parts) != 1]} instead of 3. "
            "Write name:secret:role, with commas between keys and neither ':' nor ',' inside a secret."
        )
    name, secret, role = parts
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"CORRAL_API_KEYS: the name of entry {number} must be 1 to 64 letters, digits, '.', '_' or '-'."
        )
    if not _SECRET.fullmatch(secret):
        raise ConfigurationError(
            f"CORRAL_API_KEYS: the secret of {name!r} must be 1 to 512 letters, digits or . _ ~ + / = -"
        )
    if role not in set(Role):
        raise ConfigurationError(
            f"CORRAL_API_KEYS: {name!r} has an unknown role. Choose one of {', '.join(Role)}."
        )
    if len(secret) < GUESSABLE_CHARS:
        log.warning("api_key_short", key=name, chars=len(secret), advice=f"use {GUESSABLE_CHARS} or more")
    return ApiKey(name, Role(role), hashlib.sha256(secret.encode()).digest(), GRANTS[Role(role)])


def _wrong_role(key: ApiKey, permission: Permission) -> Problem:
    can = ", ".join(role for role in Role if permission in GRANTS[role])
    return Problem(
        403,
        "wrong-role",
        "Not allowed with this key",
        f"The key {key.name!r} has the role {str(key.role)!r}, which may not {permission}. Who may: {can}.",
    )
