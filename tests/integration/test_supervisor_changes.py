"""More and fewer processes, quiet and drained ones, successors: over real processes that keep a diary."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import structlog
from supervised import BOUND, Diary, gone, running, until

from corral.worker import recycle, supervise
from corral.worker.recycle import Limits, Recycler
from corral.worker.supervise import Supervisor

#: Writes its health as a worker does. SIGUSR2: it ends when the file `open` is there.
CHILD = """
import json, os, pathlib, signal, sys, time

folder = pathlib.Path(sys.argv[1])
wishes = set()

def write(word):
    fd = os.open(folder / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{word} {os.getpid()}\\n".encode())
    os.close(fd)

def wish(number, frame):
    wishes.add(number)
    write({signal.SIGUSR1: "quiet", signal.SIGUSR2: "drain", signal.SIGTERM: "stopped"}[number])

signal.signal(signal.SIGINT, signal.SIG_IGN)
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
    signal.signal(number, wish)
write("ready")
while signal.SIGTERM not in wishes and not (signal.SIGUSR2 in wishes and (folder / "open").exists()):
    done = folder / f"jobs-{os.getpid()}"
    report = {"pid": os.getpid(), "ok": not (folder / "unwell").exists(), "written_at": time.time()}
    report["jobs"] = int(done.read_text()) if done.exists() else 0
    draft = folder / f"{os.getpid()}.tmp"
    draft.write_text(json.dumps(report))
    draft.rename(folder / f"{os.getpid()}.json")
    time.sleep(0.02)
write("ended")
"""


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def supervisor(folder: Path, processes: int, **options: Any) -> Supervisor:
    command = [sys.executable, "-S", "-c", CHILD, str(folder)]
    return Supervisor(command, processes, 30, **options)


def let_go(folder: Path) -> None:
    (folder / "open").touch()


async def test_it_grows_and_shrinks_by_draining_the_youngest(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 1)
    async with running(boss) as run:
        (first,) = await diary.lines("ready", 1)
        boss.scale_to(3)
        pids = await diary.lines("ready", 3)
        assert (boss.processes, boss.wanted) == (3, 1)  # the new ones may still be starting
        boss.scale_to(1)
        assert sorted(await diary.lines("drain", 2)) == sorted(set(pids) - {first})
        assert boss.processes == 1
        assert diary.pids("ended") == []  # they end their jobs
        let_go(tmp_path)
        await until(lambda: gone(pids[1:]))
        await until(lambda: len(boss.health()) == 1)
        assert not gone([first])
        boss.stop()
        assert await run == 0
    assert len(diary.pids("ready")) == 3
    assert diary.pids("stopped") == [first]


async def test_a_process_counts_as_wanted_once_it_had_time_to_start(
    tmp_path: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    boss = supervisor(tmp_path, 1)
    assert boss.wanted == 1
    async with running(boss):
        await diary.lines("ready", 1)
        boss.scale_to(2)
        await diary.lines("ready", 2)
        assert boss.wanted == 1
        monkeypatch.setattr(supervise, "STARTING_SECONDS", -1.0)
        assert boss.wanted == 2
        boss.scale_to(1)
        assert boss.wanted == 1
        boss.stop()
        assert boss.wanted == 0


async def test_growing_again_while_one_drains_starts_a_new_one(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2)
    async with running(boss):
        await diary.lines("ready", 2)
        boss.scale_to(1)
        (draining,) = await diary.lines("drain", 1)
        boss.scale_to(2)
        pids = await diary.lines("ready", 3)
        assert not gone([draining])
        assert boss.processes == 2
        let_go(tmp_path)
        await until(lambda: gone([draining]))
    assert len(pids) == len(diary.pids("ready")) == 3


async def test_a_draining_process_that_is_killed_is_not_started_again(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2)
    async with running(boss):
        await diary.lines("ready", 2)
        boss.scale_to(1)
        (draining,) = await diary.lines("drain", 1)
        with structlog.testing.capture_logs() as events:
            os.kill(draining, signal.SIGKILL)
            await until(lambda: len(boss.health()) == 1)
    assert len(diary.pids("ready")) == 2
    drained = [event for event in events if event["event"] == "worker_process_drained"]
    assert [(event["pid"], event["ended_by"]) for event in drained] == [(draining, "SIGKILL")]


async def test_one_that_drains_for_too_long_is_stopped(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2, drain_seconds=0.1)
    async with running(boss):
        await diary.lines("ready", 2)
        boss.scale_to(1)
        assert await diary.lines("stopped", 1) == await diary.lines("drain", 1)


async def test_sigterm_while_it_grows_and_shrinks_stops_all(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2)
    async with running(boss) as run:
        await diary.lines("ready", 2)
        boss.scale_to(1)
        boss.scale_to(4)
        await diary.lines("drain", 1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await run == 0
        boss.scale_to(8)
    assert gone(diary.pids("ready"))


async def test_to_nothing_at_all_it_does_not_scale(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2)
    async with running(boss):
        await diary.lines("ready", 2)
        boss.scale_to(0)
        assert boss.processes == 1


async def test_quiet_reaches_all_and_nothing_is_started_until_the_end(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2)
    async with running(boss) as run:
        pids = await diary.lines("ready", 2)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert sorted(await diary.lines("quiet", 2)) == sorted(pids)
        boss.scale_to(4)
        os.kill(pids[0], signal.SIGKILL)
        await until(lambda: boss.wanted == 1)
        assert not run.done()
        boss.stop()
        assert await run == 0
    assert len(diary.pids("ready")) == 2
    assert diary.pids("stopped") == [pids[1]]


async def test_drained_as_a_whole_it_ends_when_all_have_ended(tmp_path: Path, diary: Diary) -> None:
    boss = supervisor(tmp_path, 2)
    async with running(boss) as run:
        await diary.lines("ready", 2)
        os.kill(os.getpid(), signal.SIGUSR2)
        await diary.lines("drain", 2)
        assert not run.done()
        let_go(tmp_path)
        assert await run == 0


def did(folder: Path, pid: int, jobs: int) -> None:
    (folder / "draft").write_text(str(jobs))
    (folder / "draft").rename(folder / f"jobs-{pid}")


async def test_after_so_many_jobs_the_successor_comes_first(tmp_path: Path, diary: Diary) -> None:
    recycler = Recycler(Limits(jobs=100), tmp_path, interval_seconds=0.02)
    boss = supervisor(tmp_path, 1, beside=[recycler.run])
    async with running(boss):
        (old,) = await diary.lines("ready", 1)
        did(tmp_path, old, 99)
        did(tmp_path, old, 100)
        assert await diary.lines("drain", 1) == [old]
        _, new = await diary.lines("ready", 2)
        words = [line.split()[0] for line in diary.path.read_text().splitlines()]
        assert words == ["ready", "ready", "drain"]
        assert boss.processes == 1
        let_go(tmp_path)
        await until(lambda: [child["pid"] for child in boss.health()] == [new])


async def test_a_successor_that_is_never_well_leaves_the_old_one_at_work(
    tmp_path: Path, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recycle, "READY_SECONDS", 0.3)
    let_go(tmp_path)
    recycler = Recycler(Limits(jobs=1), tmp_path, interval_seconds=0.02)
    boss = supervisor(tmp_path, 1, beside=[recycler.run])
    async with running(boss):
        (old,) = await diary.lines("ready", 1)
        (tmp_path / "unwell").touch()
        did(tmp_path, old, 1)
        await until(lambda: len(boss.health()) == 2)
        await until(lambda: [child["pid"] for child in boss.health()] == [old])


async def test_over_its_memory_a_process_is_replaced(tmp_path: Path, diary: Diary) -> None:
    recycler = Recycler(Limits(memory_mb=0.1), tmp_path, interval_seconds=0.02)
    boss = supervisor(tmp_path, 1, beside=[recycler.run])
    async with running(boss):
        (old, *_) = await diary.lines("ready", 2)
        assert (await diary.lines("drain", 1))[0] == old


async def test_a_report_that_is_old_says_nothing(tmp_path: Path) -> None:
    for pid, age in ((1, 0), (2, 60)):
        report = {"pid": pid, "written_at": time.time() - age}
        (tmp_path / f"{pid}.json").write_text(json.dumps(report))
    (tmp_path / "3.json").write_text(json.dumps({"written_at": time.time()}))
    assert set(recycle.fresh_reports(tmp_path)) == {1}


async def test_what_runs_beside_ends_with_the_run(tmp_path: Path, diary: Diary) -> None:
    ended = asyncio.Event()

    async def beside(_: Supervisor) -> None:
        try:
            await asyncio.sleep(BOUND)
        finally:
            ended.set()

    async with running(supervisor(tmp_path, 1, beside=[beside])):
        await diary.lines("ready", 1)
    assert ended.is_set()
