"""Twilio's stand-in: messages, their list, signed status callbacks. Twilio's own test numbers choose errors.

| number | as To | as From |
|---|---|---|
| +15005550001 | 21211 no such number | 21212 no such number |
| +15005550002 | 21612 no way there | |
| +15005550003 | 21408 region not enabled | |
| +15005550004 | 21610 opted out | |
| +15005550007 | | 21606 not the account's |
| +15005550008 | | 21611 its queue is full |
| +15005550009 | 21614 not a mobile | |
"""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections import deque
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from corral.sandbox import keys
from corral.sandbox.outbox import Outbox, masked
from corral.sandbox.twilio_callbacks import Callbacks
from corral.sandbox.wire import Malformed, Reply, Request, Route, find, urlencoded

MAX_TEXT = 1600

#: Messages that the list remembers.
KEPT = 10_000

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SENDERS = re.compile(r"\+[1-9]\d{6,14}|\d{5,6}|[A-Za-z0-9 ]{1,11}")
_TO = {
    "+15005550001": (21211, "The 'To' number {} is not a valid phone number."),
    "+15005550002": (21612, "The 'To' phone number {} is not currently reachable via SMS."),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region indicated by {}."),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient {}"),
    "+15005550009": (21614, "The 'To' number {} is not a valid mobile number."),
}
_FROM = {
    "+15005550001": (21212, "The 'From' number {} is not a valid phone number."),
    "+15005550007": (21606, "The 'From' phone number {} is not a valid SMS-capable number for your account."),
    "+15005550008": (21611, "This 'From' number {} has exceeded the maximum number of queued messages."),
}


class _Refused(Exception):
    """An error with Twilio's number."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class TwilioStandIn:
    """Twilio in memory. `delay`: seconds from a message to each report of its state."""

    provider = "twilio"

    def __init__(self, outbox: Outbox, delay: float) -> None:
        self._outbox = outbox
        self._delay = delay
        self._callbacks = Callbacks(outbox)
        self._messages: deque[dict[str, Any]] = deque(maxlen=KEPT)
        account = f"/2010-04-01/Accounts/{keys.TWILIO_ACCOUNT_SID}"
        self._routes = [
            Route("POST", f"{account}/Messages.json", self._send),
            Route("GET", f"{account}/Messages.json", self._list),
            Route("GET", f"{account}.json", self._account),
        ]

    async def close(self) -> None:
        """Drop the callbacks that were not sent yet."""
        await self._callbacks.close()

    def answer(self, request: Request) -> Any:
        pair = base64.b64encode(f"{keys.TWILIO_ACCOUNT_SID}:{keys.TWILIO_AUTH_TOKEN}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return self.fault(401)
        found = find(self._routes, request)
        if found is None:
            return _error(404, 20404, f"The requested resource {request.path} was not found")
        handle, match = found
        try:
            return handle(request, match)
        except _Refused as error:
            return _error(400, error.code, str(error))
        except Malformed as error:
            return _error(400, 21617, str(error))

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, 20003, "Authenticate")
            case 429:
                return _error(429, 20429, "Too Many Requests", {"retry-after": "1"})
            case _:
                return _error(status, 20500, "An internal server error has occurred")

    def _send(self, request: Request, _: re.Match[str]) -> Reply:
        fields = urlencoded(request)
        to, text = fields.get("To", ""), fields.get("Body", "")
        if not to:
            raise _Refused(21604, "A 'To' phone number is required.")
        if not _E164.fullmatch(to):
            raise _Refused(21211, f"The 'To' number {to} is not a valid phone number.")
        sender = fields.get("MessagingServiceSid") or fields.get("From", "")
        if not sender:
            raise _Refused(21603, "A 'From' phone number is required.")
        if "MessagingServiceSid" not in fields and not _SENDERS.fullmatch(sender):
            raise _Refused(21212, f"The 'From' number {sender} is not a valid phone number.")
        if not text:
            raise _Refused(21602, "Message body is required.")
        if len(text) > MAX_TEXT:
            raise _Refused(21617, "The concatenated message body exceeds the 1600 character limit")
        callback = fields.get("StatusCallback", "")
        if callback and urlsplit(callback).scheme not in ("http", "https"):
            raise _Refused(21609, "The 'StatusCallback' URL is not valid.")
        for table, number in ((_FROM, sender), (_TO, to)):
            if number in table:
                code, message = table[number]
                self._outbox.record("twilio", "refused", to=masked(to), code=code)
                raise _Refused(code, message.format(number))
        return Reply(201, self._taken(to, sender, text, callback))

    def _taken(self, to: str, sender: str, text: str, callback: str) -> dict[str, Any]:
        message = {
            "sid": "SM" + secrets.token_hex(16),
            "account_sid": keys.TWILIO_ACCOUNT_SID,
            "status": "queued",
            "to": to,
            "from": None if sender.startswith("MG") else sender,
            "messaging_service_sid": sender if sender.startswith("MG") else None,
            "body": text,
            "num_segments": str(-(-len(text) // 153) if len(text) > 160 else 1),
            "error_code": None,
            "error_message": None,
            "date_created": formatdate(time.time(), usegmt=True).replace("GMT", "+0000"),
            "date_sent": None,
            "direction": "outbound-api",
            "price": None,
        }
        self._messages.appendleft(message)
        self._outbox.record("twilio", "sms", to=masked(to), body=text)
        if callback:
            for step, state in enumerate(("sent", "delivered"), 1):
                fields = {
                    "MessageSid": str(message["sid"]),
                    "MessageStatus": state,
                    "SmsStatus": state,
                    "AccountSid": keys.TWILIO_ACCOUNT_SID,
                    "To": to,
                    "From": sender,
                    "ApiVersion": "2010-04-01",
                }
                self._callbacks.schedule(callback, fields, self._delay * step)
        return message

    def _account(self, _request: Request, _: re.Match[str]) -> Reply:
        return Reply(
            200,
            {
                "sid": keys.TWILIO_ACCOUNT_SID,
                "friendly_name": "Corral sandbox",
                "status": "active",
                "type": "Full",
            },
        )

    def _list(self, request: Request, _: re.Match[str]) -> Reply:
        to = request.param("To")
        size = int(request.param("PageSize") or 50)
        found = [message for message in self._messages if to is None or message["to"] == to]
        return Reply(200, {"messages": found[:size], "page": 0, "page_size": size, "next_page_uri": None})


def _error(status: int, code: int, message: str, headers: dict[str, str] | None = None) -> Reply:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Reply(
        status, {"code": code, "message": message, "more_info": more, "status": status}, headers or {}
    )
