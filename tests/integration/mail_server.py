"""A real SMTP server on loopback for tests: aiosmtpd, with a script of what it says, and the mail it took."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

USERNAME, PASSWORD = "shop", "the-smtp-password"


class MailServer:
    """Takes mail. `replies` are said instead, once each: by MAIL, RCPT or DATA; None cuts the connection.

    hang: seconds that DATA is not answered. connections: how many were made.
    """

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.replies: dict[str, list[str | None]] = {}
        self.hang = 0.0
        self.connections = 0
        self.port = 0
        self._open: list[asyncio.Transport] = []

    def cut(self) -> None:
        """Close every connection, as a server does after a while."""
        for transport in self._open:
            transport.close()
        self._open.clear()

    def opened(self, transport: asyncio.Transport) -> None:
        self.connections += 1
        self._open.append(transport)

    def _scripted(self, command: str, server: SMTP) -> str | None:
        waiting = self.replies.get(command)
        if not waiting:
            return None
        reply = waiting.pop(0)
        if reply is None:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "451 gone"
        return reply

    async def handle_MAIL(  # noqa: N802  # the name that aiosmtpd calls
        self, server: SMTP, _: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._scripted("MAIL", server)
        if reply is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return reply or "250 OK"

    async def handle_RCPT(  # noqa: N802  # the name that aiosmtpd calls
        self, server: SMTP, _: Session, envelope: Envelope, address: str, __: list[str]
    ) -> str:
        reply = self._scripted("RCPT", server)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(  # noqa: N802  # the same
        self, server: SMTP, _: Session, envelope: Envelope
    ) -> str:
        reply = self._scripted("DATA", server)
        if reply is None or reply == "451 gone":
            self.taken.append(envelope)
        if self.hang:
            await asyncio.sleep(self.hang)
        return reply or "250 2.0.0 Ok: queued as 4F2D"

    def authenticate(self, _: Any, __: Any, ___: Any, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            USERNAME.encode(),
            PASSWORD.encode(),
        )
        return AuthResult(success=good, handled=good)


class _Protocol(SMTP):
    def connection_made(self, transport: Any) -> None:
        # Called a second time by STARTTLS.
        if self.transport is None:
            self.event_handler.opened(transport)
        super().connection_made(transport)


@contextlib.asynccontextmanager
async def serving(
    tls_context: ssl.SSLContext | None = None, *, implicit: bool = False, auth: bool = False
) -> AsyncIterator[MailServer]:
    """A server in this event loop. tls_context: offers STARTTLS, or speaks TLS at once if implicit."""
    handler = MailServer()
    loop = asyncio.get_running_loop()

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            # It warns of sign-in without TLS, and does not know that TLS may be below it.
            warnings.simplefilter("ignore")
            return made()

    def made() -> SMTP:
        return _Protocol(
            handler,
            hostname="mail.example.com",
            loop=loop,
            enable_SMTPUTF8=False,
            tls_context=None if implicit else tls_context,
            require_starttls=tls_context is not None and not implicit,
            auth_required=auth,
            auth_require_tls=not implicit,
            authenticator=handler.authenticate if auth else None,
        )

    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=tls_context if implicit else None)
    handler.port = server.sockets[0].getsockname()[1]
    try:
        yield handler
    finally:
        handler.cut()
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def saying(*lines: bytes) -> AsyncIterator[int]:
    """The port of a server that says a line at the greeting and one for each line it gets, then hangs up."""
    talks: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            for line in lines:
                writer.write(line + b"\r\n")
                await reader.readline()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*filter(None, talks))


def certificate(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server of 127.0.0.1 shows, and what a client needs to believe it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (folder / "mail.crt").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "mail.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "mail.crt", folder / "mail.key")
    return server, ssl.create_default_context(cafile=str(folder / "mail.crt"))
