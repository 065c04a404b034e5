"""Secrets from files: what is read, what is refused, and that no error repeats a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from corral import secret_files
from corral.errors import ConfigurationError
from corral.settings import Settings, check_names, known_names, secret_names


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No setting from outside, no `.env`, and nothing warned about yet."""
    for name in known_names():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(secret_files, "_warned", set())
    return tmp_path


def secret(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("name", sorted(secret_names()))
def test_every_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str) -> None:
    monkeypatch.setenv(f"{name}_FILE", secret(folder, b"s3cret\n"))
    settings = Settings.load()
    field = next(field for field, info in Settings.model_fields.items() if info.alias == name)
    value: SecretStr = getattr(settings, field)
    assert value.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"a", "a"),
        (b"a\n", "a"),
        (b"a\r\n", "a"),
        (b"a\n\n", "a\n"),
        (b" a \n", " a "),
        (b"-----BEGIN\nx\n-----END\n", "-----BEGIN\nx\n-----END"),
        ("kö".encode(), "kö"),
    ],
)
def test_one_line_break_at_the_end_is_dropped(folder: Path, content: bytes, value: str) -> None:
    assert secret_files.read_secret("X_FILE", secret(folder, content)) == value


def test_the_name_may_be_in_the_env_file(folder: Path) -> None:
    (folder / ".env").write_text(f"ONFIDO_API_KEY=\nonfido_api_key_file={secret(folder, b'from-file')}\n")
    assert Settings.load().onfido_api_key.get_secret_value() == "from-file"


def test_a_changed_file_is_seen_by_the_next_load(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("ONFIDO_API_KEY_FILE", secret(folder, b"old"))
    before = Settings.load()
    secret(folder, b"new")
    assert before.onfido_api_key.get_secret_value() == "old"
    assert Settings.load().onfido_api_key.get_secret_value() == "new"


def test_given_both_ways_is_an_error(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("ONFIDO_API_KEY_FILE", secret(folder, b"s3cret-1"))
    (folder / ".env").write_text("ONFIDO_API_KEY=s3cret-2\n")
    with pytest.raises(ConfigurationError, match="ONFIDO_API_KEY and ONFIDO_API_KEY_FILE") as error:
        Settings.load()
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"s3cret \xff", "is not UTF-8"),
        (b"s3cret" * 50_000, "is over"),
    ],
)
def test_a_file_that_holds_no_secret_names_setting_and_path(
    monkeypatch: pytest.MonkeyPatch, folder: Path, content: bytes | None, why: str
) -> None:
    path = str(folder / "missing") if content is None else secret(folder, content)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", path)
    with pytest.raises(ConfigurationError) as error:
        Settings.load()
    message = str(error.value)
    assert message.startswith(f"REDIS_PASSWORD_FILE: {path} ")
    assert why in message
    assert "s3cret" not in message


@pytest.mark.parametrize("kind", ["folder", "pipe", "zero byte"])
def test_what_is_no_file_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path, kind: str) -> None:
    path = str(folder)
    if kind == "pipe":
        path = str(folder / "pipe")
        os.mkfifo(path)
    elif kind == "zero byte":
        path = "a\0b"
    with pytest.raises(ConfigurationError, match=r"^X_FILE: "):
        secret_files.read_secret("X_FILE", path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_of_somebody_else_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="Permission denied"):
        secret_files.read_secret("X_FILE", secret(folder, b"s3cret", 0o000))


def test_a_file_that_all_can_read_is_warned_about_once(folder: Path) -> None:
    path = secret(folder, b"s3cret", 0o644)
    with capture_logs() as logs:
        secret_files.read_secret("X_FILE", path)
        secret_files.read_secret("X_FILE", path)
    assert [(entry["event"], entry["setting"], entry["path"]) for entry in logs] == [
        ("secret_file_readable_by_all", "X_FILE", path)
    ]
    assert "s3cret" not in str(logs)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("CORRAL_API_KEYS_FIL", "CORRAL_API_KEYS_FILE"),
        ("CORRAL_ENCRYPTION_KEY_FILE", "CORRAL_ENCRYPTION_KEYS_FILE"),
    ],
)
def test_a_misspelt_file_name_is_an_error(name: str, near: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Did you mean {near}\?"):
        check_names({name: "/run/secrets/x"})


def test_only_secrets_have_files() -> None:
    check_names({"CORRAL_API_KEYS_FILE": "/run/secrets/x"})
    with pytest.raises(ConfigurationError, match="CORRAL_PREFIX_FILE is not a setting"):
        check_names({"CORRAL_PREFIX_FILE": "/run/secrets/x"})
