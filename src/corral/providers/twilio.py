"""Twilio: text messages, the list of those that were sent, signed status callbacks.

Guarantees: one call of `send` is one request. Twilio knows no idempotency key, so a request without an
answer is `ProviderAmbiguous`, an answer of a gateway (502, 504) too; `find` tells afterwards whether a
message of this text was taken. Numbers and texts are in no reason.
Limits: `find` looks at the newest 100 messages to a number and compares their text, so a second message of
the same text within the same minute is taken for it, and one whose text Twilio has changed is not found.

Options: TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM or TWILIO_MESSAGING_SERVICE_SID (which wins),
TWILIO_STATUS_CALLBACKS, CORRAL_PUBLIC_URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import msgspec

from corral.providers.choice import Surroundings, sandboxed
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.sandbox import keys
from corral.settings import Settings

BASE_URL = "https://api.twilio.com"
VERSION = "2010-04-01"

#: Characters of a text message, all its segments together.
MAX_TEXT = 1600

#: Seconds by which Twilio's clock and ours may differ.
SKEW = 60.0

#: Where Twilio reports what became of a message, below CORRAL_PUBLIC_URL.
CALLBACK_PATH = "/webhooks/twilio"

#: This person cannot be reached by text: no such number, opted out, no way there, not a mobile.
_UNREACHABLE = frozenset({21211, 21610, 21612, 21614})
_ACCOUNT = frozenset({20003, 20005, 20404})
_LATER = frozenset({20429, 21611})
#: A gateway that got no answer does not know whether Twilio has the message.
_UNKNOWN = frozenset({"HTTP 502", "HTTP 504"})


class Unreachable(ProviderPermanent):
    """The number takes no text messages, or its owner wants none. Not a fault: the job completes."""


class _Message(msgspec.Struct):
    sid: str
    body: str | None = ""
    date_created: str | None = ""


class _Account(msgspec.Struct):
    status: str


class _Messages(msgspec.Struct):
    messages: list[_Message]


class Twilio:
    """Calls to Twilio.

    sender: a number in E.164, a short code or name, or a messaging service's SID (`MG…`).
    callback_url: where states are reported; the job's id is added. Empty: nowhere.
    """

    name = "twilio"

    def __init__(
        self,
        *,
        account_sid: str,
        auth_token: str,
        sender: str,
        base_url: str = BASE_URL,
        callback_url: str = "",
        missing: str = "",
        sandbox: bool = False,
    ) -> None:
        self._sender = {"MessagingServiceSid" if sender.startswith("MG") else "From": sender}
        self._callback_url = callback_url
        base = f"{base_url.rstrip('/')}/{VERSION}/Accounts/{quote(account_sid, safe='')}"
        self._account_url = f"{base}.json"
        self._client = ProviderClient(
            "twilio",
            # The account is in the base, so that no reason names it.
            base_url=base,
            classify=classify,
            auth=(account_sid, auth_token),
            secrets=[account_sid, auth_token, sender],
            missing=missing,
            sandbox=sandbox,
        )

    async def send(self, to: str, text: str, *, job_id: str) -> str:
        """Send one text message to a number in E.164. Returns its SID.

        Raises Unreachable, and the four provider errors; only after ProviderAmbiguous it may have been sent.
        """
        form = {"To": to, "Body": text, **self._sender}
        if self._callback_url:
            form["StatusCallback"] = f"{self._callback_url}?job={quote(job_id, safe='')}"
        try:
            sent = await self._client.call(
                "POST", "/Messages.json", _Message, repeatable=False, private=[to, text], data=form
            )
        except ProviderPermanent as error:
            if error.code in map(str, _UNREACHABLE):
                raise Unreachable("twilio", error.reason, code=error.code) from None
            raise
        except ProviderRetryable as error:
            if error.code in _UNKNOWN:
                raise ProviderAmbiguous("twilio", error.reason, code=error.code) from None
            raise
        return sent.sid

    async def find(self, to: str, text: str, since: float) -> str | None:
        """The SID of a message with this text to this number, created since then (epoch seconds), or None.

        Not filtered by Twilio's DateSent: a message that still waits has none.
        """
        page = await self._client.call(
            "GET",
            "/Messages.json",
            _Messages,
            repeatable=True,
            private=[to, text],
            params={"To": to, "PageSize": "100"},
        )
        for message in page.messages:
            # A trial account puts a line of its own in front of the text.
            if (message.body or "").endswith(text) and _created(message) >= since - SKEW:
                return message.sid
        return None

    async def check(self) -> None:
        """Whether the token works and the account is active: reads the account. Raises as `find` does."""
        account = await self._client.call(
            "GET", self._account_url, _Account, shown="/Accounts/….json", repeatable=True
        )
        if account.status != "active":
            raise ProviderMisconfigured("twilio", f"the account is {safe_code(account.status, 200)}")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> Twilio:
    """The account that the settings name, or the sandbox's."""
    settings = around.settings
    callback = callback_url(settings, sandbox=bool(around.sandbox_url))
    if around.plays(settings.twilio_account_sid, settings.twilio_auth_token, sender(settings)):
        return Twilio(
            account_sid=keys.TWILIO_ACCOUNT_SID,
            auth_token=keys.TWILIO_AUTH_TOKEN,
            sender=keys.TWILIO_FROM,
            base_url=f"{around.sandbox_url}/twilio",
            callback_url=callback,
            sandbox=True,
        )
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token.get_secret_value()
    missing = ""
    if not (sid and token):
        missing = "there is no account; set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN"
    elif not sender(settings):
        missing = "there is no sender; set TWILIO_FROM or TWILIO_MESSAGING_SERVICE_SID"
    return Twilio(
        account_sid=sid,
        auth_token=token,
        sender=sender(settings),
        callback_url=callback,
        missing=missing,
    )


def sender(settings: Settings) -> str:
    """The messaging service, or else the number, that messages come from."""
    return settings.twilio_messaging_service_sid or settings.twilio_from


def callback_url(settings: Settings, *, sandbox: bool) -> str:
    """Where Twilio reports states: nowhere unless CORRAL_PUBLIC_URL is an https address, or the sandbox is
    on: Twilio refuses a message whose callback it cannot reach.
    """
    public = settings.public_url.rstrip("/")
    if not settings.twilio_status_callbacks or not (sandbox or public.startswith("https://")):
        return ""
    return public + CALLBACK_PATH


def webhook_token(settings: Settings) -> str:
    """What callbacks are signed with: the account's token."""
    if sandboxed(settings, settings.twilio_account_sid, settings.twilio_auth_token, sender(settings)):
        return keys.TWILIO_AUTH_TOKEN
    return settings.twilio_auth_token.get_secret_value()


def classify(answer: Answer) -> Verdict:
    """Twilio's answers: its number wins over the HTTP status."""
    if 200 <= answer.status < 300:
        return by_status(answer)
    number = answer.body.get("code") if isinstance(answer.body, Mapping) else None
    number = number if isinstance(number, int) else 0
    code, detail = safe_code(str(number or ""), answer.status), answer.text("message")
    if number in _ACCOUNT:
        return Verdict(Kind.MISCONFIGURED, code, detail)
    if number in _LATER:
        return Verdict(Kind.RETRY, code, detail, answer.retry_after)
    if answer.status == 403 and number:
        return Verdict(Kind.PERMANENT, code, detail)
    return by_status(answer, code, detail)


def _created(message: _Message) -> float:
    try:
        return parsedate_to_datetime(message.date_created or "").timestamp()
    except ValueError:
        return 0.0
