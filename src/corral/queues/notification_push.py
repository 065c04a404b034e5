"""A push message to every device of a user.

Guarantees: a device that a provider took the message for is not sent to again, however often the job runs;
what was sent is in the job's checkpoint under a hash of the token. A process that dies between the two sends
once more, and the collapse key (the job's id) has the second message replace the first. A dead token is
removed through the resolver and costs nothing else.

| of the devices | the job |
|---|---|
| one got it, none may still | completes, outcome `sent` |
| one may still get it (an outage), attempts are left | fails this attempt; the next sends to what is left |
| none got it, a provider has no working key | is put back, no attempt spent |
| none got it, a provider refuses the message | dead letters |
| none is left | completes, outcome `undeliverable` |

Limits: 8 devices at a time, 100 in all.
Emits the log events `device_removed` (info), `device_not_removed` (warning).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from corral.errors import CorralError
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderRetryable,
)
from corral.providers.push import DeadDevice, Push, PushProvider, collapse_key, texts
from corral.queues.notification_case import Case, undeliverable
from corral.queues.notification_types import NotificationResult
from corral.recipients import Device

log = structlog.get_logger(__name__)

#: Devices of one user that are sent to at a time.
PARALLEL = 8

#: What stands in the checkpoint for a device that was removed.
_REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the devices. `ids` are the providers' own; `errors` are of those that failed."""

    ids: tuple[str, ...] = ()
    removed: int = 0
    errors: tuple[ProviderError, ...] = ()

    @property
    def delivered(self) -> int:
        return len(self.ids)


async def push(case: Case) -> NotificationResult:
    """Send to the devices that have not had it. Raises provider errors, and what `checkpoint` raises."""
    found = await case.recipients.devices(case.data.user_id)
    before = _before(case)
    devices = [device for device in dict.fromkeys(found) if key_of(device) not in case.job.checkpoints]
    if not devices and not before.delivered:
        reason = "every token of the user's devices was dead" if before.removed else "the user has no device"
        return undeliverable(case, reason, before.removed)
    if devices:
        await case.take_turn()
    tally = _add(before, await _send_all(case, devices))
    error = verdict(tally, last=case.job.attempt >= case.job.attempts)
    if error is not None:
        raise error
    if not tally.delivered:
        return undeliverable(case, "every token of the user's devices was dead", tally.removed)
    return NotificationResult(
        outcome="sent",
        delivered=tally.delivered,
        removed=tally.removed,
        failed=len(tally.errors),
        provider_ids=[known for known in tally.ids if not known.endswith(":")],
    )


def verdict(tally: Tally, *, last: bool) -> ProviderError | None:
    """The error that the job ends this run with; None: it completes."""
    may_still = [e for e in tally.errors if isinstance(e, ProviderRetryable | ProviderAmbiguous)]
    if may_still and not (tally.delivered and last):
        return max(may_still, key=lambda e: e.seconds if isinstance(e, ProviderRetryable) else 0.0)
    if tally.delivered or not tally.errors:
        return None
    no_key = (e for e in tally.errors if isinstance(e, ProviderMisconfigured))
    return next(no_key, tally.errors[0])


def key_of(device: Device) -> str:
    """The name of a device in the checkpoint: nothing that anybody could send to."""
    digest = hashlib.sha256(f"{device.kind} {device.token}".encode()).hexdigest()
    return f"device:{digest[:24]}"


# Sending


async def _send_all(case: Case, devices: Sequence[Device]) -> Sequence[Tally]:
    data = case.data
    message = Push(data.title, data.body, collapse_key(case.job.id), texts(data.data or {}))
    gate = asyncio.Semaphore(PARALLEL)

    async def one(device: Device) -> Tally:
        async with gate:
            return await _send(case, device, message)

    ended = await asyncio.gather(*map(one, devices), return_exceptions=True)
    for end in ended:
        # A lost lock, an unreachable Redis: others must not be left running when it is raised.
        if isinstance(end, BaseException):
            raise end
    return [end for end in ended if isinstance(end, Tally)]


async def _send(case: Case, device: Device, message: Push) -> Tally:
    try:
        sent = await _provider(case, device).send(device.token, message)
    except DeadDevice as error:
        return await _remove(case, device, error)
    except ProviderError as error:
        return Tally(errors=(error,))
    known = f"{device.kind}:{sent}"
    await case.job.checkpoint({key_of(device): known})
    return Tally(ids=(known,))


async def _remove(case: Case, device: Device, why: DeadDevice) -> Tally:
    try:
        await case.recipients.drop(case.data.user_id, device)
    except Exception as error:
        # A resolver of the product's own may raise anything. The next message to this user finds it again.
        reason = str(error) if isinstance(error, CorralError) else type(error).__name__
        log.warning("device_not_removed", job_id=case.job.id, kind=device.kind, reason=reason)
        return Tally(errors=(why,))
    log.info("device_removed", job_id=case.job.id, kind=device.kind, why=why.code)
    await case.job.checkpoint({key_of(device): _REMOVED})
    return Tally(removed=1)


def _provider(case: Case, device: Device) -> PushProvider:
    match device.kind:
        case "fcm":
            return case.providers.fcm
        case "apns":
            return case.providers.apns
        case "webpush":
            return case.providers.webpush


def _before(case: Case) -> Tally:
    """What earlier runs did."""
    stored = [str(value) for key, value in case.job.checkpoints.items() if key.startswith("device:")]
    sent = tuple(value for value in stored if value != _REMOVED)
    return Tally(ids=sent, removed=len(stored) - len(sent))


def _add(total: Tally, more: Sequence[Tally]) -> Tally:
    for one in more:
        total = Tally(total.ids + one.ids, total.removed + one.removed, total.errors + one.errors)
    return total
