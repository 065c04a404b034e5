"""What goes into and comes out of step.lua for one job: how it ended, and what a fetched one looks like."""

from __future__ import annotations

from typing import Any

import msgspec

from corral import hooks
from corral.bullmq import cancel
from corral.bullmq.codec import whole
from corral.hooks import Targets, Told
from corral.policy import Keep

COMPLETED, FAILED, RETRY, DELAY, PUT_BACK = 1, 2, 3, 4, 5

#: Answers of step.lua for a job it did not settle.
JOB_GONE, LOCK_GONE, NOT_ACTIVE, NOT_PLAIN, LOCK_TAKEN, NOT_WRITTEN = -1, -2, -3, 1, -6, -100

#: For one that it settled, whose hooks it could not add.
NOT_TOLD = 2

#: Values of a settlement before the ones that may be absent.
COMPLETED_VALUES, FAILED_VALUES = 6, 8

#: Where each kind has its note for the history of the job's runs.
NOTE_PLACES = {FAILED: 11, RETRY: 6, DELAY: 9, PUT_BACK: 3}

#: How many values step.lua gives of a job that has no lock yet.
STAMPED_VALUES = 5

#: How long a signal's waiting side is remembered past its time-out.
SIGNAL_MARGIN_MS = 3_600_000


#: After this a job runs again that met a breaker as it closed: by then its worker knows that it did.
CLOSED_MS = 1_500


class Fetched(msgspec.Struct, gc=False):  # nothing in it that could be part of a cycle
    """A job as step.lua hands it over: its id and FIELDS there. A job that never ran has the first five, and
    only one that stalled has `suspect`; see `worker/suspects.py`.
    """

    id: str
    name: bytes
    data: bytes | None
    options: bytes | None
    timestamp: bytes | None
    attempts_made: bytes | None = None
    attempts_started: bytes | None = None
    stalled_count: bytes | None = None
    deferred_failure: bytes | None = None
    stacktrace: bytes | None = None
    checkpoint: bytes | None = None
    wait: bytes | None = None
    unknown_since: bytes | None = None
    scheduler: bytes | None = None
    cancel: bytes | None = None
    held: bytes | None = None
    suspect: bytes | None = None


# What became of a job: a plain list in the order that step.lua reads, since thousands a second are made.
Settlement = list[Any]


def completed(job_id: str, token: str, value: str, keep: Keep, fields: list[str] | None = None) -> Settlement:
    """`fields`: further ones for HSET."""
    settlement = [job_id, token, COMPLETED, value, *_keep(keep)]
    return [*settlement, fields] if fields else settlement


def failed(
    job_id: str,
    token: str,
    reason: str,
    stacktrace: str,
    keep: Keep,
    attempts: int,
    *,
    killed: bool = False,
    fields: list[str] | None = None,
) -> Settlement:
    """To the dead letters. `killed`: for having killed its workers, which a retry by hand starts afresh.
    `fields`: further ones for HSET.
    """
    settlement = [job_id, token, FAILED, reason, stacktrace, *_keep(keep), attempts]
    return [*settlement, killed, fields or []] if killed or fields else settlement


def retry_now(job_id: str, token: str, reason: str, stacktrace: str, *, lifo: bool) -> Settlement:
    return [job_id, token, RETRY, reason, stacktrace, lifo]


def delay(
    job_id: str, token: str, delay_ms: int, *, spend: bool, fields: list[str] | None = None, signal: str = ""
) -> Settlement:
    """Back to `delayed`. `signal` is a key made by `signal_key`: that signal brings the job back earlier."""
    return [job_id, token, DELAY, delay_ms, spend, fields or [], signal, delay_ms + SIGNAL_MARGIN_MS]


def hold(
    job_id: str, token: str, delay_ms: int, field: list[str], state_key: str, held_key: str, member: str
) -> Settlement:
    """Back to `delayed`, unspent, and noted as held by a breaker. `delay_ms`: the rest of its longest hold.

    A breaker that has closed meanwhile holds nothing: the job is back after CLOSED_MS.
    """
    settlement = delay(job_id, token, delay_ms, spend=False, fields=field)
    return [*settlement, [state_key, held_key, member, CLOSED_MS]]


def put_back(job_id: str, token: str) -> Settlement:
    return [job_id, token, PUT_BACK]


def noted(settlement: Settlement, note: str) -> Settlement:
    """The same settlement, with a note (of `attempts`) for the history. Not for one that completes a job."""
    return _put(settlement, NOTE_PLACES[settlement[2]], note)


def _put(settlement: Settlement, place: int, value: object) -> Settlement:
    settlement += [None] * (place + 1 - len(settlement))
    settlement[place] = value
    return settlement


def tell(settlement: Settlement, job: Fetched, targets: Targets) -> None:
    """Have the end of a job told, if this settlement is one. Changes the settlement."""
    kind = settlement[2]
    if kind not in (COMPLETED, FAILED):
        return
    job_id, name = settlement[0], job.name.decode(errors="replace")
    made = whole(job.attempts_made) + 1
    if kind == COMPLETED:
        if len(settlement) == COMPLETED_VALUES:
            settlement.append([])
        settlement.append(targets.of_completed(job_id, name, made, settlement[3]))
        return
    _put(settlement, FAILED_VALUES + 2, targets.of_failed(job_id, name, made, settlement[3]))


def outcome(settlement: Settlement) -> str:
    """What it says became of the job: completed, failed, cancelled, retried or put_back (its attempt is not
    spent).
    """
    kind = settlement[2]
    if kind == FAILED and len(settlement) > FAILED_VALUES:
        fields = settlement[FAILED_VALUES + 1] or ()
        return "cancelled" if cancel.FIELD in fields else "failed"
    if kind == DELAY:
        return "retried" if settlement[4] else "put_back"
    return {COMPLETED: "completed", FAILED: "failed", RETRY: "retried"}.get(kind, "put_back")


def told(settlement: Settlement) -> Told | None:
    """What `tell` put there."""
    place = FAILED_VALUES + 2 if settlement[2] == FAILED else COMPLETED_VALUES + 1
    return settlement[place] if len(settlement) > place else None


def refused_to_complete(settlement: Settlement, reason: str, keep: Keep) -> Settlement:
    """A completed job that fails after all. Its hooks tell that instead."""
    told_of = told(settlement)
    made = failed(settlement[0], settlement[1], reason, "[]", keep, 1)
    return made if told_of is None else [*made, False, [], hooks.refused_to_complete(told_of, reason)]


def _keep(keep: Keep) -> tuple[int, float]:
    return (-1 if keep.count is None else keep.count, -1 if keep.age is None else keep.age)
