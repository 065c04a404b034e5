"""Workers of the queue `notification` that are killed at a chosen step of a job.

Started as a program: it keeps two forked workers running until its own end. A job named `sms-marker` has its
process killed (SIGKILL, by itself) right after the step `marker`, the first time it comes there.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable
from typing import Any

from forked import keep_running, ledger

from corral import JobContext, current_job
from corral.providers.http import ProviderClient
from corral.queues.notification import queue
from corral.queues.notification_sms import GAVE_UP, MARKER, RESULT

WORKERS = 2


def main() -> None:
    after(ProviderClient, "send", lambda client, method, *_, **__: provider_step(client.name, method))
    after(JobContext, "checkpoint", lambda _, values: checkpoint_step(values))
    keep_running(queue, WORKERS)


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


if __name__ == "__main__":
    main()
