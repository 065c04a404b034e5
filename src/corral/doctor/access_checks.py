"""Checks of who may do what, and of secrets. Pure; no secret is in what they say."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from corral.api.auth import Keyring
from corral.dashboard.single_sign_on import read_single_sign_on
from corral.dashboard.users import read_users
from corral.doctor.check import Check
from corral.doctor.facts import Facts
from corral.doctor.findings import Subject, Verdict, failure, note, ok, warning
from corral.doctor.weak_secrets import weakness
from corral.errors import ConfigurationError

#: Bits of a file's mode: others may, and the group may read.
OTHERS, GROUP = 0o004, 0o040

#: Where files of secrets are mounted, readable, and other users are rare.
CONTAINERS = ("kubernetes", "docker")

#: Queues whose jobs hold identity documents.
PERSONAL = ("kyc-verification",)

#: What CORRAL_ENCRYPT says for all of them.
ALL_QUEUES = "all"

_ENCRYPT = "CORRAL_ENCRYPTION_KEYS=1:$(openssl rand -base64 32) and CORRAL_ENCRYPT=all"
_GIVE_KEYS = 'CORRAL_API_KEYS="shop:$(openssl rand -hex 24):enqueue,ops:$(openssl rand -hex 24):admin"'
_GIVE_USERS = "CORRAL_DASHBOARD_USERS='name:hash:role' with a hash of `corral dashboard password`"
#: A secret that is given as a hash cannot be weighed.
_HASHED = re.compile(r"\$|sha256|argon2|scrypt|blake2")


def api_keys(facts: Facts) -> Verdict:
    setting = facts.settings.api_keys.get_secret_value()
    if not setting.strip():
        if _is_public(facts.settings.public_url):
            return warning("CORRAL_PUBLIC_URL is public, but CORRAL_API_KEYS has no key", _GIVE_KEYS)
        return note("CORRAL_API_KEYS has no key", _GIVE_KEYS)
    weak = [
        f"{name or '(no name)'} {why}"
        for name, secret in _entries(setting)
        if not _HASHED.match(secret) and (why := weakness(secret))
    ]
    if weak:
        return failure(f"API keys: {', '.join(weak)}", "Replace them: openssl rand -hex 24")
    try:
        keys = Keyring.parse(setting)
    except ConfigurationError as error:
        return failure(str(error), _GIVE_KEYS)
    return ok(f"{len(keys)} API keys, none easily guessed")


def dashboard(facts: Facts) -> Verdict:
    setting = facts.settings.dashboard_users.get_secret_value().strip()
    try:
        single = read_single_sign_on(facts.settings)
    except ConfigurationError as error:
        return failure(
            str(error), "Set the CORRAL_DASHBOARD_OIDC_… names as docs/operate/dashboard.md has them"
        )
    if not setting and single is None:
        return note("CORRAL_DASHBOARD_USERS is empty: nobody may sign in", _GIVE_USERS)
    try:
        users = read_users(setting) if setting and not facts.settings.dashboard_oidc_only else {}
    except ConfigurationError as error:
        return failure(str(error), _GIVE_USERS)
    url = facts.settings.dashboard_url
    ways = [f"{len(users)} users, passwords hashed"] if users else []
    found = f"{', '.join([*ways, *(['single sign-on'] if single else [])])}; {url}"
    if urlsplit(url).scheme == "https":
        return ok(found)
    remedy = "CORRAL_DASHBOARD_URL=https://… with a proxy that ends TLS before corral dashboard"
    if _is_public(url):
        return failure(f"{found} is not encrypted: passwords can be read on the way", remedy)
    return note(f"{found} is for browsers on this machine", remedy)


def public_url(facts: Facts) -> Verdict:
    url = facts.settings.public_url
    if urlsplit(url).scheme == "https":
        return ok(url)
    remedy = "CORRAL_PUBLIC_URL=https://… with a proxy that ends TLS before corral api"
    if _is_public(url):
        return failure(f"{url} is not encrypted: keys and webhooks can be read on the way", remedy)
    return note(f"{url}: providers cannot reach their webhooks here", remedy)


def fetch_allow(facts: Facts) -> Verdict:
    hosts = facts.settings.fetch_allow
    if hosts:
        return warning(
            f"jobs may fetch from private addresses: {', '.join(hosts)}",
            "Empty CORRAL_FETCH_ALLOW, if it was for tests.",
        )
    return ok("jobs fetch from public addresses only")


def secret_files(facts: Facts) -> Verdict:
    files = facts.machine.secret_files
    in_container = facts.machine.orchestrator in CONTAINERS
    open_ones = [file for file in files if file.mode & OTHERS]
    if readable := [file.path for file in open_ones if not (file.mounted and in_container)]:
        return failure(f"everybody here may read {', '.join(readable)}", f"chmod 600 {' '.join(readable)}")
    if open_ones:
        return note(
            f"every user of this container may read {', '.join(file.path for file in open_ones)}",
            "Mount secrets with defaultMode: 0400 (Kubernetes), mode: 0400 (compose).",
        )
    if shared := [file.path for file in files if file.mode & GROUP]:
        return note(f"a group may read {', '.join(shared)}", f"chmod 600 {' '.join(shared)}")
    return ok("no file with secrets is open to others")


def encryption(facts: Facts) -> Verdict:
    keys = bool(facts.settings.encryption_keys.get_secret_value())
    queues = facts.settings.encrypt
    plain = [
        queue for queue in PERSONAL if facts.runs(queue) and not (keys and {queue, ALL_QUEUES} & {*queues})
    ]
    remedy = f"CORRAL_ENCRYPT={','.join([*queues, *plain])}" if keys else _ENCRYPT
    if plain:
        return warning(f"identity data of {', '.join(plain)} is plain in Redis and in its files", remedy)
    if not keys or not queues:
        return note("job data is plain in Redis", remedy if not keys else f"CORRAL_ENCRYPT={ALL_QUEUES}")
    return ok(f"job data is encrypted at rest: {', '.join(queues)}")


def sandbox(facts: Facts) -> Verdict:
    if facts.settings.sandbox:
        return failure(
            "sandbox mode: providers without a key are played, no identity check of theirs is real",
            "Set CORRAL_SANDBOX=false, or take it out.",
        )
    return ok("off")


def _entries(setting: str) -> list[tuple[str, str]]:
    parts = [entry.strip().split(":") for entry in setting.split(",") if entry.strip()]
    return [(entry[0], entry[1]) for entry in parts if len(entry) > 1]


def _is_public(url: str) -> bool:
    """Whether an address is not this machine's."""
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in ("", "localhost")


CHECKS: tuple[Check, ...] = tuple(
    Check(name, Subject.ACCESS, wants, judge)
    for name, wants, judge in (
        ("api-keys", "keys of 16 characters or more, none an example's", api_keys),
        ("dashboard", "users with hashed passwords, CORRAL_DASHBOARD_URL with https", dashboard),
        ("public-url", "CORRAL_PUBLIC_URL with https", public_url),
        ("fetch-allow", "CORRAL_FETCH_ALLOW empty", fetch_allow),
        ("secret-files", ".env and files of secrets closed to others", secret_files),
        ("encryption", "CORRAL_ENCRYPTION_KEYS where identity checks run", encryption),
        ("sandbox", "sandbox mode off", sandbox),
    )
)
