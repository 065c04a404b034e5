"""A web server that keeps what it got and answers as told: the other end of outgoing webhooks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Got:
    """A request. Header names are lowercase."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Receiver:
    """Answers 204, unless told otherwise for a path."""

    port: int = 0
    got: list[Got] = field(default_factory=list)
    scripts: dict[str, list[Answer]] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def at(self, path: str) -> list[Got]:
        """What came to a path."""
        return [got for got in self.got if got.target == path]

    def answers(self, path: str, status: str, body: bytes = b"", **headers: str) -> None:
        """The next answer of a path that has no later one; the last of them stays."""
        lines = {"Content-Length": str(len(body)), "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = f"HTTP/1.1 {status}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(head.encode() + body)
            await writer.drain()

        self.scripts.setdefault(path, []).append(answer)

    def hangs(self, path: str) -> None:
        """No answer until the end."""

        async def answer(_: asyncio.StreamWriter) -> None:
            await self.stopping.wait()

        self.scripts.setdefault(path, []).append(answer)

    def pours(self, path: str) -> None:
        """An answer without an end."""

        async def answer(writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.stopping.is_set():
                writer.write(b"400\r\n" + b"x" * 0x400 + b"\r\n")
                await writer.drain()

        self.scripts.setdefault(path, []).append(answer)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            method, target, _ = head.split()
            headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.got.append(Got(method, target, headers, body))
            script = self.scripts.get(target.partition("?")[0], [])
            answer = script.pop(0) if len(script) > 1 else script[0] if script else _no_content
            await answer(writer)
        writer.close()


async def _no_content(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    await writer.drain()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    receiver = Receiver()
    listener = await asyncio.start_server(receiver.handle, "127.0.0.1", 0)
    receiver.port = listener.sockets[0].getsockname()[1]
    yield receiver
    receiver.stopping.set()
    listener.close()
    await listener.wait_closed()
