"""The queue `notification` as it is deployed: real Redis, a real worker, providers over HTTP."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from kyc_bench import leave, surround
from running_worker import Redis, StartWorker
from standins import forget_faults, running, script
from structlog.testing import capture_logs

from corral import Job, Retry
from corral.errors import JobFailed
from corral.providers import providers
from corral.queues import notification
from corral.queues.notification import NotificationJob, NotificationResult, queue
from corral.sandbox import people
from corral.sandbox.server import RunningSandbox
from eventually import eventually

#: The policy's waits are minutes; a test's are not.
SOON = (0.05,)

_numbers = itertools.count(1)


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
    # Nobody listens there: these tests are not about callbacks.
    monkeypatch.setenv("CORRAL_PUBLIC_URL", "http://127.0.0.1:1")
    await forget_faults(sandbox)
    yield
    await leave()


@pytest.fixture
def user() -> str:
    """A user of this test's own: the sandbox is shared."""
    return f"user-{next(_numbers)}"


async def add(user: str, kind: str = "push", *, attempts: int = 3, **more: Any) -> Job:
    message = NotificationJob(user_id=user, type=kind, title="Good news", body=f"For {user}", **more)  # type: ignore[arg-type]  # a test's word
    return await queue.add("send", message, retry=Retry(attempts=attempts, delays=SOON))


def received(sandbox: RunningSandbox, provider: str, user: str, action: str = "push") -> int:
    """How often a provider took the message for a user."""
    entries = sandbox.app.outbox.show(provider)["entries"]
    return sum(e["action"] == action and f"For {user}" in e["body"] for e in entries)


def texted(sandbox: RunningSandbox, user: str) -> int:
    entries = sandbox.app.outbox.show("twilio")["entries"]
    return sum(e["action"] == "sms" and e["body"] == f"Good news\nFor {user}" for e in entries)


async def result_of(job: Job) -> NotificationResult:
    found: NotificationResult = await job.result(timeout=20)
    return found


async def put_back(job: Job) -> Job:
    """The job once it waits, having spent nothing."""
    await eventually(lambda: _is_delayed(job))
    assert job.attempts_made == 0
    return job


async def _is_delayed(job: Job) -> bool:
    return (await job.refresh()).status == "delayed"


# Push


@pytest.mark.parametrize(
    ("who", "outcome", "delivered", "removed", "reason"),
    [
        ("user", "sent", 1, 0, None),
        ("every", "sent", 3, 1, None),
        ("dead", "undeliverable", 0, 1, "every token of the user's devices was dead"),
        ("none", "undeliverable", 0, 0, "the user has no device"),
    ],
)
async def test_a_push_goes_to_every_device(
    sandbox: RunningSandbox,
    start_worker: StartWorker,
    who: str,
    outcome: str,
    delivered: int,
    removed: int,
    reason: str | None,
) -> None:
    user = f"{who}-{next(_numbers)}"
    start_worker(queue)
    result = await result_of(await add(user, data={"orderId": 7}))
    assert (result.outcome, result.delivered, result.removed, result.failed, result.reason) == (
        outcome, delivered, removed, 0, reason,
    )  # fmt: skip
    kinds = sorted(known.partition(":")[0] for known in result.provider_ids)
    assert kinds == {0: [], 1: ["fcm"], 3: ["apns", "fcm"]}[delivered]
    left = await (await providers()).recipients.devices(user)
    assert len(left) == delivered  # the dead ones are forgotten
    got = [e for e in sandbox.app.outbox.show()["entries"] if e.get("body") == f"For {user}"]
    assert [e["data"] for e in got] == [{"orderId": "7"}] * delivered


async def test_a_retry_does_not_send_again_to_who_has_it(
    sandbox: RunningSandbox, start_worker: StartWorker
) -> None:
    user = f"every-{next(_numbers)}"
    for provider in ("apns", "webpush"):
        await script(sandbox, provider=provider, fault="500")
    start_worker(queue)
    job = await add(user)
    result = await result_of(job)
    assert (result.delivered, result.removed, result.failed) == (3, 1, 0)
    assert (await job.refresh()).attempts_made == 2
    assert [received(sandbox, p, user) for p in ("fcm", "apns", "webpush")] == [1, 1, 1]


