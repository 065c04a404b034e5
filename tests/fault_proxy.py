"""A TCP proxy of the tests' own between a client and its Redis: everything that a network can do to bytes.

It runs in a thread with a loop of its own, so that neither a blocked event loop nor a blocking test stops it,
and a test may switch faults from anywhere. A connection that lost bytes is dead from then on, as one is whose
packets a firewall drops: neither side is told. What is held arrives late, as TCP delivers after a partition.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

#: Directions.
TO_SERVER, TO_CLIENT = "to server", "to client"

#: With `trickle`: so many bytes in one piece.
PIECE = 64

#: RST instead of FIN.
_ABRUPTLY = struct.pack("ii", 1, 0)


@dataclass
class _Loss:
    """Loses one answer: of the request, or the answer itself, that holds these bytes."""

    direction: str
    needle: bytes
    happened: threading.Event = field(default_factory=threading.Event)


class FaultProxy:
    """`FaultProxy(6379)`: `url` leads to that port until told otherwise."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = 0
        #: Seconds that bytes take each way.
        self.delay = 0.0
        #: Seconds between two pieces of PIECE bytes; 0: all at once.
        self.trickle = 0.0
        #: Bytes lost so far by `drop`.
        self.dropped = 0
        self._lost: frozenset[str] = frozenset()
        self._losses: list[_Loss] = []
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._connections: set[_Connection] = set()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> FaultProxy:
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self._listening = listening
        self._thread.start()
        return self

    def stop(self) -> None:
        async def end() -> None:
            self._server.close()
            self._abort_all()
            self._loop.call_later(0.05, self._loop.stop)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._thread.join(10)
        self._loop.close()

    # Faults. All but `delay` and `trickle` last until `heal`.

    def drop(self, *directions: str) -> None:
        """Lose all bytes that go this way, or both. Connections, also new ones, stay open and silent."""
        self._lost = frozenset(directions or (TO_SERVER, TO_CLIENT))

    def hold(self) -> None:
        """Keep all bytes; `heal` lets them go on, however late."""
        self._call(self._flowing.clear)

    def lose_answer_to(self, request: bytes) -> threading.Event:
        """The next request with these bytes reaches the server; its connection is reset instead of answered.

        The event is set when that has happened.
        """
        return self._lose(TO_SERVER, request)

    def lose_answer_with(self, answer: bytes) -> threading.Event:
        """The next answer with these bytes is lost, and its connection reset."""
        return self._lose(TO_CLIENT, answer)

    def reset(self) -> None:
        """Reset every connection."""
        self._call(self._abort_all)

    def heal(self) -> None:
        """Let go. What was lost stays lost, and the connections that lost it stay dead."""
        self._lost = frozenset()
        self._losses.clear()
        self.delay = self.trickle = 0.0
        self._call(self._flowing.set)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def _lose(self, direction: str, needle: bytes) -> threading.Event:
        loss = _Loss(direction, needle)
        self._losses.append(loss)
        return loss.happened

    def _call(self, function: Callable[[], object]) -> None:
        async def call() -> None:
            function()

        asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    # In the thread

    def _abort_all(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)

        async def serve() -> None:
            self._server = await asyncio.start_server(self._accept, sock=self._listening)

        self._loop.run_until_complete(serve())
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(connection)
            connection.abort()

    def loses(self, direction: str) -> bool:
        return direction in self._lost

    def match(self, direction: str, data: bytes) -> _Loss | None:
        found = next((x for x in self._losses if x.direction == direction and x.needle in data), None)
        if found is not None:
            self._losses.remove(found)
        return found

    def again(self, loss: _Loss) -> None:
        self._losses.append(loss)

    async def flow(self) -> None:
        await self._flowing.wait()


class _Connection:
    def __init__(self, proxy: FaultProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._client = (reader, writer)
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._dead = False
        self._loss: _Loss | None = None  # of the answer that comes next

    async def run(self) -> None:
        self._server = server = await asyncio.open_connection("127.0.0.1", self._proxy.target_port)
        client = self._client
        await asyncio.gather(
            self._pass(TO_SERVER, client[0], server[1]), self._pass(TO_CLIENT, server[0], client[1])
        )

    async def _pass(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read what comes; another task writes it when its time has come, so that a delay slows no stream."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        writing = asyncio.create_task(self._write(queue, writer))
        loop = asyncio.get_running_loop()
        try:
            while data := await reader.read(65_536):
                if self._dead or self._proxy.loses(direction):
                    self._dead = True
                    self._proxy.dropped += len(data)
                elif not self._cuts(direction, data):
                    queue.put_nowait((loop.time() + self._proxy.delay, data))
            if self._dead:  # the other side is not told
                await asyncio.Event().wait()
            queue.put_nowait((loop.time() + self._proxy.delay, b""))
            await writing
        finally:
            writing.cancel()

    def _cuts(self, direction: str, data: bytes) -> bool:
        if direction == TO_SERVER:
            self._loss = self._loss or self._proxy.match(direction, data)
            return False
        loss = self._loss or self._proxy.match(direction, data)
        if loss is None:
            return False
        if data.startswith(b"-NOSCRIPT"):  # nothing was done yet: the request comes again
            self._proxy.again(loss)
            self._loss = None
            return False
        loss.happened.set()
        self.abort()
        return True

    async def _write(self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                due, data = await queue.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                await self._proxy.flow()
                if not data:
                    writer.close()
                    return
                pause = self._proxy.trickle
                for start in range(0, len(data), PIECE if pause else len(data)):
                    writer.write(data[start : start + PIECE] if pause else data)
                    await writer.drain()
                    if pause:
                        await asyncio.sleep(pause)

    def abort(self) -> None:
        for _, writer in filter(None, (self._client, self._server)):
            raw = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                if raw is not None:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPTLY)
            writer.transport.abort()
