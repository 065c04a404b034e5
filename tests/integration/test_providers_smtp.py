"""SMTP against a real server: what arrives, what a refusal means, when a message may have been taken."""

from __future__ import annotations

import asyncio
import contextlib
import email
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from email import policy
from pathlib import Path
from typing import Any

import pytest
from mail_server import PASSWORD, USERNAME, MailServer, certificate, saying, serving
from structlog.testing import capture_logs

from corral.providers import Providers
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.mail import Address, Attachment, Mail
from corral.providers.smtp import Smtp
from corral.settings import Settings

MAIL = Mail(
    sender=Address("shop@example.com", "The Shop"),
    to=(Address("user-42@example.com", "Žofia"),),
    message_id="<mail-7@example.com>",
    job_id="mail-7",
    subject="Grüße",
    text="Hello\n.\nnaïve",
    html="<p>naïve</p>",
)


@contextlib.asynccontextmanager
async def client(port: int, **options: Any) -> AsyncIterator[Smtp]:
    made = Smtp(**{"host": "127.0.0.1", "port": port, "tls": "none", "timeout": 2.0, **options})
    yield made
    await made.close()


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with serving() as made:
        yield made


@pytest.fixture
async def smtp(server: MailServer) -> AsyncIterator[Smtp]:
    async with client(server.port) as made:
        yield made


async def test_a_message_arrives_and_is_read_back_from_its_mime(server: MailServer, smtp: Smtp) -> None:
    mail = replace(MAIL, attachments=(Attachment("a.pdf", "application/pdf", bytes(range(256))),))
    assert await smtp.send(mail) == "<mail-7@example.com>"
    (taken,) = server.taken
    assert (taken.mail_from, taken.rcpt_tos) == ("shop@example.com", ["user-42@example.com"])
    assert isinstance(taken.content, bytes)
    message = email.message_from_bytes(taken.content, policy=policy.default)
    assert (message["Subject"], message["Message-ID"]) == ("Grüße", "<mail-7@example.com>")
    assert message["To"].addresses[0].display_name == "Žofia"
    body = message.get_body(("plain",))
    assert body is not None
    assert body.get_content().splitlines() == ["Hello", ".", "naïve"]
    (attachment,) = message.iter_attachments()
    assert attachment.get_payload(decode=True) == bytes(range(256))


async def test_a_burst_shares_one_connection(server: MailServer, smtp: Smtp) -> None:
    await asyncio.gather(*(smtp.send(MAIL) for _ in range(20)))
    assert (len(server.taken), server.connections) == (20, 1)


async def test_a_connection_that_the_server_closed_is_made_again(server: MailServer, smtp: Smtp) -> None:
    await smtp.send(MAIL)
    server.cut()
    await smtp.send(MAIL)
    assert (len(server.taken), server.connections) == (2, 2)


@pytest.mark.parametrize(
    ("command", "reply", "error"),
    [
        ("MAIL", "451 try later", ProviderRetryable),
        ("MAIL", "530 sign in first", ProviderMisconfigured),
        ("MAIL", "553 not your address", ProviderPermanent),
        ("RCPT", "450 greylisted", ProviderRetryable),
        ("RCPT", "550 5.1.1 no such user", ProviderPermanent),
        ("DATA", "452 no room", ProviderRetryable),
        ("DATA", "554 that is spam", ProviderPermanent),
        # The connection is lost: before DATA nothing was handed over, after it nobody knows.
        ("MAIL", None, ProviderRetryable),
        ("RCPT", None, ProviderRetryable),
        ("DATA", None, ProviderAmbiguous),
    ],
)
async def test_a_refusal_becomes_its_error_and_the_next_message_goes(
    server: MailServer, smtp: Smtp, command: str, reply: str | None, error: type[ProviderError]
) -> None:
    server.replies[command] = [reply]
    with pytest.raises(ProviderError) as caught:
        await smtp.send(MAIL)
    assert type(caught.value) is error
    assert caught.value.reason.startswith(f"{command}: ")
    assert len(server.taken) == (1 if error is ProviderAmbiguous else 0)
    server.taken.clear()
    await smtp.send(MAIL)
    assert len(server.taken) == 1


async def test_a_server_that_takes_a_message_and_says_nothing_is_ambiguous(server: MailServer) -> None:
    server.hang = 5.0
    async with client(server.port, timeout=0.3) as impatient:
        with pytest.raises(ProviderAmbiguous, match="DATA: no answer"):
            await impatient.send(MAIL)
        assert len(server.taken) == 1
        server.hang = 0.0
        await impatient.send(MAIL)
    assert len(server.taken) == 2


@pytest.mark.parametrize(
    ("replies", "error"),
    [
        (["550 no such user", "450 later"], ProviderRetryable),
        (["450 later", "550 no such user"], ProviderRetryable),
        (["550 no such user", "551 nor this"], ProviderPermanent),
    ],
)
async def test_a_message_goes_to_all_its_recipients_or_to_none(
    server: MailServer, smtp: Smtp, replies: list[str | None], error: type[ProviderError]
) -> None:
    server.replies["RCPT"] = replies
    to = (Address("a@example.com"), Address("b@example.com"), Address("c@example.com"))
    with pytest.raises(error):
        await smtp.send(replace(MAIL, to=to))
    assert not server.taken
    await smtp.send(replace(MAIL, to=to))
    assert server.taken[0].rcpt_tos == ["a@example.com", "b@example.com", "c@example.com"]


