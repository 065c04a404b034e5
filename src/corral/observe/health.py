"""The health of a host's worker processes over HTTP, for liveness probes.

`GET /healthz` answers 200 while every process writes its health and none has lost Redis, else 503, with the
reports as JSON. It needs no key and tells no secret: names of queues, counts, seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

#: A process that has not written for so long stands still. It writes every second.
STALE_SECONDS = 5.0

#: A probe that takes longer to send its request is cut off.
REQUEST_SECONDS = 5.0


def judge(reports: list[dict[str, Any]], processes: int, now: float) -> dict[str, Any]:
    """One verdict over the reports of all processes. Pure."""
    fresh = [report for report in reports if now - report.get("written_at", 0.0) < STALE_SECONDS]
    well = [report for report in fresh if report.get("ok")]
    return {"ok": len(well) >= processes, "processes": processes, "well": len(well), "workers": fresh}


def read_reports(folder: Path) -> list[dict[str, Any]]:
    reports = []
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError):  # being replaced, or its process has just ended
            reports.append(json.loads(file.read_text()))
    return reports


@contextlib.asynccontextmanager
async def serve_health(port: int, folder: Path, processes: int, host: str = "0.0.0.0") -> AsyncIterator[int]:  # noqa: S104  # probes come from other hosts
    """Answer probes while the block runs. Yields the port, chosen by the system for 0."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError, ValueError):
            async with asyncio.timeout(REQUEST_SECONDS):
                request = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0]
                writer.write(_response(request, folder, processes))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, host, port, limit=8_192)
    async with server:
        yield server.sockets[0].getsockname()[1]


def _response(request_line: bytes, folder: Path, processes: int) -> bytes:
    method, _, rest = request_line.partition(b" ")
    path = rest.split(b" ", 1)[0].split(b"?", 1)[0]
    if path not in (b"/healthz", b"/readyz"):
        status, body = HTTPStatus.NOT_FOUND, b'{"status":"not_found"}'
    elif method not in (b"GET", b"HEAD"):
        status, body = HTTPStatus.METHOD_NOT_ALLOWED, b'{"status":"method_not_allowed"}'
    else:
        verdict = judge(read_reports(folder), processes, time.time())
        status = HTTPStatus.OK if verdict["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
        body = json.dumps(verdict).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == b"HEAD" else body)
