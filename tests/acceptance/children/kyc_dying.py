"""Workers of the KYC queue that are killed at a chosen step of a job.

Started as a program: it loads everything once and then keeps WORKERS forked workers running, each with one
job at a time, until its own end. A job named `…-7` has its process killed (SIGKILL, by itself) at its seventh
boundary, counted over all its runs; `…-0` never. Steps are the calls to a provider, the checkpoints and the
message to the user. A boundary lies after each of them, where it is at once before the next, and before the
first. The names of what was passed are kept in Redis, so that a test can see that none is missing.
"""

from __future__ import annotations

import functools
import os
import re
import signal
from typing import Any

from forked import keep_running, ledger

from corral import JobContext, current_job
from corral.providers.http import ProviderClient
from corral.queues import kyc_idenfy, kyc_onfido, notification
from corral.queues.kyc_verification import queue
from corral.queues.kyc_waits import Polling

WORKERS = 3

_IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}")


def main() -> None:
    kyc_onfido.POLLING = Polling(first=0.05, longest=0.1)
    kyc_idenfy.IDENFY_WAIT = 0.1  # type: ignore[attr-defined]  # imported there
    hook(ProviderClient, "send", lambda self, method, path, **_: f"{self.name} {method} {path}")
    hook(JobContext, "checkpoint", lambda _, values: "checkpoint " + ",".join(values))
    hook(type(notification.queue), "add", lambda *_, **__: "notification")
    keep_running(queue, WORKERS)


def hook(owner: Any, name: str, label: Any) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    async def passing(*args: Any, **kwargs: Any) -> Any:
        what = _IDS.sub("*", label(*args, **kwargs))
        boundary("", first=True)
        result = await original(*args, **kwargs)
        boundary(what)
        return result

    setattr(owner, name, passing)


def boundary(what: str, *, first: bool = False) -> None:
    job = current_job()
    if job is None or (first and ledger().exists(f"passed:{job.id}")):
        return
    passed = ledger().rpush(f"passed:{job.id}", what)
    if str(passed) == job.id.rpartition("-")[2]:
        ledger().rpush("killed", f"{job.id} {what}")
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
