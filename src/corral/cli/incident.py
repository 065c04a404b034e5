"""`corral demo --incident`: the whole service in trouble, for who wants to see what an operator sees.

The hour before it is written into the statistics; the incident itself is real: jobs go over HTTP to workers,
the sandbox answers as with a revoked key, the breaker opens, jobs are held, alerts fire, dead letters gather.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2

from corral.bullmq import depths, statistics
from corral.bullmq.connection import shared_client
from corral.cli.incident_story import (
    BURSTS,
    CALM,
    MINUTES,
    PAST,
    RELEASE,
    RELEASED_MINUTES_AGO,
    REVOKED,
    STREAMS,
    Stream,
    depths_of,
    jobs_of,
    minutes_of,
)
from corral.cli.stack import Stack
from corral.queues import built_in
from corral.worker.autoscale import Bounds


def troubled(data_dir: Path, api_port: int, dashboard_port: int) -> Stack:
    """The service that will have the incident."""
    os.environ.setdefault("CORRAL_ENVIRONMENT", "demo")
    os.environ.setdefault("CORRAL_RELEASE", RELEASE)
    os.environ.setdefault("CORRAL_ALERT_SECONDS", "2")
    return Stack(
        data_dir=data_dir,
        host="127.0.0.1",
        api_port=api_port,
        dashboard_port=dashboard_port,
        processes=Bounds(least=1, most=2),
        sandbox=True,
        own_key=True,
        quiet=True,
        # A dashboard reads once what was: it must be there before.
        prepare=_write_the_hour_before,
    )


@contextlib.asynccontextmanager
async def unfolding(stack: Stack) -> AsyncIterator[None]:
    """The incident goes on for as long as this is open."""
    story = asyncio.create_task(_unfold(stack))
    try:
        yield
    finally:
        story.cancel()
        await asyncio.gather(story, return_exceptions=True)


async def _write_the_hour_before() -> None:
    """Through the statistics' own writer, at the time of each minute. Seven round trips a minute."""
    queues = list(built_in().values())
    keys = {queue.name: queue.keys() for queue in queues}
    client, prefix = shared_client(queues[0].address()), queues[0].keys().prefix
    now = int(time.time() * 1000)
    minutes = {past: minutes_of(past) for past in PAST}
    depth = {keys[past.queue]: depths_of(past) for past in PAST}
    for number in range(MINUTES):
        at = now - (MINUTES - number) * statistics.MINUTE.ms
        counted = []
        for past, entries in minutes.items():
            await client.incrby(keys[past.queue].id, entries[number].counts["arrived"])
            counted.append(statistics.counted(keys[past.queue], {past.name: entries[number]}, {}, ()))
        await statistics.write(client, prefix, "incident", number + 1, counted, now_ms=at)
        await depths.write(client, {queue: history[number] for queue, history in depth.items()}, at)
    released = now - RELEASED_MINUTES_AGO * statistics.MINUTE.ms
    await statistics.note_release(client, prefix, os.environ["CORRAL_RELEASE"], released)


async def _unfold(stack: Stack) -> None:
    headers = {"Authorization": f"Bearer {stack.key}"}
    async with (
        httpx2.AsyncClient(base_url=stack.api.url, headers=headers, trust_env=False) as api,
        httpx2.AsyncClient(base_url=stack.sandbox_url or "", trust_env=False) as sandbox,
        asyncio.TaskGroup() as streams,
    ):
        for stream in STREAMS:
            streams.create_task(_flow(api, stream))
        await asyncio.sleep(CALM)
        (await sandbox.post("/faults", json=REVOKED)).raise_for_status()
        for stream in BURSTS:
            await _send(api, stream, 0)


async def _flow(api: httpx2.AsyncClient, stream: Stream) -> None:
    number = 0
    while True:
        number += 1
        # What cannot be added is somebody else's incident: the next one may be.
        with contextlib.suppress(httpx2.HTTPError):
            await _send(api, stream, number)
        await asyncio.sleep(stream.every)


async def _send(api: httpx2.AsyncClient, stream: Stream, number: int) -> None:
    await api.post(f"/v1/queues/{stream.queue}/jobs/bulk", json={"jobs": jobs_of(stream, number)})
