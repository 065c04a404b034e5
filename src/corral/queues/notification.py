"""The queue `notification`: a push message to a user's devices, or a text message to their number.

    quiet hours → who the user is (the resolver) → the user's rate → sent (`notification_push`,
    `notification_sms`) → result

Guarantees: what is put back for quiet hours or a rate spends no attempt. The result, the reasons and the log
hold no token and no number. What is sent once or twice after a crash: see the two files.
Limits: quiet hours are judged by the worker's clock. A user whose time zone is not known has UTC.

Options: CORRAL_RECIPIENTS, CORRAL_QUIET_HOURS, CORRAL_NOTIFY_PER_USER, CORRAL_SMS_DELIVERY,
CORRAL_UNDELIVERABLE, and those of the providers.
Emits the log events `notification_ended` (info), `notification_put_back` (info).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog

from corral.bullmq.turns import take_turn
from corral.context import JobContext
from corral.errors import Snooze
from corral.policy import Priority, Retry
from corral.providers import Providers, providers
from corral.queue import Queue
from corral.queues.notification_case import Case, Steps, recipients_of
from corral.queues.notification_push import push
from corral.queues.notification_sms import MARKER, RESULT, sms
from corral.queues.notification_timing import parse_quiet_hours, parse_user_rate, quiet_for, zone
from corral.queues.notification_types import NotificationJob, NotificationResult

__all__ = ["NotificationJob", "NotificationResult", "clock", "queue", "send"]

log = structlog.get_logger(__name__)

#: Epoch seconds. A name of its own, so that a test can set the time of this queue alone.
clock = time.time

#: Seconds that a job is put back for at least: clocks differ, and a wait of nothing would spin.
SHORTEST_WAIT = 0.5

queue = Queue(
    "notification", retry=Retry(attempts=3, delays=(10, 60, 300), jitter=0.1), priority=Priority.HIGH
)


@queue.job("send")
async def send(job: JobContext, data: NotificationJob) -> NotificationResult:
    """Send one message; run again from the top after every wait and every failure."""
    outside = await providers()

    async def wait_for_turn() -> None:
        await _respect_rate(job, data, outside)

    case = Case(job, data, outside, recipients_of(outside), clock, wait_for_turn)
    await _respect_quiet_hours(case)
    result = await (push(case) if data.type == "push" else sms(case))
    log.info(
        "notification_ended",
        job_id=job.id,
        type=data.type,
        outcome=result.outcome,
        delivered=result.delivered,
        removed=result.removed,
        failed=result.failed,
    )
    return result


async def _respect_quiet_hours(case: Case) -> None:
    hours, stored = parse_quiet_hours(case.providers.settings.quiet_hours), case.job.checkpoints
    # A text message that may be out already disturbs nobody by being looked for.
    if hours is None or case.data.urgent or stored.get(RESULT) or stored.get(MARKER):
        return
    where = zone(await case.recipients.time_zone(case.data.user_id))
    _put_back(case.job, quiet_for(hours, where, datetime.fromtimestamp(clock(), UTC)), "quiet hours")


async def _respect_rate(job: JobContext, data: NotificationJob, outside: Providers) -> None:
    rate = parse_user_rate(outside.settings.notify_per_user)
    if rate is None:
        return
    with queue.redis_errors():
        seconds = await take_turn(
            queue.client(), queue.keys().prefix, "notify", data.user_id, job.id,
            turns=rate.messages, seconds=rate.seconds,
        )  # fmt: skip
    _put_back(job, seconds, "the user's rate")


def _put_back(job: Steps, seconds: float, why: str) -> None:
    """Raise Snooze for a wait that is not over."""
    if seconds > 0:
        log.info("notification_put_back", job_id=job.id, why=why, seconds=round(seconds))
        raise Snooze(max(seconds, SHORTEST_WAIT), f"Put back for {why}.")
