"""A mail server of one's own, by SMTP.

Guarantees: a message goes to all its recipients or to none; a message that may have been taken without an
answer is `ProviderAmbiguous`; with `auto`, `starttls` and `implicit` neither a password nor a message ever
goes over an unencrypted connection, and the server's certificate is checked. The `Message-ID` is the job's
own, the same for every attempt. One connection serves all messages of the process, one after the other; it
is made when first needed and made again when the server closed it.
Limits: "taken" is all that SMTP says; a later bounce is a message to the sender. No templates, no tags,
no events.

Options: SMTP_HOST, SMTP_PORT (587), SMTP_USERNAME, SMTP_PASSWORD, SMTP_TLS (auto, starttls, implicit, none).
Emits the log events of `http`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import NoReturn

import aiosmtplib
from aiosmtplib.errors import SMTPException, SMTPRecipientRefused, SMTPResponseException

from corral.providers.choice import Surroundings
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.http import fail
from corral.providers.mail import Mail, private_values, refuse_unsafe
from corral.providers.mime import Letter, letter
from corral.providers.redact import redact
from corral.providers.verdict import Kind, Verdict, raise_for

#: Seconds for each answer of the server.
TIMEOUT = 20.0

#: Seconds for a sign of life of a connection that was used before.
ALIVE_TIMEOUT = 3.0

IMPLICIT_TLS_PORT = 465

#: Sign-in is needed, or was refused: not about this message.
_AUTH = frozenset({530, 534, 535, 538})


class Smtp:
    """Sends mail by one server.

    tls: auto (implicit on port 465, STARTTLS on others), starttls, implicit, or none.
    timeout: seconds for each answer of the server.
    tls_context: what certificates to trust; default the system's.
    """

    name = "smtp"

    def __init__(
        self,
        *,
        host: str,
        port: int = 587,
        username: str = "",
        password: str = "",
        tls: str = "auto",
        missing: str = "",
        timeout: float = TIMEOUT,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.missing = missing
        self._secrets = [username, password]
        implicit = tls == "implicit" or (tls == "auto" and port == IMPLICIT_TLS_PORT)
        self._client = aiosmtplib.SMTP(
            hostname=host or None,
            port=port,
            username=username or None,
            password=password or None,
            use_tls=implicit,
            start_tls=not implicit and tls != "none",
            timeout=timeout,
            tls_context=tls_context,
        )
        self._turn = asyncio.Lock()

    async def send(self, mail: Mail) -> str:
        """Hand a message over, once. Returns its Message-ID. Raises the four provider errors."""
        if self.missing:
            fail(ProviderMisconfigured(self.name, self.missing))
        refuse_unsafe(self.name, mail)
        if mail.template:
            raise ProviderPermanent(self.name, "a template by id is a provider's own; this one has none")
        try:
            sent = letter(mail, datetime.now(UTC))
        except ValueError:
            # From None: the cause's message has the address in it.
            raise ProviderPermanent(self.name, "an address cannot be written in ASCII") from None
        private = private_values(mail)
        async with self._turn:
            await self._ready(private)
            await self._envelope(sent, private)
            with self._judging("DATA", private, handed_over=True):
                await self._client.data(sent.content)
        return mail.message_id

    async def close(self) -> None:
        """Close the connection, politely if the server still answers."""
        async with self._turn:
            if self._client.is_connected:
                with contextlib.suppress(SMTPException, OSError):
                    await self._client.quit(timeout=ALIVE_TIMEOUT)
            self._client.close()

    async def _ready(self, private: Collection[str]) -> None:
        """A connection without a half-finished message: the last one if it lives, else a new one."""
        if self._client.is_connected and await self._lives():
            return
        self._client.close()
        with self._judging("connect", private):
            await self._client.connect()

    async def _lives(self) -> bool:
        try:
            await self._client.rset(timeout=ALIVE_TIMEOUT)
        except (SMTPException, OSError):
            return False
        except BaseException:
            # Cancelled: its answer, when it comes, would be taken for the next one's.
            self._client.close()
            raise
        return True

    async def _envelope(self, sent: Letter, private: Collection[str]) -> None:
        options = [f"size={len(sent.content)}"] if self._client.supports_extension("size") else []
        with self._judging("MAIL", private):
            await self._client.mail(sent.sender, options=options)
        refused = []
        with self._judging("RCPT", private):
            for recipient in sent.recipients:
                try:
                    await self._client.rcpt(recipient)
                except SMTPRecipientRefused as error:
                    refused.append(error)
            if refused:
                # One that may be taken later decides: the message is for all or for none.
                raise min(refused, key=lambda error: error.code)

    @contextlib.contextmanager
    def _judging(self, step: str, private: Collection[str], *, handed_over: bool = False) -> Iterator[None]:
        """Turn what goes wrong in a step into a provider error; a connection in doubt is closed."""
        try:
            yield
        except SMTPResponseException as error:
            verdict = classify(error.code, error.message, greeting=step == "connect")
            if verdict is None:
                self._lost(step, "an answer that is none", handed_over)
            detail = redact(verdict.detail, (*self._secrets, *private))
            try:
                raise_for(self.name, verdict, f"{step}: {verdict.code} ({detail})")
            except (ProviderRetryable, ProviderPermanent, ProviderMisconfigured) as judged:
                fail(judged)
        except (SMTPException, OSError) as error:
            problem = "" if handed_over else _setting_at_fault(error)
            if problem:
                self._client.close()
                fail(ProviderMisconfigured(self.name, f"{step}: {problem}"))
            self._lost(step, type(error).__name__, handed_over)
        except BaseException:
            # Cancelled in the middle of an answer: nobody knows what the next answer belongs to.
            self._client.close()
            raise

    def _lost(self, step: str, what: str, handed_over: bool) -> NoReturn:
        self._client.close()
        if handed_over:
            fail(ProviderAmbiguous(self.name, f"{step}: no answer ({what})"))
        fail(ProviderRetryable(self.name, f"{step}: no connection ({what})"))


def from_settings(around: Surroundings) -> Smtp:
    """The server that the settings name. The sandbox has none."""
    settings = around.settings
    return Smtp(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        tls=settings.smtp_tls,
        missing="" if settings.smtp_host else "there is no mail server; set SMTP_HOST",
    )


def classify(code: int, text: str, *, greeting: bool = False) -> Verdict | None:
    """A server's refusal; None for an answer that is no refusal. Pure.

    greeting: it came before any message was named, so a final one is about us and not about the message.
    """
    if code in _AUTH:
        return Verdict(Kind.MISCONFIGURED, str(code), text)
    if 400 <= code < 500:
        return Verdict(Kind.RETRY, str(code), text)
    if 500 <= code < 600:
        return Verdict(Kind.MISCONFIGURED if greeting else Kind.PERMANENT, str(code), text)
    return None


def _setting_at_fault(error: BaseException) -> str:
    """Which setting explains a connection that cannot work; '' if another try may."""
    if type(error) is SMTPException:
        # What the client itself finds wrong before it sends anything.
        return "the server offers no STARTTLS, or no sign-in that fits; check SMTP_TLS and SMTP_USERNAME"
    causes = (error, error.__cause__, error.__context__)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return "the server's certificate is not valid for SMTP_HOST"
    if any(isinstance(cause, ssl.SSLError) and cause.reason == "WRONG_VERSION_NUMBER" for cause in causes):
        return "the server does not speak TLS there; check SMTP_PORT and SMTP_TLS"
    return ""
