"""Corral's worker: python -m bench.sides.corral_worker <redis url> <concurrency> [noop|stamp|fail-once|sleep]

The first line on stdin starts it; each later one is answered with the lag of its loop and the locks it lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import MutableMapping
from typing import Any

import structlog
import uvloop

from bench.sides.recorder import record
from corral import JobContext, Keep, Queue, Retention, Retry, Worker

SLEEP_SECONDS = 2.0
#: As Node's monitor: how much longer than this a timer takes.
LAG_EVERY_SECONDS = 0.01


class LostLocks:
    """Counts what the log says of locks; takes the place of the log."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self.count += event["event"] == "lock_lost"
        return event


lost = LostLocks()


async def noop(_: JobContext, __: dict[str, Any]) -> None:
    pass


async def stamp(_: JobContext, data: dict[str, Any]) -> None:
    record(data.get("sent", 0))


async def fail_once(job: JobContext, _: dict[str, Any]) -> None:
    record()
    if job.attempt == 1:
        raise ValueError("as asked")


async def sleep(_: JobContext, __: dict[str, Any]) -> None:
    record()
    await asyncio.sleep(SLEEP_SECONDS)


HANDLERS = {"noop": noop, "stamp": stamp, "fail-once": fail_once, "sleep": sleep}


async def sample_lag(lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_SECONDS
        await asyncio.sleep(LAG_EVERY_SECONDS)
        lags.append(loop.time() - due)


def answer(lags: list[float]) -> None:
    """In a thread that nobody waits for: reading stdin cannot be cancelled."""
    while sys.stdin.readline():
        found = sorted(lags.copy()) or [0.0]
        p99 = max(0.0, found[min(len(found) - 1, len(found) * 99 // 100)]) * 1e3
        print(json.dumps({"lag_p99_ms": p99, "lost": lost.count}), flush=True)


async def main(url: str, concurrency: int, kind: str) -> None:
    queue = Queue(
        "bench", redis_url=url, prefix="bull", retry=Retry(attempts=1), retention=Retention(Keep(), Keep())
    )

    queue.job("noop")(HANDLERS[kind])
    print('{"ready": true}', flush=True)
    sys.stdin.readline()
    worker = Worker(queue, concurrency=concurrency)
    if kind != "sleep":
        await worker.run()
        return
    lags: list[float] = []
    threading.Thread(target=answer, args=(lags,), daemon=True).start()
    sampling = asyncio.create_task(sample_lag(lags))
    await worker.run()
    sampling.cancel()


if __name__ == "__main__":
    structlog.configure(
        processors=[lost, structlog.dev.ConsoleRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,  # as `configure_logs`
    )
    uvloop.run(main(sys.argv[1], int(sys.argv[2]), [*sys.argv[3:], "noop"][0]))
