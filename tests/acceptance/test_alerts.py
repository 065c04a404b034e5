"""A provider stops while three processes of different kinds evaluate: one alert, one end, whoever dies."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from service import PATIENCE, corral, environment
from workers import CHILDREN

from corral import Queue
from corral.breakers import Breakers
from corral.bullmq.connection import close_shared_clients
from corral.bullmq.keys import alert_keys
from corral.hook_settings import parse_secrets
from corral.observe.alerts.desk import Alerts
from corral.providers.standard_webhooks import verified
from corral.settings import Settings
from eventually import eventually
from hook_receiver import Got, Receiver, receiving
from redis_process import RedisProcess

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#: Only what this is about: a busy machine may make jobs stall or wait.
RULES = (
    "breaker-open.keep=0, waiting=off, oldest-waiting=off, no-workers=off, stalled=off, persistence-off=off"
)
KEYS = alert_keys("bull")
KINDS = {
    "run": ["alerts", "run"],
    "worker": ["worker", "breaker_jobs:queue"],
    "api": ["api", "--port", "0"],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess("--appendonly", "yes", "--dir", str(tmp_path))
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made
    await close_shared_clients()


@contextmanager
def processes(kinds: list[str], **env: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """`corral …` processes by kind, ended with SIGTERM at the end; each that was not killed ends with 0."""
    started = {
        kind: subprocess.Popen(
            [sys.executable, "-m", "corral", *KINDS[kind]], cwd=CHILDREN, env=environment(**env)
        )
        for kind in kinds
    }
    try:
        yield started
        for process in started.values():
            process.send_signal(signal.SIGTERM)
        for kind, process in started.items():
            assert process.wait(PATIENCE) in (0, -signal.SIGKILL), kind
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def alerts_at(receiver: Receiver) -> list[tuple[str, str, str]]:
    return [
        (body["type"], body["data"]["rule"], body["data"]["subject"])
        for body in (got.json() for got in receiver.got)
    ]


async def test_a_stopped_provider_is_told_once_and_its_end_once(
    server: RedisProcess, receiver: Receiver, tmp_path: Path
) -> None:
    env = {
        "REDIS_URL": server.url,
        "LEDGER_URL": f"{server.url}/1",
        "CORRAL_API_KEYS": "ops:admin-key-000000001:admin",
        "CORRAL_BREAKER_PROBE_SECONDS": "0.3",
        "CORRAL_ALERT_SECONDS": "0.3",
        "CORRAL_ALERT_TO": "log,webhook",
        "CORRAL_ALERT_RULES": RULES,
        "CORRAL_ALERT_WEBHOOK_URL": f"{receiver.url}/hook",
        "CORRAL_ALERT_WEBHOOK_SECRET": SECRET,
    }
    leader = leader_of(server)
    with processes(["run", "worker", "api"], **env) as running:
        await eventually(leader, PATIENCE)
        async with Queue("calls", redis_url=server.url, prefix="bull") as queue:
            await queue.add_many("call", [None] * 20)
        await eventually(lambda: receiver.got, PATIENCE)
        await eventually(nothing_to_send(server), PATIENCE)

        # The leader dies as a killed process does, and its lease runs out; the test does not wait for that.
        pid = leader()
        killed = next(process for process in running.values() if process.pid == pid)
        killed.kill()
        killed.wait()
        server.client.delete(KEYS.lease)
        successor = await eventually(lambda: leader() not in (0, pid) and leader(), PATIENCE)
        await further_looks(server)
        assert alerts_at(receiver) == [("alert.fired", "breaker-open", "acme")]

        # The provider is repaired; whoever leads leaves in peace, and the last one tells the end.
        next(process for process in running.values() if process.pid == successor).terminate()
        await eventually(lambda: leader() not in (0, pid, successor), PATIENCE)
        if killed is running["worker"] or successor == running["worker"].pid:
            await Breakers(server.url, "bull").resume("acme")  # nobody is left to probe
        else:
            server.client.execute_command("SELECT", 1)
            server.client.set("acme", "well")
            server.client.execute_command("SELECT", 0)
        await eventually(lambda: len(receiver.got) > 1, PATIENCE)
        await further_looks(server)

    assert alerts_at(receiver) == [
        ("alert.fired", "breaker-open", "acme"),
        ("alert.resolved", "breaker-open", "acme"),
    ]
    assert all(is_signed(got) for got in receiver.got)
    assert server.client.exists(KEYS.lease) == 0
    history = corral("alerts", "history", "--json", cwd=tmp_path, **env)
    assert [f'"kind":"{kind}"' in history.stdout for kind in ("fired", "resolved")] == [True, True]


def leader_of(server: RedisProcess) -> Callable[[], int]:
    """The pid of who leads; 0: nobody does."""

    def pid() -> int:
        token = server.client.get(KEYS.lease)
        return int(token.split(":")[1]) if token else 0

    return pid


def nothing_to_send(server: RedisProcess) -> Callable[[], Any]:
    """What was sent is noted: who is killed before that leaves it to be sent once more."""
    desk = Alerts(Settings(_env_file=None, redis_url=server.url, prefix="bull"))

    async def noted() -> bool:
        channels = (await desk.state()).channels
        return bool(channels) and all(channel.sent and not channel.waiting for channel in channels)

    return noted


async def further_looks(server: RedisProcess) -> None:
    """Three looks that began after now."""
    desk = Alerts(Settings(_env_file=None, redis_url=server.url, prefix="bull"))
    for _ in range(3):
        before = (await desk.state()).evaluated_at or 0.0

        async def later(before: float = before) -> Any:
            return ((await desk.state()).evaluated_at or 0.0) > before

        await eventually(later, PATIENCE)


def is_signed(got: Got) -> bool:
    return verified(parse_secrets("x", SECRET), got.headers, got.body, time.time())
