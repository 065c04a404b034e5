"""The row in Supabase under writes that come late, twice, at once, in any order, or while it is away."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from kyc_bench import ByHand, job_data, leave, received, row, surround
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.providers.errors import FetchRefused, ProviderRetryable
from corral.queues import notification
from corral.queues.kyc_status import StatusRow
from corral.queues.kyc_types import KycJob, Status
from corral.sandbox.server import RunningSandbox

PAID = {"onfido": "onfido.check", "idenfy": "idenfy.process"}
OUTCOMES = (Status.APPROVED, Status.REJECTED, Status.PENDING_REVIEW, Status.EXPIRED)

_ids = (f"status-{n}" for n in itertools.count(1))


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
    await forget_faults(sandbox)
    yield
    await leave()


Write = Callable[[StatusRow], Coroutine[Any, Any, Any]]

WRITES: dict[str, Write] = {
    "processing": lambda row: row.write(Status.PROCESSING, "2026-01-01T00:00:01.000Z"),
    "refer": lambda row: row.refer("check-7", "2026-01-01T00:00:02.000Z"),
    "failed": lambda row: row.write(Status.FAILED, "2026-01-01T00:00:03.000Z"),
    "approved": lambda row: row.write(
        Status.APPROVED, "2026-01-01T00:00:04.000Z", provider_ref="check-7"
    ),
}  # fmt: skip


async def test_in_any_order_the_outcome_stays(sandbox: RunningSandbox) -> None:
    async with talking_to(sandbox) as providers:

        async def play(order: tuple[str, ...]) -> None:
            written = StatusRow(providers.supabase, "kyc_verifications", next(_ids), job_data())
            for name in (*order, order[-1]):  # the last of them twice
                await WRITES[name](written)
            stored = await row(written._job_id)
            assert (stored["status"], stored["provider_ref"]) == ("approved", "check-7"), order
            assert stored["completed_at"] == "2026-01-01T00:00:04.000Z", order

        await asyncio.gather(*map(play, itertools.permutations(WRITES)))


async def test_all_at_once_the_outcome_stays(sandbox: RunningSandbox) -> None:
    async with talking_to(sandbox) as providers:
        for _ in range(5):
            written = StatusRow(providers.supabase, "kyc_verifications", next(_ids), job_data())
            await asyncio.gather(*(write(written) for write in WRITES.values() for _ in range(3)))
            assert (await row(written._job_id))["status"] == "approved"


async def test_the_first_outcome_wins(sandbox: RunningSandbox) -> None:
    async with talking_to(sandbox) as providers:
        for first, second in itertools.permutations(OUTCOMES, 2):
            written = StatusRow(providers.supabase, "kyc_verifications", next(_ids), job_data())
            assert await written.write(first, "2026-01-01T00:00:01.000Z")
            assert not await written.write(second, "2026-01-01T00:00:02.000Z")
            assert (await row(written._job_id))["status"] == first.value


# Supabase away


def by_hand(data: KycJob) -> ByHand:
    return ByHand(data, next(_ids))


@pytest.mark.parametrize("fault", ["500", "429", "drop", "truncated"])
@pytest.mark.parametrize("write", ["processing", "refer", "outcome"])
@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
async def test_a_write_that_fails_costs_an_attempt_and_no_second_fee(
    sandbox: RunningSandbox, provider: str, write: str, fault: str
) -> None:
    paid = received(sandbox, PAID[provider])
    job = by_hand(job_data(provider))
    if write == "outcome":
        assert await job.run() is None
        job.due = True
    await script(sandbox, provider="supabase", fault=fault, path="POST" if write == "processing" else "PATCH")
    with pytest.raises(ProviderRetryable, match="supabase"):
        await job.run()
    job.attempt = 2
    assert (await job.run_to_the_end()).status == "approved"
    stored = await row(job.id)
    assert stored["status"] == "approved"
    assert stored["provider_ref"] == job.stored["provider_ref"]
    assert received(sandbox, PAID[provider]) == paid + 1
    assert await notification.queue.get(f"kyc-{job.id}") is not None


async def test_a_failure_that_cannot_be_written_is_said_in_the_log(sandbox: RunningSandbox) -> None:
    data = job_data()
    bad = {"front_image_url": "https://docs.example.com/missing.jpg"}
    job = by_hand(KycJob(**{name: getattr(data, name) for name in data.__struct_fields__} | bad))
    await script(sandbox, provider="supabase", fault="500", path="PATCH", times=9)
    with capture_logs() as logs, pytest.raises(FetchRefused):  # the error that led here, not Supabase's
        await job.run()
    assert [entry["job_id"] for entry in logs if entry["event"] == "kyc_failure_not_written"] == [job.id]
    assert (await row(job.id))["status"] == "processing"
