"""Webhooks over HTTP to the real queue: late, early, twice, forged, odd; reviews that are resolved later."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from http_service import KEYS
from kyc_bench import job_data, leave, row, surround
from running_worker import StartWorker
from standins import forget_faults, running, script

from corral import Job, Retry, Settings
from corral.api.app import create_app
from corral.api.server import ApiServer
from corral.providers.webhook import sign
from corral.queues import kyc_idenfy, kyc_onfido, kyc_review
from corral.queues.kyc_verification import queue
from corral.queues.kyc_waits import Polling
from corral.queues.notification import queue as notification
from corral.sandbox import keys
from corral.sandbox.outcomes import Outcome
from corral.sandbox.server import RunningSandbox
from eventually import eventually

SIGNED = {
    "onfido": ("X-SHA2-Signature", keys.ONFIDO_WEBHOOK_TOKEN),
    "idenfy": ("Idenfy-Signature", keys.IDENFY_WEBHOOK_KEY),
}
PROVIDERS = ("onfido", "idenfy")
both = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running(delay=0.3) as server:
        yield server


@pytest.fixture
async def api(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    redis_url: str,
    sandbox: RunningSandbox,
) -> AsyncIterator[httpx2.AsyncClient]:
    """The API at its address, to which the sandbox sends its webhooks."""
    surround(monkeypatch, tmp_path_factory, redis_url, sandbox.url)
    await forget_faults(sandbox)
    settings = Settings(_env_file=None, redis_url=redis_url, api_keys=KEYS)
    async with ApiServer(create_app(settings, {queue.name: queue}), grace_seconds=1) as server:
        sandbox.app.webhooks.public_url = server.url
        async with httpx2.AsyncClient(base_url=server.url, timeout=20) as client:
            yield client
    sandbox.app.webhooks.public_url = "http://127.0.0.1:1"
    await leave()


@pytest.fixture
async def worker(api: httpx2.AsyncClient, start_worker: StartWorker) -> None:
    start_worker(queue)


@pytest.fixture
def at_once(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The providers decide the moment they are asked."""
    for provider in PROVIDERS:
        monkeypatch.setattr(getattr(sandbox.app, provider), "_delay", 0.0)


_numbers = iter(range(1, 10_000))


async def added(provider: str, number: str) -> Job:
    return await queue.add(
        "verify",
        job_data(provider, number),
        job_id=f"hook-{next(_numbers)}",
        retry=Retry(attempts=3, delays=(0.05,)),
    )


def event(provider: str, ref: str, **more: Any) -> bytes:
    """A genuine event's body."""
    if provider == "idenfy":
        status = {"overall": more.pop("overall", "APPROVED"), "fraudTags": [], "mismatchTags": []}
        return json.dumps({"final": True, "scanRef": ref, "status": status, **more}).encode()
    what = {"id": ref, "status": "complete", "completed_at_iso8601": "2024-04-04T09:21:21Z", **more}
    payload = {"resource_type": "check", "action": "check.completed", "object": what}
    return json.dumps({"payload": payload}).encode()


async def send(
    api: httpx2.AsyncClient, provider: str, raw: bytes, signature: str | bytes | None = None, **headers: str
) -> httpx2.Response:
    name, secret = SIGNED[provider]
    signed: dict[str, Any] = {name: sign(secret, raw) if signature is None else signature, **headers}
    return await api.post(f"/webhooks/{provider}", content=raw, headers=signed)


async def waits(job: Job) -> str:
    """Once it waits for its provider: the provider's id of it."""
    await eventually(lambda: _is(job, "delayed"), within=30)
    return str((await row(job.id))["provider_ref"])


async def _is(job: Job, status: str) -> bool:
    return (await job.refresh()).status == status


async def reviews() -> list[Job]:
    """The jobs that came of webhooks which woke nobody, once all of them have ended."""

    async def ended() -> bool:
        await queue.admin.promote_all(name="review")  # the row was still in the job's hands
        counts = await queue.counts()
        return not (counts["waiting"] or counts["prioritized"] or counts["active"])

    await eventually(ended)
    return [job for job in await queue.browse.jobs("completed") if job.name == "review"]


async def messages() -> int:
    counts = await notification.counts()
    return counts["waiting"] + counts["prioritized"]


# Twice, late, early


@both
async def test_the_same_event_again_and_again_is_one_outcome(
    api: httpx2.AsyncClient, worker: None, at_once: None, provider: str
) -> None:
    job = await added(provider, "SPECIMEN-SILENT")
    raw = event(provider, await waits(job))
    for _ in range(3):
        assert (await send(api, provider, raw)).status_code == 204
    assert (await job.result(timeout=30)).status == "approved"
    before = await row(job.id)
    for _ in range(2):
        assert (await send(api, provider, raw)).status_code == 204
    found = await reviews()
    # Many deliveries of one event are one job, and it changes nothing.
    assert len(found) == 1
    assert found[0].result_value["changed"] is False
    assert await row(job.id) == before
    assert await messages() == 1


