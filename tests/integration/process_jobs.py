"""Handlers that run in child processes: a child imports this module by its name."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from corral import Queue, RetryAfter, Snooze, Unrecoverable
from corral.providers.errors import ProviderMisconfigured
from corral.tracing import trace_ids
from corral.worker.processes.context import AsyncProcessJobContext, ProcessJobContext


class Page(msgspec.Struct, rename="camel"):
    page_number: int


class Odd(ValueError):
    """An error of its own, with an attribute and a constructor that nobody else can call."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second} do not go together")
        self.first = first


def double(job: ProcessJobContext, data: Page) -> Page:
    return Page(data.page_number * 2)


async def doubled_later(job: AsyncProcessJobContext, data: Page) -> int:
    await asyncio.sleep(0)
    await asyncio.gather(job.progress(50), job.log("half way"))
    await job.checkpoint({"page": data.page_number})
    return int(job.checkpoints["page"]) * 2


def whoami(job: ProcessJobContext) -> dict[str, Any]:
    print("a print of a handler")  # noqa: T201  # what is printed is tested
    return {
        "id": job.id, "name": job.name, "queue": job.queue, "attempt": job.attempt, "attempts": job.attempts,
        "enqueued": job.enqueued_at, "deadline": job.deadline, "data": job.data, "pid": os.getpid(),
        "group": os.getpgrp(),
    }  # fmt: skip


def pid(job: ProcessJobContext) -> int:
    return os.getpid()


def talk(job: ProcessJobContext) -> dict[str, Any]:
    """Fails once after everything was said; the second attempt finds its checkpoint."""
    seen = job.checkpoints
    job.progress({"percent": 10})
    job.log("first row")
    job.checkpoint({"attempt": job.attempt, "steps": (1, 2)})
    if not seen:
        raise ConnectionError("try again")
    return seen


def approval(job: ProcessJobContext) -> Any:
    return job.wait_for("approval", timeout=60)


async def approval_in_a_group(job: AsyncProcessJobContext) -> Any:
    async with asyncio.TaskGroup() as group:
        waits = group.create_task(job.wait_for("approval", timeout=60))
    return waits.result()


def impatient(job: ProcessJobContext) -> str:
    try:
        job.wait_for("never", timeout=0.05)
    except TimeoutError as error:
        return str(error)
    return "it came"


def raises(job: ProcessJobContext, data: str) -> int:
    match data:
        case "odd":
            raise Odd(1, 2)
        case "unrecoverable":
            raise Unrecoverable("nothing helps")
        case "subclass":

            class Hopeless(Unrecoverable):
                """Only this function knows it."""

            raise Hopeless("nothing helps here either")
        case "later":
            if job.attempt == 1:
                raise RetryAfter(0.05, "not now")
            return job.attempt
        case "snooze":
            if not job.checkpoints:
                job.checkpoint({"slept": True})
                raise Snooze(0.05)
            return job.attempt
        case "exit":
            sys.exit(3)
        case "interrupt":
            raise KeyboardInterrupt
        case "group":
            raise ExceptionGroup("two things", [ValueError("one"), KeyError("two")])
        case "result":
            return object()  # type: ignore[return-value]  # no result can be that
    raise AssertionError(data)


def crash(job: ProcessJobContext, data: str) -> str:
    """Dies on its first attempt."""
    if job.attempt == 2:
        return "healed"
    match data:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def hog(job: ProcessJobContext, data: int) -> int:
    """Holds so many megabytes until it is stopped."""
    held = bytearray(os.urandom(1)) * (data * 2**20)
    while True:
        time.sleep(0.01)
        held[0] = 1


def leak(job: ProcessJobContext, data: int) -> int:
    """Keeps so many megabytes after its end."""
    globals()["kept"] = bytearray(b"x") * (data * 2**20)
    return os.getpid()


def busy(job: ProcessJobContext, data: str) -> None:
    """Does not let itself be stopped, and has a child of its own. Says who they are in the file `data`."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    _say(data, f"{os.getpid()} {helper.pid}")
    while True:
        pass


def polite(job: ProcessJobContext, data: str) -> None:
    """Cleans up when it is told to end."""
    _say(data, "started")
    try:
        time.sleep(600)
    finally:
        _say(data, "cleaned")


def wait_for_file(job: ProcessJobContext, data: str) -> str:
    while not Path(data).exists():
        time.sleep(0.005)
    return Path(data).read_text()


def native_loop(job: ProcessJobContext, data: str) -> None:
    """Keeps the interpreter's lock for ever: no Python thread of this process runs any more."""
    _say(data, str(os.getpid()))
    ctypes.PyDLL(None).sleep(600)


def _say(path: str, text: str) -> None:
    """Appears whole."""
    draft = Path(f"{path}.draft")
    draft.write_text(text)
    draft.replace(path)


def declare(queue: Queue, *handlers: Any) -> None:
    for handler in handlers:
        queue.job(handler.__name__, isolation="process")(handler)


def needs_acme(job: ProcessJobContext) -> None:
    raise ProviderMisconfigured("acme", "the key is wrong")


def trace_of(job: ProcessJobContext) -> str | None:
    found = trace_ids()
    return found[0] if found else None
