"""What changed lately: releases, scaling, alerts, and what operators did, as one list. Read for pages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import redis.asyncio as aioredis

from corral import audit
from corral.audit import AuditEntry
from corral.bullmq import alerting
from corral.observe.alerts.machine import Event
from corral.observe.alerts.rules import RULES
from corral.observe.alerts.storing import read_events
from corral.scaling import ScalingDecision, scaling_decisions
from corral.stats import Mark, read_marks

Kind = Literal["deploy", "scaling", "fired", "resolved", "audit"]

#: Of each source; what is older than these is in none of the lists.
MOST_READ = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that changed at `at`, epoch seconds.

    what: the release, an alert's title, an operator's action; subject: the queue, provider or whatever it
    concerns; detail: the reason of a scaling, what an alert says, who acted. before, after: processes.
    """

    at: float
    kind: Kind
    what: str = ""
    subject: str = ""
    detail: str = ""
    severity: str = ""
    before: int | None = None
    after: int | None = None


async def read_changes(client: aioredis.Redis, prefix: str, since: float, count: int) -> list[Change]:
    """The newest `count` since then, newest first. Four round trips at once. Raises what redis-py raises."""
    marks, decisions, events, entries = await asyncio.gather(
        read_marks(client, prefix),
        scaling_decisions(client, prefix, count=MOST_READ),
        alerting.history(client, prefix, MOST_READ),
        audit.entries(client, prefix, count=MOST_READ),
    )
    return together(marks, decisions, read_events(events), entries, since, count)


def together(
    marks: Iterable[Mark],
    decisions: Iterable[ScalingDecision],
    events: Iterable[Event],
    entries: Iterable[AuditEntry],
    since: float,
    count: int,
) -> list[Change]:
    """One list, newest first. A decision that left the number of processes as it was is no change."""
    found = [
        *(Change(at=mark.at, kind="deploy", what=mark.release) for mark in marks),
        *(_of_decision(one) for one in decisions if one.before != one.after),
        *(_of_event(event) for event in events),
        *(_of_entry(entry) for entry in entries),
    ]
    found = [change for change in found if change.at >= since]
    return sorted(found, key=lambda change: -change.at)[:count]


def _of_decision(one: ScalingDecision) -> Change:
    return Change(
        at=one.at, kind="scaling", what=one.host, subject=one.queue, detail=one.reason,
        before=one.before, after=one.after,
    )  # fmt: skip


def _of_event(event: Event) -> Change:
    rule = RULES.get(event.rule)  # None: of another version of Corral
    return Change(
        at=event.at, kind=event.kind, what=rule.title if rule else event.rule, subject=event.subject,
        detail=event.summary, severity=event.severity,
    )  # fmt: skip


def _of_entry(entry: AuditEntry) -> Change:
    return Change(at=entry.at, kind="audit", what=entry.action, subject=entry.target, detail=entry.actor)
