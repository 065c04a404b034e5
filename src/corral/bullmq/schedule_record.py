"""What a job scheduler is on the wire, and the pure decisions about its next run. Milliseconds throughout.

BullMQ keeps a scheduler as a member of `repeat` (score: its next run) and a hash `repeat:<id>`; its pending
run is the job `repeat:<id>:<ms>`, whose `opts.repeat` says again when it runs, and which run it is (`count`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import msgspec

from corral.cron import DEFAULT_ZONE, next_run

#: What belongs to one run, not to the template that all runs are made of.
_OF_ONE_RUN = ("repeat", "jobId", "delay", "timestamp", "prevMillis", "repeatJobKey", "immediately")

_encode = msgspec.json.encode
_decode = msgspec.json.decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Timing:
    """When a schedule runs: `pattern` (cron) in `tz`, or each `every` ms from `offset`."""

    pattern: str | None = None
    every: int | None = None
    tz: str | None = None
    offset: int | None = None
    start: int | None = None
    end: int | None = None
    limit: int | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Read a scheduler's hash, or a job's `opts.repeat`. Nonsense counts as not said."""
        return cls(
            pattern=_text(fields.get("pattern")),
            every=milliseconds(fields.get("every")) or None,
            tz=_text(fields.get("tz")),
            offset=milliseconds(fields.get("offset")),
            start=milliseconds(fields.get("startDate")),
            end=milliseconds(fields.get("endDate")),
            limit=milliseconds(fields.get("limit")),
        )

    def wire(self) -> dict[str, Any]:
        named = {
            "pattern": self.pattern, "every": self.every, "tz": self.tz, "offset": self.offset,
            "startDate": self.start, "endDate": self.end, "limit": self.limit,
        }  # fmt: skip
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Record:
    """A scheduler as it stands in Redis. `data` is JSON; `options` is the template's, in BullMQ's words."""

    id: str
    name: str
    timing: Timing
    data: str = "{}"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    iterations: int = 0
    next: int | None = None
    paused: bool = False


def read_record(schedule_id: str, fields: Mapping[bytes, bytes], score: float | None) -> Record:
    """Turn HGETALL of `repeat:<id>` into a record. Fields of a foreign client may be missing or odd."""
    text = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in fields.items()}
    return Record(
        id=schedule_id,
        name=text.get("name", ""),
        timing=Timing.of(text),
        data=text.get("data") or "{}",
        options=template_options(read_options(text.get("opts"))),
        iterations=milliseconds(text.get("ic")) or 0,
        next=None if score is None else int(score),
    )


@dataclass(frozen=True, slots=True)
class Paused:
    """A paused scheduler: what pause_schedule.lua kept of it, and which run the next one is."""

    record: Record
    count: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A schedule whose run of `slot` is nowhere. `count`: which run that was."""

    record: Record
    slot: int
    count: int


def read_paused(schedule_id: str, raw: bytes) -> Paused | None:
    """None if it cannot be read, which only a foreign hand can bring about."""
    try:
        kept = _decode(raw)
        flat = [text.encode() for text in kept["fields"]]
        record = read_record(schedule_id, dict(zip(flat[::2], flat[1::2], strict=True)), None)
        return Paused(dataclasses.replace(record, paused=True), int(kept["count"]))
    except (*_UNREADABLE, KeyError, TypeError, ValueError, AttributeError):
        return None


def paused_text(record: Record, count: int) -> str:
    """A paused scheduler's record after an edit, as pause_schedule.lua writes one."""
    fields: dict[str, Any] = {
        "name": record.name,
        **record.timing.wire(),
        "data": record.data,
        "opts": _encode(record.options).decode(),
        "ic": record.iterations,
    }
    flat = [str(part) for pair in fields.items() for part in pair]
    return _encode({"fields": flat, "count": count}).decode()


def read_options(raw: bytes | str | None) -> dict[str, Any]:
    """A job's options; empty if they cannot be read."""
    try:
        options = _decode(raw) if raw else {}
    except _UNREADABLE:
        return {}
    return options if isinstance(options, dict) else {}


def template_options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in _OF_ONE_RUN}