@both
async def test_an_event_that_comes_after_the_poll_decided_changes_nothing(
    api: httpx2.AsyncClient,
    worker: None,
    sandbox: RunningSandbox,
    at_once: None,
    provider: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kyc_onfido, "POLLING", Polling(first=0.1))
    monkeypatch.setattr(kyc_idenfy, "IDENFY_WAIT", 0.1)
    job = await added(provider, "SPECIMEN-SILENT")
    assert (await job.result(timeout=30)).status == "approved"
    before = await row(job.id)
    await script(sandbox, provider=provider, fault="500", times=9)  # it is not even asked again
    late = event(provider, before["provider_ref"], **({"overall": "DENIED"} if provider == "idenfy" else {}))
    assert (await send(api, provider, late)).status_code == 204
    assert [job.result_value for job in await reviews()] == [{"changed": False, "status": "approved"}]
    assert await row(job.id) == before


@both
async def test_an_event_that_is_faster_than_the_job_is_found_by_it(
    api: httpx2.AsyncClient, worker: None, sandbox: RunningSandbox, at_once: None, provider: str
) -> None:
    # The run ends after everything was submitted and before it waits; the webhook comes in between.
    await script(sandbox, provider="supabase", fault="500", path="PATCH")
    job = await added(provider, "SPECIMEN-1")
    assert (await job.result(timeout=25)).status == "approved"  # no poll is due before 30 s
    assert (await job.refresh()).attempts_made == 2


# Nobody's, not final, forged, odd


@both
async def test_an_event_of_a_verification_that_is_not_ours_is_taken_and_changes_nothing(
    api: httpx2.AsyncClient, worker: None, sandbox: RunningSandbox, provider: str
) -> None:
    await script(sandbox, provider=provider, fault="500", times=9)  # nobody asks the provider about it
    assert (await send(api, provider, event(provider, "not-ours"))).status_code == 204
    assert [job.result_value for job in await reviews()] == [{"changed": False, "status": None}]
    assert await messages() == 0


async def test_an_idenfy_event_that_is_not_final_ends_nothing(api: httpx2.AsyncClient, worker: None) -> None:
    job = await added("idenfy", "SPECIMEN-SILENT")
    ref = await waits(job)
    assert (await send(api, "idenfy", event("idenfy", ref, final=False))).status_code == 204
    assert await reviews() == []
    assert await _is(job, "delayed")
    assert (await row(job.id))["status"] == "processing"
    assert (await send(api, "idenfy", event("idenfy", ref, overall="DENIED"))).status_code == 204
    assert (await job.result(timeout=30)).status == "rejected"


@both
async def test_a_forged_event_leaves_nothing_behind(
    api: httpx2.AsyncClient, worker: None, redis_url: str, provider: str
) -> None:
    job = await added(provider, "SPECIMEN-NEVER")
    ref = await waits(job)
    raw, other = event(provider, ref), event(provider, "another")
    secret = SIGNED[provider][1]
    for signature in (
        "",
        "0" * 64,
        sign("guess", raw),
        sign(secret, other),
        b"\xe4" * 64,
        sign(secret, raw) * 2,
    ):
        answer = await send(api, provider, raw, signature)
        assert answer.status_code == 401
        assert ref not in answer.text
    # The other provider's key signs nothing here.
    wrong = SIGNED["idenfy" if provider == "onfido" else "onfido"][1]
    assert (await send(api, provider, raw, sign(wrong, raw))).status_code == 401
    assert await reviews() == []
    assert await _is(job, "delayed")
    async with aioredis.Redis.from_url(redis_url) as client:
        assert not await client.hexists(f"corral:bull:signal:{provider}:{ref}", "payload")


@both
async def test_a_huge_body_is_refused_also_unannounced(
    api: httpx2.AsyncClient, worker: None, provider: str
) -> None:
    raw = event(provider, "x") + b" " * 2_000_000
    assert (await send(api, provider, raw)).status_code == 413

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(raw), 65_536):
            yield raw[at : at + 65_536]

    name, secret = SIGNED[provider]
    answer = await api.post(f"/webhooks/{provider}", content=chunks(), headers={name: sign(secret, raw)})
    assert answer.status_code == 413
    assert await reviews() == []


@both
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
async def test_the_signature_counts_not_the_content_type(
    api: httpx2.AsyncClient, worker: None, provider: str, content_type: str
) -> None:
    raw = event(provider, "not-ours")
    assert (await send(api, provider, raw, **{"Content-Type": content_type})).status_code == 204
    assert (await send(api, provider, raw, "0" * 64, **{"Content-Type": content_type})).status_code == 401
    assert len(await reviews()) == 1


OTHER_FORMS = [b"", b"null", b"[]", b"{}", b"\xff", b'{"payload": 1, "final": 1}']


@both
async def test_a_signed_body_of_another_form_is_refused(
    api: httpx2.AsyncClient, worker: None, provider: str, subtests: pytest.Subtests
) -> None:
    for raw in OTHER_FORMS:
        with subtests.test(raw=raw):
            assert (await send(api, provider, raw)).status_code == 401
            assert (await api.get(f"/webhooks/{provider}")).status_code == 405


