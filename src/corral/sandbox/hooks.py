"""Plays every receiver under hooks.example.com: takes webhooks and notes whether their signature holds.

A status as the last part of the path is the answer: `/anything/500`, `/anything/410`; else 204.
The outbox holds the id, the type and whether it was verified, not what it was about.
"""

from __future__ import annotations

import time

from corral.hook_settings import parse_secrets
from corral.providers.standard_webhooks import verified
from corral.sandbox import keys
from corral.sandbox.outbox import Outbox
from corral.sandbox.wire import Malformed, Reply, Request

HOST = "hooks.example.com"


class HookReceiver:
    """A receiver of outgoing webhooks that knows the sandbox's secret."""

    provider = "hooks"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._keys = parse_secrets("sandbox", keys.WEBHOOK_SECRET)

    def answer(self, request: Request) -> Reply:
        if request.method != "POST":
            return Reply(405, {"message": "webhooks are posted"}, {"allow": "POST"})
        try:
            message = request.json_object()
        except Malformed as error:
            return Reply(400, {"message": str(error)})
        missing = [name for name in _HEADERS if not request.headers.get(name)]
        if missing:
            return Reply(400, {"message": f"missing: {', '.join(missing)}"})
        good = verified(self._keys, request.headers, request.body, time.time())
        self._outbox.record(
            "hooks",
            str(message.get("type", "?")),
            id=request.headers["webhook-id"],
            verified=good,
            path=request.path,
        )
        last = request.path.rpartition("/")[2]
        status = int(last) if last.isascii() and last.isdigit() and 200 <= int(last) <= 599 else 204
        return Reply(status if good else 401)

    def fault(self, status: int) -> Reply:
        return Reply(status, {"message": "a scripted fault"}, {"retry-after": "1"} if status == 429 else {})


_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
