"""Adding beside the common path: jobs that differ from each other, and jobs that may be there already.

`Queue.add_batch`, deduplication, and what an add answers when it met a job.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from corral.adding import AddOptions, check_data
from corral.bullmq.batch_add import add_groups
from corral.bullmq.official_add import Stored
from corral.bullmq.producer import Added, NewJobs
from corral.data import decode_json, encode
from corral.errors import IdempotencyConflict, InvalidInput
from corral.forgetting import is_reduced, same_as_far_as_kept
from corral.job import Job

if TYPE_CHECKING:
    from corral.queue import Queue


class NewJob:
    """A job to be added by `Queue.add_batch`: a name, its data, and the options that `Queue.add` takes."""

    __slots__ = ("data", "name", "options")

    def __init__(self, name: str, data: Any = None, **options: Unpack[AddOptions]) -> None:
        self.name = name
        self.data = data
        self.options: AddOptions = options

    def __repr__(self) -> str:
        return f"NewJob({self.name!r}, options={sorted(self.options)})"


async def add_batch(queue: Queue, jobs: Sequence[NewJob]) -> list[Job]:
    """`Queue.add_batch`."""
    raws: list[bytes] = []
    made: list[NewJobs] = []
    templates = queue.templates()
    for index, job in enumerate(jobs):
        with _naming(index, job):
            raw = encode(job.data)
            text = check_data(
                queue, raw, queue.decoder(job.name), job.options.get("max_data_bytes"), name=job.name
            )
            options = await queue.timed(job.options)
            made.append(templates.traced(job.name, options)._replace(data=[text]))
            raws.append(raw)
    plain = [index for index, job in enumerate(jobs) if not job.options.get("dedup")]
    added: dict[int, Job] = {}
    conflict: IdempotencyConflict | None = None
    if plain:
        with queue.redis_errors():
            bound = await queue.ready()
            answers = await add_groups(bound.client, queue.keys(), [made[index] for index in plain])
        for index, answer in zip(plain, answers, strict=True):
            try:
                with _naming(index, jobs[index]):
                    added[index] = _job(queue, answer, jobs[index], raws[index])
            except IdempotencyConflict as error:
                conflict = conflict or error
    if conflict is not None:
        raise conflict
    if len(plain) < len(jobs):
        with queue.redis_errors():
            bound = await queue.ready()
            rest = [index for index, job in enumerate(jobs) if job.options.get("dedup")]
            calls = [(made[index], _dedup_id(jobs[index].options)) for index in rest]
            for index, stored in zip(rest, await bound.official.add_all(calls), strict=True):
                added[index] = _stored_job(queue, stored, jobs[index].name, raws[index])
    return [added[index] for index in range(len(jobs))]


async def add_officially(queue: Queue, name: str, raws: Sequence[bytes], options: AddOptions) -> list[Job]:
    """Add jobs with a deduplication id, all with the same options, in order."""
    decode, limit = queue.decoder(name), options.get("max_data_bytes")
    texts = [check_data(queue, raw, decode, limit, name=name) for raw in raws]
    template = queue.templates().traced(name, await queue.timed(options))
    dedup_id = _dedup_id(options)
    with queue.redis_errors():
        bound = await queue.ready()
        stored = await bound.official.add_all([(template._replace(data=[text]), dedup_id) for text in texts])
    return [_stored_job(queue, each, name, raw) for each, raw in zip(stored, raws, strict=True)]


def existing_job(queue: Queue, added: Added, name: str, raw: bytes, once: str | None) -> Job:
    """The job that an add met. Raises IdempotencyConflict if its key stands for other work."""
    existing, its_name = added.existing_data or b"", added.existing_name or ""
    if once is not None and (
        its_name != name or not _same_work(queue.sealing.open("data", its_name, existing), raw)
    ):
        what = f"for a job {its_name!r}" if its_name != name else "with other data"
        raise IdempotencyConflict(
            f"Idempotency key {once!r} was used in queue {queue.name!r} {what} (job {added.ids[0]}). "
            "Use a new key for a new request."
        )
    return Job(queue, added.ids[0], its_name, existing, existed=True)


def _same_work(existing: bytes, raw: bytes) -> bool:
    if is_reduced(existing):  # the job has ended and forgotten the rest
        return same_as_far_as_kept(existing, raw)
    return bool(decode_json(existing) == decode_json(raw))


def _job(queue: Queue, added: Added, job: NewJob, raw: bytes) -> Job:
    if added.existing_data is None:
        return Job(queue, added.ids[0], job.name, raw)
    return existing_job(queue, added, job.name, raw, job.options.get("idempotency_key"))


def _stored_job(queue: Queue, stored: Stored, name: str, raw: bytes) -> Job:
    if not stored.existed:
        return Job(queue, stored.id, name, raw)
    # A kept job that has been removed since is known by its id alone.
    return Job(queue, stored.id, stored.name or name, stored.data or b"null", existed=True)


def _dedup_id(options: AddOptions) -> str:
    dedup = options.get("dedup")
    return dedup.id if dedup else ""


@contextmanager
def _naming(index: int, job: NewJob) -> Iterator[None]:
    """Say in an error which job it is about."""
    try:
        yield
    except InvalidInput as error:
        error.args = (f"Job {index} of the batch ({job.name!r}): {error}",)
        raise
