"""The health of a host's worker processes over HTTP, for probes, and their metrics beside it.

- `GET /healthz`: 200 while every process that should run writes its health and is well (its loop turns, Redis
  answers it, its locks are kept), else 503.
- `GET /readyz`: 200 while every one of them takes jobs, else 503: red in a stop and while a process is quiet.
- any other page that `serve_health` is given.

The first two need no key and tell no secret: the reports as JSON, with names of queues, counts, seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog

from corral.listening import cannot_listen

log = structlog.get_logger(__name__)

#: A process that has not written for so long stands still. It writes every second.
STALE_SECONDS = 5.0

#: A probe that takes longer to send its request is cut off.
REQUEST_SECONDS = 5.0

#: What a report says of a process that is well and takes no jobs.
_TAKES_NO_JOBS = ("stopping", "quiet", "draining")

#: Of a request's line and headers, together.
MAX_HEAD_BYTES = 8_192


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page says. `headers` beyond the usual ones."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def encode(self, *, with_body: bool) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "Connection: close",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + (self.body if with_body else b"")


#: Answers a GET; is given the request's headers, their names in lower case.
Page = Callable[[Mapping[str, str]], Answer]


def judge(reports: list[dict[str, Any]], processes: int, now: float) -> dict[str, Any]:
    """One verdict over the reports of all processes: are they well? Pure."""
    fresh = _fresh(reports, now)
    # One that is drained has its successor, or is not needed: it counts neither way.
    well = [report for report in fresh if report.get("ok") and not report.get("draining")]
    return {"ok": len(well) >= processes, "processes": processes, "well": len(well), "workers": fresh}


def judge_ready(reports: list[dict[str, Any]], processes: int, now: float) -> dict[str, Any]:
    """The same for readiness: do they take jobs? Pure."""
    fresh = _fresh(reports, now)
    ready = [r for r in fresh if r.get("ok") and not any(r.get(reason) for reason in _TAKES_NO_JOBS)]
    ok = 0 < processes <= len(ready)  # none is wanted in a stop
    return {"ok": ok, "processes": processes, "ready": len(ready), "workers": fresh}


def _fresh(reports: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
    return [report for report in reports if now - report.get("written_at", 0.0) < STALE_SECONDS]


def read_reports(folder: Path) -> list[dict[str, Any]]:
    reports = []
    for file in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError):  # being replaced, or its process has just ended
            reports.append(json.loads(file.read_text()))
    return reports


@contextlib.asynccontextmanager
async def serve_health(
    port: int,
    folder: Path,
    processes: int | Callable[[], int],
    host: str = "0.0.0.0",  # noqa: S104  # probes come from other hosts
    *,
    pages: Mapping[str, Page] | None = None,
) -> AsyncIterator[int]:
    """Answer probes while the block runs. Yields the port, chosen by the system for 0.

    processes: how many should run, or what tells so, where that changes.
    pages: further ones by path.

    Emits: health_served (port).
    """

    def health(judged: Callable[[list[dict[str, Any]], int, float], dict[str, Any]]) -> Page:
        def page(_: Mapping[str, str]) -> Answer:
            wanted = processes if isinstance(processes, int) else processes()
            verdict = judged(read_reports(folder), wanted, time.time())
            status = HTTPStatus.OK if verdict["ok"] else HTTPStatus.SERVICE_UNAVAILABLE
            return Answer(status, json.dumps(verdict).encode())

        return page

    all_pages = {"/healthz": health(judge), "/readyz": health(judge_ready), **(pages or {})}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut_off = (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with contextlib.suppress(*cut_off):
            async with asyncio.timeout(REQUEST_SECONDS):
                writer.write(_respond(await reader.readuntil(b"\r\n\r\n"), all_pages))
                await writer.drain()
        writer.close()

    try:
        server = await asyncio.start_server(answer, host, port, limit=MAX_HEAD_BYTES)
    except (OSError, OverflowError) as error:
        raise cannot_listen(host, port, error) from None
    async with server:
        chosen = server.sockets[0].getsockname()[1]
        log.info("health_served", port=chosen)
        yield chosen


def _respond(head: bytes, pages: Mapping[str, Page]) -> bytes:
    request_line, *header_lines = head.decode("latin-1").split("\r\n")
    method, _, rest = request_line.partition(" ")
    page = pages.get(rest.partition(" ")[0].partition("?")[0])
    if page is None:
        answer = Answer(HTTPStatus.NOT_FOUND, b'{"status":"not_found"}')
    elif method not in ("GET", "HEAD"):
        answer = Answer(HTTPStatus.METHOD_NOT_ALLOWED, b'{"status":"method_not_allowed"}')
    else:
        fields = (line.partition(":") for line in header_lines)
        answer = page({name.lower(): value.strip() for name, _, value in fields})
    return answer.encode(with_body=method != "HEAD")
