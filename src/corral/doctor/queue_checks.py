"""Checks of queues: what grows without bound, what is missing, what does not fit together. Pure."""

from __future__ import annotations

from corral.connected import check_layout
from corral.doctor.check import Check
from corral.doctor.facts import Facts, QueueFacts
from corral.doctor.findings import Subject, Verdict, failure, known, note, ok, warning, worst
from corral.errors import LayoutUnsupported
from corral.policy import Keep
from corral.queues import worker_command

#: Finished jobs in a queue that no declaration bounds, from which on it looks forgotten.
MANY_FINISHED = 100_000

#: Queues whose provider has a quota that all workers share, and the limit to give.
WANT_RATE_LIMIT = {"email": "RateLimit(100, per=60)"}

#: Names and numbers shown of a long list.
SHOWN = 5


def retention(facts: Facts) -> Verdict:
    verdicts = [verdict for queue in facts.found_queues for verdict in _kept(queue)]
    return worst(verdicts, "every declared queue removes finished jobs by age or number")


def _kept(queue: QueueFacts) -> list[Verdict]:
    finished = queue.counts.get("completed", 0) + queue.counts.get("failed", 0)
    if queue.declared is None:
        if finished < MANY_FINISHED:
            return []
        found = f"{queue.name}: {finished:,} finished jobs, and no declaration of it was loaded"
        return [warning(found, f"corral queues clean {queue.name} completed --older-than 86400")]
    kept = queue.declared.retention
    endless = [state for state in ("completed", "failed") if _endless(getattr(kept, state))]
    if not endless:
        return []
    found = f"{queue.name}: {' and '.join(endless)} jobs are kept for ever"
    return [failure(found, f"Queue({queue.name!r}, retention=Retention(…)) with a count or an age")]


def _endless(keep: Keep) -> bool:
    return keep.count is None and keep.age is None


def rate_limits(facts: Facts) -> Verdict:
    verdicts = [
        warning(
            f"{queue.name}: no rate limit, though its provider has a quota",
            f"Queue({queue.name!r}, rate_limit={WANT_RATE_LIMIT[queue.name]})",
        )
        for queue in facts.found_queues
        if queue.name in WANT_RATE_LIMIT
        and queue.rate_limit is None
        and not (queue.declared and queue.declared.rate_limit)
    ]
    return worst(verdicts, "present where a provider has a quota")


def old_clients(facts: Facts) -> Verdict:
    verdicts = [
        warning(
            f"{queue.name}: a BullMQ 5 client ({queue.old_clients}); its resume can lose jobs",
            "Upgrade it: npm install bullmq@6. Until then pause and resume with corral queues.",
        )
        for queue in facts.found_queues
        if queue.old_clients
    ]
    return worst(verdicts, "no BullMQ client older than 6 was seen within a day")


def layout(facts: Facts) -> Verdict:
    verdicts = []
    for queue in facts.found_queues:
        try:
            check_layout(queue.name, queue.written_by)
        except LayoutUnsupported as error:
            verdicts.append(failure(str(error), "pip install --upgrade corral"))
    return worst(verdicts, "every queue has a layout that this Corral knows")


def unknown_names(facts: Facts) -> Verdict:
    verdicts = [
        warning(
            f"{queue.name}: no handler for {', '.join(names[:SHOWN])}",
            "Deploy the handler, or remove the jobs; they go to the dead letters in the end.",
        )
        for queue in facts.found_queues
        if (names := known(queue.unknown_names, "what workers put back could not be read"))
    ]
    return worst(verdicts, "no job waits for a handler that nobody has")


def schedules(facts: Facts) -> Verdict:
    verdicts = [
        warning(
            f"{queue.name}: {len(late)} schedules are late, by up to {max(late.values()):.0f} s",
            f"Is a worker alive, and not swamped? {worker_command(queue.name)}",
        )
        for queue in facts.found_queues
        if (late := known(queue.late_schedules, "the schedules could not be read"))
    ]
    return worst(verdicts, "no schedule is late")


def paused(facts: Facts) -> Verdict:
    names = [queue.name for queue in facts.found_queues if queue.paused]
    if not names:
        return ok("no queue is paused")
    return note(f"paused: {', '.join(names[:SHOWN])}", f"corral queues resume {names[0]}")


CHECKS = tuple(
    Check(name, Subject.QUEUES, wants, judge)
    for name, wants, judge in (
        ("retention", "finished jobs of each queue bounded by age or number", retention),
        ("rate-limits", "a rate limit where a provider has a quota (email)", rate_limits),
        ("old-clients", "no BullMQ 5 client", old_clients),
        ("layout", "a layout that this version knows", layout),
        ("unknown-names", "a handler for every job name", unknown_names),
        ("schedules", "no schedule late", schedules),
        ("paused", "no queue paused and forgotten", paused),
    )
)
