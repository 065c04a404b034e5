"""Workers of the queue `notification` that are killed at a chosen step of a job.

Started as a program: it keeps two forked workers running until its own end. A job named `sms-marker` has its
process killed (SIGKILL, by itself) right after the step `marker`, the first time it comes there.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import redis

from corral import JobContext, Worker, current_job
from corral.providers.http import ProviderClient
from corral.queues.notification import queue
from corral.queues.notification_sms import GAVE_UP, MARKER, RESULT

WORKERS = 2


def main() -> None:
    queue.concurrency = 1
    after(ProviderClient, "send", lambda client, method, *_, **__: provider_step(client.name, method))
    after(JobContext, "checkpoint", lambda _, values: checkpoint_step(values))
    children: set[int] = set()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(end(children)))
    while True:
        while len(children) < WORKERS:
            child = os.fork()
            if child == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                work()
            children.add(child)
        children.discard(os.wait()[0])


def work() -> None:
    parent = os.getppid()

    async def run() -> None:
        task = asyncio.create_task(Worker(queue).run())
        while os.getppid() == parent and not task.done():
            await asyncio.sleep(0.2)
        os._exit(1)

    asyncio.run(run())


def end(children: set[int]) -> int:
    for child in children:
        os.kill(child, signal.SIGKILL)
    return 0


def provider_step(name: str, method: str) -> str:
    return {"supabase GET": "looked-up", "twilio POST": "sent"}.get(f"{name} {method}", "")


def checkpoint_step(values: dict[str, Any]) -> str:
    if values.get(RESULT):
        return "result"
    return "marker" if values.get(MARKER) else "gave-up" if values.get(GAVE_UP) else ""


def after(owner: Any, name: str, step: Callable[..., str]) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    async def passing(*args: Any, **kwargs: Any) -> Any:
        result = await original(*args, **kwargs)
        job = current_job()
        if job is not None and job.id == f"sms-{step(*args, **kwargs)}" and ledger().sadd("killed", job.id):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, passing)


@functools.cache
def ledger() -> redis.Redis:
    return redis.Redis.from_url(os.environ["LEDGER_URL"], decode_responses=True)


if __name__ == "__main__":
    main()
