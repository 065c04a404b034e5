"""A thousand verifications that wait on their providers at once, in one worker process.

Half of them at Onfido, half at iDenfy. The sandbox and the API (which takes the webhooks) run beside the
bench, the measured worker in a process of its own. First every job is submitted and goes to sleep; then the
providers decide on all at once, and their webhooks bring the jobs to their ends. Memory a job is what the
worker grew by from its first twenty jobs (whose code and connections every worker has) to all of them
asleep, divided by their number. Whatever is wrong (a job that did not end, a fee paid twice) is an error.

`python -m bench.kyc_waiting --jobs 1000`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import httpx2
import psutil

from bench.server import Server
from corral import Queue, Settings
from corral.api.app import create_app
from corral.api.server import ApiServer
from corral.bullmq.connection import close_shared_clients
from corral.observe.logs import configure_logs
from corral.queues import built_in
from corral.sandbox import keys, serve
from corral.sandbox.server import RunningSandbox

PROVIDERS = ("onfido", "idenfy")
PAID = ("onfido.check", "idenfy.process")
WARM_UP = 20
PATIENCE = 300.0


async def measure(jobs: int, server: Server, sandbox: RunningSandbox) -> dict[str, float]:
    os.environ.update(_environment(server.url, sandbox.url))
    configure_logs(json=None, level=logging.ERROR)
    settings = Settings(_env_file=None, redis_url=server.url, api_keys="bench:bench-key-0000001:admin")
    queue = Queue("kyc-verification", redis_url=server.url)
    declared = {"kyc-verification": built_in("kyc-verification")["kyc-verification"]}
    async with ApiServer(create_app(settings, declared), grace_seconds=1) as api:
        sandbox.app.webhooks.public_url = api.url
        with tempfile.TemporaryDirectory() as folder:
            worker = _start_worker(server.url, sandbox.url, folder)
            try:
                return await _phases(jobs, queue, sandbox, psutil.Process(worker.pid))
            finally:
                worker.terminate()
                worker.wait(60)
                await queue.close()
                await close_shared_clients()


async def _phases(
    jobs: int, queue: Queue, sandbox: RunningSandbox, worker: psutil.Process
) -> dict[str, float]:
    most = 0.0

    async def until(condition: Callable[[dict[str, int]], bool]) -> float:
        nonlocal most
        started = time.monotonic()
        while not condition(counts := await queue.counts()):
            most = max(most, _mib(worker))
            if counts["failed"] or time.monotonic() - started > PATIENCE:
                raise SystemExit(f"bench: not all jobs got on: {counts}")
            await asyncio.sleep(0.1)
        return time.monotonic() - started

    await _add(queue, range(WARM_UP))
    await until(lambda counts: counts["delayed"] == WARM_UP)
    before = _mib(worker)
    await _add(queue, range(WARM_UP, jobs))
    submitted = await until(lambda counts: counts["delayed"] == jobs)
    asleep = _mib(worker)
    decided = time.monotonic()
    await _decide(sandbox)
    await until(lambda counts: counts["completed"] >= jobs and not _busy(counts))
    ended = time.monotonic() - decided
    _check(jobs, sandbox)
    return {
        "jobs": jobs,
        "submitted_seconds": round(submitted, 1),
        "ended_seconds": round(ended, 1),
        "worker_mib_before": round(before, 1),
        "worker_mib_asleep": round(asleep, 1),
        "worker_mib_most": round(most, 1),
        "kib_per_sleeping_job": round((asleep - before) * 1024 / max(1, jobs - WARM_UP), 2),
    }


def _start_worker(redis_url: str, sandbox_url: str, folder: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "corral.worker.process", "--queues", "kyc-verification", "--quiet"]
    env = _environment(redis_url, sandbox_url) | {"PYTHONPATH": ":".join(sys.path)}
    return subprocess.Popen(command, cwd=folder, env=env)


def _environment(redis_url: str, sandbox_url: str) -> dict[str, str]:
    return {"REDIS_URL": redis_url, "CORRAL_SANDBOX": "1", "CORRAL_SANDBOX_URL": sandbox_url}


async def _add(queue: Queue, numbers: range) -> None:
    for number in numbers:
        data = {
            "userId": f"user-{number}",
            "documentType": "passport",
            "documentNumber": "SPECIMEN-NEVER",
            "frontImageUrl": "https://docs.example.com/passport.jpg",
            "provider": PROVIDERS[number % 2],
        }
        await queue.add("verify", data, timeout=60)


async def _decide(sandbox: RunningSandbox) -> None:
    """All at once, as far as asking one after the other is that."""
    table = "kyc_verifications"
    headers = {"apikey": keys.SUPABASE_SERVICE_KEY}
    async with httpx2.AsyncClient(base_url=sandbox.url, trust_env=False, timeout=60) as client:
        rows = await client.get(f"/supabase/rest/v1/{table}?select=provider,provider_ref", headers=headers)
        for row in rows.json():
            decision = {"provider": row["provider"], "ref": row["provider_ref"], "outcome": "APPROVE"}
            (await client.post("/decisions", json=decision)).raise_for_status()


def _busy(counts: dict[str, int]) -> int:
    return counts["waiting"] + counts["prioritized"] + counts["active"]


def _check(jobs: int, sandbox: RunningSandbox) -> None:
    paid = sum(sandbox.counts[name] for name in PAID)
    if paid != jobs:
        raise SystemExit(f"bench: {paid} verifications were paid for {jobs} jobs")


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.kyc_waiting", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000)
    jobs = parser.parse_args().jobs
    with Server() as server, serve(delay=0.0, public_url="http://127.0.0.1:1") as sandbox:
        print(json.dumps(asyncio.run(measure(jobs, server, sandbox)), indent=2))  # its result


if __name__ == "__main__":
    main()
