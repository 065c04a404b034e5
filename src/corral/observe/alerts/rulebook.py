"""The limits that hold for each rule and subject: the defaults, and what CORRAL_ALERT_RULES changes. Pure but
for reading the file.

The setting is a list, `waiting=5000, waiting@email=20000, run-time=off, breaker-open.keep=5`, or the path of
a TOML file, which can say the same:

    [waiting]
    fire = 5000
    [waiting.only.email]
    fire = 20000

A `fire` without a `clear` moves `clear` with it, in the proportion of the defaults.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

from corral.errors import ConfigurationError, InvalidInput
from corral.observe.alerts.rule import Limits, Rule, Severity
from corral.observe.alerts.rules import rule_named

SETTING = "CORRAL_ALERT_RULES"

#: What may be set, and the field it is.
OPTIONS = {
    "fire": "fire",
    "clear": "clear",
    "severity": "severity",
    "for": "for_seconds",
    "keep": "keep_seconds",
    "repeat": "repeat_seconds",
    "minimum": "minimum",
    "enabled": "enabled",
}

_ONLY = "only"

#: Rule to subject ("" for all) to options.
Overrides = dict[str, dict[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The limits of every rule. `RuleBook()` has the defaults."""

    changed: Mapping[str, Mapping[str, Limits]] = field(default_factory=dict)

    def limits(self, rule: Rule, subject: str = "") -> Limits:
        """Those of a subject, else of what is before its "/" (a schedule's queue), else of the rule."""
        changed = self.changed.get(rule.name, {})
        for key in (subject, subject.partition("/")[0], ""):
            if key in changed:
                return changed[key]
        return rule.limits


def load_rules(setting: str) -> RuleBook:
    """What CORRAL_ALERT_RULES says. Raises ConfigurationError that names the wrong part."""
    text = setting.strip()
    if not text:
        return RuleBook()
    is_list = "=" in text and not text.endswith(".toml")
    overrides = _from_list(text) if is_list else _from_file(text)
    return RuleBook({name: _limits_of(_rule(name), by_subject) for name, by_subject in overrides.items()})


def _limits_of(rule: Rule, by_subject: Mapping[str, Mapping[str, Any]]) -> dict[str, Limits]:
    general = _changed(rule, "", rule.limits, by_subject.get("", {}))
    return {"": general} | {
        subject: _changed(rule, subject, general, options)
        for subject, options in by_subject.items()
        if subject
    }


def _changed(rule: Rule, subject: str, before: Limits, options: Mapping[str, Any]) -> Limits:
    what = f"{rule.name}@{subject}" if subject else rule.name
    values = {OPTIONS[name]: _checked(what, name, value) for name, value in options.items()}
    if "fire" in values and "clear" not in values:
        values["clear"] = values["fire"] * (rule.limits.clear / rule.limits.fire if rule.limits.fire else 0)
    after = replace(before, **values)
    if after.clear > after.fire:
        raise ConfigurationError(
            f"{SETTING}: {what} clears at {after.clear:g}, above {after.fire:g}, where it fires. "
            "Choose a clear that is not above fire."
        )
    return after


def _checked(what: str, option: str, value: Any) -> Any:
    if option == "enabled":
        if not isinstance(value, bool):
            raise ConfigurationError(f"{SETTING}: {what}.enabled is true or false (in a list: on or off).")
        return value
    if option == "severity":
        if value not in get_args(Severity):
            raise ConfigurationError(f"{SETTING}: {what}.severity is one of {', '.join(get_args(Severity))}.")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ConfigurationError(f"{SETTING}: {what}.{option} is a number, 0 or more.")
    return value


def _from_file(path: str) -> Overrides:
    try:
        content = tomllib.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{SETTING} is neither a list (waiting=5000, …) nor a readable file ({type(error).__name__})."
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{SETTING}: the file is not TOML: {error}.") from None
    overrides: Overrides = {}
    for name, table in content.items():
        rule = _rule(name)
        if not isinstance(table, dict):
            raise ConfigurationError(f"{SETTING}: write [{name}] as a table, with fire = … in it.")
        only = table.pop(_ONLY, {})
        if not isinstance(only, dict) or not all(isinstance(options, dict) for options in only.values()):
            raise ConfigurationError(f"{SETTING}: write a subject's limits as [{name}.{_ONLY}.<subject>].")
        by_subject = {"": table, **only}
        for options in by_subject.values():
            for option in options:
                _check_option(rule.name, option)
        overrides[name] = by_subject
    return overrides


def _from_list(text: str) -> Overrides:
    overrides: Overrides = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        target, equals, value = (part.strip() for part in entry.partition("="))
        if not equals:
            raise ConfigurationError(
                f"{SETTING}: {entry[:60]!r} has no value; write rule=number or rule=off."
            )
        target, option = _split_option(target)
        name, _, subject = target.partition("@")
        options = overrides.setdefault(_rule(name).name, {}).setdefault(subject, {})
        if value in ("on", "off") and option in ("fire", "enabled"):
            options["enabled"] = value == "on"
        else:
            options[option] = _value(option, value)
    return overrides


def _split_option(target: str) -> tuple[str, str]:
    """A queue's name may have dots in it, a rule's has none."""
    head, dot, last = target.rpartition(".")
    if dot and last in OPTIONS:
        return head, last
    if dot and "@" not in target:
        _check_option(head, last)
    return target, "fire"


def _value(option: str, text: str) -> Any:
    if option == "severity":
        return text
    try:
        return int(text) if text.isdecimal() else float(text)
    except ValueError:
        return text  # refused where all values are checked


def _check_option(rule: str, option: str) -> None:
    if option not in OPTIONS:
        near = difflib.get_close_matches(option, [*OPTIONS, _ONLY], n=1)
        hint = f"Did you mean {near[0]}?" if near else f"They are {', '.join(OPTIONS)}."
        raise ConfigurationError(f"{SETTING}: {rule} has no option {option[:60]!r}. {hint}")


def _rule(name: str) -> Rule:
    try:
        return rule_named(name)
    except InvalidInput as error:
        raise ConfigurationError(f"{SETTING}: {error}") from None
