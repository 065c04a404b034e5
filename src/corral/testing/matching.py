"""Which enqueued jobs a test asks for, and what it is told when there are none. Pure.

Data are compared as plain JSON, as a stock BullMQ worker would see them. A mapping asks for what it names and
no more, also deeper down; lists and all else must be equal. Values are compared with `==`, so that
`unittest.mock.ANY` and `pytest.approx` do what they are for. Messages hold the data of jobs: test data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from corral.data import decode_json, encode
from corral.errors import InvalidData

#: Jobs that a message lists.
LISTED = 10
#: Characters of a job's data in a message.
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that waits to run."""

    id: str
    name: str
    #: As the type its handler declares, else plain JSON.
    data: Any
    #: waiting, delayed or waiting-children.
    status: str
    #: Seconds that it was to wait from when it was added (or, of a retry, from when it failed).
    delay: float
    priority: int
    group: str | None
    #: Epoch seconds.
    enqueued_at: float
    #: The data as plain JSON.
    json: Any = field(repr=False, compare=False)


class Wanted(TypedDict, total=False):
    """What a job must be like."""

    #: A mapping: these keys with these values, others may be there. Anything else: equal, once it is JSON.
    data: Any
    #: Seconds; exact for a job that was added with `delay`. `pytest.approx` works.
    delay: Any
    priority: int
    group: str


def misses(job: Enqueued, name: str, wanted: Wanted) -> list[str]:
    """What about a job is not as wanted, a phrase each. Empty: it fits."""
    found = [] if job.name == name else [f"its name is {job.name!r}"]
    if "data" in wanted:
        found += _differences("data", as_json(wanted["data"]), job.json)
    for option in ("delay", "priority", "group"):
        if option in wanted and wanted[option] != getattr(job, option):
            found.append(f"{option} is {getattr(job, option)!r}, not {wanted[option]!r}")
    return found


def as_json(value: Any) -> Any:
    """What a test gave, as the job's data would be: models become mappings; matchers stay what they are."""
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in value]
    try:
        return decode_json(encode(value))
    except InvalidData:  # no JSON, hence a matcher
        return value


def _differences(path: str, wanted: Any, there: Any) -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(there, dict):
        for key, value in wanted.items():
            if key in there:
                yield from _differences(f"{path}.{key}", value, there[key])
            else:
                yield f"{path}.{key} is not there"
    elif isinstance(wanted, list) and isinstance(there, list) and len(wanted) == len(there):
        for number, (value, other) in enumerate(zip(wanted, there, strict=True)):
            yield from _differences(f"{path}[{number}]", value, other)
    elif isinstance(wanted, bool) != isinstance(there, bool) and wanted in (0, 1):
        yield f"{path} is {there!r}, not {wanted!r}"  # to Python True is 1
    elif wanted != there:
        yield f"{path} is {short(there)}, not {short(wanted)}"


def missing(queue: str, jobs: Sequence[Enqueued], name: str, wanted: Wanted, count: int | None) -> str:
    """Why `assert_enqueued` failed: what was wanted, and what is there, the nearest first."""
    fitting = sum(not misses(job, name, wanted) for job in jobs)
    if count is None:
        title = f"No job {describe(name, wanted)} is enqueued in queue {queue!r}."
    else:
        title = f"{fitting} of {count} wanted jobs {describe(name, wanted)} are enqueued in queue {queue!r}."
    return title + _listing(jobs, name, wanted)


def unwanted(
    queue: str, jobs: Sequence[Enqueued], fitting: Sequence[Enqueued], name: str | None, wanted: Wanted
) -> str:
    """Why `assert_not_enqueued` failed."""
    what = "No job" if name is None else f"No job {describe(name, wanted)}"
    rows = "".join(f"\n  {line(job)}" for job in fitting[:LISTED])
    return f"{what} should be enqueued in queue {queue!r}; {len(fitting)} of {len(jobs)} are:{rows}"


def describe(name: str, wanted: Wanted) -> str:
    parts = [f"{option} {short(as_json(value))}" for option, value in wanted.items()]
    return f"{name!r}" + (f" with {', '.join(parts)}" if parts else "")


def _listing(jobs: Sequence[Enqueued], name: str, wanted: Wanted) -> str:
    if not jobs:
        return " Nothing is."
    found = [(misses(job, name, wanted), job) for job in jobs]
    # Another name is further off than any difference in what a job of this name brings.
    found.sort(key=lambda row: (row[1].name != name, len(row[0])))
    rows = [f"\n  {line(job)}" + (f"\n      {'; '.join(why)}" if why else "") for why, job in found[:LISTED]]
    more = f"\n  and {len(jobs) - LISTED} more" if len(jobs) > LISTED else ""
    return " These are, the nearest first:" + "".join(rows) + more


def line(job: Enqueued) -> str:
    parts = [f"job {job.id} {job.name!r}", job.status]
    if job.delay:
        parts.append(f"delay {job.delay:g} s")
    if job.priority:
        parts.append(f"priority {job.priority}")
    if job.group is not None:
        parts.append(f"group {job.group!r}")
    return ", ".join(parts) + f", data {short(job.json)}"


def short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
