"""Which keys a queue's payloads are encrypted with, and encrypting them anew with the first one.

Both walk over all jobs of the queue that do not run, in steps of 50; Redis serves others in between. They
look at data, results and checkpoints; schedules have their data encrypted anew, too. Not touched, and under
their old key until they go: what children returned to a parent that has not run yet, events (about 10,000 a
queue), and signals (7 days).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from corral.bullmq import resealing
from corral.bullmq.resealing import FIELDS, Payloads
from corral.bullmq.schedule_reader import ScheduleReader
from corral.bullmq.scheduler import Scheduler
from corral.errors import CannotDecrypt
from corral.queue import Queue
from corral.sealing import Kind, Sealing, is_sealed, take_apart

PLAIN, UNREADABLE = "plain", "unreadable"


@dataclass(frozen=True, slots=True)
class Checked:
    """Payloads by what they are: the id of the key, `plain`, or `unreadable`.

    missing: ids of keys that this process does not have.
    """

    jobs: int
    payloads: dict[str, int]
    missing: tuple[str, ...]


@dataclass(slots=True)
class Rotated:
    """What a rotation did. `unreadable`: payloads that could not be opened, and stay as they are."""

    jobs: int = 0
    written: int = 0
    schedules: int = 0
    unreadable: int = 0


async def check(queue: Queue) -> Checked:
    """Count a queue's payloads by key. Three round trips for each 50 jobs. Raises RedisUnavailable."""
    found: Counter[str] = Counter()
    jobs = 0
    with queue.redis_errors():
        async for step in resealing.walk(queue.client(), queue.keys()):
            jobs += len(step)
            found.update(_kind_of(raw) for job in step for _, _, raw in _payloads(job))
    known = queue.sealing.keys
    missing = sorted(kind for kind in found if kind not in (PLAIN, UNREADABLE) and kind not in known)
    return Checked(jobs, dict(found), tuple(missing))


async def rotate(queue: Queue) -> Rotated:
    """Encrypt anew what is encrypted with another key than the first, and in a queue that encrypts also what
    is plain. Four round trips for each 50 jobs. Raises RedisUnavailable.
    """
    done = Rotated()
    sealing = queue.sealing
    with queue.redis_errors():
        client, keys = queue.client(), queue.keys()
        async for step in resealing.walk(client, keys):
            changes: list[tuple[str, str, bytes, str]] = []
            for job in step:
                for kind, name, raw in _payloads(job):
                    try:
                        becomes = _anew(sealing, kind, name, raw)
                    except CannotDecrypt:
                        done.unreadable += 1
                        continue
                    if becomes is not None:
                        changes.append((job.id, FIELDS[kind], raw, becomes))
            done.jobs += len(step)
            done.written += await resealing.write(client, keys, changes)
        for listed in await ScheduleReader(client, keys).read_all():
            record = listed.record
            try:
                text = _anew(sealing, "data", record.name, record.data.encode())
            except CannotDecrypt:
                done.unreadable += 1
                continue
            if text is not None:
                await Scheduler(client, keys).upsert(replace(record, data=text))
                done.schedules += 1
    return done


def _anew(sealing: Sealing, kind: Kind, name: str, raw: bytes) -> str | None:
    """The payload as it is to be stored; None: as it is. Raises CannotDecrypt."""
    if not is_sealed(raw):
        # A result of null tells nothing, and is never sealed.
        return sealing.seal(kind, name, raw) if sealing.active and raw != b"null" else None
    if not sealing.keys or take_apart(raw).key_id == sealing.keys.current:
        return None
    return sealing.seal(kind, name, sealing.open(kind, name, raw))


def _payloads(job: Payloads) -> Iterator[tuple[Kind, str, bytes]]:
    """Each with the name that it is bound to."""
    if job.data is not None:
        yield "data", job.name, job.data
    if job.result is not None:
        yield "result", job.id, job.result
    if job.checkpoint is not None:
        yield "checkpoint", job.id, job.checkpoint


def _kind_of(raw: bytes) -> str:
    if not is_sealed(raw):
        return PLAIN
    try:
        return take_apart(raw).key_id
    except CannotDecrypt:
        return UNREADABLE
