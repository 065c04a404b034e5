"""Handlers in child processes: data, results, errors and everything a handler can ask for cross over."""

from __future__ import annotations

import os
import time
from typing import Any

import process_jobs
import pytest
from process_jobs import Page, declare
from running_worker import MakeQueue, StartWorker, drain

from corral import Job, Queue, Retry
from corral.errors import ConfigurationError, InvalidData
from corral.worker.processes.pool import ProcessPool
from eventually import eventually

ONCE = Retry(attempts=1)
TWICE = Retry(attempts=2, backoff="fixed", delay=0)


async def test_data_and_result_cross_with_their_types(queue: Queue) -> None:
    declare(queue, process_jobs.double, process_jobs.doubled_later)
    typed = await queue.add("double", Page(21))
    later = await queue.add("doubled_later", Page(4))
    await drain(queue, processes=2)
    assert await typed.result(timeout=10) == Page(42)
    assert await later.result(timeout=10) == 8
    assert (await later.refresh()).progress == 50
    assert await later.logs() == ["half way"]


async def test_a_handler_knows_who_it_is(make_queue: MakeQueue, capfd: pytest.CaptureFixture[str]) -> None:
    queue = make_queue(retry=Retry(attempts=3), timeout=500)
    declare(queue, process_jobs.whoami)
    before = time.time()
    job = await queue.add("whoami", {"x": 1})
    await drain(queue, processes=1)
    told = await job.result(timeout=10)
    assert (told["id"], told["name"], told["queue"]) == (job.id, "whoami", queue.name)
    assert (told["attempt"], told["attempts"], told["data"]) == (1, 3, {"x": 1})
    assert before - 1 < told["enqueued"] < time.time()
    assert before + 500 <= told["deadline"] <= time.time() + 500
    assert told["pid"] == told["group"] != os.getpid()
    printed = capfd.readouterr()
    assert "a print of a handler" in printed.err  # standard output belongs to results
    assert "a print of a handler" not in printed.out


async def test_progress_logs_and_checkpoints_outlive_the_attempt(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=TWICE)
    declare(queue, process_jobs.talk)
    job = await queue.add("talk")
    await drain(queue, processes=1)
    assert await job.result(timeout=10) == {"attempt": 1, "steps": [1, 2]}
    assert (await job.refresh()).progress == {"percent": 10}
    assert await job.logs() == ["first row", "first row"]


@pytest.mark.parametrize("handler", [process_jobs.approval, process_jobs.approval_in_a_group])
async def test_a_durable_wait_frees_the_child(
    handler: Any, make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, handler, process_jobs.pid)
    waiting = await queue.add(handler.__name__)
    start_worker(queue, processes=1)
    await eventually(lambda: _has_status(waiting, "delayed"))
    assert await (await queue.add("pid")).result(timeout=20) > 0
    assert await queue.signal("approval", {"by": "ops"})
    assert await waiting.result(timeout=20) == {"by": "ops"}
    assert (await waiting.refresh()).attempts_made == 1


async def _has_status(job: Job, status: str) -> bool:
    return (await job.refresh()).status == status


async def test_a_wait_times_out_in_the_child(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.impatient)
    job = await queue.add("impatient")
    start_worker(queue, processes=1)
    assert await job.result(timeout=20) == "Signal 'never' did not come in time."


@pytest.mark.parametrize(
    ("kind", "attempts", "reason", "name"),
    [
        ("odd", 2, "1 and 2 do not go together", "process_jobs.Odd"),
        ("unrecoverable", 1, "nothing helps", "Unrecoverable"),
        ("subclass", 1, "nothing helps here either", "Hopeless"),
        ("exit", 2, "3", "SystemExit"),
        ("interrupt", 2, "KeyboardInterrupt", "KeyboardInterrupt"),
        ("group", 2, "two things (2 sub-exceptions)", "ExceptionGroup"),
        ("result", 1, "The handler's return value cannot be kept.", "Unrecoverable"),
    ],
)
async def test_errors_keep_their_meaning(
    kind: str, attempts: int, reason: str, name: str, make_queue: MakeQueue
) -> None:
    queue = make_queue(retry=TWICE)
    declare(queue, process_jobs.raises)
    job = await queue.add("raises", kind)
    await drain(queue, processes=1)
    await job.refresh()
    assert (job.status, job.attempts_made) == ("failed", attempts)
    assert job.failed_reason is not None
    assert job.failed_reason.startswith(reason)
    assert len(job.stacktrace) == attempts
    assert name in job.stacktrace[-1]
    assert "in raises" in job.stacktrace[-1] or kind == "result"  # the frames of the other process


async def test_retry_after_and_snooze_keep_theirs(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))
    declare(queue, process_jobs.raises)
    later, snooze = [await queue.add("raises", kind) for kind in ("later", "snooze")]
    start_worker(queue, processes=1)
    assert await later.result(timeout=20) == 2
    assert await snooze.result(timeout=20) == 1


async def test_data_that_does_not_fit_is_refused_in_the_child(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=TWICE)
    producer = Queue(queue.name, redis_url=str(queue.address().url))
    job = await producer.add("double", {"pageNumber": "many"})
    declare(queue, process_jobs.double)
    await drain(queue, processes=1)
    await job.refresh()
    assert (job.status, job.attempts_made) == ("failed", 1)
    assert "pageNumber" in str(job.failed_reason)
    with pytest.raises(InvalidData):
        await queue.add("double", {"pageNumber": "many"})


async def test_handlers_that_a_process_cannot_import(queue: Queue) -> None:
    def local(job: Any) -> None:
        return None

    with pytest.raises(ConfigurationError, match="top of a module"):
        queue.job("local", isolation="process")(local)
    with pytest.raises(ConfigurationError, match="isolation='fork'"):
        queue.job("other", isolation="fork")(process_jobs.pid)  # type: ignore[arg-type]  # the slip under test
    assert queue.jobs == {}


@pytest.mark.parametrize(
    ("module", "said"), [("__main__", "script that was started"), ("os", "on top of its other")]
)
async def test_a_worker_does_not_start_with_handlers_it_cannot_find(
    module: str, said: str, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(queue, process_jobs.pid)
    monkeypatch.setattr(process_jobs.pid, "__module__", module)
    with pytest.raises(ConfigurationError, match=said):
        await drain(queue)


def test_numbers_of_a_pool_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="processes=0"):
        ProcessPool(0)
    with pytest.raises(ConfigurationError, match="max_child_memory_mb"):
        ProcessPool(1, max_memory_mb=-1)
