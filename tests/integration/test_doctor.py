"""The doctor at real servers, badly and well set, by the command and over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from http_service import ENQUEUE, READ, serving
from running_worker import StartWorker

from corral import Queue, Settings
from corral.bullmq import inspecting
from corral.bullmq.access import acl_rules
from corral.bullmq.connection import close_shared_clients
from corral.cli import main
from corral.doctor import Facts, examine, gather
from corral.doctor.machine import look_at_machine
from eventually import eventually
from redis_process import RedisProcess
from server_farm import SentinelFarm

SECRET = "m3Vq8xTz1Lr0Wc5Ypd7K"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: no `.env` but what a test writes."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def corral_doctor(*arguments: str, **settings: str) -> tuple[int, dict[str, Any]]:
    """The command in a process of its own. Returns its exit code and findings by check."""
    environ = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "HOME", "LANG")}
    command = [sys.executable, "-m", "corral", "doctor", "--json", *arguments]
    done = subprocess.run(command, env=environ | settings, capture_output=True, timeout=60, check=False)
    assert SECRET.encode() not in done.stdout + done.stderr
    answer = msgspec.json.decode(done.stdout)
    assert answer["exitCode"] == done.returncode
    return done.returncode, {finding["check"]: finding for finding in answer["findings"]}


@pytest.fixture
def bad() -> Iterator[RedisProcess]:
    server = RedisProcess("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def good(folder: Path) -> Iterator[RedisProcess]:
    server = RedisProcess(
        "--appendonly", "yes", "--dir", str(folder), "--requirepass", SECRET, "--maxmemory", "256mb",
        password=SECRET,
    )  # fmt: skip
    server.start()
    yield server
    server.stop()


def test_a_badly_set_server(bad: RedisProcess, folder: Path) -> None:
    client = bad.client
    client.hset("bull:reports:meta", "version", "bullmq:5.1.0")
    client.rpush("bull:reports:wait", "1", "2")
    client.hset("bull:email:meta", "opts.maxLenEvents", "10000")
    client.hset("bull:future:meta", "version", "bullmq:9.0.0")
    client.setrange("ballast", 40_000_000, "x")  # so that nothing is thrown away before we have looked
    client.config_set("maxmemory", int(client.info()["used_memory"] / 0.93))
    secrets = folder / ".env"
    secrets.write_text("CORRAL_API_KEYS=shop:changeme:admin\n")
    secrets.chmod(0o644)
    code, found = corral_doctor(REDIS_URL=bad.url, CORRAL_SANDBOX="1", CORRAL_LOCK_SECONDS="2")
    assert code == 1
    expected = {
        "persistence": ("failure", "loses every job", "appendonly yes"),
        "eviction": ("failure", "allkeys-lru", "noeviction"),
        "memory": ("failure", "adding jobs is about to fail", "more memory"),
        "password": ("warning", "lets everybody in", "requirepass"),
        "workers-alive": ("failure", "reports: no worker, while 2 wait", "corral worker"),
        "old-clients": ("warning", "reports: a BullMQ 5 client", "bullmq@6"),
        "layout": ("failure", "bullmq:9.0.0", "upgrade"),
        "api-keys": ("failure", "shop is an example's", "openssl"),
        "secret-files": ("failure", "everybody here may read .env", "chmod 600 .env"),
        "sandbox": ("failure", "no identity check", "CORRAL_SANDBOX=false"),
        "provider-keys": ("failure", "email holds its jobs", "SENDGRID_API_KEY"),
        "lock": ("warning", "2 s", "CORRAL_LOCK_SECONDS=30"),
    }
    for check, (status, words, remedy) in expected.items():
        finding = found[check]
        assert finding["status"] == status, finding
        assert words in finding["found"]
        assert remedy in finding["remedy"]
    assert found["clock"]["status"] == found["rights"]["status"] == "ok"
    left = set(client.keys("*"))
    assert left == {
        "ballast",
        "bull:reports:meta",
        "bull:reports:wait",
        "bull:email:meta",
        "bull:future:meta",
    }


def test_a_well_set_one(good: RedisProcess) -> None:
    good.client.hset("bull:analytics:meta", "version", "bullmq:6.7.0")
    code, found = corral_doctor(
        REDIS_URL=good.url,
        REDIS_PASSWORD=SECRET,
        CORRAL_API_KEYS=f"shop:{SECRET}:enqueue",
        CORRAL_PUBLIC_URL="https://jobs.example.com",
    )
    assert code == 0, found
    assert not [finding for finding in found.values() if finding["status"] == "failure"]
    for check in ("persistence", "eviction", "memory", "password", "version", "rights", "clock", "api-keys"):
        assert found[check]["status"] == "ok", found[check]
    assert "up to 2 s" in found["persistence"]["found"]


def test_strict_and_a_choice_of_checks(
    good: RedisProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good.client.config_set("appendfsync", "no")
    monkeypatch.setenv("REDIS_URL", good.url)
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    monkeypatch.setenv("COLUMNS", "150")

    def run(*arguments: str) -> tuple[Any, str]:
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments])
        return ended.value.code, capsys.readouterr().out

    code, out = run("--only", "persistence,lock")
    assert code == 0
    assert "CONFIG SET appendfsync everysec" in out
    assert "1 ok, 1 warning." in out
    code, out = run("--only", "persistence,lock", "--strict", "--quiet")
    assert code == 1
    assert "lock" not in out
    assert run("--only", "evictoin")[0] == 1


# In this process: what the command does not need for itself


async def looked(url: str, *, within: float = 5, **given: Any) -> Facts:
    try:
        return await gather(Settings(_env_file=None, redis_url=url, **given), {}, seconds=within)
    finally:
        await close_shared_clients()


def findings(facts: Facts) -> dict[str, Any]:
    return {finding.check: finding for finding in examine(facts).findings}


async def test_a_server_that_is_away_is_told_and_the_rest_is_checked() -> None:
    facts = await looked("redis://127.0.0.1:1")
    found = findings(facts)
    assert examine(facts).exit_code() == 1
    assert found["reachable"].status == "failure"
    assert "no connection" in found["reachable"].found
    assert found["eviction"].status == found["workers-alive"].status == "unknown"
    assert found["lock"].status == "ok"


async def test_a_name_that_nobody_knows_is_told() -> None:
    found = findings(await looked("redis://nowhere.invalid:6379"))
    assert found["reachable"].status == "failure"
    assert "no address here" in found["reachable"].found


async def test_a_server_that_hangs_does_not_hang_us(bad: RedisProcess) -> None:
    bad.freeze()
    facts = await looked(bad.url, within=0.3)
    assert "no answer in time" in findings(facts)["reachable"].found
    assert examine(facts).exit_code() == 1


async def test_a_wrong_password_is_no_absence(good: RedisProcess) -> None:
    found = findings(await looked(good.url, redis_password="wrong"))
    assert found["reachable"].status == "failure"
    assert "refuses user or password" in found["reachable"].found


async def test_a_user_who_may_ask_nothing_leaves_unknowns(bad: RedisProcess) -> None:
    rules = [*acl_rules("bull"), "-time"]
    bad.client.execute_command("ACL SETUSER", "corral", "reset", "on", f">{SECRET}", *rules)
    found = findings(await looked(f"redis://corral:{SECRET}@127.0.0.1:{bad.port}"))
    for check in ("version", "persistence", "persistence-works", "eviction", "memory", "replication"):
        assert found[check].status == "unknown", found[check]
        assert "may not run" in found[check].found
        assert "+info" in found[check].remedy
    assert found["clock"].status == found["workers-alive"].status == found["retention"].status == "unknown"
    assert found["reachable"].status == "ok"
    assert found["rights"].status == "failure"
    assert "+time" in found["rights"].found
    assert found["password"].status == "warning"  # the default user still lets everybody in


async def test_a_user_without_config_is_told_by_info(bad: RedisProcess) -> None:
    rules = [*acl_rules("bull"), "+scan", "+info", "+client|list"]
    bad.client.execute_command("ACL SETUSER", "corral", "reset", "on", f">{SECRET}", *rules)
    found = findings(await looked(f"redis://corral:{SECRET}@127.0.0.1:{bad.port}"))
    assert found["eviction"].status == "warning"
    assert "whether snapshots are written cannot be read" in found["persistence"].found
    assert found["rights"].status == "ok"
    assert found["workers-alive"].status == "note"


async def test_clocks_are_compared(bad: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    late = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() - 120)
    monkeypatch.setattr(inspecting, "time", late)
    clock = findings(await looked(bad.url))["clock"]
    assert clock.status == "failure"
    assert "behind Redis's" in clock.found


async def test_a_worker_is_seen(queue: Queue, redis_url: str, start_worker: StartWorker) -> None:
    @queue.job("build")
    async def build(job: Any, data: Any) -> None:
        return None

    await queue.add("build", None)
    start_worker(queue)

    async def one_worker() -> Any:
        facts = await gather(Settings(_env_file=None, redis_url=redis_url), {queue.name: queue})
        found = findings(facts)
        return found if found["workers-alive"].status == "warning" else None

    found = await eventually(one_worker)
    assert f"{queue.name}: one worker only" in found["workers-alive"].found
    assert found["worker-machines"].status == "note"


def test_this_machine_has_a_limit_of_open_files() -> None:
    files = look_at_machine().open_files
    assert files is not None
    assert files > 0


# Over HTTP


async def test_the_management_api_gives_the_same_report(redis_url: str) -> None:
    async with serving(redis_url) as service:
        assert (await service.http.get("/api/v1/doctor", headers=service.as_(ENQUEUE))).status_code == 403
        answer = await service.http.get("/api/v1/doctor", headers=service.as_(READ))
        assert answer.status_code == 200
        body = answer.json()
        found = {finding["check"]: finding for finding in body["findings"]}
        assert found["persistence"]["status"] == "failure"
        assert sum(body["counts"].values()) == len(found)
        for key in (ENQUEUE, READ):
            assert key not in answer.text
        few = await service.http.get("/api/v1/doctor", params={"only": "redis", "skip": "tls,clock"})
        checks = {finding["check"] for finding in few.json()["findings"]}
        assert "eviction" in checks
        assert not {"tls", "clock", "lock"} & checks
        wrong = await service.http.get("/api/v1/doctor", params={"only": "evictoin"})
        assert wrong.status_code == 422
        assert "eviction" in wrong.json()["detail"]


# Behind Sentinel and in a cluster


async def test_behind_sentinel_the_master_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm = SentinelFarm(tmp_path)
    try:
        monkeypatch.setenv("REDIS_URL", farm.url)
        found = findings(await looked(farm.url))
        assert "s3cret" not in repr(found)
        assert found["replication"].found == "1 replica, none late"
        assert found["rights"].status == "ok"
        assert found["password"].status == "warning"
    finally:
        farm.stop()
