"""The supervisor over real processes and real signals. The children are tiny scripts that keep a diary."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import structlog
from supervised import BOUND, Diary, gone, running, until

from corral.errors import ConfigurationError
from corral.worker.supervise import ChildHealth, Supervisor

#: Writes "ready <pid>" into its diary, then behaves. Its ways: see the match statement.
CHILD = """
import os, signal, sys, time

diary, way = sys.argv[1], sys.argv[2]

def write(word):
    fd = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{word} {os.getpid()}\\n".encode())
    os.close(fd)

def lives():
    return len([line for line in open(diary) if line.startswith("ready")])

def leave(number, frame):
    write("asked" if way == "stubborn" else "stopped")
    if way != "stubborn":
        os._exit(0)

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, leave)
write("ready")
match way:
    case "crash once" if lives() == 1:
        sys.exit(3)
    case "empty":
        sys.exit(0)
    case "crash, then empty":
        sys.exit(3 if lives() == 1 else 0)
    case "misconfigured":
        sys.stderr.write("CORRAL_LOCK_SECONDS: must be above zero\\n")
        sys.exit(78)
    case "last one misconfigured" if lives() == 3:
        sys.exit(78)
while True:
    time.sleep(60)
"""


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


def command(diary: Diary, way: str) -> list[str]:
    return [sys.executable, "-S", "-c", CHILD, str(diary.path), way]


async def test_it_runs_as_many_as_it_was_told_and_stops_them(diary: Diary) -> None:
    supervisor = Supervisor(command(diary, "steady"), 3, 30)
    async with running(supervisor) as run:
        pids = await diary.lines("ready", 3)
        assert len(set(pids)) == 3
        health = supervisor.health()
        assert sorted(child["pid"] or 0 for child in health) == sorted(pids)
        assert all(child["restarts"] == 0 and child["alive_since"] for child in health)
        supervisor.stop()
        assert await run == 0
    assert sorted(diary.pids("stopped")) == sorted(pids)
    assert gone(pids)
    assert supervisor.health() == [ChildHealth(pid=None, restarts=0, alive_since=None)] * 3


async def test_what_dies_is_restarted_and_the_others_stay(diary: Diary) -> None:
    supervisor = Supervisor(command(diary, "steady"), 2, 30)
    async with running(supervisor):
        first, second = await diary.lines("ready", 2)
        with structlog.testing.capture_logs() as events:
            os.kill(first, signal.SIGKILL)
            third = (await diary.lines("ready", 3))[2]
        await until(lambda: {child["pid"] for child in supervisor.health()} == {second, third})
        assert sorted(child["restarts"] for child in supervisor.health()) == [0, 1]
        died = [event for event in events if event["event"] == "worker_process_died"]
        assert [(e["pid"], e["ended_by"], e["delay_seconds"]) for e in died] == [(first, "SIGKILL", 0.5)]


async def test_an_exit_that_nobody_asked_for_is_a_death_too(diary: Diary) -> None:
    """An operator may end a worker with SIGTERM to have a fresh one."""
    async with running(Supervisor(command(diary, "steady"), 1, 30)):
        (first,) = await diary.lines("ready", 1)
        os.kill(first, signal.SIGTERM)
        await diary.lines("ready", 2)
    assert len(diary.pids("stopped")) == 2


async def test_stop_does_not_wait_for_a_restart(diary: Diary) -> None:
    supervisor = Supervisor(command(diary, "crash once"), 1, 30)
    async with running(supervisor) as run:
        with structlog.testing.capture_logs() as events:
            await until(lambda: any(event["event"] == "worker_process_died" for event in events))
        supervisor.stop()
        assert await run == 0
    assert len(diary.pids("ready")) == 1


async def test_stop_before_run_starts_nothing(diary: Diary) -> None:
    supervisor = Supervisor(command(diary, "steady"), 2, 30)
    supervisor.stop()
    assert await supervisor.run() == 0
    assert diary.pids("ready") == []


async def test_what_does_not_stop_is_killed_after_the_grace_time(diary: Diary) -> None:
    supervisor = Supervisor(command(diary, "stubborn"), 2, 0.1, margin_seconds=0.1)
    async with running(supervisor) as run:
        pids = await diary.lines("ready", 2)
        with structlog.testing.capture_logs() as events:
            supervisor.stop()
            assert await run == 1
    assert gone(pids)
    assert sorted(e["pid"] for e in events if e["event"] == "worker_process_killed") == sorted(pids)


async def test_a_drained_worker_is_not_restarted(diary: Diary) -> None:
    assert await Supervisor(command(diary, "empty"), 2, 30, until_empty=True).run() == 0
    assert len(diary.pids("ready")) == 2


async def test_a_worker_that_crashes_while_draining_starts_again(diary: Diary) -> None:
    assert await Supervisor(command(diary, "crash, then empty"), 1, 30, until_empty=True).run() == 0
    assert len(diary.pids("ready")) == 2


async def test_a_configuration_error_stops_all(diary: Diary) -> None:
    async with running(Supervisor(command(diary, "last one misconfigured"), 3, 30)) as run:
        assert await run == 78
    pids = diary.pids("ready")
    assert len(pids) == 3
    assert gone(pids)


async def test_a_command_that_cannot_be_run_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no-such-program cannot be run: No such file"):
        await Supervisor([str(tmp_path / "no-such-program")], 2, 30).run()


async def test_a_program_that_vanishes_ends_the_others_too(diary: Diary, tmp_path: Path) -> None:
    program = tmp_path / "worker"
    program.write_text(f"#!{sys.executable}\n{CHILD}")
    program.chmod(0o755)
    run = asyncio.create_task(Supervisor([str(program), str(diary.path), "steady"], 2, 30).run())
    first, second = await diary.lines("ready", 2)
    program.unlink()
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ConfigurationError, match="cannot be run"):
        async with asyncio.timeout(BOUND):
            await run
    assert diary.pids("stopped") == [second]


async def test_cancelled_it_stops_its_children_first(diary: Diary) -> None:
    run = asyncio.create_task(Supervisor(command(diary, "steady"), 2, 30).run())
    pids = await diary.lines("ready", 2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(diary.pids("stopped")) == sorted(pids)


async def test_children_get_the_environment_that_is_given(diary: Diary, tmp_path: Path) -> None:
    text = "import os, sys; sys.exit(0 if os.environ.get('REDIS_PASSWORD') == 'example' else 78)"
    child = [sys.executable, "-S", "-c", text]
    given = {**os.environ, "REDIS_PASSWORD": "example"}
    assert await Supervisor(child, 1, 30, until_empty=True, env=given).run() == 0
    assert await Supervisor(child, 1, 30, until_empty=True).run() == 78


SUPERVISOR = """
import asyncio, sys
from corral.worker.supervise import Supervisor

