"""CORRAL_ALERT_RULES: what it changes, and what it says of mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from corral.errors import ConfigurationError
from corral.observe.alerts.rule import Limits
from corral.observe.alerts.rulebook import load_rules
from corral.observe.alerts.rules import RULES


def limits(setting: str, rule: str, subject: str = "") -> Limits:
    return load_rules(setting).limits(RULES[rule], subject)


def test_nothing_set_is_the_defaults() -> None:
    assert {name: load_rules("").limits(rule) for name, rule in RULES.items()} == {
        name: rule.limits for name, rule in RULES.items()
    }


def test_a_list_changes_rules_and_single_queues() -> None:
    setting = "waiting=5000, waiting@my.queue=20000, waiting@my.queue.for=5, run-time=off, failure-rate=0.2"
    assert limits(setting, "waiting").fire == 5_000
    assert limits(setting, "waiting").clear == 4_000  # in the proportion of the defaults
    mine = limits(setting, "waiting", "my.queue")
    assert (mine.fire, mine.clear, mine.for_seconds, mine.keep_seconds) == (20_000, 16_000, 5, 60)
    assert limits(setting, "waiting", "other").fire == 5_000
    assert not limits(setting, "run-time").enabled
    assert limits(setting, "failure-rate").fire == 0.2
    assert limits(setting, "dead-letters") == RULES["dead-letters"].limits


def test_what_holds_for_a_queue_holds_for_its_schedules() -> None:
    setting = "schedule-late@email=600, schedule-late@email/nightly=900"
    assert limits(setting, "schedule-late", "email/hourly").fire == 600
    assert limits(setting, "schedule-late", "email/nightly").fire == 900


def test_a_rule_can_be_off_but_for_one_queue() -> None:
    setting = "dead-letters=off, dead-letters@email=on"
    assert not limits(setting, "dead-letters", "x").enabled
    assert limits(setting, "dead-letters", "email").enabled


def test_a_file_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(
        """
        [waiting]
        fire = 5000
        clear = 100
        [waiting.only."my.queue"]
        fire = 20000
        severity = "critical"
        repeat = 600
        [run-time]
        enabled = false
        """
    )
    assert limits(str(file), "waiting").clear == 100
    mine = limits(str(file), "waiting", "my.queue")
    assert (mine.fire, mine.clear, mine.severity, mine.repeat_seconds) == (20_000, 16_000, "critical", 600)
    assert not limits(str(file), "run-time").enabled


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("wating=5", "There is no alert rule 'wating'. Did you mean waiting?"),
        ("xyzzy=5", "The rules are waiting, "),
        ("waiting.fier=5", "waiting has no option 'fier'. Did you mean fire?"),
        ("waiting=many", "waiting.fire is a number"),
        ("waiting=-1", "waiting.fire is a number"),
        ("waiting=inf", "waiting.fire is a number"),
        ("waiting=nan", "waiting.fire is a number"),
        ("waiting.enabled=yes", "waiting.enabled is true or false"),
        ("waiting.severity=bad", "waiting.severity is one of critical, warning, info"),
        ("waiting=5, waiting.clear=6", "waiting clears at 6, above 5"),
        ("waiting@email=5, waiting@email.clear=6", "waiting@email clears at 6"),
        ("waiting=5, run-time", "'run-time' has no value"),
        ("/no/such/file.toml", "neither a list"),
    ],
)
def test_a_mistake_is_named(setting: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load_rules(setting)
    assert str(error.value).startswith("CORRAL_ALERT_RULES")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[waiting", "not TOML"),
        ("waiting = 5", "write [waiting] as a table"),
        ("[wating]", "Did you mean waiting?"),
        ("[waiting]\nfier = 5", "Did you mean fire?"),
        ("[waiting]\nonly = 5", "as [waiting.only.<subject>]"),
        ("[waiting.only.email]\nfor_seconds = 5", "no option 'for_seconds'"),
        ('[waiting]\nfire = "5"', "is a number"),
        ("[waiting]\nfire = true", "is a number"),
    ],
)
def test_a_mistake_in_a_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_rules(str(file))
    assert message in str(error.value)
