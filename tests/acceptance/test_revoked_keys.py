"""A provider refuses our key while three worker processes run its jobs: nothing is lost, nothing is spent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis
from service import until
from workers import counts, workers

from corral import Queue, sandbox
from corral.breakers import Breakers, BreakerStatus
from corral.bullmq.connection import close_shared_clients
from corral.providers.onfido import signal_name
from corral.queues.kyc_types import KycJob
from corral.queues.kyc_verification import queue as kyc
from corral.sandbox import keys
from redis_process import RedisProcess

QUICK = {
    "CORRAL_BREAKER_PROBE_SECONDS": "0.3",
    "CORRAL_BREAKER_RATE": "1000",
}
#: A job whose worker was killed is back soon.
SOON = {"CORRAL_LOCK_SECONDS": "2", "CORRAL_STALLED_SECONDS": "1"}
JOBS = 60
#: More than three processes have slots for.
VERIFICATIONS = 24


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisProcess]:
    process = RedisProcess("--appendonly", "yes", "--dir", str(tmp_path))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def acme(server: RedisProcess) -> Iterator[Acme]:
    acme = Acme(server)
    yield acme
    acme.close()


class Acme:
    """The provider that the child's jobs need, and what it saw."""

    def __init__(self, server: RedisProcess) -> None:
        self._server = server
        self._ledger: Any = redis.Redis.from_url(f"{server.url}/1", decode_responses=True, socket_timeout=5)

    def close(self) -> None:
        self._ledger.close()

    def is_now(self, mode: str) -> None:
        self._ledger.set("acme", mode)

    def asked(self) -> list[int]:
        """The processes that asked, in order."""
        return [int(pid) for pid in self._ledger.lrange("asked", 0, -1)]

    def served(self) -> list[int]:
        """How often each job was served that was."""
        return [int(times) for times in self._ledger.hgetall("done").values()]

    def add(self, jobs: int) -> None:
        run(self._add(jobs))

    async def _add(self, jobs: int) -> None:
        async with Queue("calls", redis_url=self._server.url, prefix="bull") as queue:
            await queue.add_many("call", [None] * jobs)

    def status(self) -> BreakerStatus:
        return breaker(self._server, "acme")

    def all_held(self, jobs: int) -> None:
        until(self.status, lambda status: (status.state, status.held) == ("open", jobs))

    def all_served(self, jobs: int) -> None:
        until(lambda: counts(self._server, "calls")["completed"], lambda completed: completed == jobs)
        assert self.served() == [1] * jobs
        assert counts(self._server, "calls")["failed"] == 0


def run(call: Any) -> Any:
    async def closing() -> Any:
        try:
            return await call
        finally:
            await close_shared_clients()

    return asyncio.run(closing())


def breaker(server: RedisProcess, name: str) -> BreakerStatus:
    status: BreakerStatus = run(Breakers(server.url, "bull").get(name))
    return status


def fields(server: RedisProcess, queue: str, name: str, ids: list[str]) -> list[str | None]:
    pipe: Any = server.client.pipeline(transaction=False)
    for job_id in ids:
        pipe.hget(f"bull:{queue}:{job_id}", name)
    found: list[str | None] = pipe.execute()
    return found


def test_two_thousand_jobs_are_held_and_go_at_their_pace(
    server: RedisProcess, tmp_path: Path, acme: Acme
) -> None:
    with workers(server, tmp_path, "breaker_jobs:queue", **QUICK) as group:
        for _ in range(3):
            group.start()
        acme.add(2_000)
        acme.all_held(2_000)
        assert fields(server, "calls", "atm", [str(n) for n in range(1, 2_001)]) == [None] * 2_000
        # Those that ran at once when the key was found wrong, and a probe now and then.
        assert len(acme.asked()) < 200
        acme.is_now("well")
        closed = until(acme.status, lambda status: status.state == "closed")
        assert closed.since is not None
        while (completed := counts(server, "calls")["completed"]) < 2_000:
            seconds, microseconds = server.client.time()
            # The probe, and those that ran before it was known to be over.
            assert completed <= 1000 * (seconds + microseconds / 1e6 - closed.since) + 60
        acme.all_served(2_000)


def test_a_prober_that_is_killed_stops_nobody(server: RedisProcess, tmp_path: Path, acme: Acme) -> None:
    with workers(server, tmp_path, "breaker_jobs:queue", **QUICK, **SOON) as group:
        for _ in range(3):
            group.start()
        acme.add(JOBS)
        acme.all_held(JOBS)
        acme.is_now("hangs")
        before = len(acme.asked())

        def hanging() -> int | None:
            """The process whose probe hangs at the provider."""
            asked = acme.asked()
            return asked[-1] if len(asked) > before and acme.status().state == "half-open" else None

        pid = until(hanging, lambda found: found is not None)
        prober = next(process for process in group.running if process.pid == pid)
        group.kill(prober)
        acme.is_now("well")
        acme.all_served(JOBS)
        assert breaker(server, "acme").state == "closed"


