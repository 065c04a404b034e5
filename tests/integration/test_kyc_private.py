"""Where a person's data may be while a verification runs, and that it is nowhere afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kyc_bench import ByHand, job_data, leave, surround
from running_worker import Redis, StartWorker
from standins import forget_faults, running, script
from structlog.testing import capture_logs
from test_forget import everything

from corral import Job, Retry, Worker
from corral.errors import JobFailed
from corral.providers.countries import ALPHA3
from corral.providers.errors import ProviderRetryable
from corral.queues import kyc_idenfy, kyc_onfido
from corral.queues.kyc_verification import UnexpectedError, queue
from corral.queues.kyc_waits import Polling
from corral.sandbox.server import RunningSandbox
from corral.worker import janitor
from corral.worker.traces import format_trace
from eventually import eventually

CHILD = Path(__file__).parent / "children" / "kyc_no_files.py"

PERSON: dict[str, Any] = {
    "first_name": "Samplegiven",
    "last_name": "Specimenname",
    "date_of_birth": date(1990, 5, 1),
    "issuing_country": "FR",
    "back_image_url": "https://docs.example.com/id-back.jpg",
    "selfie_image_url": "https://docs.example.com/selfie.webp",
}
PRIVATE = ("SPECIMEN-SILENT", "Samplegiven", "Specimenname", "1990-05-01", "docs.example.com", '"FR"')

both = pytest.mark.parametrize("provider", ["onfido", "idenfy"])


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
async def surroundings(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    sandbox: RunningSandbox,
) -> AsyncIterator[None]:
    surround(monkeypatch, tmp_path_factory, redis_url, sandbox.url)
    monkeypatch.setattr(kyc_onfido, "POLLING", Polling(first=0.05, longest=0.1))
    monkeypatch.setattr(kyc_idenfy, "IDENFY_WAIT", 0.1)
    await forget_faults(sandbox)
    yield
    await leave()


async def added(provider: str) -> Job:
    data = job_data(provider, "SPECIMEN-SILENT", **PERSON)
    return await queue.add("verify", data, retry=Retry(attempts=2, delays=(0.05,)))


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    worker = Worker(queue)
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task


# In Redis and in the log


@both
async def test_a_verification_that_ended_leaves_nothing_personal(redis: Redis, provider: str) -> None:
    with capture_logs() as logs:
        job = await added(provider)
        held = await everything(redis)
        assert all(value in held for value in PRIVATE)
        async with working():
            assert (await job.result(timeout=30)).status == "approved"
    left = await everything(redis)
    for value in PRIVATE:
        assert value not in left
        assert value not in repr(logs)
    await job.refresh()
    kept = {"userId": "user-7", "documentType": "passport", "provider": provider, "corral:forgotten": True}
    assert job.data == kept
    assert await redis.hget(queue.keys().job(job.id), "corral:checkpoint") == "{}"


@both
async def test_a_verification_that_failed_can_be_retried_until_it_forgets(
    redis: Redis,
    sandbox: RunningSandbox,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    provider: str,
) -> None:
    await script(sandbox, provider=provider, fault="500", times=2)
    with capture_logs() as logs:
        job = await added(provider)
        async with working():
            with pytest.raises(JobFailed):
                await job.result(timeout=30)
    data = (await job.refresh()).raw_data.decode()
    assert all(value in data for value in PRIVATE)
    # It is in the data and nowhere else: not in the reason, the stack traces, the events, the log.
    elsewhere = (await everything(redis)).replace(repr(data), "")
    for value in PRIVATE:
        assert value not in elsewhere
        assert value not in repr(logs)
    await queue.admin.retry(job.id)
    await script(sandbox, provider=provider, fault="500", times=2)
    async with working():
        with pytest.raises(JobFailed):
            await job.result(timeout=30)
    # Its week passes.
    monkeypatch.setattr(janitor, "INTERVAL_SECONDS", 0.05)
    monkeypatch.setenv("CORRAL_KYC_FORGET_FAILED_SECONDS", "0")
    start_worker(queue)
    await eventually(lambda: _forgot(redis))
    assert (await job.refresh()).status == "failed"


async def _forgot(redis: Redis) -> bool:
    left = await everything(redis)
    return not any(value in left for value in PRIVATE)


async def test_the_setting_turns_it_off(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_KYC_FORGET", "false")
    job = await added("onfido")
    async with working():
        assert (await job.result(timeout=30)).status == "approved"
    held = await everything(redis)
    assert all(value in held for value in PRIVATE)


async def test_the_text_of_a_foreign_error_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    job = ByHand(job_data("onfido", **PERSON), "foreign-1")
    monkeypatch.delitem(ALPHA3, "FR")  # a KeyError with the country as its text
    with pytest.raises(UnexpectedError, match="KeyError") as caught:
        await job.run()
    trace = format_trace(caught.value)
    assert "'FR'" not in trace
    assert "_documents" in trace  # but where it happened is


# On disk


async def test_no_byte_of_it_is_written_to_a_file(sandbox: RunningSandbox) -> None:
    """The kernel lets neither the worker nor its decoding processes write to files."""
    jobs = [await added(provider) for provider in ("onfido", "idenfy")]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(CHILD), "2"],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for job in jobs:
        assert (await job.result(timeout=5)).status == "approved"
    assert not any(value in done.stdout + done.stderr for value in PRIVATE)


# In memory


@both
@pytest.mark.parametrize("fails", [False, True])
async def test_no_photograph_outlives_the_run_that_needed_it(
    sandbox: RunningSandbox, provider: str, fails: bool
) -> None:
    data = job_data(provider, "SPECIMEN-SILENT", **PERSON)
    await ByHand(data, "warm-up").run()  # caches, connections, the sandbox's own pictures
    gc.collect()
    tracemalloc.start()
    try:
        job = ByHand(data, f"memory-{provider}-{fails}")
        if fails:
            path = "POST /checks" if provider == "onfido" else "/process"
            await script(sandbox, provider=provider, fault="500", path=path)
            with pytest.raises(ProviderRetryable):
                await job.run()
        else:
            assert await job.run() is None
        peak = tracemalloc.get_traced_memory()[1]
        blocks = [trace.size for trace in tracemalloc.take_snapshot().traces]
    finally:
        tracemalloc.stop()
    assert peak > 100_000  # they were here
    assert max(blocks) < 50_000
