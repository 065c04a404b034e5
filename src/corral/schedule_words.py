"""A schedule's rhythm in words: "every 15 minutes", "at 03:00 on weekdays". Pure functions.

Common shapes are told; of any other cron expression the expression itself is the best there is.
"""

from __future__ import annotations

from corral.cron import normal_form

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_SHORT_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_UNITS = (("week", 604_800), ("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))

#: More times of a day than these are no sentence.
_MOST_TIMES = 4


def in_words(*, cron: str | None, every: float | None) -> str:
    """What a schedule does, without its zone. Raises InvalidOptions for a cron expression nobody can read."""
    if cron is not None:
        return cron_in_words(cron)
    return "never" if every is None else every_in_words(every)


def every_in_words(seconds: float) -> str:
    """`every 90 seconds`, `every hour`: in the largest unit that leaves no rest."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return _every(int(seconds // size), unit)
    return f"every {seconds:g} seconds"


def cron_in_words(expression: str) -> str:
    """The expression itself where there is no plain sentence for it. Raises InvalidOptions."""
    second, minute, hour, day, month, weekday = normal_form(expression)
    days = _days(day, month, weekday)
    rhythm = _rhythm(second, minute, hour)
    if days is None or rhythm is None:
        return expression.strip()
    if not days and rhythm.startswith("at "):
        return f"{rhythm} every day"
    return f"{rhythm} {days}".strip()


def _rhythm(second: str, minute: str, hour: str) -> str | None:
    """The part below the day, or None."""
    if second != "0":
        if (minute, hour) != ("*", "*"):
            return None
        return _stepped(second, "second")
    if hour == "*":
        stepped = _stepped(minute, "minute")
        if stepped is not None:
            return stepped
        if minute == "0":
            return "every hour"
        return f"every hour at {_minutes(minute)}" if _numbers(minute) else None
    if minute == "0" and hour.startswith("*/"):
        return _stepped(hour, "hour")
    return _within(minute, hour) or _times(minute, hour)


def _within(minute: str, hour: str) -> str | None:
    """`every 10 minutes from 09:00 to 17:59`."""
    first, dash, last = hour.partition("-")
    stepped = "every hour" if minute == "0" else _stepped(minute, "minute")
    if not dash or not first.isdecimal() or not last.isdecimal() or stepped is None:
        return None
    end = "00" if minute == "0" else "59"
    return f"{stepped} from {int(first):02}:00 to {int(last):02}:{end}"


def _times(minute: str, hour: str) -> str | None:
    """`at 03:00 and 15:00`."""
    hours, minutes = _numbers(hour), _numbers(minute)
    if not hours or not minutes or len(hours) * len(minutes) > _MOST_TIMES:
        return None
    return "at " + _listed([f"{h:02}:{m:02}" for h in hours for m in minutes])


def _days(day: str, month: str, weekday: str) -> str | None:
    """On which days; "": on all of them. None: no plain words."""
    months = _months(month)
    any_day, any_weekday = day in ("*", "?"), weekday in ("*", "?")
    if months is None or not (any_day or any_weekday):
        return None
    if not any_weekday:
        found = _weekdays(weekday)
        return None if found is None else f"{found} {months}".strip()
    if any_day:
        return months
    if day == "L":
        return f"on the last day of {months.removeprefix('in ') or 'the month'}"
    dates = _numbers(day)
    if not dates:
        return None
    return (
        f"on the {_listed([_ordinal(date) for date in dates])} of {months.removeprefix('in ') or 'the month'}"
    )


def _weekdays(field: str) -> str | None:
    for number, name in enumerate(_SHORT_DAYS):
        field = field.replace(name, str(number))
    if field == "1-5":
        return "on weekdays"
    found = sorted({number % 7 for number in _numbers(field)})
    if found == [0, 6]:
        return "on weekends"
    if not found or found[-1] > 6:
        return None
    return "on " + _listed([_DAYS[number] for number in found])


def _months(field: str) -> str | None:
    if field == "*":
        return ""
    for number, name in enumerate(_MONTHS, 1):
        field = field.replace(name[:3].upper(), str(number))
    found = _numbers(field)
    return "in " + _listed([_MONTHS[number - 1] for number in found]) if found else None


def _minutes(field: str) -> str:
    numbers = _numbers(field)
    return f"minute {_listed([str(number) for number in numbers])}"


def _stepped(field: str, unit: str) -> str | None:
    """`*` and `*/15` of a field of 60 seconds, 60 minutes or 24 hours; None for a step with a rest."""
    if field == "*":
        return _every(1, unit)
    step = field.removeprefix("*/")
    whole = 24 if unit == "hour" else 60
    if step == field or not step.isdecimal() or int(step) < 1 or whole % int(step):
        return None
    return _every(int(step), unit)


def _numbers(field: str) -> list[int]:
    """A list of plain numbers, sorted; empty for anything else."""
    parts = field.split(",")
    return sorted(map(int, parts)) if all(part.isdecimal() for part in parts) else []


def _every(count: int, unit: str) -> str:
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"


def _ordinal(number: int) -> str:
    ending = "th" if 11 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
