"""Which topics changed between two looks. Pure.

Topics are what pages are about: `queue:<name>`, `job:<queue>/<id>`, `dead`, `schedules`, `alerts`, `workers`,
`breakers`, `audit`, `scaling`, `keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from corral.bullmq.digests import QueueDigest, SharedDigest
from corral.observe.alerts.storing import read_ledger

#: While jobs wait and nothing happens, their age is what changes: such a queue counts as changed this often.
AGE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Everything at one moment: a value by topic, of which nothing matters but whether it differs."""

    topics: Mapping[str, object] = field(default_factory=dict)


def digest(
    now: float, queues: Mapping[str, QueueDigest], shared: SharedDigest, jobs: Mapping[str, bytes]
) -> Digest:
    """now: seconds, of any clock. jobs: by `queue/id`."""
    topics: dict[str, object] = {
        "alerts": (firing(shared.alerts), shared.silences, shared.acknowledged),
        "dead": {name: one.dead for name, one in queues.items()},
        "schedules": {name: one.schedules for name, one in queues.items()},
    }
    for name in ("workers", "breakers", "audit", "scaling", "keys"):
        topics[name] = getattr(shared, name)
    for name, one in queues.items():
        topics[f"queue:{name}"] = (one.jobs, now // AGE_SECONDS if one.waiting else 0)
    for name, text in jobs.items():
        topics[f"job:{name}"] = text
    return Digest(topics=topics)


def firing(state: bytes) -> list[tuple[str, str, str]]:
    """What is pending or fires, as the evaluator's document says; the rest of it changes with each look."""
    return sorted((alert.rule, alert.subject, alert.state) for alert in read_ledger(state).alerts)


def changed(before: Digest | None, after: Digest) -> frozenset[str]:
    """Topics that differ, and those that are new: what was before is not known of them. None: nothing is."""
    if before is None:
        return frozenset(after.topics)
    return frozenset(
        topic
        for topic in before.topics.keys() | after.topics.keys()
        if before.topics.get(topic) != after.topics.get(topic)
    )