loop_factory = None
if sys.argv[1] == "uvloop":
    import uvloop
    loop_factory = uvloop.new_event_loop

async def main():
    return await Supervisor(sys.argv[2:], 2, 30).run()

with asyncio.Runner(loop_factory=loop_factory) as runner:
    sys.exit(runner.run(main()))
"""


@contextlib.asynccontextmanager
async def own_process(
    diary: Diary, way: str, loop: str = "asyncio"
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A supervisor in a process of its own, in a session of its own, as a terminal starts it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SUPERVISOR,
        loop,
        *command(diary, way),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(BOUND):
            yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_all_in_order(diary: Diary, number: signal.Signals, loop: str) -> None:
    async with own_process(diary, "steady", loop) as supervisor:
        pids = await diary.lines("ready", 2)
        supervisor.send_signal(number)
        assert await supervisor.wait() == 0
        assert sorted(diary.pids("stopped")) == sorted(pids)
        assert gone(pids)


async def test_sigterm_twice_still_gives_the_grace_time(diary: Diary) -> None:
    """A process manager may send it to the whole group and to the supervisor alone."""
    async with own_process(diary, "stubborn") as supervisor:
        pids = await diary.lines("ready", 2)
        supervisor.send_signal(signal.SIGTERM)
        await diary.lines("asked", 2)
        supervisor.send_signal(signal.SIGTERM)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            await until(partial(gone, [pid]))
        assert await supervisor.wait() == 0, "1 if it had killed one itself"


async def test_ctrl_c_twice_kills_at_once(diary: Diary) -> None:
    async with own_process(diary, "stubborn") as supervisor:
        pids = await diary.lines("ready", 2)
        os.killpg(supervisor.pid, signal.SIGINT)
        await diary.lines("asked", 2)
        os.killpg(supervisor.pid, signal.SIGINT)
        assert await supervisor.wait() == 1
        assert gone(pids)


async def test_the_message_of_a_configuration_error_reaches_the_terminal(diary: Diary) -> None:
    async with own_process(diary, "misconfigured") as supervisor:
        _, errors = await supervisor.communicate()
        assert supervisor.returncode == 78
        assert b"CORRAL_LOCK_SECONDS: must be above zero" in errors


ORPHAN = """
import asyncio, os
from corral.worker.supervise import until_orphaned

parent = os.getppid()
print("ready", flush=True)
asyncio.run(until_orphaned(parent))
print("orphaned", flush=True)
"""


async def test_a_child_learns_that_its_supervisor_was_killed() -> None:
    between = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", between, ORPHAN, stdout=subprocess.PIPE
    )
    assert parent.stdout
    async with asyncio.timeout(BOUND):
        assert await parent.stdout.readline() == b"ready\n"
        parent.kill()
        rest, _ = await parent.communicate()
        assert rest == b"orphaned\n"
