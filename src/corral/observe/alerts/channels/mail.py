"""The channel `mail`: straight to the mail provider, not through the queue `email`, which may be the trouble.

Options: CORRAL_ALERT_MAIL_TO, CORRAL_MAIL_FROM, and a provider: SMTP_HOST, else SENDGRID_API_KEY, else
MAILGUN_API_KEY; in sandbox mode the sandbox's SendGrid.
"""

from __future__ import annotations

from collections.abc import Sequence

from corral.errors import ConfigurationError, InvalidInput
from corral.mail.addresses import parse_address
from corral.observe.alerts.notice import Notice, rfc3339
from corral.providers import mailgun, sendgrid, smtp
from corral.providers.choice import Surroundings
from corral.providers.mail import Address, Mail, MailProvider
from corral.settings import Settings

SETTING = "CORRAL_ALERT_MAIL_TO"

#: In sandbox mode nothing is sent, so any sender will do.
_SANDBOX_SENDER = "corral@example.com"


class MailChannel:
    """Sends one message to all addresses for each notice."""

    name = "mail"

    def __init__(self, provider: MailProvider, sender: Address, to: Sequence[Address], prefix: str) -> None:
        self._provider = provider
        self._sender = sender
        self._to = tuple(to)
        self._prefix = prefix

    async def send(self, notice: Notice) -> str:
        """Hand one message over."""
        await self._provider.send(message(notice, self._sender, self._to, self._prefix))
        return f"taken by {self._provider.name}"

    async def close(self) -> None:
        """Close the connections."""
        await self._provider.close()


def message(notice: Notice, sender: Address, to: tuple[Address, ...], prefix: str) -> Mail:
    """The message. Its id is the same at every try."""
    lines = [notice.summary, ""]
    if notice.advice:
        lines += [f"Next: {notice.advice}", ""]
    lines += [
        f"Rule: {notice.rule}    Subject: {notice.subject!r}    Severity: {notice.severity}",
        f"Fired: {rfc3339(notice.fired_at)}    Now: {rfc3339(notice.at)}    Prefix: {prefix}",
        "",
        f"To hear nothing of it for an hour: corral alerts silence {notice.rule} --for 1h --reason …",
    ]
    return Mail(
        sender=sender,
        to=to,
        message_id=f"<{notice.id}@{sender.email.rpartition('@')[2]}>",
        job_id=notice.id,
        subject=notice.headline[:200],
        text="\n".join(lines) + "\n",
        headers={"Auto-Submitted": "auto-generated"},
    )


def from_settings(settings: Settings) -> MailChannel:
    """Raises ConfigurationError, without an address in it."""
    if not settings.alert_mail_to:
        raise ConfigurationError(f"CORRAL_ALERT_TO names mail, but {SETTING} is not set.")
    to = [_address(SETTING, text) for text in settings.alert_mail_to]
    text = settings.mail_from or (_SANDBOX_SENDER if settings.sandbox else "")
    if not text:
        raise ConfigurationError("CORRAL_ALERT_TO names mail, but CORRAL_MAIL_FROM is not set.")
    return MailChannel(_provider(settings), _address("CORRAL_MAIL_FROM", text), to, settings.prefix)


def _provider(settings: Settings) -> MailProvider:
    around = Surroundings(settings, settings.sandbox_url if settings.sandbox else "")
    if settings.smtp_host:
        return smtp.from_settings(around)
    if settings.sendgrid_api_key.get_secret_value():
        return sendgrid.from_settings(around)
    if settings.mailgun_api_key.get_secret_value():
        return mailgun.from_settings(around)
    if around.sandbox_url:
        return sendgrid.from_settings(around)
    raise ConfigurationError(
        "CORRAL_ALERT_TO names mail, but no provider of mail is set: SMTP_HOST, SENDGRID_API_KEY or "
        "MAILGUN_API_KEY."
    )


def _address(setting: str, text: str) -> Address:
    try:
        return parse_address(text)
    except InvalidInput as error:
        raise ConfigurationError(f"{setting}: {error}.") from None