def run_options(
    schedule_id: str, options: Mapping[str, Any], timing: Timing, *, count: int, next_ms: int, now_ms: int
) -> dict[str, Any]:
    """The options of run number `count`, as BullMQ's workers write and read them.

    What a foreign client said of the runs before (to a repeat strategy of its own) is passed on.
    """
    before = options.get("repeat")
    said = before if isinstance(before, dict) else {}
    said = {name: value for name, value in said.items() if name != "immediately"}
    return {
        **template_options(options),
        "repeat": {**said, **timing.wire(), "count": count},
        "jobId": run_id(schedule_id, next_ms),
        "delay": max(0, next_ms - now_ms),
        "timestamp": now_ms,
        # The run after it is reckoned from here, so that a slow clock cannot make the same run twice.
        **({"prevMillis": next_ms} if timing.pattern else {}),
        "repeatJobKey": schedule_id,
    }


def run_id(schedule_id: str, slot_ms: int) -> str:
    return f"repeat:{schedule_id}:{slot_ms}"


def slot_of(job_id: str) -> int:
    """The time that a run was planned for; 0 for a job that is none."""
    slot = job_id.rpartition(":")[2]
    return int(slot) if slot.isdecimal() else 0


def next_slot(timing: Timing, after_ms: int) -> int | None:
    """When the run after `after_ms` is due, or None: the schedule is over. Raises InvalidOptions.

    For `every` that is a bound for telling whether it is over; the slot itself is BullMQ's script's to say.
    """
    if timing.end is not None and after_ms > timing.end:
        return None
    if timing.pattern is None:
        slot = after_ms if timing.start is None else max(after_ms, timing.start)
    else:
        # A start is the first moment that counts, and the search is for later ones.
        after = after_ms if timing.start is None else max(after_ms, timing.start - 1)
        run = next_run(timing.pattern, timing.tz or DEFAULT_ZONE, _moment(after))
        if run is None:
            return None
        slot = round(run.timestamp() * 1000)
    return None if timing.end is not None and slot > timing.end else slot


def slot_after(timing: Timing, slot_ms: int, now_ms: int) -> int | None:
    """When the run after the one of `slot_ms` is due. Runs missed meanwhile are left out, as by BullMQ."""
    after = slot_ms if timing.every is None else slot_ms + timing.every
    return next_slot(timing, max(after, now_ms))


def count_of(options: Mapping[str, Any]) -> int | None:
    """Which run a job of a scheduler is, by its options."""
    repeat = options.get("repeat")
    return milliseconds(repeat.get("count")) if isinstance(repeat, dict) else None


def is_used_up(timing: Timing, count: int) -> bool:
    """Would run number `count` be one too many?"""
    return timing.limit is not None and count > timing.limit


def is_legacy(schedule_id: str) -> bool:
    """Has this the form of a repeatable job of BullMQ before v5.16, `name:id:end:tz:pattern`?"""
    parts = schedule_id.split(":", 4)
    if len(parts) < 5 or (parts[2] and not parts[2].isdecimal()):
        return False
    return " " in parts[4] or parts[4].isdecimal()


def means_the_same(wanted: Record, stored: Record) -> bool:
    """Would writing `wanted` change nothing? An offset that BullMQ worked out itself is no difference."""
    timing = stored.timing
    if wanted.timing.offset is None:
        timing = dataclasses.replace(timing, offset=None)
    return (wanted.name, wanted.data, wanted.timing, wanted.options) == (
        stored.name, stored.data, timing, stored.options,
    )  # fmt: skip


def same_rhythm(wanted: Timing, stored: Timing) -> bool:
    """Do both run at the same times, so that a run which is due may stay due?"""
    return all(
        getattr(wanted, name) == getattr(stored, name) for name in ("pattern", "tz", "every", "start")
    ) and wanted.offset in (None, stored.offset)


def milliseconds(value: Any) -> int | None:
    """A whole number of 0 or more, from a number, its text, or an ISO date; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            try:
                value = datetime.fromisoformat(value).timestamp() * 1000
            except ValueError:
                return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**53:
        return None
    return int(value)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