async def test_a_message_given_up_in_the_middle_does_not_disturb_the_next(
    server: MailServer, smtp: Smtp
) -> None:
    server.hang = 5.0
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(smtp.send(MAIL), 0.2)
    server.hang = 0.0
    await smtp.send(replace(MAIL, subject="the next"))
    assert isinstance(server.taken[-1].content, bytes)
    assert b"Subject: the next" in server.taken[-1].content


async def test_no_server_is_worth_another_try() -> None:
    async with client(1) as away:
        with pytest.raises(ProviderRetryable, match="connect: no connection"):
            await away.send(MAIL)


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"421 too many connections", ProviderRetryable),
        (b"554 no service for you", ProviderMisconfigured),
        (b"what is this", ProviderRetryable),
    ],
)
async def test_a_server_that_refuses_us_at_the_door(greeting: bytes, error: type[ProviderError]) -> None:
    async with saying(greeting) as port, client(port) as refused:
        with pytest.raises(ProviderError) as caught:
            await refused.send(MAIL)
    assert type(caught.value) is error


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    folder: Path = tmp_path_factory.mktemp("mail-certificate")
    return certificate(folder)


Certified = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.mark.parametrize("implicit", [False, True])
async def test_sign_in_and_message_go_over_tls(certified: Certified, implicit: bool) -> None:
    shown, trusting = certified
    signed_in = {"username": USERNAME, "password": PASSWORD, "tls_context": trusting}
    async with serving(shown, implicit=implicit, auth=True) as server:
        async with client(server.port, tls="implicit" if implicit else "auto", **signed_in) as smtp:
            await smtp.send(MAIL)
            await smtp.send(MAIL)
        assert (len(server.taken), server.connections) == (2, 1)


async def test_a_wrong_password_is_a_setting_and_never_shown(certified: Certified) -> None:
    shown, trusting = certified
    async with serving(shown, auth=True) as server:
        wrong = {"username": USERNAME, "password": "a-wrong-password", "tls_context": trusting}
        async with client(server.port, tls="starttls", **wrong) as smtp:
            with capture_logs() as logs, pytest.raises(ProviderMisconfigured, match="connect: 535") as caught:
                await smtp.send(MAIL)
        assert not server.taken
    assert [(e["event"], e["provider"]) for e in logs] == [("provider_misconfigured", "smtp")]
    assert "a-wrong-password" not in f"{logs}{caught.value!r}"


async def test_a_certificate_that_is_not_trusted_is_a_setting(certified: Certified) -> None:
    for implicit in (False, True):
        async with serving(certified[0], implicit=implicit) as server:
            async with client(server.port, tls="implicit" if implicit else "starttls") as smtp:
                with pytest.raises(ProviderMisconfigured, match="certificate"):
                    await smtp.send(MAIL)
            assert not server.taken


async def test_nothing_goes_unencrypted_unless_it_is_asked_for(server: MailServer) -> None:
    for tls, word in (("auto", "STARTTLS"), ("starttls", "STARTTLS"), ("implicit", "does not speak TLS")):
        async with client(server.port, tls=tls) as smtp:
            with pytest.raises(ProviderMisconfigured, match=word):
                await smtp.send(MAIL)
    assert not server.taken


async def test_a_server_without_sign_in_cannot_have_our_password() -> None:
    signing_in = {"username": USERNAME, "password": PASSWORD}
    async with saying(b"220 ready", b"250 mail.example.com") as port, client(port, **signing_in) as smtp:
        with pytest.raises(ProviderMisconfigured, match="sign-in"):
            await smtp.send(MAIL)


@pytest.mark.parametrize(
    ("mail", "word"),
    [
        (replace(MAIL, subject="x\r\nBcc: b@example.com"), "line break"),
        (replace(MAIL, template="d-7"), "template"),
        (replace(MAIL, to=(Address("ünicode@example.com"),)), "ASCII"),
    ],
)
async def test_what_smtp_cannot_carry_is_refused_before_a_connection(
    server: MailServer, smtp: Smtp, mail: Mail, word: str
) -> None:
    with pytest.raises(ProviderPermanent, match=word):
        await smtp.send(mail)
    assert server.connections == 0


async def test_what_a_server_says_is_redacted_in_errors_and_logs(server: MailServer, smtp: Smtp) -> None:
    server.replies["RCPT"] = ["550 5.1.1 <user-42@example.com> Sample has no mailbox, L01X00T471"]
    with capture_logs() as logs, pytest.raises(ProviderPermanent) as caught:
        await smtp.send(replace(MAIL, to=(Address("user-42@example.com", "Sample"),)))
    seen = f"{logs}{caught.value!r}{caught.value.reason}"
    assert "RCPT: 550 (5.1.1" in seen
    assert not [p for p in ("user-42", "Sample", "L01X00T471") if p in seen]


async def test_without_a_host_the_error_names_the_setting_also_in_the_sandbox() -> None:
    for sandbox in (False, True):
        made = Providers(Settings(_env_file=None, SMTP_HOST="", CORRAL_SANDBOX=sandbox), "http://127.0.0.1:1")
        with pytest.raises(ProviderMisconfigured, match="set SMTP_HOST"):
            await made.smtp.send(MAIL)
        await made.close()
