"""The bodies of the enqueue routes: their shape, their decoders, and what they ask of `Queue.add_json`.

Decoders are made once, here, and shared: making one costs more than a hundred uses. `data` stays a
`msgspec.Raw`, a view of the bytes as they came, so that what the caller sent is what is stored. Times are in
seconds throughout, in `opts` of the bulk route too (BullMQ's own opts count milliseconds).

Pure; raises Refused with 400 (not JSON) or 422 (not this request) and the path of every wrong field it knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from corral.adding import AddOptions
from corral.api import problems
from corral.api.problems import FieldError, Refused
from corral.hooks import EVENTS, Event, Webhook
from corral.policy import MAX_PRIORITY, Priority, Retry

#: Jobs in one bulk request: what travels in one call of the add script.
MAX_BULK_JOBS = 1_000
#: Wrong fields listed in one answer; a caller with more has one mistake made many times.
MAX_ERRORS = 100
#: A year. Longer waits belong in a schedule, and some clients send milliseconds by mistake.
MAX_DELAY_SECONDS = 366 * 24 * 3600

Seconds = Annotated[float, Meta(ge=0, le=MAX_DELAY_SECONDS)]
#: An id becomes a part of a path, where a slash or dots alone would lead elsewhere.
JobId = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^(?!\.\.?$)[^/]+$")]
HookUrl = Annotated[str, Meta(min_length=1, max_length=2_048)]
Attempts = Annotated[int, Meta(ge=1, le=1_000)]


class RetrySpec(Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """How often and when a job is tried again. Every time in seconds; see `corral.Retry`."""

    attempts: Attempts | None = None
    delays: Annotated[tuple[Seconds, ...], Meta(max_length=100)] | None = None
    backoff: Literal["fixed", "exponential"] | None = None
    delay: Seconds | None = None
    max_delay: Seconds | None = None
    jitter: Annotated[float, Meta(ge=0, le=1)] | None = None


class WebhookSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the end of the job is told, and which ends. See docs/queues/webhooks.md."""

    url: HookUrl
    events: Annotated[tuple[Event, ...], Meta(min_length=1, max_length=len(EVENTS))] = EVENTS


