"""SendGrid's stand-in: checks a message as SendGrid does, keeps it in the outbox, sends its signed events.

A sender whose address starts with `unverified` is no verified identity (403).
"""

from __future__ import annotations

import base64
import binascii
import re
import time
import uuid
from typing import Any

from corral.sandbox import keys
from corral.sandbox.letters import Accepted, events_of, record
from corral.sandbox.outbox import Outbox
from corral.sandbox.webhooks import Webhooks
from corral.sandbox.wire import Malformed, Reply, Request

#: Bytes of a whole request.
MAX_REQUEST = 30 * 1024 * 1024

#: Seconds until a scripted rate limit is over.
RESET_SECONDS = 2

_ADDRESS = re.compile(r"[^\s@<>,;]+@[^\s@<>,;]+\.[^\s@<>,;.]+")
_RESERVED = frozenset(
    ("x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to",
     "from", "subject", "reply-to", "cc", "bcc")
)  # fmt: skip

_EVENTS: dict[str, dict[str, Any]] = {
    "delivered": {"event": "delivered", "response": "250 OK"},
    "bounced": {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 no such mailbox"},
    "complained": {"event": "spamreport"},
}


class _Refused(Exception):
    """A 400 about one field."""

    def __init__(self, message: str, field: str, status: int = 400) -> None:
        super().__init__(message)
        self.field = field
        self.status = status


class SendGridStandIn:
    """SendGrid in memory."""

    provider = "sendgrid"

    def __init__(self, outbox: Outbox, webhooks: Webhooks, delay: float) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._delay = delay

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {keys.SENDGRID_API_KEY}":
            return self.fault(401)
        if (request.method, request.path) != ("POST", "/mail/send"):
            return _error(404, "not found")
        if len(request.body) > MAX_REQUEST:
            return _error(413, "the request is over 30 MB")
        try:
            mail = _read(request.json_object())
        except _Refused as error:
            return _error(error.status, str(error), error.field)
        except Malformed as error:
            return _error(400, str(error))
        record(self._outbox, self.provider, mail)
        sent = uuid.uuid4().hex
        for address in mail.to:
            for number, event in enumerate(events_of(address)):
                body = self._event(event, address, mail.job_id, sent)
                self._webhooks.schedule(self.provider, self._delay * (1 + number), lambda b=body: b)  # type: ignore[misc]  # binds the loop's value
        return Reply(202, None, {"X-Message-Id": sent, **_rate(599)})

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, "The provided authorization grant is invalid, expired, or revoked")
            case 429:
                return _error(429, "too many requests", remaining=0)
            case _:
                return _error(status, "an internal error has occurred")

    def _event(self, event: str, address: str, job_id: str, sent: str) -> list[dict[str, Any]]:
        """One event. Custom arguments are beside SendGrid's own fields."""
        return [
            {
                "email": address,
                "timestamp": int(time.time()),
                "sg_event_id": uuid.uuid4().hex,
                "sg_message_id": f"{sent}.recvd-0",
                **({"job_id": job_id} if job_id else {}),
                **_EVENTS[event],
            }
        ]


def _read(body: dict[str, Any]) -> Accepted:
    people = body.get("personalizations")
    if not isinstance(people, list) or not 1 <= len(people) <= 1000:
        raise _Refused("There must be 1 to 1000 personalizations", "personalizations")
    to = [address for index, one in enumerate(people) for address in _recipients(one, index)]
    sender = _address(body.get("from"), "from.email")
    if sender.lower().startswith("unverified"):
        raise _Refused("The from address does not match a verified Sender Identity", "from", 403)
    if "reply_to" in body:
        _address(body["reply_to"], "reply_to.email")
    template = body.get("template_id", "")
    if template and not re.fullmatch(r"d-[0-9A-Za-z-]+", str(template)):
        raise _Refused("The template_id must be a valid GUID", "template_id")
    content = {} if template else _content(body)
    headers = _headers(body.get("headers", {}))
    arguments = {**body.get("custom_args", {}), **people[0].get("custom_args", {})}
    if not all(isinstance(value, str) for value in arguments.values()):
        raise _Refused("Custom arguments must be text", "personalizations.0.custom_args")
    return Accepted(
        sender=sender,
        to=tuple(to),
        job_id=arguments.get("job_id", ""),
        message_id=headers.get("message-id", ""),
        subject="" if template else body["subject"],
        text=content.get("text/plain", ""),
        html=content.get("text/html", ""),
        template=template,
        variables=people[0].get("dynamic_template_data", {}),
        attachments=tuple(_attachments(body.get("attachments", []))),
        tags=_categories(body.get("categories", [])),
    )


def _recipients(personalization: Any, index: int) -> list[str]:
    place = f"personalizations.{index}"
    if not isinstance(personalization, dict) or not personalization.get("to"):
        raise _Refused("The to array is required for all personalization objects", f"{place}.to")
    found: list[str] = []
    for kind in ("to", "cc", "bcc"):
        for number, person in enumerate(personalization.get(kind, [])):
            field = f"{place}.{kind}.{number}.email"
            address = _address(person, field)
            if address.lower() in (other.lower() for other in found):
                raise _Refused(f"Each address should be unique between to, cc, and bcc: {address}", field)
            found.append(address)
    return found


def _address(person: Any, field: str) -> str:
    address = person.get("email") if isinstance(person, dict) else None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise _Refused(f"Does not contain a valid address: {address}", field)
    return address


def _content(body: dict[str, Any]) -> dict[str, str]:
    if not isinstance(body.get("subject"), str) or not body["subject"]:
        raise _Refused("The subject is required", "subject")
    content = body.get("content")
    if not isinstance(content, list) or not content:
        raise _Refused("Unless a valid template_id is provided, the content is required", "content")
    kinds = [part.get("type") for part in content]
    if "text/plain" in kinds[1:]:
        raise _Refused("text/plain must be first, followed by text/html", "content")
    for number, part in enumerate(content):
        if not isinstance(part.get("value"), str) or not part["value"]:
            raise _Refused("The content value must be at least one character", f"content.{number}.value")
    return {part["type"]: part["value"] for part in content}


def _headers(headers: dict[str, Any]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _RESERVED or not isinstance(value, str):
            raise _Refused(f"The header {name} is reserved or not text", f"headers.{name}")
    return {name.lower(): value for name, value in headers.items()}


def _attachments(attachments: list[Any]) -> list[tuple[str, bytes]]:
    found = []
    for number, attachment in enumerate(attachments):
        place = f"attachments.{number}"
        if not attachment.get("filename"):
            raise _Refused("The filename is required", f"{place}.filename")
        try:
            content = base64.b64decode(attachment.get("content", ""), validate=True)
        except (binascii.Error, ValueError):
            raise _Refused("The content must be base64", f"{place}.content") from None
        if not content:
            raise _Refused("The content is required", f"{place}.content")
        found.append((attachment["filename"], content))
    return found


def _categories(categories: list[Any]) -> tuple[str, ...]:
    if len(categories) > 10 or len(set(categories)) < len(categories):
        raise _Refused("There may be 10 categories, and each once", "categories")
    return tuple(categories)


def _rate(remaining: int) -> dict[str, str]:
    reset = str(int(time.time()) + RESET_SECONDS)
    return {
        "X-RateLimit-Limit": "600",
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": reset,
    }


def _error(status: int, message: str, field: str | None = None, *, remaining: int = 599) -> Reply:
    return Reply(status, {"errors": [{"message": message, "field": field, "help": None}]}, _rate(remaining))
