"""All rules by name, and reading one by a name that may be misspelt. Pure."""

from __future__ import annotations

import difflib

from corral.errors import InvalidInput
from corral.observe.alerts.queue_rules import QUEUE_RULES
from corral.observe.alerts.rule import Rule
from corral.observe.alerts.server_rules import SERVER_RULES

RULES: dict[str, Rule] = {rule.name: rule for rule in (*QUEUE_RULES, *SERVER_RULES)}


def rule_named(name: str) -> Rule:
    """The rule of this name. Raises InvalidInput that names the near one."""
    rule = RULES.get(name)
    if rule is None:
        near = difflib.get_close_matches(name, RULES, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"The rules are {', '.join(RULES)}."
        raise InvalidInput(f"There is no alert rule {name[:60]!r}. {hint}")
    return rule
