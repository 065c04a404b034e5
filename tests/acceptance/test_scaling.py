"""`corral worker` with real processes: it grows and shrinks, replaces, goes quiet; every job is done once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import psutil
import pytest
from service import PATIENCE, corral, environment, until
from workers import CHILDREN, Ledger, counts

from corral import Queue
from corral.bullmq.connection import close_shared_clients
from redis_process import RedisProcess

#: Short objectives and rests, so that a test sees in seconds what takes minutes otherwise.
QUICK = {
    "CORRAL_SCALE_DRAIN_SECONDS": "1.5",
    "CORRAL_SCALE_INTERVAL_SECONDS": "0.3",
    "CORRAL_SCALE_UP_SECONDS": "0.5",
    "CORRAL_SCALE_DOWN_SECONDS": "1",
}


@pytest.fixture(scope="module")
def started_server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def server(started_server: RedisProcess) -> RedisProcess:
    started_server.client.flushall()
    return started_server


async def add(server: RedisProcess, jobs: int) -> None:
    queue = Queue("ledger", redis_url=server.url, prefix="bull")
    await queue.add_many("work", [{"n": n} for n in range(jobs)], remove_on_complete=False)
    await queue.close()
    await close_shared_clients()


class Supervised:
    """A running `corral worker`, and its log as it comes."""

    def __init__(self, process: subprocess.Popen[str], env: dict[str, str]) -> None:
        self.process = process
        self.env = env
        self.log: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stderr or ():
            with contextlib.suppress(ValueError):
                self.log.append(json.loads(line))

    def events(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line.get("event") == event]

    def pids(self) -> set[int]:
        """Worker processes that live."""
        with contextlib.suppress(psutil.Error):
            return {child.pid for child in psutil.Process(self.process.pid).children()}
        return set()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code


@contextlib.contextmanager
def supervised(server: RedisProcess, arguments: Sequence[str], **env: str) -> Iterator[Supervised]:
    env = {"REDIS_URL": server.url, "LEDGER_URL": f"{server.url}/1", **env}
    command = [sys.executable, "-m", "corral", "worker", "ledger_jobs:queue", "--json", *arguments]
    process = subprocess.Popen(
        command, cwd=CHILDREN, env=environment(**env), stderr=subprocess.PIPE, text=True
    )
    running = Supervised(process, env)
    try:
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        running._reader.join(PATIENCE)
        if process.stderr:
            process.stderr.close()


def completed(server: RedisProcess, jobs: int) -> None:
    until(lambda: counts(server), lambda seen: seen["completed"] == jobs)


def each_once(ledger: Ledger, jobs: int) -> bool:
    return ledger.done() == dict.fromkeys(range(jobs), 1)


async def test_a_spike_makes_it_grow_and_shrink_and_every_job_runs_once(
    server: RedisProcess, ledger: Ledger
) -> None:
    jobs = 400
    arguments = ["--processes", "1..3", "--concurrency", "2"]
    with supervised(server, arguments, WORK_SECONDS="0.05", **QUICK) as running:
        until(running.pids, lambda pids: len(pids) == 1)
        await add(server, jobs)
        until(running.pids, lambda pids: len(pids) == 3)
        completed(server, jobs)
        until(running.pids, lambda pids: len(pids) == 1)
        assert running.stop() == 0
    assert each_once(ledger, jobs)
    assert counts(server)["failed"] == 0
    scaled = running.events("workers_scaled")
    assert [line["after"] for line in scaled] == [2, 3, 2, 1]
    assert "ledger backlog" in scaled[0]["reason"]
    assert running.events("worker_process_killed") == running.events("worker_process_died") == []

    shown = corral("scaling", "--json", cwd=CHILDREN, **running.env)
    kept = [row for row in json.loads(shown.stdout) if not row["obstacle"]]
    assert [row["reason"] for row in reversed(kept)] == [line["reason"] for line in scaled]
    assert kept[-1]["inputs"]["ledger"]["waiting"] > 0


async def test_sigterm_while_it_grows(server: RedisProcess, ledger: Ledger) -> None:
    arguments = ["--processes", "1..4", "--concurrency", "2"]
    env = QUICK | {"WORK_SECONDS": "0.2", "CORRAL_GRACE_SECONDS": "20"}
    await add(server, 300)
    with supervised(server, arguments, **env) as running:
        until(lambda: running.events("workers_scaled"), bool)
        pids = running.pids()
        assert running.stop() == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    left = counts(server)
    assert left["active"] == 0
    assert left["completed"] + left["wait"] == 300
    done = ledger.done()
    assert len(done) == left["completed"]
    assert set(done.values()) == {1}


async def test_processes_replaced_after_so_many_jobs_keep_every_job(
    server: RedisProcess, ledger: Ledger
) -> None:
    jobs = 160
    arguments = ["--concurrency", "4", "--max-jobs-per-process", "50"]
    with supervised(server, arguments, WORK_SECONDS="0.05") as running:
        await add(server, jobs)
        until(lambda: running.events("worker_process_drained"), bool)
        completed(server, jobs)
        assert running.stop() == 0
    assert each_once(ledger, jobs)
    assert running.events("worker_process_died") == running.events("worker_process_killed") == []
    recycled = running.events("worker_process_recycled")
    assert recycled[0]["successor"] != recycled[0]["pid"]


def killed_while_it_drains(running: Supervised) -> bool:
    """Kill a process that drains, until one was hit before it had ended by itself."""
    for event in running.events("worker_process_draining"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(event["pid"], signal.SIGKILL)
    return any(event["ended_by"] == "SIGKILL" for event in running.events("worker_process_drained"))


async def test_one_replaced_for_its_memory_and_killed_while_it_drains_loses_no_job(
    server: RedisProcess, ledger: Ledger
) -> None:
    jobs = 24
    env = {"WORK_SECONDS": "1.5", "CORRAL_LOCK_SECONDS": "1", "CORRAL_STALLED_SECONDS": "1"}
    with supervised(server, ["--concurrency", "6", "--max-memory-mb", "1"], **env) as running:
        await add(server, jobs)
        until(lambda: killed_while_it_drains(running), bool)
        completed(server, jobs)
        assert running.events("worker_process_died") == []
    assert set(ledger.done()) == set(range(jobs))


async def test_quiet_by_command_and_then_stopped(server: RedisProcess, ledger: Ledger) -> None:
    jobs = 500
    with supervised(server, ["--processes", "2", "--concurrency", "2"], WORK_SECONDS="0.5") as running:
        await add(server, jobs)
        until(lambda: len(registered(server)), lambda alive: alive == 2)
        told = corral("worker", "--quiet", "all", "--json", cwd=CHILDREN, **running.env)
        assert len(json.loads(told.stdout)["workers"]) == 2
        until(lambda: counts(server)["active"], lambda active: active == 0)
        done = counts(server)["completed"]
        assert running.process.poll() is None
        assert running.stop() == 0
    assert 0 < done < jobs
    assert counts(server) | {"completed": done, "wait": jobs - done, "failed": 0} == counts(server)
    assert set(ledger.done().values()) == {1}


def registered(server: RedisProcess) -> list[dict[str, Any]]:
    """The workers as the registry has them."""
    names = server.client.smembers("corral:bull::workers")
    texts = [server.client.get(f"corral:bull::worker:{name}") for name in names]
    return [json.loads(text) for text in texts if text]
