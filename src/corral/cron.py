"""Cron expressions in a time zone: when is the next run? Pure functions, no clock of their own.

Five fields (minute hour day month weekday), or six with the seconds first; names (JAN, MON), lists, ranges,
steps, `L` (last day; `5L`: last Friday), `1#2` (second Monday), `?`, and `@hourly @daily @weekly @monthly
@yearly @annually @minutely @secondly @weekdays @weekends`. Where both day fields are restricted, a day that
matches either one counts.

Daylight saving follows BullMQ's own parser, so that a schedule which Node and Corral workers run in turn
keeps one rhythm: a time that is skipped in spring runs as much later (02:30 at 03:30), a time that comes
twice in autumn runs at its first; where the hour field is `*`, every real hour counts.

Limits: no `W`, `LW`, list of `#`, value named twice or range that wraps round, since BullMQ's parser refuses
them; and no `H` and no fewer than five fields, which it reads. It also differs where a zone moves its clocks
at midnight (Havana) or by half an hour (Lord Howe): there it takes the second of two times, or gives up.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from corral.errors import InvalidOptions

#: The zone of a schedule that names none.
DEFAULT_ZONE = "UTC"

#: As BullMQ's parser bounds it.
MAX_LENGTH = 1_024

_NAMED = {
    "@secondly": "* * * * * *",
    "@minutely": "* * * * *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekdays": "0 0 * * 1-5",
    "@weekends": "0 0 * * 0,6",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = ("second", "minute", "hour", "day-of-month", "month", "day-of-week")

#: No zone of today moves its clocks by more than this.
_LONGEST_SHIFT = timedelta(hours=3)

#: Any day will do to look whether an expression can be read.
_SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001  # a wall clock


def next_run(expression: str, tz: str, after: datetime) -> datetime | None:
    """The first run later than `after` (an aware datetime), in the zone `tz`; None: not in 50 years.

    Raises InvalidOptions for an expression or a zone that cannot be read.
    """
    zone = find_zone(tz)
    fields = _fields(expression)
    if fields[2] == "*":  # every real hour, also the one that comes twice
        run = next(CronSim(" ".join(fields), after.astimezone(zone)), None)
    else:
        run = _next_by_wall_clock(" ".join(fields), zone, after)
    return None if run is None else run.astimezone(zone)


def next_runs(expression: str, tz: str, after: datetime, count: int) -> list[datetime]:
    """The next `count` runs, or fewer if there are no more. Raises InvalidOptions."""
    runs: list[datetime] = []
    while len(runs) < count:
        run = next_run(expression, tz, runs[-1] if runs else after)
        if run is None:
            break
        runs.append(run)
    return runs


def check_cron(expression: str) -> None:
    """Raise InvalidOptions, with what is wrong, for an expression that cannot be read."""
    _fields(expression)


def normal_form(expression: str) -> tuple[str, str, str, str, str, str]:
    """Second, minute, hour, day, month and weekday in capitals; names like `@daily` written out.

    Raises InvalidOptions.
    """
    _fields(expression)
    given = _NAMED.get(expression.strip().lower(), expression).upper().split()
    second, minute, hour, day, month, weekday = given if len(given) == 6 else ["0", *given]
    return second, minute, hour, day, month, weekday


def find_zone(tz: str) -> ZoneInfo:
    """A zone by its IANA name. Raises InvalidOptions."""
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(tz, available_timezones(), n=1)
        hint = f" Did you mean {near[0]!r}?" if near else " Write one like 'Europe/Berlin'."
        raise InvalidOptions(f"tz={tz!r} is no time zone.{hint}") from None


def _next_by_wall_clock(expression: str, zone: ZoneInfo, after: datetime) -> datetime | None:
    """Runs as clocks on the wall show them, each turned into the moment when it is so."""
    local = after.astimezone(zone)
    earlier = (after.astimezone(UTC) - _LONGEST_SHIFT).astimezone(zone)
    skipped = (local.utcoffset() or timedelta()) - (earlier.utcoffset() or timedelta())
    # Runs of an hour that was skipped a moment ago may still be ahead.
    start = local.replace(tzinfo=None) - max(skipped, timedelta())
    best: datetime | None = None
    runs: Iterator[datetime] = CronSim(expression, start)
    for shown in runs:
        moment = shown.replace(tzinfo=zone).astimezone(UTC)
        if moment <= after:
            continue
        if best is None or moment < best:
            best = moment
        if moment.astimezone(zone).replace(tzinfo=None) == shown:
            break  # a time that exists: whatever the wall shows later comes later
    return best


@lru_cache(maxsize=1_024)
def _fields(expression: str) -> tuple[str, ...]:
    """The six fields, checked, in the words of cronsim."""
    text = _NAMED.get(expression.strip().lower(), expression)
    given = text.upper().split()
    if len(expression) > MAX_LENGTH:
        raise InvalidOptions(f"cron={expression[:40]!r}…: longer than {MAX_LENGTH:,} characters.")
    if text.startswith("@"):
        raise InvalidOptions(f"cron={expression!r} is no name of a schedule. There are {', '.join(_NAMED)}.")
    if len(given) not in (5, 6):
        fields_there = "1 field" if len(given) == 1 else f"{len(given)} fields"
        raise InvalidOptions(
            f"cron={expression!r} has {fields_there}. Write 5 (minute hour day month weekday), "
            "or 6 with the seconds first."
        )
    fields = ["0", *given] if len(given) == 5 else given
    if fields[2] == "0-23":  # BullMQ's parsers take all hours, written out, for every real hour too
        fields[2] = "*"
    for place, first, last in ((3, 1, 31), (5, 0, 6)):
        field = "*" if fields[place] == "?" else fields[place]
        # To cronsim, as to Debian's cron, a step over all days restricts nothing; to BullMQ it does.
        fields[place] = f"{first}-{last}{field[1:]}" if field.startswith("*/") else field
    for name, field in zip(_FIELDS, fields, strict=True):
        parts = field.split(",")
        if "LW" in field or ("#" in field and len(parts) > 1) or len(set(parts)) < len(parts):
            raise InvalidOptions(f"cron={expression!r}: Node cannot read its {name} field, {field!r}.")
    try:
        CronSim(" ".join(fields), _SOME_DAY)
    except CronSimError as error:
        at = next((i for i, name in enumerate(_FIELDS) if name in str(error)), None)
        what = f"{error}" if at is None else f"its {_FIELDS[at]} field, {fields[at]!r}, is wrong"
        raise InvalidOptions(f"cron={expression!r}: {what}.") from None
    return tuple(fields)