class Options(Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Options of one job. What is left out follows the queue's policy."""

    delay: Seconds | None = None
    at: Annotated[datetime, Meta(tz=True)] | None = None
    priority: Annotated[int, Meta(ge=1, le=MAX_PRIORITY)] | Literal["high", "medium", "low"] | None = None
    lifo: bool = False
    attempts: Attempts | None = None
    retry: RetrySpec | None = None
    job_id: JobId | None = None
    timeout: Annotated[float, Meta(gt=0, le=MAX_DELAY_SECONDS)] | None = None
    remove_on_complete: bool | Annotated[int, Meta(ge=0)] | None = None
    remove_on_fail: bool | Annotated[int, Meta(ge=0)] | None = None
    webhook: HookUrl | WebhookSpec | None = None


class JobRequest(Options, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """Body of POST /v1/queues/{queue}/jobs."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    data: msgspec.Raw


class BulkJob(Struct, frozen=True, forbid_unknown_fields=True):
    """One job of a bulk request."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    data: msgspec.Raw
    opts: Options | None = None


class BulkRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST /v1/queues/{queue}/jobs/bulk."""

    jobs: Annotated[list[BulkJob], Meta(min_length=1, max_length=MAX_BULK_JOBS)]


class _BulkParts(Struct, frozen=True, forbid_unknown_fields=True):
    jobs: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MAX_BULK_JOBS)]


_S = TypeVar("_S", bound=Struct)

_job = msgspec.json.Decoder(JobRequest)
_bulk = msgspec.json.Decoder(BulkRequest)
_bulk_parts = msgspec.json.Decoder(_BulkParts)
_bulk_job = msgspec.json.Decoder(BulkJob)

_JOB_FIELDS = JobRequest.__struct_encode_fields__
_BULK_FIELDS = BulkRequest.__struct_encode_fields__ + BulkJob.__struct_encode_fields__
_NESTED_FIELDS = (
    Options.__struct_encode_fields__
    + RetrySpec.__struct_encode_fields__
    + WebhookSpec.__struct_encode_fields__
)
_PRIORITIES: dict[str, Priority] = {"high": Priority.HIGH, "medium": Priority.MEDIUM, "low": Priority.LOW}


def check_utf8(body: bytes) -> None:
    """Raise Refused(400) if the body is not UTF-8: msgspec does not look into raw and skipped values."""
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Refused(problems.malformed(error, body)) from None


def job_request(body: bytes) -> JobRequest:
    """Decode the body of the single route."""
    check_utf8(body)
    request: JobRequest = _decoded(_job, body, "The body is not a job")
    return request


def bulk_request(body: bytes) -> Sequence[BulkJob]:
    """Decode the body of the bulk route; one wrong job refuses them all, and every wrong job is named."""
    check_utf8(body)
    try:
        return _bulk.decode(body).jobs
    except msgspec.ValidationError:
        parts = _decoded(_bulk_parts, body, "The body is not a list of jobs").jobs
        wrong: list[FieldError] = []
        for index, part in enumerate(parts):
            try:
                _bulk_job.decode(part)
            except msgspec.ValidationError as error:
                wrong.append(_field_error(error, prefix=f"$.jobs[{index}]"))
        raise Refused(problems.invalid("No job was added", tuple(wrong[:MAX_ERRORS]))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(problems.malformed(error, body)) from None


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes, what: str) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused(problems.invalid(what, (_field_error(error),))) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(problems.malformed(error, body)) from None


def _field_error(error: msgspec.ValidationError, *, prefix: str = "$") -> FieldError:
    known = _JOB_FIELDS + _BULK_FIELDS + _NESTED_FIELDS
    return problems.field_error(str(error), known=known, prefix=prefix)


def options(spec: Options, policy: Retry) -> AddOptions:
    """The keyword arguments of `Queue.add_json` for these options; empty if all are left out.

    policy: the queue's own retry policy, which a partial `retry` or `attempts` changes.
    """
    if spec.delay is not None and spec.at is not None:
        raise Refused(
            problems.invalid("No job was added", (FieldError("$.at", "Give `delay` or `at`, not both."),))
        )
    given: AddOptions = {}
    if spec.delay is not None:
        given["delay"] = spec.delay
    if spec.at is not None:
        given["at"] = spec.at
    if spec.priority is not None:
        given["priority"] = _PRIORITIES[spec.priority] if isinstance(spec.priority, str) else spec.priority
    if spec.lifo:
        given["lifo"] = True
    if spec.job_id is not None:
        given["job_id"] = spec.job_id
    if spec.timeout is not None:
        given["timeout"] = spec.timeout
    if spec.attempts is not None or spec.retry is not None:
        given["retry"] = retry(spec, policy)
    if spec.remove_on_complete is not None:
        given["remove_on_complete"] = spec.remove_on_complete
    if spec.remove_on_fail is not None:
        given["remove_on_fail"] = spec.remove_on_fail
    if spec.webhook is not None:
        hook = spec.webhook
        given["webhook"] = hook if isinstance(hook, str) else Webhook(hook.url, hook.events)
    return given


def retry(spec: Options, policy: Retry) -> Retry:
    """The queue's retry policy with what the request says about it. `attempts` beside `retry` wins."""
    changes: dict[str, Any] = {}
    if spec.retry is not None:
        for name in spec.retry.__struct_fields__:
            value = getattr(spec.retry, name)
            if value is not None:
                changes[name] = value
        if "delays" not in changes and ("backoff" in changes or "delay" in changes):
            changes["delays"] = ()  # explicit delays would win over the back-off that was asked for
        if changes.keys() & {"delays", "backoff", "delay"}:
            changes["wait"] = None  # and so would the queue's function
    if spec.attempts is not None:
        changes["attempts"] = spec.attempts
    return replace(policy, **changes)
