"""The worker's side: `python -m corral.worker.process bench.soak.handlers:queue`.

SOAK_LEDGER is the ledger's folder, SOAK_VERSION the release: it knows its own job name and those before it.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from bench.soak.ledger import Ledger, Run
from bench.soak.numbers import QUEUE, Kind, job_name, kind, work_seconds
from corral import JobContext, Keep, Queue, Retention, Retry, Unrecoverable

ledger = Ledger(Path(os.environ["SOAK_LEDGER"]), "work")

queue = Queue(
    QUEUE,
    retry=Retry(attempts=3, backoff="fixed", delay=0.5),
    retention=Retention(completed=Keep(count=500), failed=Keep()),
    concurrency=30,
)


async def count(job: JobContext, data: dict[str, int]) -> int:
    """Its beginning and its effect are rows of the ledger. What fails has no effect."""
    number, began, process = data["n"], time.time(), os.getpid()
    ledger.begun(Run(number, job.id, job.attempt, process, began))
    if kind(number) is Kind.HOPELESS:
        raise Unrecoverable(f"number {number} is hopeless")
    if kind(number) is Kind.WOBBLY and job.attempt == 1:
        raise ValueError(f"number {number} fails once")
    await asyncio.sleep(work_seconds(number))
    ledger.effect(Run(number, job.id, job.attempt, process, began, time.time()))
    return number


for version in range(1, int(os.environ["SOAK_VERSION"]) + 1):
    queue.job(job_name(version))(count)
