"""What each enqueue route asks of a queue, and what it answers. One adder for each queue and route.

Errors are raised with the path of the wrong field from the body's root: the queue knows `$.userId`, the
caller wrote `$.data.userId` or `$.jobs[3].data.userId`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple, Protocol
from urllib.parse import quote

import msgspec

from corral.adding import AddOptions
from corral.api import bodies, problems
from corral.api.bodies import BulkJob
from corral.api.problems import FieldError, Refused
from corral.bullmq.keys import check_job_id
from corral.data import decode_json
from corral.errors import InvalidData, InvalidOptions, UnknownJobName
from corral.job import Job
from corral.queue import Queue
from corral.special_adds import NewJob

_encode = msgspec.json.Encoder().encode


class Accepted(NamedTuple):
    """The body of a 202, where the job can be looked at, and whether it was there before."""

    payload: bytes
    location: bytes | None
    replayed: bool


class Adder(Protocol):
    """Adds what a body says. Raises errors of Corral's tree; may take as long as Redis takes.

    webhook: for jobs that do not bring one.
    """

    async def __call__(
        self, body: bytes, idempotency_key: str | None, webhook: str | None = None
    ) -> Accepted: ...


class AddOne:
    """POST /v1/queues/{queue}/jobs."""

    __slots__ = ("_location", "_tail", "queue")

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self._location = f"/v1/queues/{quote(queue.name, safe='')}/jobs/"
        self._tail = b',"queue":' + _encode(queue.name) + b',"status":"queued"}'

    async def __call__(
        self, body: bytes, idempotency_key: str | None, webhook: str | None = None
    ) -> Accepted:
        request = bodies.job_request(body)
        given = bodies.options(request, self.queue.retry)
        if idempotency_key is not None:
            given["idempotency_key"] = idempotency_key
        if webhook is not None:
            given.setdefault("webhook", webhook)
        try:
            job = await self.queue.add_json(request.name, bytes(request.data), **given)
        except InvalidData as error:
            raise Refused(problems.under(problems.invalid_data(error), "$.data")) from None
        except UnknownJobName as error:
            raise Refused(problems.at(problems.of(error), "$.name")) from None
        job_id = job.id
        return Accepted(
            b'{"jobId":' + _encode(job_id) + self._tail,
            (self._location + (job_id if job_id.isdecimal() else quote(job_id, safe=""))).encode(),
            job.existed,
        )


class AddData:
    """The mission's routes: the body is the data of one kind of job.

    The id is made here and is unlike any other, so that GET /job-status/{jobId} needs no queue, and nobody
    comes upon another person's verification by counting. A repeated Idempotency-Key gives the first one's.
    """

    __slots__ = ("_message", "_name", "_prefix", "_queue")

    def __init__(self, queue: Queue, name: str, *, id_prefix: str, message: str) -> None:
        self._queue = queue
        self._name = name
        self._prefix = id_prefix
        self._message = message

    async def __call__(
        self, body: bytes, idempotency_key: str | None, webhook: str | None = None
    ) -> Accepted:
        bodies.check_utf8(body)
        given: AddOptions = {"job_id": f"{self._prefix}-{secrets.token_hex(10)}"}
        if idempotency_key is not None:
            given["idempotency_key"] = idempotency_key
        if webhook is not None:
            given.setdefault("webhook", webhook)
        try:
            job = await self._queue.add_json(self._name, body, **given)
        except InvalidData as error:
            raise Refused(problems.invalid_data(error, body)) from None
        where = f"/job-status/{job.id}?queue={self._queue.name}"
        answer = {
            "jobId": job.id,
            "status": "queued",
            "message": f"{self._message} Follow it at GET {where}.",
        }
        return Accepted(_encode(answer), where.encode(), job.existed)


class AddBulk:
    """POST /v1/queues/{queue}/jobs/bulk."""

    __slots__ = ("queue",)

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    async def __call__(
        self, body: bytes, idempotency_key: str | None, webhook: str | None = None
    ) -> Accepted:
        requests = bodies.bulk_request(body)
        wrong = check(self.queue, requests)
        if wrong:
            raise Refused(problems.invalid("No job was added", wrong))
        jobs = await self._add(requests, idempotency_key, webhook)
        answer = {"queue": self.queue.name, "status": "queued", "jobIds": [job.id for job in jobs]}
        return Accepted(_encode(answer), None, all(job.existed for job in jobs))

    async def _add(
        self, requests: Sequence[BulkJob], idempotency_key: str | None, webhook: str | None
    ) -> list[Job]:
        name = requests[0].name
        if (
            idempotency_key is None
            and webhook is None
            and all(r.opts is None and r.name == name for r in requests)
        ):
            return await self.queue.add_many_json(name, [bytes(r.data) for r in requests])
        return await self.queue.add_batch(
            [self._new_job(index, r, idempotency_key, webhook) for index, r in enumerate(requests)]
        )

    def _new_job(
        self, index: int, request: BulkJob, idempotency_key: str | None, webhook: str | None
    ) -> NewJob:
        given: AddOptions = {} if request.opts is None else bodies.options(request.opts, self.queue.retry)
        if idempotency_key is not None:
            given["idempotency_key"] = f"{idempotency_key}:{index}"
        if webhook is not None:
            given.setdefault("webhook", webhook)
        return NewJob(request.name, request.data, **given)


def check(queue: Queue, requests: Sequence[BulkJob]) -> tuple[FieldError, ...]:
    """Everything that adding these jobs would refuse, found before any is added. At most MAX_ERRORS."""
    wrong: list[FieldError] = []
    for index, request in enumerate(requests):
        wrong += _check_one(queue, request, f"$.jobs[{index}]")
        if len(wrong) >= bodies.MAX_ERRORS:
            break
    return tuple(wrong)


def _check_one(queue: Queue, request: BulkJob, path: str) -> list[FieldError]:
    definition = queue.jobs.get(request.name)
    if definition is None and queue.jobs:
        known = ", ".join(sorted(queue.jobs))
        return [
            FieldError(f"{path}.name", f"Queue {queue.name!r} has no job {request.name!r}. It has: {known}.")
        ]
    raw = bytes(request.data)
    size = queue.sealing.size(len(raw))
    if size > queue.max_data_bytes:
        return [FieldError(f"{path}.data", f"{size:,} bytes; the queue takes {queue.max_data_bytes:,}.")]
    wrong: list[FieldError] = []
    try:
        (definition.decode_data if definition is not None else decode_json)(raw)
    except InvalidData as error:
        problem = problems.under(problems.invalid_data(error), f"{path}.data")
        wrong += problem.errors or (FieldError(f"{path}.data", problem.detail),)
    if request.opts is not None:
        try:
            given = bodies.options(request.opts, queue.retry)
            if "job_id" in given:
                check_job_id(given["job_id"] or "")
        except Refused as error:
            wrong += problems.under(error.problem, f"{path}.opts").errors
        except InvalidOptions as error:
            wrong.append(FieldError(f"{path}.opts", str(error)))
    return wrong
