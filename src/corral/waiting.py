"""Why a job is not running, in one sentence. Pure: `corral.bullmq.placing` reads what is decided on here.

The causes are looked at in the order in which they must be lifted: a job of a paused queue whose breaker is
open is held by the breaker first. A limit that a process declares and Redis does not hold is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cause = Literal[
    "ended", "running", "breaker", "signal", "children", "unknown-name", "retry", "delayed", "paused",
    "no-worker", "group", "rate", "concurrency", "busy", "behind", "next",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What is known of a job and of all that could hold it back. Times are epoch seconds."""

    status: str
    name: str
    queue: str
    attempts_made: int = 0
    priority: int = 0
    #: When a delayed job is due.
    due: float | None = None
    #: Jobs that start before it; None: more than were looked at, or its place is not in a line.
    ahead: int | None = None
    #: Those of them that have its priority.
    ahead_alike: int = 0
    paused: bool = False
    #: Seconds until the queue's rate allows a start.
    limited_for: float = 0.0
    #: When that ends.
    limited_until: float | None = None
    concurrency: int | None = None
    active: int = 0
    #: The breaker that holds it; "": none. `breaker_reason`: why that one is open.
    breaker: str = ""
    breaker_open: bool = False
    breaker_reason: str = ""
    next_probe: float | None = None
    #: The signal of its durable wait; "": none.
    signal: str = ""
    #: It was put back because no worker knew its name.
    unknown_name: bool = False
    pending_children: int = 0
    #: Its group, or `lock:` and its lock; "": none.
    group: str = ""
    group_paused: bool = False
    group_active: int = 0
    #: Workers of the queue, their slots, and how many of those are taken.
    workers: int = 0
    slots: int = 0
    busy: int = 0


@dataclass(frozen=True, slots=True)
class Why:
    """One sentence and one that supports it, which may be empty. `until`: when it is over, where that is
    known (epoch seconds)."""

    cause: Cause
    says: str
    more: str = ""
    until: float | None = None


def why(job: Waiting) -> Why:
    """Why the job is where it is."""
    if job.status in ("completed", "failed"):
        return Why("ended", f"It has {job.status}.", "Retry it to run it again.")
    if job.status == "active":
        return Why("running", "It runs.")
    if job.status == "waiting-children":
        return _children(job)
    if job.status == "delayed":
        return _delayed(job)
    return _in_line(job)


def _children(job: Waiting) -> Why:
    if job.pending_children == 0:
        return Why(
            "children",
            "Waiting for children, and none is pending.",
            "Its last child ended without telling it. Release the parent.",
        )
    return Why("children", f"Waiting for {_jobs(job.pending_children, 'child', 'children')}.")


def _delayed(job: Waiting) -> Why:
    if job.breaker:
        if not job.breaker_open:
            return Why("breaker", f"Held jobs of {job.breaker} start again one by one.", until=job.due)
        reason = f": {job.breaker_reason.rstrip('.')}" if job.breaker_reason else ""
        return Why(
            "breaker",
            f"Waiting because {job.breaker}'s breaker is open{reason}.",
            "It is held and spends no attempt."
            + (" A held job tries it from time to time." if job.next_probe else " Resume it by hand."),
            job.next_probe,
        )
    if job.signal:
        return Why("signal", f"Waiting for the signal {job.signal}.", until=job.due)
    if job.unknown_name:
        return Why(
            "unknown-name",
            f"No worker of {job.queue} knows the name {job.name}.",
            "It is looked at again from time to time. Deploy a worker with a handler for it.",
            job.due,
        )
    if job.attempts_made:
        return Why(
            "retry",
            f"Waiting for its next attempt: {_jobs(job.attempts_made, 'attempt')} failed.",
            until=job.due,
        )
    return Why("delayed", "Delayed: it may not start yet.", until=job.due)


def _in_line(job: Waiting) -> Why:
    line = _line(job)
    place = f"{line[0].upper()}{line[1:]} {'is' if job.ahead == 1 else 'are'} ahead of it." if line else ""
    if job.paused:
        return Why("paused", f"Waiting because {job.queue} is paused.", place)
    if job.workers == 0:
        return Why("no-worker", f"Waiting because no worker serves {job.queue}.", place)
    if job.group:
        return _in_group(job)
    if job.limited_for > 0:
        return Why("rate", f"Waiting because {job.queue}'s rate limit is used up.", place, job.limited_until)
    if job.concurrency is not None and job.active >= job.concurrency:
        return Why(
            "concurrency",
            f"Waiting because {job.queue} runs as many jobs as it may: {job.concurrency:,}.",
            place,
        )
    if job.slots and job.busy >= job.slots:
        workers = _jobs(job.workers, "worker")
        return Why("busy", f"Waiting for a free slot: all {job.slots:,} of {workers} are busy.", place)
    if job.ahead == 0:
        return Why("next", "It is next.")
    return Why("behind", f"Waiting behind {line}." if line else "Waiting in line.")


def _in_group(job: Waiting) -> Why:
    lock = job.group.removeprefix("lock:")
    if lock != job.group:
        return Why("group", f"Waiting for the lock {lock}: another job holds it, or its turn comes.")
    if job.group_paused:
        return Why("group", f"Waiting because its group {job.group} is paused.")
    running = f" {job.group_active:,} of it run now." if job.group_active else ""
    return Why("group", f"Waiting for the turn of its group {job.group}.{running}")


def _line(job: Waiting) -> str:
    """The jobs ahead of it; empty if there are none, or it is not known."""
    if not job.ahead:
        return ""
    at = f"at priority {job.priority}" if job.priority else "without a priority"
    if job.ahead == job.ahead_alike:
        return f"{_jobs(job.ahead, 'job')} {at}"
    return f"{_jobs(job.ahead, 'job')}, {job.ahead_alike:,} of them {at}"


def _jobs(count: int, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"
