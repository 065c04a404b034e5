"""GET /api/v1/settings …: what this Corral is set to, who may sign in, and which versions it is made of.

Generated from `Settings`; the words are those of `.env.example`, which tools/describe_settings.py brings into
the package. The value of a secret is in no answer: only whether it is set, and where it comes from.
"""

from __future__ import annotations

import asyncio
import os
import platform
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any, Literal

import msgspec
from dotenv import dotenv_values
from litestar import Request, get
from litestar.di import NamedDependency
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq import reader
from corral.dashboard.users import read_users
from corral.doctor.server_facts import product_of
from corral.errors import ConfigurationError
from corral.manage.queues import known_queues
from corral.manage.service import Actor, Management, asks_for
from corral.sealing import Keychain
from corral.secret_files import SUFFIX
from corral.settings import Settings

#: Queues whose version marks are read.
MOST_QUEUES = 200

Source = Literal["environment", "file", ".env", "default"]


class SettingRow(msgspec.Struct, frozen=True, rename="camel"):
    """One setting. value, default: as they are written in the environment; of a secret always null.

    source: where the value comes from. set: whether it differs from the default.
    """

    name: str
    group: str
    doc: str
    secret: bool
    set: bool
    value: str | None
    default: str | None
    source: Source


class SettingList(msgspec.Struct, frozen=True, rename="camel"):
    """In the order of `.env.example`. secretsLeftOut: how many are for admins only."""

    settings: list[SettingRow]
    secrets_left_out: int


