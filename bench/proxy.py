"""A TCP proxy that adds round-trip time: python proxy.py <port of the server> <milliseconds>

Half of the time is added in each direction, to every chunk of bytes, in order; bandwidth is not limited. Says
the port it listens on. It waits with select(), whose timeout is exact to some 60 µs: asyncio's and uvloop's
timers round to milliseconds. One thread, standard library only; it takes a part of a core, from every peer.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import deque

CHUNK = 1 << 18


class Way:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.held: deque[tuple[float, bytes]] = deque()
        self.rest = b""
        self.ended = False


class Proxy:
    def __init__(self, port: int, delay: float) -> None:
        self._port = port
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._listener.setblocking(False)
        self._ways: dict[socket.socket, Way] = {}
        self.port = int(self._listener.getsockname()[1])

    def run(self) -> None:
        while True:
            now = time.monotonic()
            for way in list(self._ways.values()):
                self._pass_on(way, now)
            ways = list(self._ways.values())
            due = min((way.held[0][0] for way in ways if way.held), default=None)
            wait = None if due is None else max(0.0, due - time.monotonic())
            reading = [way.source for way in ways if not way.ended]
            writing = [way.target for way in ways if way.rest]
            ready, _, _ = select.select([self._listener, *reading], writing, [], wait)
            for found in ready:
                if found is self._listener:
                    self._accept()
                elif found in self._ways:
                    self._read(self._ways[found])

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        server = socket.create_connection(("127.0.0.1", self._port))
        for end in (client, server):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ways[client] = Way(client, server)
        self._ways[server] = Way(server, client)

    def _read(self, way: Way) -> None:
        try:
            data = way.source.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        way.ended = not data
        way.held.append((time.monotonic() + self._delay, data))

    def _pass_on(self, way: Way, now: float) -> None:
        try:
            while way.rest or (way.held and way.held[0][0] <= now):
                if not way.rest:
                    way.rest = way.held.popleft()[1]
                    if not way.rest:
                        self._close(way)
                        return
                way.rest = way.rest[way.target.send(way.rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._close(way)

    def _close(self, way: Way) -> None:
        for end in (way.source, way.target):
            self._ways.pop(end, None)
            end.close()


if __name__ == "__main__":
    proxy = Proxy(int(sys.argv[1]), float(sys.argv[2]) / 2000)
    print(proxy.port, flush=True)
    proxy.run()
