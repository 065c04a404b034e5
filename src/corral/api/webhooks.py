"""Signed callbacks of the identity providers: POST /webhooks/onfido and /webhooks/idenfy, without a key.

The signature over the raw body is the caller's proof, and it is checked before anything is read from it;
content type and user agent prove nothing and are not looked at. A genuine callback becomes a signal to the
job that waits for it, or is kept for the one that will; one that woke none becomes a job that looks at the
verification's row. So answering takes one or two round trips, and providers, which give up after seconds, get
their 204 fast. 401 tells a forger nothing; the log says why (`webhook_rejected`, with the provider and the
reason, never the body). A body over 1 MiB is a 413, before its signature is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from litestar import Request, post
from litestar.di import NamedDependency

from corral.api.lookup import answering
from corral.api.problems import Problem, Refused
from corral.api.service import Service
from corral.providers.errors import WebhookRejected
from corral.queues import kyc_webhooks

log = structlog.get_logger(__name__)

#: Whose jobs wait for these callbacks. Without it the routes do not exist.
WEBHOOK_QUEUE = "kyc-verification"

#: For a caller whose proof does not hold.
REJECTED = Problem(
    401,
    "bad-signature",
    "The signature does not match",
    "This webhook is not signed with the secret that the service was given. Compare the two.",
    headers=(("WWW-Authenticate", "Signature"),),
)


@post("/webhooks/onfido", status_code=204)
async def onfido(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> None:
    """Onfido's check.completed and the like."""
    await _receive("onfido", kyc_webhooks.receive_onfido, request, service)


@post("/webhooks/idenfy", status_code=204)
async def idenfy(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> None:
    """iDenfy's verification result."""
    await _receive("idenfy", kyc_webhooks.receive_idenfy, request, service)


#: Reads one genuine callback: the signal's name and payload, or None for an event that nobody waits for.
#: Raises WebhookRejected for a forged one.
Reader = Callable[[bytes, Mapping[str, str]], tuple[str, Any] | None]


async def _receive(
    provider: kyc_webhooks.Provider, read: Reader, request: Request[Any, Any, Any], service: Service
) -> None:
    raw = await request.body()
    try:
        signal = read(raw, request.headers)
    except WebhookRejected as error:
        log.warning("webhook_rejected", provider=provider, reason=str(error))
        raise Refused(REJECTED) from None
    if signal is None:
        return
    queue = service.known.named(WEBHOOK_QUEUE)
    async with answering():
        woke = await kyc_webhooks.deliver(queue, provider, raw, signal)
    log.info("webhook_received", provider=provider, woke=woke)