class UserRow(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody who may sign in to the dashboard. payloads: may see what jobs hold."""

    name: str
    role: str
    payloads: bool


class UserList(msgspec.Struct, frozen=True, rename="camel"):
    """By name. problem: why the setting cannot be read, if so."""

    users: list[UserRow]
    problem: str | None


class EncryptionRow(msgspec.Struct, frozen=True, rename="camel"):
    """current: the id of the key that encrypts; keys: of all that decrypt. queues: names, or all."""

    on: bool
    current: str
    keys: list[str]
    queues: list[str]


class LayoutRow(msgspec.Struct, frozen=True, rename="camel"):
    """A version mark that clients left in their queues; empty: none."""

    mark: str
    queues: list[str]


class About(msgspec.Struct, frozen=True, rename="camel"):
    """Versions and encryption. installed: how this Corral came here."""

    corral: str
    release: str
    installed: str
    python: str
    system: str
    redis: str
    layouts: list[LayoutRow]
    encryption: EncryptionRow


@get("/settings", guards=[asks_for(Permission.OPERATE)], tags=["settings"])
async def read_settings(
    management: NamedDependency[Management], actor: NamedDependency[Actor]
) -> SettingList:
    """The settings in force in this process. Secrets are listed for those who manage keys. No round trip."""
    rows = setting_rows(management.settings, os.environ, _env_file())
    if Permission.MANAGE_KEYS in actor.permissions:
        return SettingList(rows, 0)
    shown = [row for row in rows if not row.secret]
    return SettingList(shown, len(rows) - len(shown))


@get("/settings/users", guards=[asks_for(Permission.MANAGE_KEYS)], tags=["settings"])
async def read_dashboard_users(management: NamedDependency[Management]) -> UserList:
    """Who may sign in, as CORRAL_DASHBOARD_USERS says. No round trip."""
    setting = management.settings.dashboard_users.get_secret_value()
    if not setting.strip():
        return UserList([], None)
    try:
        users = read_users(setting)
    except ConfigurationError as error:  # which names the entry, never its hash
        return UserList([], str(error))
    rows = [
        UserRow(user.name, str(user.role), Permission.READ_PAYLOADS in user.permissions)
        for user in users.values()
    ]
    return UserList(sorted(rows, key=lambda row: row.name), None)


@get("/settings/about", guards=[asks_for(Permission.OPERATE)], tags=["settings"])
async def read_about(request: Request[Any, Any, Any], management: NamedDependency[Management]) -> About:
    """Versions and encryption. One round trip, and one for each queue at once."""
    queues = await known_queues(request, management)
    async with answering():
        told: Mapping[str, Any] = await management.client.info("server")
        asked = queues[:MOST_QUEUES]
        marks = await asyncio.gather(*(reader.version(queue.client(), queue.keys()) for queue in asked))
    by_mark: dict[str, list[str]] = {}
    for queue, mark in zip(asked, marks, strict=True):
        by_mark.setdefault(mark or "", []).append(queue.name)
    product, number = product_of(told)
    return About(
        corral=version("corral"),
        release=management.settings.release,
        installed=installed_as(),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        redis=f"{product} {'.'.join(map(str, number or ()))}".strip(),
        layouts=[LayoutRow(mark, names) for mark, names in sorted(by_mark.items())],
        encryption=encryption(management.settings),
    )


def setting_rows(
    settings: Settings, environ: Mapping[str, str], env_file: Mapping[str, str | None]
) -> list[SettingRow]:
    """A row for each setting. Pure but for the words, which are read once."""
    words = _words()
    order = {name: number for number, name in enumerate(words)}
    rows = [
        _row(name, field, getattr(settings, attribute), words[name], _source(name, environ, env_file))
        for attribute, field in Settings.model_fields.items()
        for name in [str(field.alias)]
    ]
    return sorted(rows, key=lambda row: order[row.name])


def encryption(settings: Settings) -> EncryptionRow:
    """What is encrypted, and with which keys, by id."""
    try:
        keys = Keychain.parse(settings.encryption_keys.get_secret_value())
    except ConfigurationError:  # the queues that encrypt say so where they start
        keys = Keychain({})
    return EncryptionRow(
        bool(keys and settings.encrypt), keys.current, list(keys.ids), list(settings.encrypt)
    )


def installed_as() -> str:
    """Whether the package was built and installed, and for which platforms, or is run from its source."""
    try:
        found = distribution("corral")
    except PackageNotFoundError:
        return "not installed"
    if '"editable": true' in (found.read_text("direct_url.json") or ""):
        return "editable, from source"
    tags = re.findall(r"^Tag: (.+)$", found.read_text("WHEEL") or "", re.MULTILINE)
    return f"wheel {', '.join(tags)}" if tags else "unknown"


def _row(name: str, field: FieldInfo, value: Any, words: Mapping[str, str], source: Source) -> SettingRow:
    secret = field.annotation is SecretStr
    return SettingRow(
        name=name,
        group=words["group"],
        doc=words["doc"],
        secret=secret,
        set=value != field.default,
        value=None if secret else written(value),
        default=None if secret else written(field.default),
        source=source,
    )


def written(value: Any) -> str:
    """A value as one writes it in the environment, without the user and password of an address."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(written, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _without_password(str(value))


def _without_password(text: str) -> str:
    """An address keeps neither what stands before its last @ nor what its query says."""
    if "://" not in text:
        return text
    return re.sub(r"\?\S*", "?…", re.sub(r"://\S*@", "://…@", text))


def _source(name: str, environ: Mapping[str, str], env_file: Mapping[str, str | None]) -> Source:
    outside = {key.upper() for key in environ}
    inside = {key.upper() for key in env_file}
    if name + SUFFIX in outside | inside:
        return "file"
    if name in outside:
        return "environment"
    return ".env" if name in inside else "default"


def _env_file() -> Mapping[str, str | None]:
    path = Settings.model_config.get("env_file")
    return dotenv_values(path, interpolate=False) if isinstance(path, str) else {}


@cache
def _words() -> dict[str, dict[str, str]]:
    text = resources.files("corral.manage").joinpath("settings_docs.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


#: All of them, for `routes`.
SETTING_HANDLERS = [read_settings, read_dashboard_users, read_about]
