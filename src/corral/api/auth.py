"""Who may call: bearer keys, each with a name, a role and, if it is narrowed, queues, an end and a rate.

Keys come from CORRAL_API_KEYS (`credentials.setting`) and from Redis (`credentials.managed`, read again every
few seconds by `key_refresh`); both lie in this process's memory, so that a request asks Redis nothing. A name
is what logs and the audit log show; the secret itself is never kept, only its SHA-256 digest.

A presented key is looked up by its digest. That tells an attacker by its time nothing he could use: what is
compared is a digest, which he cannot steer towards that of a key without inverting SHA-256, and the look-up
goes by Python's hash of it, which is keyed anew in each process. Comparing with every key in turn would cost
more the more keys there are and hide nothing further.

Roles: `enqueue` adds and cancels jobs and reads their status; `read` reads jobs, metrics and the description
of the API; `admin` does everything. A key for certain queues may do that in those alone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from corral.api.problems import Problem, Refused
from corral.api.rates import Bucket
from corral.credentials import setting as setting_of
from corral.credentials import tokens
from corral.credentials.grants import GRANTS, Grant, Permission, Role
from corral.errors import RedisUnavailable

__all__ = ["GRANTS", "OWN_QUEUES", "ApiKey", "Keyring", "Permission", "Role", "check_scope"]

#: For `require`: the route is about many queues, and keeps to those of the key by itself.
OWN_QUEUES = "*:"

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
    "This key is not one of this service. It may have been revoked; or ask the operator for a key.",
    headers=_CHALLENGE_INVALID,
)
_MISTYPED_KEY = Problem(
    401,
    "mistyped-key",
    "Mistyped API key",
    "This is no whole key: its last six characters do not fit the rest. Copy it again.",
    headers=_CHALLENGE_INVALID,
)


class ApiKey:
    """One caller. `used`: it called since somebody last set it to False."""

    __slots__ = ("bucket", "grant", "grants", "id", "name", "narrowed", "queues", "role", "used")

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self.id = grant.id
        self.name = grant.name
        self.role = grant.role
        self.grants = GRANTS[grant.role]
        #: Those it is for; None: all.
        self.queues = grant.queues
        self.bucket = None if grant.rate is None else Bucket(grant.rate)
        #: One look tells that there is nothing further to look at.
        self.narrowed = (grant.queues, grant.expires, grant.rate) != (None, None, None)
        self.used = False

    def sees(self, queue: str) -> bool:
        return self.queues is None or queue in self.queues


class Keyring:
    """The keys this service accepts. Make it with `Keyring.parse(setting)`."""

    __slots__ = ("_by_digest", "_complete", "_fixed")

    def __init__(self, keys: Iterable[Grant]) -> None:
        self._fixed = {grant.digest: ApiKey(grant) for grant in keys}
        self._by_digest = dict(self._fixed)
        #: Whether the managed keys have been read, if there are any.
        self._complete = True

    @classmethod
    def parse(cls, setting: str) -> Keyring:
        """Read CORRAL_API_KEYS. Raises ConfigurationError if it is empty or malformed."""
        return cls(setting_of.parse(setting))

    def __len__(self) -> int:
        return len(self._by_digest)

    def __repr__(self) -> str:
        return f"Keyring({', '.join(f'{k.name}:{k.role}' for k in self._by_digest.values())})"

    def expect_managed(self) -> None:
        """Until `manage` is called, a key that is not known may be one that could not be read yet."""
        self._complete = False

    def manage(self, grants: Iterable[Grant]) -> None:
        """These are the managed keys from now on. One that stays as it was keeps its rate's count."""
        before = self._by_digest
        keys = dict(self._fixed)
        for grant in grants:
            known = before.get(grant.digest)
            same = known is not None and known.grant == grant
            key = known if known is not None and same else ApiKey(grant)
            if known is not None and not same and known.grant.rate == grant.rate:
                key.bucket = known.bucket
            keys.setdefault(grant.digest, key)
        self._by_digest = keys
        self._complete = True

    def managed(self) -> list[ApiKey]:
        return [key for key in self._by_digest.values() if key.id]

    def require(
        self, authorization: bytes | None, permission: Permission, queue: str | None = None
    ) -> ApiKey:
        """The caller of this Authorization header.

        queue: the one that the route is about; None: all of them; or OWN_QUEUES.
        Raises Refused: 401 for no known key, 403 for no leave, 429 for too many requests; and
        RedisUnavailable for a key that may be one which could not be read yet.
        """
        if not authorization:
            raise Refused(_NO_KEY)
        scheme, _, token = authorization.partition(b" ")
        if scheme != b"Bearer" and scheme.lower() != b"bearer":
            raise Refused(_BAD_SCHEME)
        key = self._by_digest.get(hashlib.sha256(token.strip()).digest())
        if key is None:
            raise self._unknown(token.strip())
        if key.narrowed:
            _check_narrowed(key, permission, queue)
        if permission not in key.grants:
            raise Refused(_wrong_role(key, permission))
        key.used = True
        return key

    def _unknown(self, token: bytes) -> Refused | RedisUnavailable:
        text = token.decode("latin-1")
        if tokens.is_mistyped(text):
            return Refused(_MISTYPED_KEY)
        if not self._complete and text.startswith(tokens.PREFIX):
            return RedisUnavailable(
                "The service has just started and could not read its keys yet. Try again."
            )
        return Refused(_UNKNOWN_KEY)


def _check_narrowed(key: ApiKey, permission: Permission, queue: str | None) -> None:
    expires = key.grant.expires
    if expires is not None and time.time() >= expires:
        raise Refused(
            Problem(
                401,
                "expired-key",
                "Expired API key",
                f"The key {key.name!r} was taken until {_moment(expires)}. Ask the operator for a new one.",
                headers=_CHALLENGE_INVALID,
            )
        )
    if key.bucket is not None:
        wait = key.bucket.take(time.monotonic())
        if wait:
            raise Refused(key.bucket.problem(key.name, wait))
    if queue != OWN_QUEUES:
        check_scope(key, permission, queue)


def check_scope(key: ApiKey, permission: Permission, queue: str | None) -> None:
    """Raise Refused if the key is for other queues. None: all queues are asked for."""
    if key.queues is None or queue in key.queues:
        return
    scope = ", ".join(sorted(key.queues))
    where = "in the service as a whole" if queue is None else f"in queue {queue[:100]!r}"
    raise Refused(
        Problem(
            403,
            "out-of-scope",
            "Not allowed with this key",
            f"The key {key.name!r} is for these queues: {scope}. This asks to {permission} {where}.",
        )
    )


def _wrong_role(key: ApiKey, permission: Permission) -> Problem:
    can = ", ".join(role for role in Role if permission in GRANTS[role])
    return Problem(
        403,
        "wrong-role",
        "Not allowed with this key",
        f"The key {key.name!r} has the role {str(key.role)!r}, which may not {permission}. Who may: {can}.",
    )


def _moment(epoch: float) -> str:
    return f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%d %H:%M} UTC"
