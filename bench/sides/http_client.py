"""A load generator for where wrk is missing.

python -m bench.sides.http_client <url> <key> <body> <connections> <seconds>

`@file` is a body too long for a command line. Two processes share the connections; each connection sends its
next request when the answer is there.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import uvloop

PROCESSES = 2


class Connection(asyncio.Protocol):
    """One keep-alive connection. Answers must have a Content-Length."""

    def __init__(self, request: bytes, latencies: list[float], failed: Callable[[], None]) -> None:
        self._request = request
        self._latencies = latencies
        self._failed = failed
        self._buffer = b""
        self._sent = 0.0
        self.stop = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        start = lower.index(b"content-length:") + 15
        length = int(lower[start:].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = body[length:]
        if head[9:12] == b"202":
            self._latencies.append(time.perf_counter() - self._sent)
        else:
            self._failed()
        if not self.stop:
            self._send()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.stop:
            self._failed()


async def run(url: str, request: bytes, connections: int, seconds: float) -> tuple[list[float], int, float]:
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    errors = 0

    def failed() -> None:
        nonlocal errors
        errors += 1

    parts = urlsplit(url)
    started = time.perf_counter()
    opened = [
        await loop.create_connection(
            lambda: Connection(request, latencies, failed), parts.hostname or "127.0.0.1", parts.port or 80
        )
        for _ in range(connections)
    ]
    await asyncio.sleep(seconds)
    took = time.perf_counter() - started
    for _, protocol in opened:
        protocol.stop = True
    await asyncio.sleep(0.5)  # answers under way
    for transport, _ in opened:
        transport.close()
    return latencies, errors, took


def share(arguments: tuple[str, bytes, int, float]) -> tuple[list[float], int, float]:
    return uvloop.run(run(*arguments))


def main(url: str, key: str, body: str, connections: int, seconds: float) -> None:
    parts = urlsplit(url)
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
    ).encode()
    with multiprocessing.Pool(PROCESSES) as pool:
        parts_of = [(url, request, connections // PROCESSES, seconds)] * PROCESSES
        shares = pool.map(share, parts_of)
    latencies = sorted(latency for found, _, _ in shares for latency in found)
    took = max(seconds_of for _, _, seconds_of in shares)
    result = {
        "requests_per_second": len(latencies) / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1000,
        "requests": len(latencies),
        "errors": sum(errors for _, errors, _ in shares),
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    url, key, body, connections, seconds = sys.argv[1:]
    if body.startswith("@"):
        body = Path(body[1:]).read_text()
    main(url, key, body, int(connections), float(seconds))
