"""The table of attacks in docs/security.md names every test of this folder, and no test that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_ROW = re.compile(r"^\| (.+) \| `(tests/[\w/]+\.py)::(test_\w+)` \|$", re.MULTILINE)
_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    return _ROW.findall((ROOT / "docs/security.md").read_text())


def test_every_attack_in_the_table_has_its_test() -> None:
    missing = [
        f"{attack}: {file}::{test}"
        for attack, file, test in rows()
        if not (ROOT / file).exists() or test not in _TEST.findall((ROOT / file).read_text())
    ]
    assert missing == []


def test_every_test_of_an_attack_is_in_the_table() -> None:
    named = {(file, test) for _, file, test in rows()}
    here = {
        (str(path.relative_to(ROOT)), test)
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
        for test in _TEST.findall(path.read_text())
    }
    assert here - named == set()
    assert len(here) > 60
