"""PostgREST's filters and orders as SQL for SQLite. Pure; values are bound, names are checked."""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_COMPARE = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_IS = {"null": "null", "true": "1", "false": "0"}
_LIST_ITEM = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([^,"]*))\s*(?:,|$)')


class BadQuery(ValueError):
    """PostgREST would not read this. `code` is its error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def column(name: str) -> str:
    """A name that is safe between double quotes."""
    if not _NAME.fullmatch(name):
        raise BadQuery("PGRST100", f"failed to parse the name {name!r}")
    return name


def condition(name: str, expression: str) -> tuple[str, list[str]]:
    """`eq.7` of a column as SQL and its values."""
    negated, expression = expression.startswith("not."), expression.removeprefix("not.")
    operator, dot, value = expression.partition(".")
    quoted = f'"{column(name)}"'
    if not dot:
        raise BadQuery("PGRST100", f"failed to parse the filter of {name}")
    if operator in _COMPARE:
        sql, values = f"{quoted} {_COMPARE[operator]} ?", [value]
    elif operator == "is" and value in _IS:
        sql, values = f"{quoted} is {_IS[value]}", []
    elif operator == "in" and value.startswith("(") and value.endswith(")"):
        values = items(value[1:-1])
        sql = f"{quoted} in ({', '.join('?' * len(values))})"
    else:
        raise BadQuery("PGRST100", f"failed to parse the filter of {name}")
    return (f"not ({sql})" if negated else sql), values


def items(text: str) -> list[str]:
    """The values of `in.(…)`: bare or between double quotes, with backslashes before what is special."""
    found, position = [], 0
    while position < len(text):
        match = _LIST_ITEM.match(text, position)
        if match is None or match.end() == position:
            raise BadQuery("PGRST100", "failed to parse the list")
        found.append(re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2])
        position = match.end()
    return found


def ordering(text: str) -> str:
    """`created_at.desc,id` as SQL."""
    parts = []
    for part in text.split(","):
        name, _, direction = part.partition(".")
        if direction not in ("", "asc", "desc"):
            raise BadQuery("PGRST100", f"failed to parse the order {part!r}")
        parts.append(f'"{column(name)}" {direction}'.rstrip())
    return ", ".join(parts)
