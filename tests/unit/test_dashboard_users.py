"""Who may sign in to the dashboard: the setting, passwords, roles; and where changes may come from."""

from __future__ import annotations

import pytest

from corral.api.auth import Permission
from corral.dashboard.origin import HEADER, is_foreign
from corral.dashboard.users import LONGEST_PASSWORD_CHARS, Users, hash_password
from corral.errors import ConfigurationError

HASH = hash_password("correct horse battery")
OTHER = hash_password("another password")


def test_several_users_although_a_hash_has_commas() -> None:
    users = Users.parse(f"ada:{HASH}:admin, vi:{OTHER}:viewer,")
    assert len(users) == 2
    assert users.sign_in("ada", "correct horse battery") is users.named("ada")
    assert users.sign_in("vi", "another password") is users.named("vi")
    assert HASH not in repr(users)


@pytest.mark.parametrize(
    ("name", "password"),
    [("ada", "wrong"), ("ada", ""), ("nobody", "correct horse battery"), ("", "the password of nobody"),
     ("ada", "x" * (LONGEST_PASSWORD_CHARS + 1))],
)  # fmt: skip
def test_who_is_refused(name: str, password: str) -> None:
    assert Users.parse(f"ada:{HASH}:admin").sign_in(name, password) is None


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("viewer", Permission.WATCH, Permission.OPERATE),
        ("operator", Permission.OPERATE, Permission.READ_PAYLOADS),
        ("operator+payloads", Permission.READ_PAYLOADS, Permission.READ_METRICS),
        ("viewer+payloads", Permission.READ_PAYLOADS, Permission.CANCEL),
        ("admin", Permission.READ_PAYLOADS, None),
    ],
)
def test_roles(role: str, may: Permission, may_not: Permission | None) -> None:
    user = Users.parse(f"ada:{HASH}:{role}").named("ada")
    assert user is not None
    assert may in user.permissions
    assert may_not not in user.permissions
    assert len(set(user.permissions)) == len(user.permissions)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("", "is empty"),
        (" , ", "is empty"),
        ("ada:secret:admin", "entry 1"),
        (f"ada:{HASH}", "entry 1"),
        (f"ada:{HASH}:boss", "unknown role"),
        (f"ada:{HASH}:admin,vi:{OTHER}", "entry 2"),
        (f"ada:{HASH}:admin,ada:{OTHER}:viewer", "twice"),
        (f"a da:{HASH}:admin", "entry 1"),
        ("ada:$argon2id$nonsense:admin", "no hash of Argon2"),
        (f"ada:{HASH}:viewer+everything", "entry 1"),
    ],
    ids=lambda value: value.replace(HASH, "HASH").replace(OTHER, "OTHER"),  # each process makes its own
)
def test_a_malformed_setting_is_named_and_never_shown(setting: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Users.parse(setting)
    assert "secret" not in str(refused.value)
    assert HASH not in str(refused.value)


PAGE = {"host": "ops.test", HEADER: "1"}


@pytest.mark.parametrize(
    ("method", "headers", "foreign"),
    [
        ("GET", {}, False),
        ("HEAD", {"sec-fetch-site": "cross-site"}, False),
        ("POST", PAGE, False),
        ("POST", PAGE | {"sec-fetch-site": "same-origin", "origin": "https://ops.test"}, False),
        ("POST", {"host": "ops.test"}, True),
        ("POST", PAGE | {HEADER: "yes"}, True),
        ("DELETE", PAGE | {"sec-fetch-site": "cross-site"}, True),
        ("POST", PAGE | {"sec-fetch-site": "same-site"}, True),
        ("PUT", PAGE | {"origin": "https://evil.test"}, True),
        ("POST", PAGE | {"origin": "null"}, True),
        ("POST", PAGE | {"origin": "https://ops.test.evil.test"}, True),
        ("POST", PAGE | {"origin": "https://ops.test:8443"}, True),
    ],
)
def test_where_a_change_comes_from(method: str, headers: dict[str, str], foreign: bool) -> None:
    assert is_foreign(method, headers) is foreign
