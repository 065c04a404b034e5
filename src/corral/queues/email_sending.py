"""Handing a message over: who is asked, in which order, and what is known about it afterwards.

    marker `attempt_started` in the checkpoint → provider → `sent` in the checkpoint

Guarantees: a run that finds `sent` sends nothing. A run that finds the marker without it, or got no answer,
does not know whether the mail went out: *at least once* sends it again, by the same provider and with the
same Message-ID; *at most once* gives it to the dead letters. Another provider takes over only from one that
surely did not take the message and cannot now (ProviderRetryable, ProviderMisconfigured); never after a
refusal of the message, and never where it may have been taken.
An answer is stored even if Redis is away for some seconds.
Limits: no provider of mail has an idempotency key, so at least once can be twice. A marker of a process that
died just before the call counts as if it had been made.

Emits `email_handed_over_to_another` (warning) and `email_sent_again` (warning).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import structlog

from corral.errors import RedisUnavailable, Unrecoverable
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.mail import Mail, MailProvider
from corral.queues.email_types import Delivery

log = structlog.get_logger(__name__)

STARTED, SENT = "attempt_started", "sent"

#: Seconds between tries to store what became of a mail: a failover of Redis is over by then, and the job's
#: lock is not.
REMEMBER_WAITS = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)


class MayHaveBeenSent(Unrecoverable):
    """The mail may have been sent, and it is to be sent at most once. Add a new job if it did not arrive."""


class Stored(Protocol):
    """The part of JobContext that this needs."""

    id: str
    attempt: int

    @property
    def checkpoints(self) -> dict[str, Any]: ...

    async def checkpoint(self, values: Mapping[str, Any]) -> None: ...


@dataclass(frozen=True, slots=True)
class Route:
    """Who may send a message, in order. `in_doubt`: an earlier run may have sent it by the first of them."""

    providers: tuple[str, ...]
    in_doubt: bool
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Taken:
    """Who took the message, its id there, and how many it goes to."""

    provider: str
    message_id: str
    recipients: int


async def hand_over(job: Stored, mail: Mail, route: Route, clients: Mapping[str, MailProvider]) -> Taken:
    """Send a message once, by the first provider that can.

    Raises MayHaveBeenSent, and the provider error that says what becomes of the job (`verdict`).
    """
    if route.in_doubt:
        log.warning("email_sent_again", job_id=job.id, provider=route.providers[0])
    failures: list[ProviderError] = []
    for number, name in enumerate(route.providers):
        await job.checkpoint({STARTED: {"provider": name, "attempt": job.attempt}})
        try:
            message_id = await clients[name].send(mail)
        except ProviderAmbiguous as error:
            if route.delivery == "at_most_once":
                raise MayHaveBeenSent(_maybe(name)) from error
            raise
        except ProviderError as error:
            failures.append(error)
            if number + 1 == len(route.providers) or not goes_on(error):
                break
            log.warning(
                "email_handed_over_to_another",
                job_id=job.id,
                provider=name,
                to_provider=route.providers[number + 1],
                reason=error.reason,
            )
        else:
            done = Taken(name, message_id, len(mail.to))
            await _remember(job, {SENT: asdict(done)})
            return done
    if not route.in_doubt:
        # Nobody took it, which is certain: the next run starts afresh.
        await _remember(job, {STARTED: None})
    raise verdict(failures)


async def _remember(job: Stored, values: Mapping[str, Any]) -> None:
    """Store what is known now and could not be found out later: Redis may be away for a moment."""
    for wait in REMEMBER_WAITS:
        try:
            await job.checkpoint(values)
        except RedisUnavailable:
            await asyncio.sleep(wait)
        else:
            return
    await job.checkpoint(values)


# Decisions


def taken(checkpoints: Mapping[str, Any]) -> Taken | None:
    """Who took the message in an earlier run."""
    found = checkpoints.get(SENT)
    return Taken(**found) if found else None


def route_of(
    checkpoints: Mapping[str, Any],
    primary: str,
    fallback: Sequence[str],
    *,
    providers_template: bool,
    delivery: Delivery,
) -> Route:
    """Who may send. Raises MayHaveBeenSent where nobody may any more.

    providers_template: the content is a template that only the primary has.
    """
    started = checkpoints.get(STARTED)
    if started:
        if delivery == "at_most_once":
            raise MayHaveBeenSent(_maybe(str(started["provider"])))
        return Route((str(started["provider"]),), in_doubt=True, delivery=delivery)
    others = () if providers_template else (name for name in fallback if name != primary)
    return Route((primary, *dict.fromkeys(others)), in_doubt=False, delivery=delivery)


def goes_on(error: ProviderError) -> bool:
    """Whether another provider may be asked: this one did not take the message and cannot now."""
    return isinstance(error, ProviderRetryable | ProviderMisconfigured)


def verdict(failures: Sequence[ProviderError]) -> ProviderError:
    """What becomes of a job that nobody took, by what each provider said, the primary first.

    What the primary refuses is refused. A fallback's refusal may be about its own account, so the primary is
    asked again later. One that may work soon counts before one that waits for an operator.
    """
    first = failures[0]
    if isinstance(first, ProviderPermanent):
        return first
    return next((error for error in failures if isinstance(error, ProviderRetryable)), first)


def _maybe(provider: str) -> str:
    return (
        f"The mail may have been sent: {provider} was asked and it is not known what it did. The job is to "
        "send at most once, so nobody tries again. Add a new job if it did not arrive."
    )
