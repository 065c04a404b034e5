"""The options of a schedule: checked, and turned into what travels. No I/O."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, cast

import msgspec

from corral.adding import AddOptions, Templates, check_data
from corral.bullmq.schedule_record import Record, Timing, read_options, template_options
from corral.cron import DEFAULT_ZONE, check_cron, find_zone
from corral.data import decode_json, encode
from corral.errors import InvalidOptions, UnknownJobName
from corral.policy import Priority, Retry

if TYPE_CHECKING:
    from corral.queue import Queue

#: Longest period; beyond it a number is surely in the wrong unit.
MAX_EVERY_SECONDS = 100 * 365 * 86_400.0

#: Longest id of a schedule; it is part of the id of each run.
MAX_ID = 200

#: Options of a job that make no sense for one that recurs.
_NOT_RECURRING = ("delay", "at", "job_id", "idempotency_key")


class ScheduleOptions(TypedDict, total=False):
    """When a schedule runs, and the options of the jobs that it makes."""

    #: Data of each run.
    data: Any
    #: A cron expression, see `corral.cron`; or give `every`.
    cron: str | None
    #: Seconds between two runs; the first is at once, or where `start` or `offset` put it.
    every: float | None
    #: Zone of `cron`, an IANA name. Default UTC.
    tz: str | None
    #: Seconds after each full multiple of `every` (since 1970, UTC).
    offset: float | None
    #: No run is earlier; an aware datetime. With `every`, the moment of the first one.
    start: datetime | None
    #: No run is later; an aware datetime.
    end: datetime | None
    #: Runs in all, counted anew when the schedule is changed.
    limit: int | None
    #: With `cron`: one run at once when it is added or changed.
    immediately: bool
    #: As in AddOptions.
    priority: Priority | int | None
    lifo: bool
    retry: Retry | None
    timeout: float | None
    remove_on_complete: bool | int | None
    remove_on_fail: bool | int | None


def check_schedule(schedule_id: str, options: ScheduleOptions) -> None:
    """Raise InvalidOptions for what can be seen to be wrong without its queue's jobs."""
    _check_id(schedule_id)
    schedule_timing(options)


def schedule_record(queue: Queue, schedule_id: str, name: str, options: ScheduleOptions) -> Record:
    """A schedule as it is written. Raises InvalidOptions, InvalidData, JobTooLarge, UnknownJobName."""
    _check_id(schedule_id)
    for option in _NOT_RECURRING:
        if option in options:
            raise InvalidOptions(f"A schedule has no `{option}`: write cron=… or every=… with start=….")
    own = ScheduleOptions.__optional_keys__ - AddOptions.__optional_keys__
    job_options = {option: value for option, value in options.items() if option not in own}
    timing = schedule_timing(options)
    definition = queue.jobs.get(name)
    if definition is None and queue.jobs:
        known = ", ".join(sorted(queue.jobs))
        raise UnknownJobName(f"Queue {queue.name!r} has no job {name!r}. It has: {known}.")
    decode = decode_json if definition is None else definition.decode_data
    data = check_data(queue, encode(options.get("data")), decode, name=name)
    template = Templates(queue, queue.keys()).make(name, cast("AddOptions", job_options))
    return Record(
        schedule_id, name, timing, data, template_options(read_options(_as_redis_keeps(template.options)))
    )


def _as_redis_keeps(options: str) -> str:
    """Numbers pass through Lua, which keeps 14 digits and knows no whole floats."""
    plain = msgspec.json.decode(options)
    return encode(_whole(plain)).decode()


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    if not isinstance(value, float):
        return value
    return int(value) if value.is_integer() else float(f"{value:.14g}")


def _check_id(schedule_id: str) -> None:
    if not 0 < len(schedule_id) <= MAX_ID or ":" in schedule_id or not schedule_id.isprintable():
        raise InvalidOptions(
            f"{schedule_id!r} cannot name a schedule: 1 to {MAX_ID} printable characters, no colon."
        )


def schedule_timing(options: ScheduleOptions) -> Timing:
    """When it runs. Raises InvalidOptions."""
    cron, every, tz, offset = (
        options.get("cron"),
        options.get("every"),
        options.get("tz"),
        options.get("offset"),
    )
    start, end = _epoch_ms("start", options.get("start")), _epoch_ms("end", options.get("end"))
    limit = options.get("limit")
    if limit is not None and limit < 1:
        raise InvalidOptions(f"limit={limit}: at least one run, or None for no limit.")
    if start is not None and end is not None and start > end:
        raise InvalidOptions("A schedule cannot end before it starts.")
    if (cron is None) == (every is None):
        raise InvalidOptions("A schedule needs `cron` or `every`, one of them.")
    if cron is not None:
        if offset is not None:
            raise InvalidOptions("`offset` belongs to `every`; a cron expression says its moments itself.")
        if options.get("immediately") and start is not None:
            raise InvalidOptions("Give a schedule `immediately` or `start`, not both.")
        check_cron(cron)
        zone = find_zone(tz or DEFAULT_ZONE).key
        return Timing(pattern=cron, tz=zone, start=start, end=end, limit=limit)
    if tz is not None:
        raise InvalidOptions("`tz` belongs to `cron`; seconds are as long in every zone.")
    if every is None or not 0.001 <= every <= MAX_EVERY_SECONDS:
        raise InvalidOptions(f"every={every}: seconds from 0.001 to 100 years.")
    if offset is not None and not 0 <= offset < every:
        raise InvalidOptions(f"offset={offset}: seconds from 0 to less than every={every}.")
    offset_ms = None if offset is None else round(offset * 1000)
    return Timing(every=round(every * 1000), offset=offset_ms, start=start, end=end, limit=limit)


def _epoch_ms(name: str, moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise InvalidOptions(f"`{name}` needs a time zone: use datetime.now(UTC) or a zone of your own.")
    return round(moment.timestamp() * 1000)
