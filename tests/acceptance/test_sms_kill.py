"""kill -9 at every step of a text message: it is never sent twice, and no job is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from service import environment, until

from corral import Queue, Retry, sandbox
from corral.bullmq.connection import close_shared_clients
from corral.sandbox.server import RunningSandbox
from redis_process import RedisProcess

CHILDREN = Path(__file__).parent / "children"
SETTINGS = {"CORRAL_SANDBOX": "1", "CORRAL_LOCK_SECONDS": "1", "CORRAL_STALLED_SECONDS": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def providers() -> Iterator[RunningSandbox]:
    with sandbox.serve(delay=0.0, public_url="http://127.0.0.1:1") as running:
        yield running


@contextmanager
def dying_workers(server: RedisProcess, url: str, folder: Path) -> Iterator[None]:
    env = environment(
        REDIS_URL=server.url, LEDGER_URL=f"{server.url}/1", CORRAL_SANDBOX_URL=url,
        CORRAL_PUBLIC_URL="http://127.0.0.1:1", **SETTINGS,
    )  # fmt: skip
    script = CHILDREN / "sms_dying.py"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, script], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


async def ends(server: RedisProcess, url: str, folder: Path, *steps: str) -> dict[str, tuple[str, str]]:
    """Run a job for each step with workers that die there. Returns each one's status and reason."""
    server.client.flushall()
    queue = Queue("notification", redis_url=server.url, prefix="bull")
    with dying_workers(server, url, folder):
        for step in steps:
            message = {"userId": "user-7", "type": "sms", "title": "Code", "body": step}
            retry = Retry(attempts=3, delays=(0.05,))
            await queue.add("send", message, job_id=f"sms-{step}", retry=retry)
        until(lambda: _ended(server), lambda count: count == len(steps), within=60)
    ledger = redis.Redis.from_url(f"{server.url}/1", decode_responses=True)
    assert ledger.smembers("killed") == {f"sms-{step}" for step in steps}
    ledger.close()
    found = {}
    for step in steps:
        job = await queue.get(f"sms-{step}")
        assert job is not None
        found[step] = (job.status or "", job.failed_reason or "")
    await queue.close()
    await close_shared_clients()
    return found


def _ended(server: RedisProcess) -> int:
    return sum(int(str(server.client.zcard(f"bull:notification:{s}"))) for s in ("completed", "failed"))


def texts(providers: RunningSandbox) -> list[str]:
    entries = providers.app.outbox.show("twilio")["entries"]
    return sorted(e["body"].partition("\n")[2] for e in entries if e["action"] == "sms")


async def test_a_worker_killed_at_any_step_never_texts_twice(
    server: RedisProcess, providers: RunningSandbox, tmp_path: Path
) -> None:
    found = await ends(server, providers.url, tmp_path, "looked-up", "marker", "sent", "result")
    assert {step: status for step, (status, _) in found.items()} == {
        "looked-up": "completed", "marker": "failed", "sent": "completed", "result": "completed",
    }  # fmt: skip
    # Between the marker and the message nobody can tell, so nobody sends it again.
    assert "may have been sent" in found["marker"][1]
    assert texts(providers) == ["looked-up", "result", "sent"]


async def test_a_worker_killed_while_it_gives_up_does_not_pass_for_a_persons_retry(
    server: RedisProcess, providers: RunningSandbox, tmp_path: Path
) -> None:
    providers.app.faults.add({"provider": "twilio", "fault": "drop", "path": "POST", "carried_out": False})
    found = await ends(server, providers.url, tmp_path, "gave-up")
    assert found["gave-up"][0] == "failed"
    assert "may have been sent" in found["gave-up"][1]
    assert texts(providers) == []
