"""The pages and pictures that are made from the code are those that the code makes now."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from page_run import ROOT


@pytest.mark.parametrize(
    "command",
    [["-m", "tools.reference", "--check"], ["tools/imports.py", "--check"], ["tools/check_links.py"]],
    ids=["reference", "imports", "links"],
)
def test_what_is_made_from_the_code_is_not_old(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_figures_of_the_readme_stand_in_the_pages_they_come_from() -> None:
    _, speed, rest = re.split(r"## How fast|## What is lost", (ROOT / "README.md").read_text())
    ledger = rest.partition("\n## ")[0]
    for part, page in ((speed, "benchmarks"), (ledger, "reliability")):
        figures = set(re.findall(r"\d+,\d{3}|\d+\.\d+", part))
        assert len(figures) > 5
        text = (ROOT / "docs" / f"{page}.md").read_text()
        assert {figure for figure in figures if figure not in text} == set(), f"see docs/{page}.md"


def test_every_setting_has_its_words_and_every_word_its_setting() -> None:
    sys.path.insert(0, str(ROOT))
    try:
        from tools.describe_settings import FILE, text
        from tools.reference import settings
    finally:
        sys.path.remove(str(ROOT))
    from corral.settings import Settings

    assert FILE.read_text() == text(), "Write it anew: .venv/bin/python tools/describe_settings.py"
    page = settings.text()
    names = {str(field.alias) for field in Settings.model_fields.values()}
    assert not {name for name in names if f"`{name}`" not in page}
