"""A text message to a user's number: at most once, unless the settings say at least once.

Before the message is handed to Twilio a marker is stored. A run that finds the marker without a result (its
predecessor was killed, or got no answer) looks for the message in Twilio's list first:

| the list | at_most_once | at_least_once |
|---|---|---|
| has it | completes | completes |
| has it not | looks again at the next attempts, then dead letters: "may have been sent" | sends |
| does not answer | looks again at the next attempts, then dead letters | the same, without the last |

Guarantees (at_most_once): no run sends while it cannot be ruled out that another did. An answer that says no
(429, 503, a refusal) rules it out. A person who retries the job from the dead letters has decided that it be
sent: it is looked for once more, and then sent.
A number that takes no text messages completes the job, outcome `undeliverable`.
Limits: that decision is told by the number of the attempt, so the retry of a job that has one attempt in all
does not send: add a new one. What can be found in the list, `Twilio.find` says.

Options: CORRAL_SMS_DELIVERY.
Emits the log event `sms_reconciled` (info).
"""

from __future__ import annotations

import structlog

from corral.errors import CorralError, Unrecoverable
from corral.providers.errors import ProviderAmbiguous, ProviderError
from corral.providers.twilio import Unreachable
from corral.queues.notification_case import Case, undeliverable
from corral.queues.notification_types import NotificationResult, sms_text

log = structlog.get_logger(__name__)

#: When the message was about to be handed over, in epoch seconds; 0: that attempt was refused.
MARKER = "sms_started_at"
#: Twilio's id of the message.
RESULT = "sms_sid"
#: The attempt that ended in the dead letters because it could not know. The same attempt may run once more,
#: if its process was killed before that was settled; any other is a person's retry.
GAVE_UP = "sms_gave_up"


class NotKnownYet(CorralError):
    """The text message may have been sent; Twilio's list does not show it yet."""


class MayHaveBeenSent(Unrecoverable):
    """The text message may have been sent: its sending was begun, and Twilio's list does not show it.
    Retry it from the dead letters to have it sent if the list still does not.
    """


async def sms(case: Case) -> NotificationResult:
    """Send the message, or find out that it was sent.

    Raises provider errors, NotKnownYet, MayHaveBeenSent.
    """
    stored = case.job.checkpoints
    if stored.get(RESULT):
        return _sent(str(stored[RESULT]))
    to = await case.recipients.phone(case.data.user_id)
    if started_at := float(stored.get(MARKER) or 0.0):
        sid = await _find(case, to, started_at)
        if sid is not None:
            log.info("sms_reconciled", job_id=case.job.id)
            await case.job.checkpoint({RESULT: sid})
            return _sent(sid)
        await _may_send_again(case)
    if to is None:
        return undeliverable(case, "the user has no phone number")
    await case.take_turn()
    return await _send(case, to)


async def _send(case: Case, to: str) -> NotificationResult:
    await case.job.checkpoint({MARKER: case.clock(), GAVE_UP: 0})
    try:
        sid = await case.providers.twilio.send(to, sms_text(case.data), job_id=case.job.id)
    except Unreachable as error:
        await case.job.checkpoint({MARKER: 0.0})
        return undeliverable(case, f"the number takes no text messages ({error.code})")
    except ProviderAmbiguous:
        raise
    except ProviderError:
        # It said no, or was not reached: nothing was sent.
        await case.job.checkpoint({MARKER: 0.0})
        raise
    await case.job.checkpoint({RESULT: sid})
    return _sent(sid)


async def _find(case: Case, to: str | None, started_at: float) -> str | None:
    """The message that an earlier run may have sent. Raises MayHaveBeenSent if nobody can tell any more."""
    if to is None:
        return None
    try:
        return await case.providers.twilio.find(to, sms_text(case.data), started_at)
    except ProviderError:
        if _is_last(case) and _at_most_once(case):
            await case.job.checkpoint({GAVE_UP: case.job.attempt})
            raise MayHaveBeenSent from None
        raise


async def _may_send_again(case: Case) -> None:
    """Return if the message may be sent although it may have been sent before."""
    gave_up = case.job.checkpoints.get(GAVE_UP) or case.job.attempt
    if not _at_most_once(case) or gave_up != case.job.attempt:
        return
    if not _is_last(case):
        raise NotKnownYet
    await case.job.checkpoint({GAVE_UP: case.job.attempt})
    raise MayHaveBeenSent


def _is_last(case: Case) -> bool:
    return case.job.attempt >= case.job.attempts


def _at_most_once(case: Case) -> bool:
    return case.providers.settings.sms_delivery == "at_most_once"


def _sent(sid: str) -> NotificationResult:
    return NotificationResult(
        outcome="sent", delivered=1, removed=0, failed=0, provider_ids=[f"twilio:{sid}"]
    )
