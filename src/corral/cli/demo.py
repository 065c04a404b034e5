"""`corral demo`: the whole service started, real jobs sent over HTTP, their progress and results shown."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvloop
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from corral.cli.output import console, errors, print_json
from corral.cli.stack import Stack
from corral.errors import CorralError
from corral.observe.logs import configure_logs

#: A check in the sandbox takes about two seconds; a cold machine gets plenty.
LIMIT_SECONDS = 120.0

#: Between two looks at the jobs.
LOOK_SECONDS = 0.15

_PASSPORT = {
    "userId": "user-1001",
    "documentType": "passport",
    "documentNumber": "P1234567",
    "frontImageUrl": "https://images.example.com/passport-front.jpg",
    "provider": "onfido",
}
_ID_CARD = {
    "userId": "user-1002",
    "documentType": "id_card",
    "documentNumber": "ID7654321",
    "frontImageUrl": "https://images.example.com/id-card-front.jpg",
    "backImageUrl": "https://images.example.com/id-card-back.jpg",
    "provider": "idenfy",
    "issuingCountry": "DE",
}
_REJECTED = _PASSPORT | {"userId": "user-1003", "documentNumber": "P0000000REJECT"}
_MOMENT = {
    "imageUrl": "https://images.example.com/landscape.jpg",
    "userId": "user-1001",
    "type": "moment",
    "sizes": [
        {"width": 1600, "height": 1200, "format": "webp"},
        {"width": 800, "height": 600, "format": "webp"},
        {"width": 320, "height": 240, "format": "jpeg"},
    ],
}
_PROFILE = {
    "imageUrl": "https://images.example.com/portrait.jpg",
    "userId": "user-1002",
    "type": "profile",
    "sizes": [{"width": 256, "height": 256, "format": "webp"}, {"width": 64, "height": 64, "format": "jpeg"}],
}


@dataclass(slots=True)
class _Sent:
    """A job of the demo and what was last seen of it."""

    title: str
    path: str
    data: dict[str, Any]
    id: str = ""
    queue: str = ""
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.seen.get("status") in ("completed", "failed")


def _jobs() -> list[_Sent]:
    return [
        _Sent("Passport, Onfido", "/verify-kyc", _PASSPORT),
        _Sent("ID card, iDenfy", "/verify-kyc", _ID_CARD),
        _Sent("Rejected passport", "/verify-kyc", _REJECTED),
        _Sent("Moment, 3 sizes", "/process-image", _MOMENT),
        _Sent("Profile, 2 sizes", "/process-image", _PROFILE),
    ]


def demo(*, data_dir: Path = Path(".corral/demo"), api_port: int = 0, json: bool = False) -> int:
    """Start everything, send real jobs over HTTP, show them until they end, print their results.

    Parameters
    ----------
    data_dir: where the server's data and the images are kept
    api_port: port of the HTTP API; 0 takes a free one
    json: print the results as one JSON document
    """
    configure_logs(json=json or None, level=30)  # warnings: the progress bars are the story here
    jobs = _jobs()
    uvloop.run(_demonstrate(data_dir, api_port, jobs, quiet=json))
    _show(jobs, json=json)
    if not json:
        console.print(f"\nThe pictures are in {data_dir / 'images'}.")
    return 0 if all(job.seen.get("status") == "completed" for job in jobs) else 1


async def _demonstrate(folder: Path, api_port: int, jobs: list[_Sent], *, quiet: bool) -> None:
    stack = Stack(
        data_dir=folder,
        host="127.0.0.1",
        api_port=api_port,
        processes=1,
        sandbox=True,
        own_key=True,
        quiet=True,
    )
    async with stack:
        errors.print(f"[bold]Corral is up[/bold] at {stack.api.url}, key {stack.key}")
        errors.print(
            "[yellow]Sandbox mode:[/yellow] Onfido, iDenfy, Supabase and example.com are local stand-ins."
        )
        workers = asyncio.create_task(stack.workers.run())
        try:
            headers = {"Authorization": f"Bearer {stack.key}"}
            async with httpx2.AsyncClient(base_url=stack.api.url, headers=headers) as client:
                await asyncio.gather(*(_send(client, job) for job in jobs))
                await _follow(client, jobs, workers, quiet=quiet)
        finally:
            stack.workers.stop()
            await workers


async def _send(client: httpx2.AsyncClient, job: _Sent) -> None:
    response = await client.post(job.path, json=job.data)
    if response.status_code != 202:
        raise CorralError(f"POST {job.path} answered {response.status_code}: {response.text}")
    job.id = response.json()["jobId"]
    job.queue = "kyc-verification" if job.path == "/verify-kyc" else "image-processing"


async def _follow(
    client: httpx2.AsyncClient, jobs: list[_Sent], workers: asyncio.Task[int], *, quiet: bool
) -> None:
    bars = Progress(
        TextColumn("{task.description:<20}"),
        TextColumn("{task.fields[path]:<15}", style="dim"),
        BarColumn(bar_width=28),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[status]:<10}"),
        TimeElapsedColumn(),
        console=errors,
        disable=quiet,
    )
    limit = time.monotonic() + LIMIT_SECONDS
    with bars:
        rows = {job.id + job.queue: _row(bars, job) for job in jobs}
        while not all(job.ended for job in jobs):
            if workers.done():
                raise CorralError("The worker processes ended; their messages are above.")
            if time.monotonic() > limit:
                left = ", ".join(job.title for job in jobs if not job.ended)
                raise CorralError(f"Not finished within {LIMIT_SECONDS:.0f} s: {left}.")
            for job in jobs:
                if not job.ended:
                    answer = await client.get(f"/job-status/{job.id}", params={"queue": job.queue})
                    job.seen = answer.raise_for_status().json()
                    bars.update(
                        rows[job.id + job.queue], completed=_percent(job.seen), status=job.seen["status"]
                    )
            await asyncio.sleep(LOOK_SECONDS)


def _row(bars: Progress, job: _Sent) -> TaskID:
    return bars.add_task(job.title, total=100, path=job.path, status="queued")


def _percent(seen: dict[str, Any]) -> float:
    if seen["status"] == "completed":
        return 100.0
    progress = seen.get("progress")
    return float(progress) if isinstance(progress, (int, float)) else 0.0


def _show(jobs: list[_Sent], *, json: bool) -> None:
    if json:
        print_json([job.seen | {"title": job.title, "request": job.path} for job in jobs])
        return
    for job in jobs:
        console.print(f"\n[bold]{job.title}[/bold]  {job.queue} job {job.id}: {job.seen['status']}")
        console.print_json(data=job.seen.get("result") or {"failedReason": job.seen.get("failedReason")})
