"""An operator keeps the list of who is not written to, by `corral mail`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from corral.cli import main


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[Any, Any]:
    """A command's exit code and what it printed."""
    with pytest.raises(SystemExit) as left:
        main(["mail", *arguments])
    said = capsys.readouterr().out
    return left.value.code, json.loads(said) if "--json" in arguments and said else said


def test_an_address_is_suppressed_found_and_let_go(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "suppress", "User-7@example.com", "--reason", "complaint", "--json")[0] == 0

    code, shown = run(capsys, "suppressed", "--json")
    assert (code, shown["total"]) == (0, 1)
    (entry,) = shown["entries"]
    assert (entry["address"], entry["reason"]) == ("user-7@example.com", "complaint")
    _, looked_up = run(capsys, "suppressed", "USER-7@example.com", "b@example.com", "--json")
    assert [entry["reason"] for entry in looked_up["entries"]] == ["complaint", None]
    assert "user-7@example.com" in run(capsys, "suppressed")[1]
    assert run(capsys, "unsuppress", "user-7@example.com", "--json") == (
        0, {"address": "user-7@example.com", "removed": True},
    )  # fmt: skip
    assert run(capsys, "unsuppress", "user-7@example.com")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("suppress", "a@example.com", "--reason", "He asked for it"), 1),
        (("suppressed", "--count", "0"), 1),
        (("suppress",), 2),
        (("preview", "nope"), 1),
    ],
)
def test_wrong_use_is_an_exit_code(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int
) -> None:
    assert run(capsys, *arguments)[0] == code
