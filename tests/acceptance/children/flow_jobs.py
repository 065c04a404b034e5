"""Parents and children in two queues: parents of flows, and parents that add their children themselves."""

from __future__ import annotations

import asyncio

from corral import JobContext, Queue, Retention, Retry

RETRY = Retry(attempts=3, backoff="fixed", delay=0.1)

pages = Queue("pages", retry=RETRY, retention=Retention(), concurrency=10)
reports = Queue("reports", retry=RETRY, retention=Retention(), concurrency=10)
queues = [reports, pages]


@pages.job("render")
async def render(job: JobContext, data: int) -> int:
    await asyncio.sleep(0.03)
    return data


@reports.job("build")
async def build(job: JobContext) -> int:
    await asyncio.sleep(0.03)
    return sum((await job.children_values()).values())


@reports.job("grow")
async def grow(job: JobContext, data: int) -> int:
    for number in range(data):
        await job.add_child(pages, "render", number)
        await asyncio.sleep(0.01)
    await job.wait_for_children()
    await job.add_child(pages, "render", 100)
    await job.wait_for_children()
    return sum((await job.children_values()).values())