# Reviews


async def decide(sandbox: RunningSandbox, provider: str, ref: str, outcome: str) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        decision = {"provider": provider, "ref": ref, "outcome": outcome}
        answer = await client.post(f"{sandbox.url}/decisions", json=decision)
        assert answer.status_code == 202


@both
@pytest.mark.parametrize(("decision", "status"), [("APPROVE", "approved"), ("REJECT", "rejected")])
async def test_a_review_that_the_provider_resolves_later_changes_the_row(
    api: httpx2.AsyncClient, worker: None, sandbox: RunningSandbox, provider: str, decision: str, status: str
) -> None:
    job = await added(provider, "SPECIMEN-REVIEW")
    assert (await job.result(timeout=30)).status == "pending_review"
    before = await row(job.id)
    assert b"SPECIMEN" not in (await job.refresh()).raw_data  # forgotten; the provider knows the number

    await decide(sandbox, provider, before["provider_ref"], decision)

    async def changed() -> bool:
        return bool((await row(job.id))["status"] == status)

    await eventually(changed)
    after = await row(job.id)
    assert after["completed_at"] > before["completed_at"]
    assert {k for k in after if after[k] != before[k]} == {"status", "updated_at", "completed_at"}
    told = {review.id: review.result_value for review in await reviews()}
    assert list(told.values()) == [{"changed": True, "status": status}]
    assert await messages() == 2  # in review, then the outcome
    # The job's own result is what it was; and an outcome is final, whatever is said afterwards.
    assert (await job.refresh()).result_value["status"] == "pending_review"
    ref, contrary = before["provider_ref"], "REJECT" if decision == "APPROVE" else "APPROVE"
    assert (await send(api, provider, event(provider, ref))).status_code == 204
    delivered = sandbox.counts[f"{provider}.webhook"]
    await decide(sandbox, provider, ref, contrary)
    await eventually(lambda: sandbox.counts[f"{provider}.webhook"] > delivered + (provider == "onfido"))
    assert all(not found.result_value["changed"] for found in await reviews() if found.id not in told)
    assert await row(job.id) == after
    assert await messages() == 2


async def test_a_replayed_event_is_not_believed_when_a_review_is_open(
    api: httpx2.AsyncClient, worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kyc_review, "LAG_LIMIT", 0.0)  # its answer lags behind no webhook
    job = await added("idenfy", "SPECIMEN-REVIEW")
    assert (await job.result(timeout=30)).status == "pending_review"
    ref = (await row(job.id))["provider_ref"]
    assert (await send(api, "idenfy", event("idenfy", ref, overall="APPROVED"))).status_code == 204
    # iDenfy was asked, and says SUSPECTED still.
    assert [r.result_value for r in await reviews()] == [{"changed": False, "status": "pending_review"}]
    assert (await row(job.id))["status"] == "pending_review"


async def test_a_provider_whose_answer_lags_behind_its_webhook_is_asked_again(
    api: httpx2.AsyncClient, worker: None, sandbox: RunningSandbox
) -> None:
    job = await added("idenfy", "SPECIMEN-REVIEW")
    assert (await job.result(timeout=30)).status == "pending_review"
    ref = (await row(job.id))["provider_ref"]
    assert (await send(api, "idenfy", event("idenfy", ref, overall="DENIED"))).status_code == 204
    (review,) = await eventually(_snoozed)
    sandbox.app.idenfy._sessions[ref]["outcome"] = Outcome.REJECT
    await queue.admin.promote(review.id)
    assert (await review.result(timeout=15)).status == "rejected"
    assert (await row(job.id))["status"] == "rejected"


async def _snoozed() -> list[Job]:
    return [job for job in await queue.browse.jobs("delayed") if job.name == "review"]


async def test_a_check_that_completes_after_we_gave_it_up_is_not_lost(
    api: httpx2.AsyncClient, worker: None, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kyc_onfido, "POLLING", Polling(first=0.05, longest=0.1, give_up=0.2))
    job = await added("onfido", "SPECIMEN-NEVER")
    assert (await job.result(timeout=30)).status == "expired"
    await decide(sandbox, "onfido", (await row(job.id))["provider_ref"], "APPROVE")

    async def approved() -> bool:
        return bool((await row(job.id))["status"] == "approved")

    await eventually(approved)


async def test_a_review_survives_a_provider_and_a_table_that_are_away(
    api: httpx2.AsyncClient, worker: None, sandbox: RunningSandbox
) -> None:
    job = await added("onfido", "SPECIMEN-REVIEW")
    assert (await job.result(timeout=30)).status == "pending_review"
    ref = (await row(job.id))["provider_ref"]
    await script(sandbox, provider="supabase", fault="500", path="PATCH")
    await decide(sandbox, "onfido", ref, "APPROVE")

    (review,) = await eventually(_snoozed)
    assert (await row(job.id))["status"] == "pending_review"
    await queue.admin.promote(review.id)  # its minute has passed
    assert (await review.result(timeout=15)).status == "approved"
    assert (await row(job.id))["status"] == "approved"
    assert await messages() == 2
