"""What `make lint` audits of our dependencies: the tool finds what it is for, and the list holds."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from tools import audit

HASH = "    --hash=sha256:" + "0" * 64


def test_the_dependencies_and_the_list_of_licences_are_as_they_should_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit.py"])
    assert audit.main() == 0, capsys.readouterr().err
    assert "0 faults" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        (f"a==1.0 \\\n{HASH}\n    # via b\n", "a", ""),
        (f"a[x,y]==1.0 ; sys_platform == 'linux' \\\n{HASH}\n", "a", ""),
        ("a==1.0\n", "a", "no SHA-256 hash"),
        ("a==1.0 \\\n    --hash=md5:00\n", "a", "no SHA-256 hash"),
        ("a==1.0 \\\n    --hash=sha256:00\n", "a", "no SHA-256 hash"),
        (f"a>=1.0 \\\n{HASH}\n", "a", "not pinned"),
        (f"a==1.* \\\n{HASH}\n", "a", "not pinned"),
        (f"a \\\n{HASH}\n", "a", "not pinned"),
        (f"a @ https://example.com/a.whl \\\n{HASH}\n", "a", "not pinned"),
        ("--extra-index-url https://example.com\n", "--extra-index-url https://example.com", "neither"),
        ("-e .\n", "-e .", "neither"),
    ],
)  # fmt: skip
def test_a_requirement_that_is_not_locked_is_found(text: str, name: str, fault: str) -> None:
    ((found, said),) = audit.requirements("# a comment\n" + text)
    assert found == name
    assert said.startswith(fault)
    assert bool(said) == bool(fault)


def test_each_requirement_is_looked_at_by_itself() -> None:
    text = f"a==1 \\\n{HASH}\nb==2\nc==3 \\\n{HASH}\n"
    assert [(name, bool(fault)) for name, fault in audit.requirements(text)] == [
        ("a", False), ("b", True), ("c", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("licence", "taken"),
    [
        ("MIT", True),
        ("MIT OR GPL-3.0-only", True),
        ("(MIT OR CC0-1.0)", True),
        ("MIT AND PSF-2.0", True),
        ("MIT AND AGPL-3.0-only", False),
        ("AGPL-3.0-only", False),
        ("SSPL-1.0", False),
        ("", False),
    ],
)
def test_only_licences_that_are_allowed_pass(licence: str, taken: bool) -> None:
    assert audit.allowed(licence) is taken


def test_an_npm_package_without_a_hash_or_with_a_script_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = {"version": "1.0.0", "integrity": "sha512-x", "license": "MIT"}
    packages = {
        "": {"name": "us"},
        "node_modules/good": good,
        "node_modules/ranged": good | {"version": "^1"},
        "node_modules/bare": {"version": "1.0.0", "license": "MIT"},
        "node_modules/a/node_modules/scripted": good | {"hasInstallScript": True},
    }
    (tmp_path / "ui").mkdir()
    (tmp_path / "ui/package-lock.json").write_text(json.dumps({"packages": packages}))
    monkeypatch.setattr(audit, "ROOT", tmp_path)
    monkeypatch.setattr(audit, "NODE_LOCKS", ("ui/package-lock.json",))
    faults: list[str] = []
    assert len(list(audit.node_packages(faults))) == 4
    assert [fault.split(": ")[1] for fault in faults] == ["ranged", "bare", "scripted"]