async def test_a_lost_answer_is_sent_again_under_the_same_collapse_key(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    await script(sandbox, provider="fcm", fault="drop", path="messages:send")
    start_worker(queue)
    job = await add(user)
    assert (await result_of(job)).delivered == 1
    got = [e for e in sandbox.app.outbox.show("fcm")["entries"] if e.get("body") == f"For {user}"]
    assert [e["collapseKey"] for e in got] == [job.id, job.id]


async def test_what_got_through_is_no_dead_letter_when_a_provider_stays_away(
    sandbox: RunningSandbox, start_worker: StartWorker
) -> None:
    await script(sandbox, provider="apns", fault="500", times=2)
    start_worker(queue)
    result = await result_of(await add(f"every-{next(_numbers)}", attempts=2))
    assert (result.outcome, result.delivered, result.removed, result.failed) == ("sent", 2, 1, 1)


async def test_nobody_got_it_and_no_attempt_is_left(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    await script(sandbox, provider="fcm", fault="500", times=3, path="messages:send")
    start_worker(queue)
    job = await add(user)
    with pytest.raises(JobFailed, match="INTERNAL"):
        await job.result(timeout=20)
    assert (await job.refresh()).attempts_made == 3


async def test_a_wrong_key_puts_the_job_back_unspent(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    await script(sandbox, provider="fcm", fault="401", times=2, path="messages:send")
    start_worker(queue)
    await put_back(await add(user))


async def test_a_resolver_that_is_not_there_puts_the_job_back_unspent(
    monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_RECIPIENTS", "no_such_module_here:people")
    start_worker(queue)
    with capture_logs() as logs:
        await put_back(await add(user))
    assert any("no_such_module_here" in str(e) and e["log_level"] == "error" for e in logs)


async def test_a_dead_token_that_cannot_be_removed_fails_nothing(
    sandbox: RunningSandbox, start_worker: StartWorker
) -> None:
    user = f"every-{next(_numbers)}"
    await script(sandbox, provider="supabase", fault="500", path="DELETE")
    start_worker(queue)
    result = await result_of(await add(user))
    assert (result.outcome, result.delivered, result.removed, result.failed) == ("sent", 3, 0, 1)
    assert len(await (await providers()).recipients.devices(user)) == 4


async def test_who_cannot_be_reached_may_be_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker
) -> None:
    monkeypatch.setenv("CORRAL_UNDELIVERABLE", "dead-letter")
    start_worker(queue)
    for kind, reason in (("push", "the user has no device"), ("sms", "the user has no phone number")):
        job = await add(f"none-{next(_numbers)}", kind)
        with pytest.raises(JobFailed, match=f"Undeliverable: {reason}"):
            await job.result(timeout=20)
        assert (await job.refresh()).attempts_made == 1


# Text messages


@pytest.mark.parametrize(
    ("who", "outcome", "delivered", "reason"),
    [
        ("user", "sent", 1, None),
        ("none", "undeliverable", 0, "the user has no phone number"),
        ("dead", "undeliverable", 0, "the number takes no text messages (21211)"),
        ("optout", "undeliverable", 0, "the number takes no text messages (21610)"),
    ],
)
async def test_a_text_message(
    sandbox: RunningSandbox,
    start_worker: StartWorker,
    who: str,
    outcome: str,
    delivered: int,
    reason: str | None,
) -> None:
    user = f"{who}-{next(_numbers)}"
    start_worker(queue)
    result = await result_of(await add(user, "sms"))
    assert (result.outcome, result.delivered, result.reason) == (outcome, delivered, reason)
    assert [known.partition(":SM")[0] for known in result.provider_ids] == ["twilio"] * delivered
    assert texted(sandbox, user) == delivered


@pytest.mark.parametrize("fault", ["drop", "truncated"])
async def test_a_text_message_without_an_answer_is_found_in_the_list(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str, fault: str
) -> None:
    await script(sandbox, provider="twilio", fault=fault, path="POST")
    start_worker(queue)
    job = await add(user, "sms")
    result = await result_of(job)
    assert (result.outcome, len(result.provider_ids)) == ("sent", 1)
    assert texted(sandbox, user) == 1
    assert (await job.refresh()).attempts_made == 2


@pytest.mark.parametrize("fault", ["429", "500"])
async def test_a_text_message_that_was_refused_is_sent_later(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str, fault: str
) -> None:
    await script(sandbox, provider="twilio", fault=fault)
    start_worker(queue)
    assert (await result_of(await add(user, "sms"))).outcome == "sent"
    assert texted(sandbox, user) == 1
    assert sandbox.counts["twilio.sms"]


async def may_have_been_sent(job: Job) -> None:
    with pytest.raises(JobFailed, match="may have been sent"):
        await job.result(timeout=20)
    assert (await job.refresh()).attempts_made == 3


async def test_what_nobody_can_know_is_a_dead_letter_and_a_persons_decision(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    await script(sandbox, provider="twilio", fault="drop", path="POST", carried_out=False)
    start_worker(queue)
    job = await add(user, "sms")
    await may_have_been_sent(job)
    assert texted(sandbox, user) == 0

    await queue.admin.retry(job.id)
    assert (await result_of(job)).outcome == "sent"
    assert texted(sandbox, user) == 1


async def test_a_persons_retry_looks_first(
    sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    await script(sandbox, provider="twilio", fault="drop", path="POST")
    await script(sandbox, provider="twilio", fault="drop", path="GET", times=2)
    start_worker(queue)
    job = await add(user, "sms")
    await may_have_been_sent(job)
    await queue.admin.retry(job.id)
    assert (await result_of(job)).outcome == "sent"
    assert texted(sandbox, user) == 1


async def test_at_least_once_sends_again_what_the_list_has_not(
    monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_SMS_DELIVERY", "at_least_once")
    await script(sandbox, provider="twilio", fault="drop", path="POST", carried_out=False)
    start_worker(queue)
    job = await add(user, "sms")
    assert (await result_of(job)).outcome == "sent"
    assert texted(sandbox, user) == 1
    assert (await job.refresh()).attempts_made == 2


# When


def at(clock: str) -> float:
    return datetime.fromisoformat(f"2026-11-10 {clock}").replace(tzinfo=UTC).timestamp()


async def test_in_quiet_hours_only_what_is_urgent_is_sent(
    monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_QUIET_HOURS", "22:00-07:00")
    monkeypatch.setattr(notification, "clock", lambda: at("23:00"))
    start_worker(queue)
    for kind in ("push", "sms"):
        with capture_logs() as logs:
            await put_back(await add(user, kind))
        assert [e["seconds"] for e in logs if e["event"] == "notification_put_back"] == [8 * 3600]
        assert (await result_of(await add(user, kind, data={"urgent": True}))).outcome == "sent"
    assert (received(sandbox, "fcm", user), texted(sandbox, user)) == (1, 1)


async def test_quiet_hours_are_the_users_own(
    monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_QUIET_HOURS", "22:00-07:00")
    # 23:00 in London is 08:00 in Tokyo.
    monkeypatch.setattr(notification, "clock", lambda: at("23:00"))
    sandbox.app.postgrest.execute(f"insert into profiles values ('{user}', '+15005551234', 'Asia/Tokyo')")
    start_worker(queue)
    assert (await result_of(await add(user))).outcome == "sent"


async def test_after_the_quiet_hours_the_message_is_sent_unspent(
    monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_QUIET_HOURS", "22:00-07:00")
    times = [at("06:59") + 59.5]
    monkeypatch.setattr(notification, "clock", lambda: times[0])
    start_worker(queue)
    job = await add(user)
    await put_back(job)
    times[0] = at("07:00")
    assert (await result_of(job)).outcome == "sent"
    assert (await job.refresh()).attempts_made == 1
    assert received(sandbox, "fcm", user) == 1


async def test_a_users_rate_holds_over_all_workers(
    monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_NOTIFY_PER_USER", "2/3600")
    for _ in range(3):
        start_worker(queue)
    jobs = [await add(user, kind) for kind in ("push", "sms", "push", "sms", "push")]
    await eventually(lambda: _ended(jobs, completed=2, delayed=3))
    assert received(sandbox, "fcm", user) + texted(sandbox, user) == 2
    assert all(job.attempts_made == 0 for job in jobs if job.status == "delayed")
    # Another user is none the worse, and who is not reached takes no turn.
    assert (await result_of(await add(f"user-{next(_numbers)}"))).outcome == "sent"
    for _ in range(3):
        assert (await result_of(await add("none-1"))).outcome == "undeliverable"


async def _ended(jobs: list[Job], *, completed: int, delayed: int) -> bool:
    states = [(await job.refresh()).status for job in jobs]
    return (states.count("completed"), states.count("delayed")) == (completed, delayed)


async def test_what_is_over_the_rate_is_sent_when_the_window_has_passed(
    monkeypatch: pytest.MonkeyPatch, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_NOTIFY_PER_USER", "1/1")
    start_worker(queue)
    jobs = [await add(user) for _ in range(2)]
    assert [(await result_of(job)).outcome for job in jobs] == ["sent", "sent"]
    assert (await jobs[1].refresh()).attempts_made == 1


async def test_a_retry_takes_no_second_turn(
    monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox, start_worker: StartWorker, user: str
) -> None:
    monkeypatch.setenv("CORRAL_NOTIFY_PER_USER", "1/3600")
    await script(sandbox, provider="fcm", fault="500", path="messages:send")
    start_worker(queue)
    assert (await result_of(await add(user))).outcome == "sent"


# What is not told


async def test_no_token_and_no_number_is_kept_or_told(
    sandbox: RunningSandbox, start_worker: StartWorker, redis: Redis
) -> None:
    user = f"every-{next(_numbers)}"
    await script(sandbox, provider="fcm", fault="500", path="messages:send")
    await script(sandbox, provider="twilio", fault="drop", path="POST")
    with capture_logs() as logs:
        start_worker(queue)
        # One after the other: the dropped answer is meant for the second.
        for whose, kind in ((user, "push"), (user, "sms"), ("optout-1", "sms")):
            await result_of(await add(whose, kind))
    kept = [str(logs)]
    for key in await redis.keys("*"):
        kind = await redis.type(key)
        if kind == "hash":
            kept.append(str(await redis.hgetall(key)))
        elif kind == "list":
            kept.append(str(await redis.lrange(key, 0, -1)))
        elif kind == "stream":
            kept.append(str(await redis.xrange(key)))
        kept.append(key)
    told = "\n".join(kept)
    assert "device:" in told  # it looks where it should
    number = people.phone(user)
    assert number
    for private in (number[1:], people.OPTED_OUT[1:], *(token for _, token in people.devices(user))):
        assert private not in told
