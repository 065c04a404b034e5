"""Mailgun's stand-in: checks a message as Mailgun does, keeps it in the outbox, sends its signed events.

Every domain is one of the account's, but those that start with `unknown`.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from email.utils import getaddresses
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from corral.sandbox import keys
from corral.sandbox.letters import Accepted, events_of, record
from corral.sandbox.outbox import Outbox
from corral.sandbox.signing import mailgun_signature
from corral.sandbox.webhooks import Webhooks
from corral.sandbox.wire import Malformed, Part, Reply, Request, parts

#: Bytes of a message, and of its options, headers and variables together.
MAX_MESSAGE = 25 * 1024 * 1024
MAX_PARAMETERS = 16 * 1024

#: Seconds that a scripted rate limit asks to wait.
RETRY_AFTER = 2

_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")
_BODIES = ("text", "html", "amp-html", "template")

_EVENTS: dict[str, dict[str, Any]] = {
    "delivered": {"event": "delivered", "delivery-status": {"code": 250}},
    "bounced": {
        "event": "failed",
        "severity": "permanent",
        "reason": "bounce",
        "delivery-status": {"code": 550, "enhanced-code": "5.1.1"},
    },
    "complained": {"event": "complained"},
}


class _Refused(Exception):
    """A 400."""


class MailgunStandIn:
    """Mailgun in memory."""

    provider = "mailgun"

    def __init__(self, outbox: Outbox, webhooks: Webhooks, delay: float) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._delay = delay

    def answer(self, request: Request) -> Reply:
        match = re.fullmatch(r"/([^/]+)/messages", request.path)
        if match is None or request.method != "POST":
            return Reply(404, b"404 page not found")
        pair = base64.b64encode(f"api:{keys.MAILGUN_API_KEY}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return self.fault(401)
        domain = match[1]
        if domain.startswith("unknown"):
            return Reply(404, {"message": f"Domain not found: {domain}"})
        if len(request.body) > MAX_MESSAGE:
            return Reply(413, {"message": "Request entity too large"})
        try:
            mail = _read(_fields(request), domain)
        except (_Refused, Malformed) as error:
            return Reply(400, {"message": str(error)})
        record(self._outbox, self.provider, mail)
        for address in mail.to:
            for number, event in enumerate(events_of(address)):
                # Made when it is sent: its signature has the time in it.
                self._webhooks.schedule(
                    self.provider,
                    self._delay * (1 + number),
                    lambda a=address, e=event: _webhook(a, e, mail),  # type: ignore[misc]  # binds the loop's values
                )
        return Reply(200, {"id": mail.message_id, "message": "Queued. Thank you."})

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return Reply(401, b"Forbidden")
            case 429:
                return Reply(429, {"message": "Too many requests"}, {"Retry-After": str(RETRY_AFTER)})
            case _:
                return Reply(status, {"message": "Internal Server Error"})


def _fields(request: Request) -> list[tuple[str, Part]]:
    if request.media_type == "application/x-www-form-urlencoded":
        pairs = parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        return [(name, Part(value.encode())) for name, value in pairs]
    return parts(request)


def _read(fields: list[tuple[str, Part]], domain: str) -> Accepted:
    texts = [(name, part.text) for name, part in fields if part.filename is None]
    one = dict(texts)
    senders, to = _addresses(texts, "from"), _addresses(texts, "to")
    if not any(one.get(name) for name in _BODIES):
        raise _Refused("Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified")
    parameters = sum(len(n.encode()) + len(v.encode()) for n, v in texts if re.match("[ohvt]:", n))
    if parameters > MAX_PARAMETERS:
        raise _Refused("o:, h:, v: and t: parameters are over 16 KB together")
    return Accepted(
        sender=senders[0],
        to=tuple(to),
        job_id=one.get("v:job_id", ""),
        message_id=one.get("h:Message-Id") or f"<{uuid.uuid4().hex}@{domain}>",
        subject=one.get("subject", ""),
        text=one.get("text", ""),
        html=one.get("html", ""),
        template=one.get("template", ""),
        variables=_variables(one.get("t:variables", "{}")),
        attachments=tuple((p.filename or "", p.content) for n, p in fields if n == "attachment"),
        tags=tuple(value for name, value in texts if name == "o:tag"),
    )


def _addresses(texts: list[tuple[str, str]], name: str) -> list[str]:
    values = [value for field, value in texts if field == name]
    if not values:
        raise _Refused(f"{name} parameter is missing")
    found = [address for _, address in getaddresses(values)]
    if not all(_ADDRESS.fullmatch(address) for address in found):
        raise _Refused(f"{name} parameter is not a valid address. please check documentation")
    return found


def _variables(text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        raise _Refused("t:variables is not a JSON object") from None


def _webhook(address: str, event: str, mail: Accepted) -> dict[str, Any]:
    return {
        "signature": mailgun_signature(),
        "event-data": {
            "id": uuid.uuid4().hex,
            "timestamp": time.time(),
            "recipient": address,
            "user-variables": {"job_id": mail.job_id} if mail.job_id else {},
            # Without the brackets, as Mailgun has it.
            "message": {"headers": {"message-id": mail.message_id.strip("<>")}},
            **_EVENTS[event],
        },
    }
