"""The queue `webhooks`: tells endpoints that a job ended. Its jobs are added by the scripts that settle one.

Guarantees: what is sent, its id included, is the same at every try, so a receiver can tell a repeat. An
endpoint that answers 410, or where CORRAL_WEBHOOK_GIVE_UP deliveries in a row failed for good, is disabled;
what is for a disabled endpoint completes with the outcome `disabled`. A place inside the network is refused
at once. No more than MAX_AT_ONCE deliveries of a process wait for one host, so that one that hangs leaves
room for the others.

Options: CORRAL_WEBHOOK_SECRET, CORRAL_WEBHOOKS, CORRAL_WEBHOOK_GIVE_UP, CORRAL_FETCH_ALLOW.
Emits webhook_endpoint_disabled (warning; endpoint, host, reason). `guarded` emits post_blocked.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import structlog

from corral import hooks
from corral.bullmq.endpoints import Endpoints, digest
from corral.context import JobContext
from corral.errors import Snooze
from corral.providers import providers
from corral.providers.errors import (
    FetchBlocked,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
)
from corral.providers.standard_webhooks import EndpointGone
from corral.queue import Queue
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Deliveries of one process that may wait for one host.
MAX_AT_ONCE = 5

#: Seconds until a delivery that found no room looks again.
NO_ROOM_SECONDS = 1.0

#: Bytes of a body, as Standard Webhooks wants it.
MAX_BODY_BYTES = 20_000


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Whom to tell, and what. `finished_on` in epoch milliseconds. `result_bytes`: of a result left out."""

    url: str
    queue: str
    id: str
    name: str
    attempts_made: int
    event: hooks.Event
    finished_on: int
    result: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    result_bytes: int | None = None
    failed_reason: str | None = None


class Delivered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of it. `status` is the endpoint's, if it was asked."""

    outcome: Literal["delivered", "disabled", "gone"]
    status: int | None = None


queue = Queue(hooks.QUEUE, retry=hooks.DELIVERY_RETRY, timeout=30, concurrency=50)

_waiting: Counter[str] = Counter()


@queue.job(hooks.JOB)
async def deliver(job: JobContext, data: Delivery) -> Delivered:
    """Tell one endpoint."""
    endpoints = Endpoints(queue.client(), queue.keys().prefix)
    known = await endpoints.state(data.url)
    if known.disabled_at is not None:
        return Delivered("disabled")
    sender = (await providers()).webhooks
    try:
        with _room(host_of(data.url)):
            status = await sender.send(data.url, message_id(data), body(data))
    except EndpointGone as gone:
        await _disable(endpoints, data.url, gone.reason)
        return Delivered("gone", 410)
    except (FetchBlocked, ProviderMisconfigured):
        raise
    except ProviderError as error:
        if isinstance(error, ProviderPermanent) or job.attempt >= job.attempts:
            failures = await endpoints.failed(data.url, error.reason, time.time())
            if failures >= Settings.load().webhook_give_up:
                await _disable(endpoints, data.url, f"{failures} deliveries in a row failed: {error.reason}")
        raise
    if known.failures:
        await endpoints.forget(data.url)
    return Delivered("delivered", status)


async def _disable(endpoints: Endpoints, url: str, reason: str) -> None:
    await endpoints.disable(url, reason, time.time())
    log.warning("webhook_endpoint_disabled", endpoint=digest(url), host=host_of(url), reason=reason)


@contextmanager
def _room(host: str) -> Iterator[None]:
    if _waiting[host] >= MAX_AT_ONCE:
        raise Snooze(NO_ROOM_SECONDS)
    _waiting[host] += 1
    try:
        yield
    finally:
        _waiting[host] -= 1
        if not _waiting[host]:
            del _waiting[host]


def host_of(url: str) -> str:
    """The host of a URL, for logs; the rest may be a secret."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def message_id(data: Delivery) -> str:
    """The header `webhook-id`: the same for every try, another for every end of a job."""
    what = (data.queue, data.id, data.event, str(data.attempts_made), str(data.finished_on))
    return "msg_" + hashlib.blake2b("\0".join(what).encode(), digest_size=16).hexdigest()


def body(data: Delivery) -> bytes:
    """What is sent: below 20 KB, and the same at every try."""
    raw = _encode(data)
    size = len(bytes(data.result))
    if len(raw) > MAX_BODY_BYTES and size:
        raw = _encode(msgspec.structs.replace(data, result=msgspec.Raw(), result_bytes=size))
    return raw


def _encode(data: Delivery) -> bytes:
    about: dict[str, object] = {
        "id": data.id,
        "queue": data.queue,
        "name": data.name,
        "status": data.event,
    }
    if data.event == "failed":
        about["failedReason"] = data.failed_reason
    elif data.result_bytes is not None:
        about |= {"resultOmitted": True, "resultBytes": data.result_bytes}
    else:
        about["result"] = data.result if bytes(data.result) else None
    about |= {"attemptsMade": data.attempts_made, "finishedOn": data.finished_on}
    at = datetime.fromtimestamp(data.finished_on / 1000, UTC).isoformat(timespec="milliseconds")
    message = {"type": f"job.{data.event}", "timestamp": at.replace("+00:00", "Z"), "data": about}
    return msgspec.json.encode(message)
