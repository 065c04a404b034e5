"""Who may sign in: people from CORRAL_DASHBOARD_USERS, each with a name, a password hash and a role.

The setting is `name:hash:role,…`; the hash is Argon2's, as `corral dashboard password` prints it. Roles:
`viewer` looks, `operator` repairs, `admin` does everything. What is in a job's data and result is shown to
admins, and to those whose role says `+payloads`: `mia:$argon2id$…:operator+payloads`.

A malformed setting stops the service (ConfigurationError), described by position and name, never by its hash.
An unknown name takes as long to refuse as a wrong password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from corral.api.auth import Permission
from corral.errors import ConfigurationError
from corral.settings import Settings

#: Below it a password is guessed sooner than it is forgotten.
SHORTEST_PASSWORD_CHARS = 10

#: A longer one is an attempt to keep the processor busy.
LONGEST_PASSWORD_CHARS = 1_024

_PAYLOADS = "+payloads"

#: A hash holds commas and dollars, but neither a colon nor a space.
_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9._@-]{1,64}):(?P<hash>\$argon2[^:\s]+):(?P<role>[a-z]+(\+payloads)?)"
)

_hasher = PasswordHasher()


class UserRole(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = (Permission.READ_JOBS, Permission.READ_DESCRIPTION, Permission.WATCH)
GRANTS: dict[UserRole, tuple[Permission, ...]] = {
    UserRole.VIEWER: _VIEWER,
    UserRole.OPERATOR: (*_VIEWER, Permission.ENQUEUE, Permission.CANCEL, Permission.OPERATE),
    UserRole.ADMIN: tuple(Permission),
}


@dataclass(frozen=True, slots=True)
class User:
    """password_hash: empty for who comes from single sign-on."""

    name: str
    role: UserRole
    password_hash: str
    permissions: tuple[Permission, ...]


class Users:
    """The people of one dashboard. Make it with `Users.parse(setting)`."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = users
        self._nobody = hash_password("the password of nobody")

    @classmethod
    def parse(cls, setting: str) -> Users:
        """What `read_users` reads. Takes a core for 50 ms. Raises ConfigurationError."""
        return cls(read_users(setting))

    @classmethod
    def of(cls, settings: Settings) -> Users:
        """As the settings say: nobody where single sign-on is the only way in. Raises ConfigurationError."""
        setting = settings.dashboard_users.get_secret_value()
        if settings.dashboard_oidc_only or (settings.dashboard_oidc_issuer and not setting):
            return cls({})
        return cls.parse(setting)

    def named(self, name: str) -> User | None:
        return self._users.get(name)

    def sign_in(self, name: str, password: str) -> User | None:
        """The user, if the password is theirs. Takes a core for 50 ms, whoever asks: call it in a thread."""
        user = self._users.get(name)
        if len(password) > LONGEST_PASSWORD_CHARS:
            return None
        try:
            _hasher.verify(user.password_hash if user else self._nobody, password)
        except Argon2Error:
            return None
        return user

    def __len__(self) -> int:
        return len(self._users)

    def __repr__(self) -> str:
        return f"Users({', '.join(f'{u.name}:{u.role}' for u in self._users.values())})"


def read_users(setting: str) -> dict[str, User]:
    """Read `name:hash:role,…`. Raises ConfigurationError if it is empty or malformed."""
    users: dict[str, User] = {}
    rest, number = setting.strip().strip(","), 0
    while rest:
        number += 1
        entry = _ENTRY.match(rest)
        if entry is None or rest[entry.end() : entry.end() + 1] not in ("", ","):
            raise ConfigurationError(
                f"CORRAL_DASHBOARD_USERS: entry {number} is not name:hash:role. `corral dashboard "
                "password` prints a hash; roles are viewer, operator, admin, with +payloads if wanted."
            )
        user = _user(entry["name"], entry["hash"], entry["role"])
        if user.name in users:
            raise ConfigurationError(f"CORRAL_DASHBOARD_USERS: {user.name!r} is there twice.")
        users[user.name] = user
        rest = rest[entry.end() :].lstrip(", ")
    if not users:
        raise ConfigurationError(
            "CORRAL_DASHBOARD_USERS is empty, so nobody could sign in to the dashboard. "
            "Set it to name:hash:role,…; `corral dashboard password` prints a hash."
        )
    return users


def hash_password(password: str) -> str:
    """Argon2id with the library's current parameters."""
    return _hasher.hash(password)


def role_and_grants(text: str) -> tuple[UserRole, tuple[Permission, ...]] | None:
    """What `operator+payloads` stands for; None: no role is called that."""
    plain = text.removesuffix(_PAYLOADS)
    if plain not in set(UserRole):
        return None
    grants = GRANTS[UserRole(plain)]
    if text != plain and Permission.READ_PAYLOADS not in grants:
        grants = (*grants, Permission.READ_PAYLOADS)
    return UserRole(plain), grants


def _user(name: str, password_hash: str, role: str) -> User:
    granted = role_and_grants(role)
    if granted is None:
        raise ConfigurationError(
            f"CORRAL_DASHBOARD_USERS: {name!r} has an unknown role. Choose one of {', '.join(UserRole)}."
        )
    try:
        _hasher.check_needs_rehash(password_hash)
    except (InvalidHashError, ValueError):
        raise ConfigurationError(
            f"CORRAL_DASHBOARD_USERS: what {name!r} has is no hash of Argon2. "
            "`corral dashboard password` prints one."
        ) from None
    return User(name, granted[0], password_hash, granted[1])
