"""Handlers in child processes: data, results, errors and everything a handler can ask for cross over."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import process_jobs
import psutil
import pytest
from process_jobs import Page, declare
from running_worker import MakeQueue, StartWorker, drain

from corral import JobFailed, Queue, Retry, Unrecoverable
from corral.errors import ConfigurationError, InvalidData, ProcessDied
from corral.worker.processes.pool import ProcessPool
from eventually import eventually

ONCE = Retry(attempts=1)
TWICE = Retry(attempts=2, backoff="fixed", delay=0)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


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


async def _has_status(job: Any, status: str) -> bool:
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


@pytest.mark.parametrize(
    ("kind", "cause"),
    [("segfault", "signal SIGSEGV"), ("exit", "exit code 7"), ("kill", "signal SIGKILL")],
)
async def test_a_death_costs_an_attempt_and_the_pool_heals(
    kind: str, cause: str, make_queue: MakeQueue
) -> None:
    queue = make_queue(retry=TWICE)
    declare(queue, process_jobs.crash)
    job = await queue.add("crash", kind)
    await drain(queue, processes=1)
    assert await job.result(timeout=10) == "healed"
    await job.refresh()
    assert job.attempts_made == 2
    assert cause in job.stacktrace[0]
    assert "ProcessDied" in job.stacktrace[0]


async def test_the_last_death_is_the_reason(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.crash)
    job = await queue.add("crash", "exit")
    await drain(queue, processes=1)
    with pytest.raises(JobFailed, match=f"process of job {job.id} is gone: it died of exit code 7"):
        await job.result(timeout=10)


async def test_a_memory_hog_is_killed(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.hog, process_jobs.pid)
    job = await queue.add("hog", 400)
    after = await queue.add("pid")
    await drain(queue, processes=1, max_child_memory_mb=300)
    await job.refresh()
    assert job.status == "failed"
    assert "over its limit of 300 MB" in str(job.failed_reason)
    assert await after.result(timeout=10) > 0


async def test_a_child_that_keeps_memory_is_replaced(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.leak, process_jobs.pid)
    leaked = await queue.add("leak", 250)
    after = await queue.add("pid")
    await drain(queue, processes=1, max_child_memory_mb=400)
    assert await leaked.result(timeout=10) != await after.result(timeout=10)


async def test_children_are_replaced_after_their_number_of_jobs(queue: Queue) -> None:
    declare(queue, process_jobs.pid)
    jobs = await queue.add_many("pid", [None] * 7)
    await drain(queue, processes=1, max_jobs_per_child=3)
    runs = Counter([await job.result(timeout=10) for job in jobs])
    assert sorted(runs.values()) == [1, 3, 3]


async def test_a_busy_loop_that_ignores_sigterm_is_killed(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(retry=ONCE, timeout=1.5)
    declare(queue, process_jobs.busy)
    job = await queue.add("busy", str(tmp_path / "pids"))
    await drain(queue, processes=1)
    await job.refresh()
    assert job.status == "failed"
    assert "took longer than its time limit" in str(job.failed_reason)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2  # the handler's own child as well
    for pid in pids:
        await eventually(lambda pid=pid: gone(pid))


async def test_a_polite_handler_may_clean_up(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(retry=ONCE, timeout=1.0)
    declare(queue, process_jobs.polite)
    await queue.add("polite", str(tmp_path / "said"))
    await drain(queue, processes=1)
    assert (tmp_path / "said").read_text() == "cleaned"


async def test_waiting_for_a_child_does_not_count_against_the_time_limit(
    make_queue: MakeQueue, start_worker: StartWorker, tmp_path: Path
) -> None:
    first, second = make_queue(retry=ONCE, timeout=60), make_queue(retry=ONCE, timeout=60)
    declare(first, process_jobs.wait_for_file)
    declare(second, process_jobs.whoami)
    holds = await first.add("wait_for_file", str(tmp_path / "go"))
    running = await start_worker(first, second, processes=1).ready()
    await eventually(lambda: running.worker._pool.busy == 1)
    waits = await second.add("whoami")
    feed = running.worker._feeds[1]
    await eventually(lambda: feed.running == 1)
    slot = feed._slots.running()[0]
    assert slot.deadline is None  # it has no child yet
    began = time.time()
    (tmp_path / "go").write_text("gone")
    assert await holds.result(timeout=20) == "gone"
    assert (await waits.result(timeout=20))["deadline"] >= began + 60


async def test_a_worker_fetches_no_more_than_its_children_can_run(
    make_queue: MakeQueue, start_worker: StartWorker, tmp_path: Path
) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.wait_for_file)
    jobs = await queue.add_many("wait_for_file", [str(tmp_path / "go")] * 5)
    running = await start_worker(queue, concurrency=20, processes=2).ready()
    pool = running.worker._pool
    await eventually(lambda: pool.busy == 2)
    assert (await queue.counts())["waiting"] == 3
    assert running.feeds[0].limit == 2
    (tmp_path / "go").write_text("gone")
    assert [await job.result(timeout=20) for job in jobs] == ["gone"] * 5
    await eventually(lambda: pool.busy == 0)
    pids = pool.pids()
    assert len(pids) == 2
    await running.stop()
    for pid in pids:
        await eventually(lambda pid=pid: gone(pid))


async def test_a_sigterm_to_everything_leaves_the_grace_time_to_running_jobs(
    make_queue: MakeQueue, start_worker: StartWorker, tmp_path: Path
) -> None:
    """As service managers send it when they stop a service."""
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.wait_for_file)
    job = await queue.add("wait_for_file", str(tmp_path / "go"))
    running = start_worker(queue, processes=1)
    pool = running.worker._pool
    await eventually(lambda: pool.busy)
    for pid in pool.pids():
        os.kill(pid, signal.SIGTERM)
    running.worker.stop()
    (tmp_path / "go").write_text("gone")
    await running.task
    assert await job.result(timeout=20) == "gone"


async def test_a_queue_with_other_handlers_too_keeps_its_slots(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.pid)

    @queue.job("thread")
    def thread(job: Any) -> int:
        return os.getpid()

    running = await start_worker(queue, concurrency=9, processes=1).ready()
    assert running.worker._feeds[0].limit == 9
    jobs = [await queue.add(name) for name in ("pid", "thread") * 5]
    pids = [await job.result(timeout=20) for job in jobs]
    assert set(pids[1::2]) == {os.getpid()}
    assert set(pids[::2]) == running.worker._pool.pids()


async def test_two_hundred_jobs_through_two_children(queue: Queue) -> None:
    declare(queue, process_jobs.double, process_jobs.pid)
    pages = await queue.add_many("double", [Page(n) for n in range(200)])
    pids = await queue.add_many("pid", [None] * 20)
    await drain(queue, processes=2)
    assert [(await job.result(timeout=10)).page_number for job in pages] == [2 * n for n in range(200)]
    assert len({await job.result(timeout=10) for job in pids}) <= 2


async def test_the_end_of_the_grace_time_kills_and_puts_back(
    make_queue: MakeQueue, start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_GRACE_SECONDS", "0.1")
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.busy)
    job = await queue.add("busy", str(tmp_path / "pids"))
    running = start_worker(queue, processes=1)
    await eventually((tmp_path / "pids").exists)
    await running.stop()
    await job.refresh()
    assert (job.status, job.attempts_made) == ("waiting", 0)
    for pid in (tmp_path / "pids").read_text().split():
        await eventually(lambda pid=pid: gone(int(pid)))


async def test_a_lost_lock_kills_the_child(
    make_queue: MakeQueue,
    start_worker: StartWorker,
    tmp_path: Path,
    redis: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "0.6")
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.busy)
    job = await queue.add("busy", str(tmp_path / "pids"))
    running = start_worker(queue, processes=1)
    await eventually((tmp_path / "pids").exists)
    await redis.set(f"bull:{queue.name}:{job.id}:lock", "another worker's")
    for pid in (tmp_path / "pids").read_text().split():
        await eventually(lambda pid=pid: gone(int(pid)))
    await eventually(lambda: running.worker._pool.busy == 0)


async def test_handlers_that_a_process_cannot_import(queue: Queue) -> None:
    def local(job: Any) -> None:
        return None

    with pytest.raises(ConfigurationError, match="top of a module"):
        queue.job("local", isolation="process")(local)
    with pytest.raises(ConfigurationError, match="isolation='fork'"):
        queue.job("other", isolation="fork")(process_jobs.pid)  # type: ignore[arg-type]
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


async def test_a_child_that_is_stopped_and_killed_while_idle_is_replaced(
    make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=ONCE)
    declare(queue, process_jobs.pid)
    start_worker(queue, processes=1)
    first = await (await queue.add("pid")).result(timeout=20)
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: gone(first))
    assert await (await queue.add("pid")).result(timeout=20) != first


def test_died_is_no_unrecoverable() -> None:
    assert not issubclass(ProcessDied, Unrecoverable)
