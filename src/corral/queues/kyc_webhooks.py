"""The providers' webhooks: verified, turned into the signals that jobs wait for, and delivered.

`receive_…` take the raw body and the headers as they came, verify the signature, and return the signal's
name and payload, or None for an event that no job waits for. They raise WebhookRejected. Payloads hold ids
and states, nothing personal.

Neither provider signs the moment of delivery, so a webhook that was overheard can be sent again. It changes
nothing: a signal only wakes the job of its own verification, which asks Onfido, or reads iDenfy's word on
that very session; and after the job has ended, `kyc_review` asks the provider again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, cast

from corral.providers import idenfy, onfido
from corral.providers.webhook import Signal
from corral.queue import Queue
from corral.queues import kyc_idenfy
from corral.queues.kyc_types import KycReview, Outcome
from corral.settings import Settings

Provider = Literal["onfido", "idenfy"]

#: The job that a webhook becomes which woke none.
REVIEW = "review"


def receive_onfido(raw: bytes, headers: Mapping[str, str]) -> Signal | None:
    """An Onfido webhook; signed in `X-SHA2-Signature`."""
    return onfido.read_webhook(
        raw, _header(headers, "X-SHA2-Signature"), onfido.webhook_token(Settings.load())
    )


def receive_idenfy(raw: bytes, headers: Mapping[str, str]) -> Signal | None:
    """An iDenfy webhook; signed in `Idenfy-Signature`."""
    return idenfy.read_webhook(raw, _header(headers, "Idenfy-Signature"), idenfy.webhook_key(Settings.load()))


async def deliver(queue: Queue, provider: Provider, raw: bytes, signal: Signal) -> bool:
    """Wake the job that waits for it, or have the row looked at. One or two round trips.

    The same event again becomes the same job as long as that is kept. Returns whether it woke a job.
    Raises RedisUnavailable: the provider will try again.
    """
    name, payload = signal
    woke = await queue.signal(name, payload)
    if not woke and REVIEW in queue.jobs:
        digest = hashlib.sha256(raw).hexdigest()[:32]
        ref = name.removeprefix(f"{provider}:")
        data = KycReview(provider=provider, provider_ref=ref, said=_said(payload))
        await queue.add(REVIEW, data, job_id=f"review-{provider}-{digest}")
    return woke


def _said(payload: Mapping[str, Any]) -> Outcome | None:
    """The outcome in a signal; Onfido's have none."""
    overall = payload.get("overall")
    return cast("Outcome", kyc_idenfy.outcome(overall).value) if overall else None


def _header(headers: Mapping[str, str], name: str) -> str:
    """A header by name in any case: a plain dict is as good as a framework's headers."""
    wanted = name.lower()
    return next((value for key, value in headers.items() if key.lower() == wanted), "")
