"""docs/operate/alerts.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from corral.observe.alerts.channels.chosen import CHANNEL_NAMES
from corral.observe.alerts.channels.webhook import message
from corral.observe.alerts.notice import Notice
from corral.observe.alerts.rule import duration, written
from corral.observe.alerts.rulebook import load_rules
from corral.observe.alerts.rules import RULES
from corral.settings import known_names

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operate" / "alerts.md").read_text("utf-8")


def rows(first_column: str) -> list[list[str]]:
    """The cells of the table that has this word in its head."""
    lines = PAGE.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_the_table_of_rules() -> None:
    assert rows("rule") == [
        [
            f"`{rule.name}`",
            rule.limits.severity,
            written(rule.limits.fire, rule.unit),
            written(rule.limits.clear, rule.unit),
            duration(rule.limits.for_seconds),
            duration(rule.limits.keep_seconds),
            rule.about,
            rule.title,
        ]
        for rule in RULES.values()
    ]


def test_the_table_of_channels() -> None:
    assert [row[0] for row in rows("`CORRAL_ALERT_TO`")] == [f"`{name}`" for name in CHANNEL_NAMES]


def test_every_setting_is_explained_and_is_one() -> None:
    named = {name.rstrip("_") for name in re.findall(r"CORRAL_[A-Z_]+(?!…)\b", PAGE)}
    assert named - {"CORRAL_ALERT"} <= known_names()
    assert {name for name in known_names() if name.startswith("CORRAL_ALERT_")} <= named


def test_the_examples_of_limits_are_read(tmp_path: Path) -> None:
    example = re.search(r"CORRAL_ALERT_RULES=(waiting=.*)", PAGE)
    assert example is not None
    book = load_rules(example[1])
    assert book.limits(RULES["oldest-waiting"], "kyc-verification").fire == 60
    toml = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert toml is not None
    file = tmp_path / "alerts.toml"
    file.write_text(toml[1])
    book = load_rules(str(file))
    assert book.limits(RULES["waiting"]).clear == 4_000
    assert book.limits(RULES["waiting"], "email").severity == "info"
    assert not book.limits(RULES["run-time"]).enabled


def test_the_webhooks_example_has_the_fields_that_are_sent() -> None:
    example = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    shown = msgspec.json.decode(example[1])
    notice = Notice(
        kind="fired",
        rule="breaker-open",
        subject="onfido",
        severity="critical",
        title="",
        summary="",
        advice="",
        value=1,
        fire=0,
        fired_at=0,
        at=0,
    )
    sent = message(notice, "bull")
    assert (shown.keys(), shown["data"].keys()) == (sent.keys(), sent["data"].keys())
    assert shown["data"]["key"] == sent["data"]["key"]
