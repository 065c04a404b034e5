"""TLS before a server that speaks none: what the programs in the wheels lack.

A connection that does not begin with a TLS handshake is passed on as it is: a Sentinel asks its master in
plain text and tells clients the same address.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading


class TlsProxy:
    """Listens at `.port` on the hosts given until `.stop()`, and passes on to `target_port` on loopback."""

    def __init__(
        self, context: ssl.SSLContext, target_port: int, *, port: int, hosts: tuple[str, ...] = ("127.0.0.1",)
    ) -> None:
        self._context = context
        self._target_port = target_port
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._listeners = [socket.create_server((host, port)) for host in hosts]
        self._threads = [threading.Thread(target=self._loop.run_forever, daemon=True)]
        self._threads += [
            threading.Thread(target=self._accept, args=(listener,), daemon=True)
            for listener in self._listeners
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        for listener in self._listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in self._threads:
            thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return  # stopped
            caller.settimeout(5)
            try:
                handshake = caller.recv(1, socket.MSG_PEEK) == b"\x16"
            except OSError:
                caller.close()
                continue
            caller.setblocking(False)
            self._loop.call_soon_threadsafe(self._start, caller, handshake)

    def _start(self, caller: socket.socket, handshake: bool) -> None:
        task = self._loop.create_task(self._pass_on(caller, handshake))
        self._connections.add(task)  # the loop alone would not keep it alive
        task.add_done_callback(self._connections.discard)

    async def _pass_on(self, caller: socket.socket, handshake: bool) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, caller, ssl=self._context if handshake else None
            )
        except (OSError, ssl.SSLError):
            caller.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            transport.abort()
            return
        try:
            await asyncio.gather(_pump(reader, up_writer), _pump(up_reader, writer))
        finally:
            transport.abort()
            up_writer.transport.abort()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
    target.close()
