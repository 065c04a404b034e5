"""What single sign-on (OpenID Connect) means here: its settings, and who somebody is by their claims. Pure.

`CORRAL_DASHBOARD_OIDC_ROLES` gives groups their roles: `ops:operator,leads:admin,*:viewer`. Who is in several
has the highest role, and sees payloads if one of them may. Who is in none that is named does not get in.

An address counts only if the provider says that it has verified it (`email_verified`): else whoever may enter
any address there could be anybody here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from corral.api.loopback import is_loopback
from corral.api.problems import Problem, Refused
from corral.credentials.grants import Permission
from corral.dashboard.users import GRANTS, User, UserRole, role_and_grants
from corral.errors import ConfigurationError
from corral.settings import Settings

CALLBACK = "/oidc/callback"

#: A role for everybody whom the provider knows.
EVERYBODY = "*"

_ORDER = list(UserRole)

#: What the audit log can show in one line.
_NAME = re.compile(r"[^\W_][\w.@+-]{0,127}")
#: A path of our own, with its query: no host, no backslash (browsers take it for a slash), nothing unseen.
_LOCAL = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,500}")
#: Addresses below which there is nothing to look at.
_NO_PAGES = ("/oidc", "/api/", "/session", "/assets/", "/signin/")


@dataclass(frozen=True, slots=True)
class SingleSignOn:
    """The provider, this client there, and what its groups may. `name`: what the button calls it."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    name: str
    scopes: str
    user_claim: str
    groups_claim: str
    domains: frozenset[str]
    roles: Mapping[str, tuple[UserRole, tuple[Permission, ...]]]
    redirect_uri: str

    @property
    def identity(self) -> str:
        """What a session depends on: another provider or narrower domains end it."""
        return "\n".join((self.issuer, self.client_id, self.user_claim, *sorted(self.domains)))

    def user(self, name: str, groups: Iterable[str]) -> User | None:
        """Who is in these groups, as the settings are now; None: none of them has a role."""
        granted = [self.roles[group] for group in (*groups, EVERYBODY) if group in self.roles]
        if not granted:
            return None
        role = max((role for role, _ in granted), key=_ORDER.index)
        permissions = GRANTS[role]
        if Permission.READ_PAYLOADS not in permissions and any(
            Permission.READ_PAYLOADS in given for _, given in granted
        ):
            permissions = (*permissions, Permission.READ_PAYLOADS)
        return User(name, role, "", permissions)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the provider names them. groups: those that have a role here; no others are kept."""

    name: str
    groups: tuple[str, ...]


def read_single_sign_on(settings: Settings) -> SingleSignOn | None:
    """What is set; None: nothing. Raises ConfigurationError for what is half set, by its name."""
    issuer = settings.dashboard_oidc_issuer
    if not issuer:
        if settings.dashboard_oidc_only:
            raise ConfigurationError(
                "CORRAL_DASHBOARD_OIDC_ONLY is on and CORRAL_DASHBOARD_OIDC_ISSUER is empty, so nobody "
                "could sign in. Set one of them."
            )
        return None
    if not is_trusted(issuer):
        raise ConfigurationError(
            "CORRAL_DASHBOARD_OIDC_ISSUER has to be https: what it answers decides who gets in."
        )
    if not settings.dashboard_oidc_client_id:
        raise ConfigurationError(
            "CORRAL_DASHBOARD_OIDC_CLIENT_ID is empty. It is Corral's name at the provider."
        )
    roles = _roles(settings.dashboard_oidc_roles)
    return SingleSignOn(
        issuer=issuer,
        client_id=settings.dashboard_oidc_client_id,
        client_secret=settings.dashboard_oidc_client_secret.get_secret_value(),
        name=settings.dashboard_oidc_name,
        scopes=settings.dashboard_oidc_scopes,
        user_claim=settings.dashboard_oidc_user_claim,
        groups_claim=settings.dashboard_oidc_groups_claim,
        domains=frozenset(domain.lower().lstrip("@") for domain in settings.dashboard_oidc_email_domains),
        roles=roles,
        redirect_uri=settings.dashboard_url.rstrip("/") + CALLBACK,
    )


def is_trusted(url: str) -> bool:
    """Whether nobody on the way can change what is said there: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def person(on: SingleSignOn, claims: Mapping[str, Any]) -> Person:
    """Who an ID token is about; its claims have been verified. Raises Refused (403), with no claim in it."""
    email = claims.get("email")
    verified = claims.get("email_verified") is True and isinstance(email, str)
    if on.user_claim == "email" and not verified:
        raise Refused(_no("unverified-address", f"{on.name} has not verified your mail address."))
    if on.domains and not (verified and str(email).rpartition("@")[2].lower() in on.domains):
        raise Refused(_no("other-domain", "Your mail address is not of a domain that may sign in here."))
    name = _claim(claims, on.user_claim)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise Refused(_no("no-name", f"{on.name} tells no name for you that can be used here."))
    told = _claim(claims, on.groups_claim)
    groups = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    kept = tuple(dict.fromkeys(group for group in groups if isinstance(group, str) and group in on.roles))
    if on.user(name, kept) is None:
        raise Refused(_no("no-role", "None of your groups has a role here. Ask an admin of this dashboard."))
    return Person(name, kept)


def local_path(given: str) -> str:
    """Where to go on after signing in: a place of this dashboard, `/` if it is anything else."""
    if not _LOCAL.fullmatch(given) or given.startswith(
        ("/oidc", "/api/", "/session", "/assets/", "/signin/")
    ):
        return "/"
    return quote(given, safe="/?&=#%~:@!$'()*+,;")


def _roles(setting: str) -> dict[str, tuple[UserRole, tuple[Permission, ...]]]:
    roles = {}
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        group, _, role = entry.rpartition(":")
        granted = role_and_grants(role)
        if not group or granted is None:
            raise ConfigurationError(
                f"CORRAL_DASHBOARD_OIDC_ROLES: {entry[:80]!r} is not group:role. Roles are "
                f"{', '.join(UserRole)}, with +payloads if wanted."
            )
        roles[group] = granted
    if not roles:
        raise ConfigurationError(
            "CORRAL_DASHBOARD_OIDC_ROLES is empty, so nobody could sign in. Set it to group:role,…"
        )
    return roles


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by its path: `realm_access.roles`."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _no(slug: str, detail: str) -> Problem:
    return Problem(403, slug, "Not signed in", detail)
