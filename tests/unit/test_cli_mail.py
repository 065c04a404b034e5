"""`corral mail` where it needs no Redis: the list of templates, and what a preview is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corral.cli import mail
from corral.errors import InvalidInput


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CORRAL_MAIL_TEMPLATES", str(tmp_path))
    return tmp_path


def test_a_broken_template_is_listed_with_its_mistake(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.html").write_text("---\nsubject: x\n---\n{% if [/red] %}")

    assert mail.templates(json=True) == 1
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert "bad.html), line 4" in rows["bad"]["fault"]
    assert rows["welcome"]["fault"] is None
    assert rows["welcome"]["folder"] == "shipped with Corral"
    assert mail.templates() == 1  # a table, whatever is in it
    assert "bad" in capsys.readouterr().out


def test_the_data_of_a_preview_is_a_sample_or_a_file_or_given(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "own.html").write_text("---\nsubject: Hi {{ name }}\n---\n<p>x</p>")
    (folder / "own.json").write_text('{"name": "sample"}')
    (folder / "data.json").write_text('{"name": "file"}')

    for data, name in ((None, "sample"), ("@data.json", "file"), ('{"name": "given"}', "given")):
        mail.preview("own", data=data, json=True)
        assert json.loads(capsys.readouterr().out)["subject"] == f"Hi {name}"


@pytest.mark.parametrize("data", ["[]", '"x"', "{broken"])
def test_data_that_is_no_object_is_refused(data: str) -> None:
    with pytest.raises(InvalidInput, match="JSON"):
        mail.preview("welcome", data=data)
