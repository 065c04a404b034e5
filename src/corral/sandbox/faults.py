"""Faults on demand: `POST /faults {"provider": "onfido", "times": 2, "fault": "500"}`.

The next `times` requests to that provider fail so:

| fault | what happens |
|---|---|
| `400` to `599` | answered instead of the real thing, with the provider's own body for that status |
| `hang`, `drop`, `truncated` | no answer, a cut connection, half an answer, *after* it was carried out |
| `soft` | the provider's error inside a 200, where it has such (`idenfy`, `cloudflare`); not carried out |
| `late` | carried out and answered as ever, after `latency` |

`"latency"` is seconds before any of these (at most 120). `"headers"` are put on an answered status, such as
`{"Retry-After": "7"}`. `"carried_out": false` has `hang`, `drop` and `truncated` happen before the request is
carried out. `"path"` limits a fault to requests whose `METHOD /path` contains it, e.g. `POST /checks`.
`GET /faults` lists what is left, `DELETE /faults` clears it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = ("hang", "drop", "truncated", "soft", "late")

#: Seconds: above every provider's time-out.
MAX_LATENCY = 120.0

_STATUS = re.compile(r"[45]\d\d")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_KEYS = frozenset({"provider", "fault", "times", "path", "carried_out", "latency", "headers"})


@dataclass(slots=True)
class Fault:
    """A fault that waits for its requests. `latency` is seconds."""

    provider: str
    fault: str
    times: int = 1
    path: str = ""
    carried_out: bool = True
    latency: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def instead(self) -> bool:
        """Whether the request is not carried out."""
        return self.is_status or self.fault == "soft" or not self.carried_out

    @property
    def is_status(self) -> bool:
        """Whether it is an HTTP status that is answered."""
        return self.fault.isdigit()


class Faults:
    """The faults that are still to happen, first come, first served."""

    def __init__(self, providers: Collection[str], soft: Collection[str] = ()) -> None:
        """providers: those that can have faults. soft: those of them that have soft ones."""
        self._providers = sorted(providers)
        self._soft = sorted(soft)
        self._waiting: list[Fault] = []

    def add(self, spec: Mapping[str, Any]) -> Fault:
        """Script a fault. Raises ValueError for a wrong specification."""
        unknown = set(spec) - _KEYS
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r}")
        if spec.get("provider") not in self._providers:
            raise ValueError(f"provider is one of {', '.join(self._providers)}")
        kind = str(spec.get("fault", "late" if "latency" in spec else ""))
        if kind not in KINDS and not _STATUS.fullmatch(kind):
            raise ValueError(f"fault is a status from 400 to 599 or one of {', '.join(KINDS)}")
        if kind == "soft" and spec["provider"] not in self._soft:
            raise ValueError(f"a soft error is known of {', '.join(self._soft)} alone")
        times = spec.get("times", 1)
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            raise ValueError("times is a whole number above zero")
        fault = Fault(
            spec["provider"],
            kind,
            times,
            str(spec.get("path", "")),
            bool(spec.get("carried_out", True)),
            _latency(spec.get("latency", 0), needed=kind == "late"),
            _headers(spec.get("headers", {}), allowed=kind.isdigit()),
        )
        self._waiting.append(fault)
        return fault

    def take(self, provider: str, method: str, path: str) -> Fault | None:
        """The fault of this request, if there is one; it is used up by one."""
        for fault in self._waiting:
            if fault.provider == provider and fault.path in f"{method} {path}":
                fault.times -= 1
                if fault.times == 0:
                    self._waiting.remove(fault)
                return fault
        return None

    def show(self) -> list[dict[str, Any]]:
        """What is left."""
        return [
            {"provider": f.provider, "fault": f.fault, "times": f.times, "path": f.path}
            | ({"latency": f.latency} if f.latency else {})
            | ({"headers": f.headers} if f.headers else {})
            for f in self._waiting
        ]

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()


def _latency(value: Any, *, needed: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_LATENCY:
        raise ValueError(f"latency is seconds from 0 to {MAX_LATENCY:g}")
    if needed and not value:
        raise ValueError("the fault late needs its latency, in seconds")
    return float(value)


def _headers(value: Any, *, allowed: bool) -> dict[str, str]:
    if not isinstance(value, dict) or not all(
        _HEADER_NAME.fullmatch(name) and isinstance(text, str) and _HEADER_VALUE.fullmatch(text)
        for name, text in value.items()
    ):
        raise ValueError("headers is an object of names and texts")
    if value and not allowed:
        raise ValueError("headers go with a status only")
    return {name.lower(): text for name, text in value.items()}
