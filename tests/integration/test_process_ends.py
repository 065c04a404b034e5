"""Children that die, are killed, are replaced, and how many there are."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import process_jobs
import pytest
from dead_processes import gone
from process_jobs import Page, declare
from running_worker import MakeQueue, StartWorker, drain

from corral import JobFailed, Queue, Retry, Unrecoverable
from corral.errors import ProcessDied
from eventually import eventually

ONCE = Retry(attempts=1)
TWICE = Retry(attempts=2, backoff="fixed", delay=0)


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
        await eventually(partial(gone, pid))


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
        await eventually(partial(gone, pid))


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
        await eventually(partial(gone, int(pid)))


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
        await eventually(partial(gone, int(pid)))
    await eventually(lambda: running.worker._pool.busy == 0)


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
