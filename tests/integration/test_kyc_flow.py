"""The KYC handler run by hand against the sandbox: every crash, every fault, every wait."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from kyc_bench import ByHand, Crash, job_data, leave, received, row, surround
from standins import forget_faults, running, script

from corral.errors import Unrecoverable
from corral.providers import providers
from corral.providers.errors import (
    FetchBlocked,
    FetchRefused,
    ProviderAmbiguous,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.queues import kyc_verification, notification
from corral.queues.kyc_types import KycJob
from corral.queues.kyc_verification import AttemptNearlyOver
from corral.queues.kyc_waits import IDENFY_WAIT
from corral.sandbox.server import RunningSandbox

#: What a provider is paid for.
PAID = {"onfido": "onfido.check", "idenfy": "idenfy.process"}

_ids = itertools.count(1)


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


def by_hand(data: KycJob) -> ByHand:
    return ByHand(data, f"job-{next(_ids)}")


async def told(job: ByHand) -> list[str]:
    """The titles of the messages that this job sent."""
    found = await notification.queue.get(f"kyc-{job.id}")
    return [] if found is None else [found.data.title]


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("SPECIMEN-1", "approved"),
        ("SPECIMEN-REJECT", "rejected"),
        ("SPECIMEN-REVIEW", "pending_review"),
        ("SPECIMEN-MISMATCH", "pending_review"),
        ("SPECIMEN-EXPIRE", "expired"),
        ("SPECIMEN-SILENT", "approved"),
    ],
)
async def test_every_outcome_is_a_completed_job(provider: str, number: str, status: str) -> None:
    job = by_hand(job_data(provider, number))
    result = await job.run_to_the_end()
    assert (result.success, result.status) == (True, status)
    assert job.steps == [50, 75, 100]
    stored = await row(job.id)
    assert (stored["status"], stored["completed_at"]) == (status, result.completed_at)
    assert stored["provider_ref"] == job.stored["provider_ref"]
    assert (stored["user_id"], stored["document_type"]) == ("user-7", "passport")
    assert len(await told(job)) == 1


async def test_while_it_waits_the_row_says_processing() -> None:
    job = by_hand(job_data())
    assert await job.run() is None
    assert (await row(job.id))["status"] == "processing"
    assert job.steps == [50]
    assert await told(job) == []


async def test_the_wait_is_for_the_check_and_as_long_as_agreed() -> None:
    onfido, idenfy = by_hand(job_data("onfido")), by_hand(job_data("idenfy"))
    await onfido.run()
    await idenfy.run()
    assert onfido.waits == [(f"onfido:{onfido.stored['check_id']}", 30)]
    assert idenfy.waits == [(f"idenfy:{idenfy.stored['scan_ref']}", IDENFY_WAIT)]


async def test_a_signal_ends_the_wait_and_idenfys_answer_is_in_it(sandbox: RunningSandbox) -> None:
    job = by_hand(job_data("idenfy"))
    await job.run()
    await script(sandbox, provider="idenfy", fault="500", times=9)  # nobody may ask iDenfy again
    job.signals[f"idenfy:{job.stored['scan_ref']}"] = {"overall": "DENIED"}
    assert (await job.run()).status == "rejected"


async def test_the_names_the_selfie_and_the_back_are_handed_over(sandbox: RunningSandbox) -> None:
    more = {
        "back_image_url": "https://docs.example.com/id-back.jpg",
        "selfie_image_url": "https://docs.example.com/selfie.webp",  # which no provider reads
        "first_name": "Sample",
        "last_name": "Specimen",
        "issuing_country": "FR",
    }
    for provider in ("onfido", "idenfy"):
        before = received(sandbox, "onfido.document"), received(sandbox, "onfido.live_photo")
        job = by_hand(job_data(provider, **more))
        assert (await job.run_to_the_end()).status == "approved"
        after = received(sandbox, "onfido.document"), received(sandbox, "onfido.live_photo")
        assert after == ((before[0] + 2, before[1] + 1) if provider == "onfido" else before)


# Crashes


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
@pytest.mark.parametrize("after_storing", [False, True])
async def test_a_crash_at_any_step_never_pays_twice(
    sandbox: RunningSandbox, provider: str, after_storing: bool
) -> None:
    more = {"selfie_image_url": "https://docs.example.com/selfie.jpg"}
    crashes = 0
    for step in itertools.count(1):
        before = received(sandbox, PAID[provider])
        job = by_hand(job_data(provider, **more))
        job.dies_at, job.dies_after_storing = step, after_storing
        try:
            await job.run_to_the_end()
        except Crash:
            crashes += 1
            job.attempt, job.dies_at = 2, None
            assert (await job.run_to_the_end()).status == "approved"
        assert received(sandbox, PAID[provider]) == before + 1
        assert (await row(job.id))["status"] == "approved"
        assert len(await told(job)) == 1
        if job.dies_at is not None:
            break  # it came to the end without reaching this step
    # onfido: processing, applicant, document, photo, marker, check, referred | idenfy: processing, marker,
    # session, marker, submitted, referred. (The outcome is stored in a run of its own, after the wait.)
    assert crashes == {"onfido": 7, "idenfy": 6}[provider]


@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
async def test_a_crash_after_the_outcome_tells_the_user_once(sandbox: RunningSandbox, provider: str) -> None:
    job = by_hand(job_data(provider))
    await job.run()
    job.due, job.dies_at, job.dies_after_storing = True, 1, True
    with pytest.raises(Crash):
        await job.run()
    await script(sandbox, provider=provider, fault="500", times=9)  # the outcome is known: nobody asks again
    job.dies_at = None
    assert (await job.run()).status == "approved"
    assert (await job.run()).status == "approved"
    assert len(await told(job)) == 1


@pytest.mark.parametrize("fault", ["drop", "hang", "truncated"])
async def test_an_onfido_order_without_an_answer_is_found_again(
    sandbox: RunningSandbox, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shorten(monkeypatch, "onfido")
    before = received(sandbox, "onfido.check")
    job = by_hand(job_data())
    await script(sandbox, provider="onfido", fault=fault, path="POST /checks")
    with pytest.raises(ProviderAmbiguous):
        await job.run()
    job.attempt = 2
    assert (await job.run_to_the_end()).status == "approved"
    assert received(sandbox, "onfido.check") == before + 1


@pytest.mark.parametrize("fault", ["drop", "hang"])
async def test_an_onfido_order_that_never_arrived_is_sent_again(
    sandbox: RunningSandbox, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shorten(monkeypatch, "onfido")
    before = received(sandbox, "onfido.check")
    job = by_hand(job_data())
    await script(sandbox, provider="onfido", fault=fault, path="POST /checks", carried_out=False)
    with pytest.raises(ProviderAmbiguous):
        await job.run()
    assert received(sandbox, "onfido.check") == before
    assert (await job.run_to_the_end()).status == "approved"
    assert received(sandbox, "onfido.check") == before + 1


@pytest.mark.parametrize("carried_out", [True, False])
async def test_photographs_at_idenfy_without_an_answer_are_reconciled(
    sandbox: RunningSandbox, carried_out: bool
) -> None:
    before = received(sandbox, "idenfy.process")
    job = by_hand(job_data("idenfy"))
    await script(sandbox, provider="idenfy", fault="drop", path="/process", carried_out=carried_out)
    with pytest.raises(ProviderAmbiguous):
        await job.run()
    sessions, pictures = received(sandbox, "idenfy.session"), received(sandbox, "images.get")
    assert (await job.run_to_the_end()).status == "approved"
    # What arrived is not even fetched again: its URL may be gone by now.
    assert received(sandbox, "images.get") == pictures + (0 if carried_out else 1)
    assert received(sandbox, "idenfy.process") == before + 1
    assert received(sandbox, "idenfy.session") == sessions  # the same session did


async def test_a_session_that_ran_out_before_its_photographs_is_opened_anew(sandbox: RunningSandbox) -> None:
    job = by_hand(job_data("idenfy"))
    await script(sandbox, provider="idenfy", fault="500", path="/process")
    with pytest.raises(ProviderRetryable):
        await job.run()
    first = job.stored["scan_ref"]
    sandbox.app.idenfy._sessions[first]["expires_at"] = 0  # hours later, from the dead letters
    assert (await job.run_to_the_end()).status == "approved"
    assert job.stored["scan_ref"] != first


async def shorten(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    """Notice a hanging provider within the test."""
    client = getattr(await providers(), provider)._client._client
    monkeypatch.setattr(client, "_timeout", client.timeout.__class__(0.3))


# Failures


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://docs.example.com/missing.jpg", FetchRefused),
        ("https://docs.example.com/text.jpg", FetchRefused),
        ("https://docs.example.com/huge.png", FetchRefused),
        ("https://docs.example.com/corrupt.jpg", ProviderPermanent),
        ("http://127.0.0.1/passport.jpg", FetchBlocked),
        ("http://169.254.169.254/latest/meta-data/", FetchBlocked),
        ("http://2130706433/passport.jpg", FetchBlocked),
    ],
)
@pytest.mark.parametrize("provider", ["onfido", "idenfy"])
async def test_a_bad_photograph_goes_to_the_dead_letters_unpaid(
    sandbox: RunningSandbox, provider: str, url: str, error: type[Exception]
) -> None:
    paid = received(sandbox, PAID[provider])
    data = job_data(provider)
    job = by_hand(KycJob(**{f: getattr(data, f) for f in data.__struct_fields__} | {"front_image_url": url}))
    with pytest.raises(error) as caught:
        await job.run()
    assert isinstance(caught.value, Unrecoverable)
    assert (await row(job.id))["status"] == "failed"
    assert received(sandbox, PAID[provider]) == paid
    assert await told(job) == []


async def test_failed_is_written_with_the_last_attempt_only(sandbox: RunningSandbox) -> None:
    job = by_hand(job_data())
    await script(sandbox, provider="onfido", fault="500", times=3)
    for attempt, status in ((1, "processing"), (2, "processing"), (3, "failed")):
        job.attempt = attempt
        with pytest.raises(ProviderRetryable):
            await job.run()
        assert (await row(job.id))["status"] == status
    # Tried again from the dead letters it is processing again, and comes to its outcome.
    assert await job.run() is None
    assert (await row(job.id))["status"] == "processing"
    assert (await job.run_to_the_end()).status == "approved"
    assert (await row(job.id))["status"] == "approved"


async def test_a_wrong_key_never_says_failed(sandbox: RunningSandbox) -> None:
    job = by_hand(job_data())
    job.attempt = 3
    await script(sandbox, provider="onfido", fault="401")
    with pytest.raises(ProviderMisconfigured) as caught:
        await job.run()
    assert caught.value.seconds == 60
    assert (await row(job.id))["status"] == "processing"


async def test_supabase_away_is_a_failed_attempt_and_its_own_error_wins(sandbox: RunningSandbox) -> None:
    job = by_hand(job_data())
    job.attempt = 3
    await script(sandbox, provider="supabase", fault="500", times=9)
    with pytest.raises(ProviderRetryable, match="supabase"):
        await job.run()


async def test_an_outcome_that_could_not_be_written_is_written_by_the_next_run(
    sandbox: RunningSandbox,
) -> None:
    job = by_hand(job_data())
    await job.run()
    await script(sandbox, provider="supabase", fault="500")
    job.due = True
    with pytest.raises(ProviderRetryable):
        await job.run()
    assert (await row(job.id))["status"] == "processing"
    assert (await job.run()).status == "approved"
    assert (await row(job.id))["status"] == "approved"


async def test_an_attempt_that_runs_out_of_time_says_so_itself(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(kyc_verification, "clock", lambda: now)
    job = by_hand(job_data())
    job.attempt, job.deadline = 3, now + 1.0
    await script(sandbox, provider="onfido", fault="hang")
    with pytest.raises(AttemptNearlyOver):
        await job.run()
    assert (await row(job.id))["status"] == "failed"


# Polling


async def test_onfido_is_polled_ever_more_slowly_and_given_up_after_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(kyc_verification, "clock", lambda: now[0])
    job = by_hand(job_data(number="SPECIMEN-NEVER"))
    result = None
    while result is None:
        result = await job.run()
        now[0] += job.waits[-1][1]
        job.due = True
    assert result.status == "expired"
    assert [wait for _, wait in job.waits][:7] == [30, 60, 120, 240, 480, 900, 900]
    assert sum(wait for _, wait in job.waits) == 24 * 3600


async def test_a_signal_that_comes_too_early_turns_into_polls_not_into_a_spin() -> None:
    job = by_hand(job_data(number="SPECIMEN-NEVER"))
    await job.run()
    signal = f"onfido:{job.stored['check_id']}"
    job.signals[signal] = {"action": "check.completed"}
    assert await job.run() is None
    assert await job.run() is None
    assert job.waits[-1] == (f"{signal}:poll", 60)
