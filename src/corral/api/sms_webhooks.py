"""Twilio's status callbacks: POST /webhooks/twilio, without a key.

The signature over the URL and the form is the caller's proof, and it is checked first. What became of a
message is a row in its job's log, for whoever looks at the job; a job that is gone by now takes none. The
callback says which job it is about, in its query, which is signed too. 401 tells a forger nothing; the log
says why (`webhook_rejected`). Emits `sms_state` (info) with the state and Twilio's error number, no number
of a person.
"""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, post
from litestar.di import NamedDependency

from corral.api.lookup import answering
from corral.api.problems import Refused
from corral.api.service import Service
from corral.api.webhooks import REJECTED
from corral.bullmq.reports import add_log_row
from corral.context import KEEP_LOGS
from corral.providers.errors import WebhookRejected
from corral.providers.twilio import CALLBACK_PATH, webhook_token
from corral.providers.twilio_webhook import read_callback
from corral.settings import Settings

log = structlog.get_logger(__name__)

#: Whose messages these states are of. Without it the route does not exist.
SMS_QUEUE = "notification"


@post(CALLBACK_PATH, status_code=204)
async def twilio(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> None:
    """What became of a text message."""
    settings = Settings.load()
    query = request.scope["query_string"].decode("latin-1")
    # As Twilio was given it: what a proxy has made of host and scheme does not count.
    url = settings.public_url.rstrip("/") + CALLBACK_PATH + (f"?{query}" if query else "")
    raw = await request.body()
    signature = request.headers.get("X-Twilio-Signature", "")
    try:
        state = read_callback(url, raw, signature, webhook_token(settings))
    except WebhookRejected as error:
        log.warning("webhook_rejected", provider="twilio", reason=str(error))
        raise Refused(REJECTED) from None
    if state is None:
        return
    queue = service.known.named(SMS_QUEUE)
    row = f"sms {state.state}" + (f", Twilio's error {state.error}" if state.error else "")
    async with answering():
        known = await add_log_row(queue.client(), queue.keys(), state.job_id, row, KEEP_LOGS)
    log.info("sms_state", job_id=state.job_id, state=state.state, error=state.error, known=known)
