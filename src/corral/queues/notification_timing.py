"""When a message may be sent: quiet hours in the user's time zone, and the rate of a user. Pure.

A time of the day that comes twice (clocks go back) ends quiet hours the first time it comes, unless that has
passed. One that is skipped (clocks go forward) ends them as much later as the clocks jumped.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` by the wall clock; over midnight if `start` is the later one."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class UserRate:
    """At most so many messages in any window of `seconds`."""

    messages: int
    seconds: int


def parse_quiet_hours(text: str) -> QuietHours | None:
    """`22:00-07:00`; None for ""."""
    if not text:
        return None
    start, _, end = text.partition("-")
    return QuietHours(time.fromisoformat(start), time.fromisoformat(end))


def parse_user_rate(text: str) -> UserRate | None:
    """`10/3600`; None for ""."""
    if not text:
        return None
    messages, _, seconds = text.partition("/")
    return UserRate(int(messages), int(seconds))


def zone(name: str | None) -> ZoneInfo:
    """The zone of this name; UTC for none, and for one that is not known."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def quiet_for(hours: QuietHours, where: ZoneInfo, now: datetime) -> float:
    """Seconds until the quiet hours end; 0 if it is not quiet. `now` has a time zone."""
    local = now.astimezone(where)
    clock = local.time()
    if hours.start < hours.end:
        quiet, ends_today = hours.start <= clock < hours.end, True
    else:
        quiet, ends_today = clock >= hours.start or clock < hours.end, clock < hours.end
    if not quiet:
        return 0.0
    day = local.date() if ends_today else local.date() + timedelta(days=1)
    for fold in (0, 1):
        end = datetime.combine(day, hours.end, tzinfo=where).replace(fold=fold).astimezone(UTC)
        if end > now:
            return (end - now).total_seconds()
    return 0.0
