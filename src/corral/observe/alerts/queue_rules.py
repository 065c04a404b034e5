"""Rules about queues: the mission's four, and what else goes wrong with one. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from corral.observe.alerts.rule import Limits, Reading, Rule
from corral.observe.standing import QueueStanding, Standing

#: Names listed in a message.
_NAMES = 5


def _waiting(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        yield Reading(queue.queue, _startable(queue))


def _failure_rate(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        recent = queue.recent
        ended = recent.completed + recent.failed
        yield Reading(
            queue.queue, recent.failure_rate, f"{recent.failed:,} of {ended:,} ended jobs", made_from=ended
        )


def _run_time(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        if queue.recent.run_p95 is not None:
            yield Reading(queue.queue, queue.recent.run_p95, _slowest_name(queue))


def _dead_letters(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        yield Reading(queue.queue, queue.counts.get("failed", 0))


def _oldest_waiting(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        if not queue.paused:
            yield Reading(queue.queue, queue.oldest_waiting_seconds or 0.0)


def _no_workers(standing: Standing) -> Iterator[Reading]:
    served = {name for worker in standing.workers if not worker.quiet for name in worker.queues}
    for queue in standing.queues.values():
        alone = not queue.paused and queue.queue not in served
        yield Reading(queue.queue, queue.waiting if alone else 0)


def _paused(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        held_back = queue.waiting + queue.counts.get("paused", 0)
        yield Reading(queue.queue, held_back if queue.paused else 0)


def _stalled(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        yield Reading(queue.queue, queue.recent.stalled)


def _unknown_names(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        names = queue.unknown_names
        yield Reading(queue.queue, len(names), _listed(names))


def _schedule_late(standing: Standing) -> Iterator[Reading]:
    for queue in standing.queues.values():
        for schedule, seconds in queue.late_schedules.items():
            yield Reading(f"{queue.queue}/{schedule}", seconds)


def _startable(queue: QueueStanding) -> int:
    """A paused queue is an operator's decision: the rule `paused` looks after it."""
    return 0 if queue.paused else queue.waiting


def _slowest_name(queue: QueueStanding) -> str:
    known = [(recent.run_p95, name) for name, recent in queue.names.items() if recent.run_p95 is not None]
    return f"slowest: {max(known)[1]}" if known else ""


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(name[:60] for name in names[:_NAMES])
    return f"{shown} and {len(names) - _NAMES} more" if len(names) > _NAMES else shown


QUEUE_RULES = (
    Rule(
        name="waiting",
        title="Many jobs wait: scale",
        summary="{value} jobs wait in {subject}, more than {fire}: scale.",
        advice="Start more workers (corral worker --processes, or more replicas). See whether a breaker is "
        "open, and whether jobs got slower: corral breakers, corral queues.",
        unit="jobs",
        about="queue",
        limits=Limits(1_000, 800),
        measure=_waiting,
    ),
    Rule(
        name="failure-rate",
        title="Many jobs fail",
        summary="{value} of the jobs of {subject} ended in the dead letters in the last minutes, more than "
        "{fire} ({detail}).",
        advice="Look at the groups of errors: corral dead list. A deploy or a provider is the usual cause.",
        unit="share",
        about="queue",
        limits=Limits(0.05, 0.03, "critical", minimum=20),
        measure=_failure_rate,
    ),
    Rule(
        name="run-time",
        title="Jobs run long",
        summary="The slowest twentieth of the attempts in {subject} took {value} or more, over {fire} "
        "({detail}).",
        advice="See which job name got slower and what it calls; a slow provider is the usual cause.",
        unit="seconds",
        about="queue",
        limits=Limits(60, 50),
        measure=_run_time,
    ),
    Rule(
        name="dead-letters",
        title="Dead letters",
        summary="Dead letters of {subject}: {value}.",
        advice="Look at them by cause with corral dead list; then retry or discard each group.",
        unit="jobs",
        about="queue",
        limits=Limits(0, 0, for_seconds=0),
        measure=_dead_letters,
    ),
    Rule(
        name="oldest-waiting",
        title="Jobs wait too long",
        summary="The oldest job that could run has waited {value} in {subject}; its objective is {fire}.",
        advice="Start more workers, or see what holds those that run. A rate limit or a global concurrency "
        "that is too low does this, too.",
        unit="seconds",
        about="queue",
        limits=Limits(300, 240, "critical", for_seconds=30),
        measure=_oldest_waiting,
    ),
    Rule(
        name="no-workers",
        title="No worker",
        summary="{value} jobs wait in {subject}, and no live worker serves it.",
        advice="Start one: corral worker --queues {subject}, or corral worker package.module:name for a "
        "queue of your own. If it should run, its log says why it ended.",
        unit="jobs",
        about="queue",
        limits=Limits(0, 0, "critical", for_seconds=60, keep_seconds=30),
        measure=_no_workers,
    ),
    Rule(
        name="paused",
        title="A queue was left paused",
        summary="{subject} is paused, and {value} jobs wait in it.",
        advice="If nobody repairs anything there: corral queues resume {subject}.",
        unit="jobs",
        about="queue",
        limits=Limits(0, 0, "info", for_seconds=3600, keep_seconds=0),
        measure=_paused,
    ),
    Rule(
        name="stalled",
        title="Jobs were taken from dead workers",
        summary="{value} jobs of {subject} were taken from a worker that died or fell silent, in the last "
        "minutes.",
        advice="Look for killed processes (out of memory, evicted pods) and for blocking code in async "
        "handlers.",
        unit="jobs",
        about="queue",
        limits=Limits(0, 0, for_seconds=0),
        measure=_stalled,
    ),
    Rule(
        name="unknown-names",
        title="Job names that nobody handles",
        summary="Jobs of {subject} have names that no worker knows: {detail}.",
        advice="Deploy a worker that knows them, or correct the producer. They are held, and go to the dead "
        "letters in the end.",
        unit="count",
        about="queue",
        limits=Limits(0, 0, for_seconds=60),
        measure=_unknown_names,
    ),
    Rule(
        name="schedule-late",
        title="A schedule is late",
        summary="The next run of {subject} is overdue by {value}, more than {fire}.",
        advice="Schedules run when a worker of the queue does: see whether one is alive and has free slots.",
        unit="seconds",
        about="queue/schedule",
        limits=Limits(60, 30, for_seconds=30),
        measure=_schedule_late,
    ),
)
