"""Reads deploy/compose.yaml as `docker compose` does, as far as it goes: variables, merge keys, commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"

_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


def interpolated(text: str, **variables: str) -> str:
    """The file's text with its variables; those that are not given have their default."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        default = found["default"]
        assert default is not None, f"{found[0]} has no default"
        return variables.get(found["name"], default)

    return _VARIABLE.sub(value, text)


def read(name: str = "compose.yaml", **variables: str) -> dict[str, Any]:
    """The file as data."""
    data: dict[str, Any] = yaml.safe_load(interpolated((DEPLOY / name).read_text(), **variables))
    return data


def seconds(duration: str) -> float:
    """`1m30s` in seconds."""
    parts = re.findall(r"(\d+)(ms|s|m|h)", duration)
    assert "".join(number + unit for number, unit in parts) == duration
    return sum(int(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)
