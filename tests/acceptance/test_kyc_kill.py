"""kill -9 at every step of a verification: nothing is paid twice, nothing is lost, no state goes back."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from service import environment, until

from corral import Queue, sandbox
from corral.bullmq.connection import close_shared_clients
from corral.sandbox.server import RunningSandbox
from redis_process import RedisProcess

CHILDREN = Path(__file__).parent / "children"
SETTINGS = {"CORRAL_SANDBOX": "1", "CORRAL_LOCK_SECONDS": "1", "CORRAL_STALLED_SECONDS": "1"}

HISTORY = (
    "create table history (job_id text, status text)",
    """create trigger on_insert after insert on kyc_verifications
       begin insert into history values (new.job_id, new.status); end""",
    """create trigger on_update after update on kyc_verifications when new.status <> old.status
       begin insert into history values (new.job_id, new.status); end""",
)

#: What a verification passes, in order; a boundary lies before the first and after each.
STEPS = {
    "onfido": [
        "",
        "supabase POST /kyc_verifications",
        "checkpoint processing",
        "onfido POST /applicants",
        "checkpoint applicant_id",
        "onfido POST /documents",
        "checkpoint document_front",
        "onfido POST /live_photos",
        "checkpoint live_photo",
        "checkpoint check_attempt",
        "onfido POST /checks",
        "checkpoint check_id,submitted_at",
        "supabase PATCH /kyc_verifications",
        "checkpoint referred",
        "onfido GET /checks/*",
        "onfido GET /reports",
        "checkpoint outcome,decided_at,provider_ref",
        "supabase PATCH /kyc_verifications",
        "notification",
    ],
    "idenfy": [
        "",
        "supabase POST /kyc_verifications",
        "checkpoint processing",
        "checkpoint session_attempt",
        "idenfy POST /api/v2/token",
        "checkpoint scan_ref,auth_token",
        "checkpoint process_attempt",
        "idenfy POST /api/v2/process",
        "checkpoint submitted_at",
        "supabase PATCH /kyc_verifications",
        "checkpoint referred",
        "idenfy POST /api/v2/status",
        "checkpoint outcome,decided_at,provider_ref",
        "supabase PATCH /kyc_verifications",
        "notification",
    ],
}

#: What a provider is paid for.
PAID = {"onfido": "onfido.check", "idenfy": "idenfy.process"}

DATA = {
    "userId": "user-7",
    "documentType": "passport",
    "documentNumber": "SPECIMEN-SILENT",  # no webhook: how it wakes is not the point here
    "frontImageUrl": "https://docs.example.com/passport.jpg",
    "selfieImageUrl": "https://docs.example.com/selfie.jpg",
}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


@pytest.fixture
def providers() -> Iterator[RunningSandbox]:
    with sandbox.serve(delay=0.0, public_url="http://127.0.0.1:1") as running:
        for statement in HISTORY:
            running.app.postgrest.execute(statement)
        yield running


@contextmanager
def dying_workers(server: RedisProcess, url: str, folder: Path) -> Iterator[None]:
    env = environment(REDIS_URL=server.url, LEDGER_URL=f"{server.url}/1", CORRAL_SANDBOX_URL=url, **SETTINGS)
    script = CHILDREN / "kyc_dying.py"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([sys.executable, script], cwd=folder, env=env, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
async def test_a_worker_killed_at_any_step_never_makes_us_pay_twice(
    server: RedisProcess, providers: RunningSandbox, tmp_path: Path, provider: str
) -> None:
    server.client.flushall()
    ledger: Any = redis.Redis.from_url(f"{server.url}/1", decode_responses=True)
    queue = Queue("kyc-verification", redis_url=server.url, prefix="bull")
    data = DATA | {"provider": provider}
    jobs = [f"{provider}-{n}" for n in range(len(STEPS[provider]) + 1)]

    def ended(jobs: int) -> bool:
        return int(str(server.client.zcard("bull:kyc-verification:completed"))) == jobs

    with dying_workers(server, providers.url, tmp_path):
        for job_id in jobs:
            await queue.add("verify", data, job_id=job_id, timeout=30)
        until(lambda: ended(len(jobs)), bool, within=120)

    # Each boundary had its kill, and the job of that kill came to its end all the same.
    assert {line.partition(" ")[0] for line in ledger.lrange("killed", 0, -1)} == set(jobs[1:])
    assert ledger.lrange(f"passed:{provider}-0", 0, -1) == STEPS[provider]
    assert providers.counts[PAID[provider]] == len(jobs)
    history = defaultdict(list)
    for job_id, status in providers.app.postgrest._db.execute("select * from history"):
        history[job_id].append(status)
    assert dict(history) == {job_id: ["processing", "approved"] for job_id in jobs}
    for job_id in jobs:
        job = await queue.get(job_id)
        assert job is not None
        assert (job.status, job.attempts_made) == ("completed", 1)
        assert job.result_value["status"] == "approved"
    counts = {key: int(str(server.client.zcard(f"bull:notification:{key}"))) for key in ("prioritized",)}
    assert counts == {"prioritized": len(jobs)}  # one message each
    ledger.close()
    await queue.close()
    await close_shared_clients()
