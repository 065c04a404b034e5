"""What metrics and labels a PromQL expression names. Not a parser: promtool is that, and checks the rest."""

from __future__ import annotations

import re

#: Words of the language that are no metrics.
_WORDS = frozenset(
    ("and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool",
     "inf", "nan", "start", "end", "atan2")
)  # fmt: skip

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'|`[^`]*`")
_MATCHERS = re.compile(r"\{([^{}]*)\}")
_DURATION = re.compile(r"\[[^\]]*\]")
_LABEL_LIST = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^()]*)\)")
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")


def _bare(expression: str) -> str:
    return _DURATION.sub(" ", _STRING.sub('""', expression))


def metrics_of(expression: str) -> set[str]:
    """Names of the metrics in it."""
    text = _LABEL_LIST.sub(" ", _MATCHERS.sub(" ", _bare(expression)))
    found = set()
    for match in _NAME.finditer(text):
        before = text[match.start() - 1] if match.start() else " "
        is_call = text[match.end() :].lstrip().startswith("(")
        if match.group() not in _WORDS and not is_call and not before.isdigit() and before != ".":
            found.add(match.group())
    return found


def labels_of(expression: str) -> set[str]:
    """Names of the labels in its matchers and in what it groups by."""
    text = _bare(expression)
    found = set()
    for inside in _MATCHERS.findall(text):
        found |= {part.strip() for part in re.findall(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)", inside)}
    for inside in _LABEL_LIST.findall(text):
        found |= set(_NAME.findall(inside))
    return found
