"""`corral demo`: the whole service started, real jobs sent over HTTP, their progress and results shown."""

from __future__ import annotations

import asyncio
import logging
import secrets
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import uvloop
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from corral.cli.demo_jobs import FAULTS, DemoJob, demo_jobs
from corral.cli.incident import troubled, unfolding
from corral.cli.output import console, errors, print_json
from corral.cli.stack import Stack
from corral.cli.up import announce
from corral.errors import CorralError, RedisUnavailable
from corral.observe.logs import configure_logs
from corral.worker.autoscale import Bounds

#: A check in the sandbox takes about two seconds; a cold machine gets plenty.
LIMIT_SECONDS = 120.0

#: How the incident ends.
_REPAIR = "Give it back with `curl -X DELETE {}/faults`, then press 'Test key and resume'."

#: Between two looks at the jobs.
LOOK_SECONDS = 0.15


def demo(
    *,
    data_dir: Path | None = None,
    api_port: int = 0,
    incident: bool = False,
    dashboard_port: int = 3002,
    json: bool = False,
) -> int:
    """Start everything, send real jobs over HTTP, show them until they end, print their results.

    Parameters
    ----------
    data_dir: where the server's data and the images are kept (default: .corral/demo; with --incident a folder
        that is removed at the end)
    api_port: port of the HTTP API; 0 takes a free one
    incident: show a service in trouble instead, with its dashboard, until Ctrl-C
    dashboard_port: port of that dashboard; 0 takes a free one
    json: print the results as one JSON document; with --incident where things listen
    """
    if incident:
        return uvloop.run(_suffer(data_dir, api_port, dashboard_port, json=json))
    configure_logs(json=json or None, level=30)  # warnings: the progress bars are the story here
    jobs = demo_jobs()
    folder = data_dir or Path(".corral/demo")
    uvloop.run(_demonstrate(folder, api_port, jobs, quiet=json))
    _show(jobs, json=json)
    if not json:
        console.print(f"\nThe pictures are in {folder / 'images'}.")
        console.print(
            "Next: `corral up` (in a clone: `make up`) starts the same with a dashboard, to stay.",
            soft_wrap=True,
        )
    return 0 if all(job.as_expected for job in jobs) else 1


async def _suffer(folder: Path | None, api_port: int, dashboard_port: int, *, json: bool) -> int:
    configure_logs(json=json or None, level=logging.ERROR)  # the page tells the story
    with tempfile.TemporaryDirectory(prefix="corral-incident-") as own:
        stack = troubled(folder or Path(own), api_port, dashboard_port)
        async with stack, unfolding(stack):
            announce(stack, json=json)
            if not json:
                errors.print(
                    f"Onfido's key is refused after a few seconds. {_REPAIR.format(stack.sandbox_url)}"
                )
            return await stack.workers.run()


async def _demonstrate(folder: Path, api_port: int, jobs: list[DemoJob], *, quiet: bool) -> None:
    stack = Stack(
        data_dir=folder,
        host="127.0.0.1",
        api_port=api_port,
        processes=Bounds(least=1, most=1),
        sandbox=True,
        own_key=True,
        quiet=True,
        watch=False,
    )
    async with stack:
        await _ready(stack.api.url)
        errors.print(f"[bold]Corral is up[/bold] at {stack.api.url}, key {stack.key}")
        errors.print(
            "[yellow]Sandbox mode:[/yellow] providers and example.com are local stand-ins; nothing is real."
        )
        workers = asyncio.create_task(stack.workers.run())
        try:
            headers = {"Authorization": f"Bearer {stack.key}"}
            async with httpx2.AsyncClient(base_url=stack.api.url, headers=headers) as client:
                await _arrange_faults(stack.sandbox_url)
                await asyncio.gather(*(_send(client, job) for job in jobs))
                await _follow(client, jobs, workers, quiet=quiet)
        finally:
            stack.workers.stop()
            await workers


async def _ready(api: str) -> None:
    """Raise RedisUnavailable where REDIS_URL leads nowhere. Outages after that are waited for."""
    async with httpx2.AsyncClient(base_url=api, trust_env=False) as client:
        if (await client.get("/readyz")).status_code == 503:
            raise RedisUnavailable(
                "Redis did not answer. Is it running, and is REDIS_URL its address? "
                "Without REDIS_URL the demo starts a server of its own."
            )


async def _arrange_faults(sandbox_url: str | None) -> None:
    async with httpx2.AsyncClient(base_url=sandbox_url or "", trust_env=False) as sandbox:
        for fault in FAULTS:
            (await sandbox.post("/faults", json=fault)).raise_for_status()


async def _send(client: httpx2.AsyncClient, job: DemoJob) -> None:
    once = {"Idempotency-Key": secrets.token_urlsafe(12)}
    limit = time.monotonic() + LIMIT_SECONDS
    while True:
        response = await client.post(job.path, json=job.data, headers=once)
        if response.status_code != 503 or time.monotonic() > limit:
            break
        await asyncio.sleep(
            LOOK_SECONDS
        )  # a machine so busy that Redis was too slow: asked again, added once
    if response.status_code != 202:
        raise CorralError(f"POST {job.path} answered {response.status_code}: {response.text}")
    job.id = response.json()["jobId"]


async def _follow(
    client: httpx2.AsyncClient, jobs: list[DemoJob], workers: asyncio.Task[int], *, quiet: bool
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
                    if answer.status_code == 503:
                        continue
                    job.seen = answer.raise_for_status().json()
                    bars.update(
                        rows[job.id + job.queue], completed=_percent(job.seen), status=job.seen["status"]
                    )
            await asyncio.sleep(LOOK_SECONDS)


def _row(bars: Progress, job: DemoJob) -> TaskID:
    return bars.add_task(job.title, total=100, path=job.path, status="queued")


def _percent(seen: dict[str, Any]) -> float:
    if seen["status"] == "completed":
        return 100.0
    progress = seen.get("progress")
    return float(progress) if isinstance(progress, (int, float)) else 0.0


def _show(jobs: list[DemoJob], *, json: bool) -> None:
    if json:
        print_json([job.seen | {"title": job.title, "request": job.path} for job in jobs])
        return
    for job in jobs:
        attempts = job.seen.get("attemptsMade", 0)
        how = f"{job.seen['status']}, attempt {attempts}" if attempts > 1 else job.seen["status"]
        console.print(f"\n[bold]{job.title}[/bold]  {job.queue} job {job.id}: {how}")
        if job.story:
            console.print(f"[dim]{job.story}[/dim]")
        console.print_json(data=job.seen.get("result") or {"failedReason": job.seen.get("failedReason")})
    _summarise(jobs)


def _summarise(jobs: list[DemoJob]) -> None:
    counts = Counter(job.seen["status"] for job in jobs)
    retried = sum(job.seen.get("attemptsMade", 0) > 1 for job in jobs)
    console.print(
        f"\n{len(jobs)} jobs on {len({job.queue for job in jobs})} queues: {counts['completed']} completed, "
        f"{retried} of them after a failed attempt; {counts['failed']} in the dead letters.",
        soft_wrap=True,
    )
    if all(job.as_expected for job in jobs):
        console.print("All of it as planned, the failures too.")
    for job in jobs:
        if not job.as_expected:
            errors.print(f"[red]{job.title}: {job.seen['status']} instead of {job.expected}.[/red]")
