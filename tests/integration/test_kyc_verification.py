"""The KYC queue as it is deployed: real Redis, a real worker, providers over HTTP, signed webhooks."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from kyc_bench import job_data, leave, received, receiver, row, surround, until
from standins import forget_faults, running, script

from corral import Job, Retry, Worker
from corral.errors import InvalidData, JobFailed
from corral.providers.webhook import sign
from corral.queues import kyc_idenfy, kyc_onfido
from corral.queues.kyc_verification import queue
from corral.queues.kyc_waits import Polling
from corral.queues.notification import queue as notification
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox

#: The contract's waits are minutes; a test's are not.
SOON = Retry(attempts=3, delays=(0.05,))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def webhook_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def sandbox(webhook_port: int) -> Iterator[RunningSandbox]:
    with running(delay=0.2, public_url=f"http://127.0.0.1:{webhook_port}") as server:
        yield server


@pytest.fixture(autouse=True)
async def surroundings(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    sandbox: RunningSandbox,
) -> AsyncIterator[None]:
    surround(monkeypatch, tmp_path_factory, redis_url, sandbox.url)
    await forget_faults(sandbox)
    yield
    await leave()


@asynccontextmanager
async def working() -> AsyncIterator[Worker]:
    worker = Worker(queue, name="kyc-test")
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await task


numbers = itertools.count(1)


async def added(provider: str = "onfido", number: str = "SPECIMEN-1", **more: Any) -> Job:
    # Each test starts with an empty Redis, so plain ids repeat; Supabase keeps its rows.
    return await queue.add(
        "verify",
        job_data(provider, number, **more),
        job_id=f"kyc-test-{next(numbers)}",
        retry=SOON,
    )


async def status(job: Job) -> str | None:
    return (await job.refresh()).status


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
@pytest.mark.parametrize(
    ("number", "outcome"),
    [("SPECIMEN-1", "approved"), ("SPECIMEN-REJECT", "rejected"), ("SPECIMEN-REVIEW", "pending_review")],
)
async def test_a_webhook_brings_the_job_to_its_end(
    provider: str, number: str, outcome: str, webhook_port: int
) -> None:
    async with receiver(webhook_port) as signals, working():
        job = await added(provider, number)
        result = await job.result(timeout=30)
        assert (result.success, result.status) == (True, outcome)
        await job.refresh()
        # The durable wait spent no attempt.
        assert (job.status, job.progress, job.attempts_made) == ("completed", 100, 1)
        assert job.result_value == {"success": True, "status": outcome, "completedAt": result.completed_at}
        assert len(signals) == 1
    stored = await row(job.id)
    assert (stored["status"], stored["completed_at"]) == (outcome, result.completed_at)
    message = await notification.get(f"kyc-{job.id}")
    assert message is not None
    assert message.data.user_id == "user-7"
    assert message.data.type == "push"
    assert (await notification.counts())["waiting"] + (await notification.counts())["prioritized"] == 1


async def test_while_the_provider_works_the_job_sleeps_and_holds_no_slot(webhook_port: int) -> None:
    async with working() as worker:
        jobs = [await added(number="SPECIMEN-NEVER") for _ in range(7)]  # more than there are slots
        for job in jobs:
            await until(partial(_is, job, "delayed"))
        assert all(job.progress == 50 for job in jobs)
        assert all(job.attempts_made == 0 for job in jobs)
        assert worker.health()
        quick = await added()
        async with receiver(webhook_port):
            assert (await quick.result(timeout=30)).status == "approved"


async def _is(job: Job, wanted: str) -> bool:
    return await status(job) == wanted


async def test_onfido_is_polled_when_no_webhook_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kyc_onfido, "POLLING", Polling(first=0.05, longest=0.2))
    async with working():
        job = await added(number="SPECIMEN-SILENT")
        assert (await job.result(timeout=30)).status == "approved"


async def test_idenfy_is_asked_once_when_no_webhook_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kyc_idenfy, "IDENFY_WAIT", 0.5)
    async with working():
        job = await added("idenfy", "SPECIMEN-SILENT")
        assert (await job.result(timeout=30)).status == "approved"


async def test_a_check_that_never_ends_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kyc_onfido, "POLLING", Polling(first=0.05, longest=0.1, give_up=0.3))
    async with working():
        job = await added(number="SPECIMEN-NEVER")
        assert (await job.result(timeout=30)).status == "expired"
    assert (await row(job.id))["status"] == "expired"


async def test_a_forged_webhook_wakes_nobody(webhook_port: int) -> None:
    async with receiver(webhook_port) as signals, working():
        job = await added("idenfy", "SPECIMEN-NEVER")
        await until(lambda: _is(job, "delayed"))
        raw = b'{"final":true,"status":{"overall":"APPROVED"},"scanRef":"x"}'
        async with httpx2.AsyncClient(trust_env=False) as client:
            url = f"http://127.0.0.1:{webhook_port}/webhooks/idenfy"
            with pytest.raises(httpx2.HTTPError):  # the test's receiver hangs up on a forger
                await client.post(url, content=raw, headers={"Idenfy-Signature": sign("guess", raw)})
            genuine = {"Idenfy-Signature": sign(keys.IDENFY_WEBHOOK_KEY, raw)}
            assert (await client.post(url, content=raw, headers=genuine)).status_code == 204
        assert signals == ["idenfy:x"]
        assert await status(job) == "delayed"


async def test_a_provider_that_stumbles_is_tried_again_and_paid_once(
    sandbox: RunningSandbox, webhook_port: int
) -> None:
    checks = received(sandbox, "onfido.check")
    await script(sandbox, provider="onfido", fault="500", path="POST /documents")
    await script(sandbox, provider="onfido", fault="drop", path="POST /checks")
    async with receiver(webhook_port), working():
        job = await added()
        assert (await job.result(timeout=30)).status == "approved"
        assert (await job.refresh()).attempts_made == 3
    assert received(sandbox, "onfido.check") == checks + 1


async def test_attempts_run_out_and_only_then_the_row_says_failed(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="onfido", fault="500", times=3)
    async with working():
        job = await added()
        with pytest.raises(JobFailed, match="internal_server_error"):
            await job.result(timeout=30)
        assert (await job.refresh()).attempts_made == 3
    assert (await row(job.id))["status"] == "failed"
    assert await notification.get(f"kyc-{job.id}") is None


async def test_a_hold_that_is_over_says_failed_in_supabase(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_HOLD_SECONDS", "0.5")
    await script(sandbox, provider="onfido", fault="401", times=99)
    async with working():
        job = await added()
        with pytest.raises(JobFailed, match="still out of order"):
            await job.result(timeout=30)
    assert (await row(job.id))["status"] == "failed"


async def test_a_wrong_key_puts_the_job_back_unspent(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="onfido", fault="401", times=9)
    async with working():
        job = await added()
        await until(lambda: _is(job, "delayed"))
        assert job.attempts_made == 0
    assert (await row(job.id))["status"] == "processing"


@pytest.mark.parametrize(
    ("provider", "path", "least"),
    [("onfido", "POST /checks", 30.0), ("idenfy", "/process", 0.05), ("supabase", "POST", 1.0)],
)
async def test_a_provider_that_is_asked_too_often_gets_its_rest(
    sandbox: RunningSandbox, provider: str, path: str, least: float, webhook_port: int
) -> None:
    paid = received(sandbox, "onfido.check") + received(sandbox, "idenfy.process")
    await script(sandbox, provider=provider, fault="429", path=path)
    async with receiver(webhook_port), working():
        job = await added("idenfy" if provider == "idenfy" else "onfido")
        if least >= 1:
            await until(lambda: _is_put_off(job, least))
            await queue.admin.promote(job.id)
        assert (await job.result(timeout=30)).status == "approved"
        assert (await job.refresh()).attempts_made == 2
    # Asked again it went on where it was: nothing was ordered twice.
    assert received(sandbox, "onfido.check") + received(sandbox, "idenfy.process") == paid + 1


async def _is_put_off(job: Job, seconds: float) -> bool:
    await job.refresh()
    assert job._record is not None
    return job.status == "delayed" and job.attempts_made == 1 and job._record.delay >= seconds


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/passport.jpg", "not public"),
        ("https://docs.example.com/missing.jpg", "404"),
        ("https://docs.example.com/text.jpg", "octet-stream"),
        ("https://docs.example.com/huge.png", "50000x50000"),
    ],
)
async def test_a_bad_photograph_goes_to_the_dead_letters_at_once(url: str, reason: str) -> None:
    async with working():
        job = await added(number="SPECIMEN-1", back_image_url=url)
        with pytest.raises(JobFailed, match=reason):
            await job.result(timeout=30)
        await job.refresh()
        assert (job.status, job.attempts_made) == ("failed", 1)
        assert "SPECIMEN-1" not in f"{job.failed_reason}{job.stacktrace}"
    assert (await row(job.id))["status"] == "failed"


def plain(**fields: str) -> bytes:
    base = {"userId": "u", "documentNumber": "1", "frontImageUrl": "https://docs.example.com/passport.jpg"}
    return json.dumps(base | fields).encode()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (plain(documentType="visa", provider="onfido"), "documentType"),
        (plain(documentType="id_card", provider="idenfy"), "backImageUrl"),
        (plain(), "documentType"),
        (b'{"userId": 7}', "userId"),
    ],
)
async def test_wrong_data_is_refused_at_the_edge(raw: bytes, field: str) -> None:
    with pytest.raises(InvalidData, match=field):
        await queue.add_json("verify", raw)
