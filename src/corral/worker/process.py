"""One worker process, as the supervisor starts it: `python -m corral.worker.process …`.

It runs its queues until SIGTERM and, once a second, writes its health and what it has counted to files that
the supervisor reads.
Exit codes: 0 stopped or drained, 78 a configuration error (the supervisor does not try again), else 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import structlog
import uvloop

from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError, CorralError, InvalidInput, RedisUnavailable
from corral.observe.counting import numbers_of
from corral.observe.logs import configure_logs
from corral.observe.process_folder import NumbersFile
from corral.observe.traces import configure_traces, flush_traces
from corral.worker.restarts import EXIT_CONFIGURATION, EXIT_UNAVAILABLE
from corral.worker.supervise import until_orphaned
from corral.worker.target import load_worker
from corral.worker.worker import Worker

log = structlog.get_logger(__name__)

HEALTH_SECONDS = 1.0

#: How long threads and tasks that are left get to end.
LEFT_SECONDS = 1.0


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    configure_logs(json=options.json_logs or None, level=logging.ERROR if options.quiet else None)
    configure_traces("corral-worker")
    try:
        worker = load_worker(options.target, options.queues, options.concurrency)
        worker.replaces = options.replaces
        # What is loaded by now stays: the collector need not look through it again and again. With thousands
        # of jobs under way (a queue of batches) that is a fifth of the process's time.
        gc.collect()
        gc.freeze()
        uvloop.run(
            _run(worker, options.supervisor, until_empty=options.until_empty, health_dir=options.health_dir)
        )
    except (ConfigurationError, InvalidInput) as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_CONFIGURATION
    except RedisUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_UNAVAILABLE
    except CorralError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="corral worker process")
    parser.add_argument("target", nargs="?")
    parser.add_argument("--queues", type=lambda text: [q for q in text.split(",") if q], default=[])
    parser.add_argument("--concurrency", type=int, default=20)
    parser.add_argument("--until-empty", action="store_true")
    parser.add_argument("--health-dir", type=Path)
    parser.add_argument("--supervisor", type=int, default=os.getppid(), help="its process; gone: stop")
    parser.add_argument("--replaces", default="", help="in whose place it starts, and why")
    parser.add_argument("--json-logs", action="store_true")
    parser.add_argument("--quiet", action="store_true")
    return parser


async def _run(worker: Worker, supervisor: int, *, until_empty: bool, health_dir: Path | None) -> None:
    beside = [asyncio.create_task(_stop_when_orphaned(worker, supervisor))]
    if health_dir:
        beside.append(asyncio.create_task(_report(worker, health_dir)))
    try:
        await worker.run(until_empty=until_empty)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await _close_providers()
        await close_shared_clients()
    await _end_others()


async def _end_others() -> None:
    """The loop would wait for a handler that ignores its cancellation, for as long as it does."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others and (await asyncio.wait(others, timeout=LEFT_SECONDS))[1]:
        log.warning("task_left_behind")  # its job went back to the queue
        _exit_now(0)


async def _close_providers() -> None:
    """Only if a handler has used them: a worker of somebody's own queues never loads them."""
    loaded = sys.modules.get("corral.providers")
    if loaded is not None:
        await loaded.close_providers()


async def _stop_when_orphaned(worker: Worker, supervisor: int) -> None:
    """A supervisor that was killed can tell nobody; its children must not go on unseen."""
    await until_orphaned(supervisor)
    log.warning("supervisor_gone", worker=worker.name)
    worker.stop()


async def _report(worker: Worker, folder: Path) -> None:
    """Written by the event loop itself: a loop that stands still stops writing, and that is the alarm."""
    path = folder / f"{worker.name}.json"
    draft = path.with_suffix(".tmp")
    numbers = NumbersFile(folder)
    try:
        while True:
            report = worker.health() | {"written_at": time.time()}
            draft.write_text(json.dumps(report))
            draft.replace(path)
            numbers.write(numbers_of(worker))
            await asyncio.sleep(HEALTH_SECONDS)
    finally:
        with contextlib.suppress(OSError):
            path.unlink()
        with contextlib.suppress(OSError):
            numbers.write(numbers_of(worker))  # stays, for the supervisor to add to what ended processes did


def _leave(code: int) -> NoReturn:
    """End the process. Python would wait for a handler's thread, for as long as that takes."""
    limit = time.monotonic() + LEFT_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith("corral-job"):
            thread.join(max(0.0, limit - time.monotonic()))
    if any(thread.name.startswith("corral-job") for thread in threading.enumerate()):
        log.warning("thread_left_behind")  # its job went back to the queue
        _exit_now(code)
    sys.exit(code)


def _exit_now(code: int) -> NoReturn:
    flush_traces()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _leave(main())
