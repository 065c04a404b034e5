"""What an operation, a preview or an export is about: a group, jobs that fit a filter, or certain jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from corral.errors import InvalidInput

#: Jobs that can be named one by one.
MOST_IDS = 1_000


class Filter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What the jobs must be like, as in `queue.browse.search`. Times are epoch seconds. Empty: all failed
    jobs.
    """

    name: str | None = None
    id: str | None = None
    error: str | None = None
    added_after: float | None = None
    added_before: float | None = None
    finished_after: float | None = None
    finished_before: float | None = None
    where: Mapping[str, Any] = msgspec.field(default_factory=dict)
    attempts_min: int | None = None
    attempts_max: int | None = None
    priority_min: int | None = None
    priority_max: int | None = None
    group: str | None = None

    def asked(self) -> dict[str, Any]:
        """What it asks for, as arguments of a search."""
        return {
            name: value for name in self.__struct_fields__ if (value := getattr(self, name)) not in (None, {})
        }

    def __str__(self) -> str:
        """Names alone: values may be personal, and this is shown and kept."""
        return f"filter by {', '.join(sorted(self.asked()))}" if self.asked() else "all failed jobs"


@dataclass(frozen=True, slots=True)
class Target:
    """One of `group`, `ids` and `filter`. Raises InvalidInput for none or several."""

    group: str = ""
    ids: Sequence[str] = ()
    filter: Filter | None = None

    def __post_init__(self) -> None:
        if sum((bool(self.group), bool(self.ids), self.filter is not None)) != 1:
            raise InvalidInput(
                "Say which dead letters: a group, ids of jobs, or a filter (an empty one: all)."
            )
        if len(self.ids) > MOST_IDS or isinstance(self.ids, str):
            raise InvalidInput(f"{len(self.ids):,} ids: at most {MOST_IDS:,}. Use a group or a filter.")

    def __str__(self) -> str:
        if self.group:
            return f"group {self.group}"
        return str(self.filter) if self.filter is not None else f"{len(self.ids):,} jobs"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Filter).decode


def encode_filter(chosen: Filter) -> str:
    return _encode(chosen).decode()


def decode_filter(text: str) -> Filter:
    """What `encode_filter` wrote; what a later version wrote and this one cannot read raises InvalidInput."""
    try:
        return _decode(text.encode())
    except msgspec.DecodeError:
        raise InvalidInput("This filter is not known to this version of Corral. Upgrade it.") from None