def test_redis_restarts_while_all_is_held(server: RedisProcess, tmp_path: Path, acme: Acme) -> None:
    with workers(server, tmp_path, "breaker_jobs:queue", **QUICK) as group:
        for _ in range(3):
            group.start()
        acme.add(JOBS)
        acme.all_held(JOBS)
        server.kill()
        server.start()
        acme.all_held(JOBS)
        assert fields(server, "calls", "atm", [str(n) for n in range(1, JOBS + 1)]) == [None] * JOBS
        acme.is_now("well")
        acme.all_served(JOBS)


# The KYC queue


def verification(number: int) -> KycJob:
    return KycJob(
        user_id=f"user-{number}", document_type="passport", document_number="SPECIMEN-1", provider="onfido",
        front_image_url="https://docs.example.com/passport.jpg",
    )  # fmt: skip


async def _add_verifications(server: RedisProcess) -> list[str]:
    queue = Queue(
        "kyc-verification", redis_url=server.url, prefix="bull", retry=kyc.retry, priority=kyc.priority
    )
    async with queue:
        return [
            job.id for job in await queue.add_many("verify", [verification(n) for n in range(VERIFICATIONS)])
        ]


async def _signal_all(server: RedisProcess, checks: list[str]) -> None:
    async with Queue("kyc-verification", redis_url=server.url, prefix="bull") as queue:
        for check in checks:
            await queue.signal(signal_name(check), {})


def test_a_revoked_onfido_key_costs_no_verification(server: RedisProcess, tmp_path: Path) -> None:
    with (
        sandbox.serve(delay=0.0, public_url="http://127.0.0.1:1") as outside,
        workers(
            server, tmp_path, "corral.queues.kyc_verification:queue",
            CORRAL_SANDBOX="1", CORRAL_SANDBOX_URL=outside.url, **QUICK,
        ) as group,
        httpx2.Client(base_url=outside.url, trust_env=False) as control,
    ):  # fmt: skip
        fault = {"provider": "onfido", "fault": "401", "times": 100_000}
        control.post("/faults", json=fault).raise_for_status()
        for _ in range(3):
            group.start()
        ids = run(_add_verifications(server))
        until(
            lambda: breaker(server, "onfido"), lambda seen: (seen.state, seen.held) == ("open", VERIFICATIONS)
        )
        status = breaker(server, "onfido")
        assert (status.cause, "authorization_error" in status.reason) == ("configuration", True)
        assert counts(server, "kyc-verification")["failed"] == 0
        assert fields(server, "kyc-verification", "atm", ids) == [None] * VERIFICATIONS
        # Each process has five slots; the rest are probes.
        assert 100_000 - control.get("/faults").json()[0]["times"] < VERIFICATIONS
        control.delete("/faults").raise_for_status()

        def submitted() -> list[str]:
            checkpoints = fields(server, "kyc-verification", "corral:checkpoint", ids)
            found = [json.loads(text or "{}").get("check_id") for text in checkpoints]
            return [check for check in found if check]

        checks = until(submitted, lambda found: len(found) == VERIFICATIONS)
        assert len(set(checks)) == VERIFICATIONS
        run(_signal_all(server, checks))
        until(lambda: counts(server, "kyc-verification"), lambda seen: seen["completed"] == VERIFICATIONS)
        assert fields(server, "kyc-verification", "atm", ids) == ["1"] * VERIFICATIONS
        assert outside.counts["onfido.check"] == VERIFICATIONS


@pytest.mark.parametrize("place", ["env file", "mounted secret"])
def test_a_key_that_is_changed_is_used_without_a_restart(
    server: RedisProcess, tmp_path: Path, place: str
) -> None:
    """Written over in `.env`, or in a file whose folder is swapped by a link, as Kubernetes does."""
    folder = tmp_path / "service"
    folder.mkdir()
    secret = folder / "mounted" / "supabase"

    def give(key: str, outside_url: str) -> None:
        if place == "env file":
            lines = f"SUPABASE_URL={outside_url}/supabase\nSUPABASE_SERVICE_KEY={key}\n"
            (folder / ".env").write_text(lines)
            return
        (folder / ".env").write_text(
            f"SUPABASE_URL={outside_url}/supabase\nSUPABASE_SERVICE_KEY_FILE={secret}\n"
        )
        version = folder / key
        version.mkdir()
        (version / "supabase").write_text(key)
        link = folder / "mounted.new"
        link.symlink_to(version)
        link.replace(secret.parent)

    with (
        sandbox.serve(delay=0.0, public_url="http://127.0.0.1:1") as outside,
        workers(
            server, tmp_path, "corral.queues.kyc_verification:queue",
            cwd=folder, CORRAL_SANDBOX="1", CORRAL_SANDBOX_URL=outside.url, **QUICK,
        ) as group,
    ):  # fmt: skip
        give("old", outside.url)
        group.start()
        ids = run(_add_verifications(server))
        until(
            lambda: breaker(server, "supabase"),
            lambda seen: (seen.state, seen.held) == ("open", VERIFICATIONS),
        )
        give(keys.SUPABASE_SERVICE_KEY, outside.url)
        until(lambda: outside.counts.get("onfido.check", 0), lambda checks: checks == VERIFICATIONS)
        assert breaker(server, "supabase").state == "closed"
        assert counts(server, "kyc-verification")["failed"] == 0
        assert fields(server, "kyc-verification", "atm", ids) == [None] * VERIFICATIONS
