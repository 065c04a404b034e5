"""Faults on demand: `POST /faults {"provider": "onfido", "times": 2, "fault": "500"}`.

The next `times` requests to that provider fail so. `429`, `500` and `401` are answered instead of the real
thing. `hang`, `drop` and `truncated` happen *after* the request was carried out, which is the case that
needs reconciling; `"carried_out": false` has them happen before. `"path"` limits a fault to requests whose
`METHOD /path` contains it, e.g. `POST /checks`. `GET /faults` lists what is left, `DELETE /faults` clears it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

KINDS = ("429", "500", "401", "hang", "drop", "truncated")


@dataclass(slots=True)
class Fault:
    """A fault that waits for its requests."""

    provider: str
    fault: str
    times: int = 1
    path: str = ""
    carried_out: bool = True

    @property
    def instead(self) -> bool:
        """Whether the request is not carried out."""
        return self.fault in ("429", "500", "401") or not self.carried_out


class Faults:
    """The faults that are still to happen, first come, first served."""

    def __init__(self, providers: Collection[str]) -> None:
        self._providers = sorted(providers)
        self._waiting: list[Fault] = []

    def add(self, spec: dict[str, Any]) -> Fault:
        """Script a fault. Raises ValueError for a wrong specification."""
        unknown = set(spec) - {"provider", "fault", "times", "path", "carried_out"}
        if unknown:
            raise ValueError(f"unknown key {min(unknown)!r}")
        if spec.get("provider") not in self._providers:
            raise ValueError(f"provider is one of {', '.join(self._providers)}")
        if str(spec.get("fault")) not in KINDS:
            raise ValueError(f"fault is one of {', '.join(KINDS)}")
        times = spec.get("times", 1)
        if not isinstance(times, int) or times < 1:
            raise ValueError("times is a whole number above zero")
        carried_out = bool(spec.get("carried_out", True))
        fault = Fault(spec["provider"], str(spec["fault"]), times, str(spec.get("path", "")), carried_out)
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
            for f in self._waiting
        ]

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()
