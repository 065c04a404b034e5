"""A web server that misbehaves on purpose, and a way to it that the guard takes for a public address."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpcore2

#: Stands for the server; the connection itself is led to loopback.
PUBLIC = "93.184.215.14"

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def _not_found(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


class HostileServer:
    """Answers each path as told and keeps the heads of requests. `stopping` ends what has no end."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.heads: list[str] = []
        self.port = 0
        self.stopping = asyncio.Event()
        self._listener: asyncio.Server | None = None

    async def __aenter__(self) -> HostileServer:
        self._listener = await asyncio.start_server(self._handle, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self.stopping.set()
        self._listener.close()
        await self._listener.wait_closed()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            path = head.split()[1].partition("?")[0]
            await self.answers.get(path, _not_found)(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has what it wanted
        finally:
            writer.close()

    def raw(self, path: str, *pieces: bytes) -> None:
        """These bytes and the end."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()

        self.answers[path] = answer

    def body(self, path: str, body: bytes, **headers: str) -> None:
        self.plain(path, "200 OK", body, **headers)

    def plain(self, path: str, status: str, body: bytes = b"", **headers: str) -> None:
        lines = {"Content-Length": str(len(body)), "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        self.raw(path, head.encode("latin-1") + body)

    def stream(self, path: str, chunks: Iterable[bytes], *, hang: bool = False) -> None:
        """A body without a length, in chunks; then the end, or silence."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n")
            for chunk in chunks:
                writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
                await writer.drain()
            if hang:
                await self.stopping.wait()
            writer.write(b"0\r\n\r\n")

        self.answers[path] = answer

    def redirect(self, path: str, location: bytes, status: int = 302, more: bytes = b"") -> None:
        head = b"HTTP/1.1 %d Found\r\nLocation: %b\r\n%bContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.raw(path, head % (status, location, more))

    def drip(self, path: str, head: bytes, piece: bytes) -> None:
        """A head, and then a piece at a time for ever: slow loris from the other side."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(head)
            while not self.stopping.is_set():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)

        self.answers[path] = answer


class ToLoopback(httpcore2.AnyIOBackend):
    """Notes the address that was judged and connects to the test's server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.addresses: list[str] = []

    async def connect_tcp(
        self, host: str, port: int, *args: Any, **more: Any
    ) -> httpcore2.AsyncNetworkStream:
        self.addresses.append(host)
        return await super().connect_tcp("127.0.0.1", self.port, *args, **more)


async def public(host: str, port: int) -> list[str]:
    """A resolver for which each name is at the public address, and an address is itself."""
    return [host] if host.replace(".", "").isdigit() or ":" in host else [PUBLIC]
