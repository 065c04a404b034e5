"""Keys and roles: what the setting means, who is let in, and that no secret leaks."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from corral.api.auth import Keyring, Permission, Role
from corral.api.problems import Refused
from corral.errors import ConfigurationError

ALICE, BOB, CAROL = "alice-secret-000001", "bob-secret-00000002", "carol-secret-000003"
SETTING = f"alice:{ALICE}:enqueue, bob:{BOB}:read ,carol:{CAROL}:admin,"


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.parse(SETTING)


def bearer(secret: str) -> bytes:
    return f"Bearer {secret}".encode()


@pytest.mark.parametrize(
    ("secret", "may"),
    [
        (ALICE, {Permission.ENQUEUE, Permission.CANCEL, Permission.READ_JOBS, Permission.READ_DESCRIPTION}),
        (
            BOB,
            {
                Permission.READ_JOBS,
                Permission.READ_METRICS,
                Permission.READ_DESCRIPTION,
                Permission.WATCH,
            },
        ),
        (CAROL, set(Permission)),
    ],
)
def test_roles_grant_what_they_say(keyring: Keyring, secret: str, may: set[Permission]) -> None:
    for permission in Permission:
        if permission in may:
            assert keyring.require(bearer(secret), permission)
        else:
            with pytest.raises(Refused) as refused:
                keyring.require(bearer(secret), permission)
            assert refused.value.problem.status == 403
            assert refused.value.problem.slug == "wrong-role"
            assert permission in refused.value.problem.detail
            assert "admin" in refused.value.problem.detail
            assert secret not in refused.value.problem.detail


def test_the_caller_is_known_by_name(keyring: Keyring) -> None:
    key = keyring.require(bearer(CAROL), Permission.ENQUEUE)
    assert (key.name, key.role) == ("carol", Role.ADMIN)


def test_the_scheme_is_read_in_any_case(keyring: Keyring) -> None:
    assert keyring.require(f"bEARER  {ALICE} ".encode(), Permission.ENQUEUE).name == "alice"


@pytest.mark.parametrize("header", [None, b"", b"Basic YWxpY2U6eA==", ALICE.encode()])
def test_no_bearer_key_is_a_challenge(keyring: Keyring, header: bytes | None) -> None:
    with pytest.raises(Refused) as refused:
        keyring.require(header, Permission.READ_JOBS)
    problem = refused.value.problem
    assert (problem.status, problem.slug) == (401, "missing-key")
    assert dict(problem.headers)["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", [b"Bearer", b"Bearer ", bearer(ALICE[:-1]), bearer(ALICE + "x"), b"Bearer \xff\xfe"]
)
def test_an_unknown_key_is_not_let_in(keyring: Keyring, header: bytes) -> None:
    with pytest.raises(Refused) as refused:
        keyring.require(header, Permission.READ_JOBS)
    assert (refused.value.problem.status, refused.value.problem.slug) == (401, "unknown-key")
    assert "invalid_token" in dict(refused.value.problem.headers)["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("", "CORRAL_API_KEYS is empty"),
        (" , ", "CORRAL_API_KEYS is empty"),
        ("hidden-000000000001", "entry 1 has 1 part instead of 3"),
        ("a:hidden-000000000001:read,b:hidden-000000000002", "entry 2 has 2 parts instead of 3"),
        ("a:hidden:000000000001:read", "entry 1 has 4 parts"),
        (":hidden-000000000001:read", "the name of entry 1"),
        ("a b:hidden-000000000001:read", "the name of entry 1"),
        ("a::read", "the secret of 'a'"),
        ("a:hidden-0000 00000001:read", "the secret of 'a'"),
        ("a:hidden-ä0000000000001:read", "the secret of 'a'"),
        ("a:hidden-000000000001:root", "'a' has an unknown role. Choose one of enqueue, read, admin"),
        ("a:hidden-000000000001:", "'a' has an unknown role"),
        ("a:hidden-000000000001:read,a:hidden-000000000002:read", "the name of key 'a' was given before"),
        ("a:hidden-000000000001:read,b:hidden-000000000001:admin", "the secret of key 'b' was given before"),
    ],
)
def test_a_malformed_setting_is_explained_without_its_secret(setting: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Keyring.parse(setting)
    assert says in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_short_secret_is_warned_about_by_name() -> None:
    with capture_logs() as logs:
        Keyring.parse("ci:short:admin")
    assert [(entry["event"], entry["key"]) for entry in logs] == [("api_key_short", "ci")]
    assert "short" not in {str(value) for value in logs[0].values()}


def test_the_keyring_shows_no_secret(keyring: Keyring) -> None:
    assert repr(keyring) == "Keyring(alice:enqueue, bob:read, carol:admin)"
    assert len(keyring) == 3
