"""The queue `email` with a real Redis, a real worker, and providers over HTTP and SMTP."""

from __future__ import annotations

import email as mime
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from email import policy
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mail_server import MailServer, serving
from running_worker import RunningWorker
from standins import forget_faults, running, script
from structlog.testing import capture_logs

from corral import Job, Retry, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import InvalidData
from corral.mail.suppression import SuppressionList
from corral.providers import close_providers
from corral.queues.email import queue
from corral.queues.email_types import EmailJob
from corral.sandbox.server import RunningSandbox
from corral.surroundings import declare_middleware
from eventually import eventually

#: The queue's waits are seconds; a test's are not.
SOON = Retry(attempts=3, delays=(0.05,))

#: What must be in no log line and no reason.
PRIVATE = ("user-42", "shop-7", "Zoë", "Secret Plan", "Secret%20Plan")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
async def surroundings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str, sandbox: RunningSandbox
) -> AsyncIterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("SENDGRID_API_KEY", "MAILGUN_API_KEY", "MAILGUN_DOMAIN", "SMTP_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_SANDBOX", "1")
    monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox.url)
    await forget_faults(sandbox)
    sandbox.app.outbox._entries.clear()
    yield
    await close_providers()
    await queue.close()
    await close_shared_clients()


@pytest.fixture
async def mail_server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MailServer]:
    async with serving() as server:
        monkeypatch.setenv("SMTP_HOST", "127.0.0.1")
        monkeypatch.setenv("SMTP_PORT", str(server.port))
        monkeypatch.setenv("SMTP_TLS", "none")
        yield server
        await close_providers()


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    worker = RunningWorker(Worker(queue, name="email-test"), until_empty=False)
    yield
    await worker.stop()


def mail(**change: Any) -> dict[str, Any]:
    base = {
        "to": "user-42@example.com",
        "template": "welcome",
        "data": {"name": "Zoë"},
        "provider": "sendgrid",
    }
    return {name: value for name, value in {**base, **change}.items() if value is not None}


async def added(job_id: str = "mail-1", retry: Retry = SOON, **change: Any) -> Job:
    return await queue.add("send", mail(**change), job_id=job_id, retry=retry)


async def ended(job: Job) -> Job:
    await eventually(lambda: _has_ended(job))
    return job


async def _has_ended(job: Job) -> bool:
    return (await job.refresh()).status in ("completed", "failed")


async def outbox(sandbox: RunningSandbox, provider: str) -> list[dict[str, Any]]:
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"{sandbox.url}/outbox", params={"provider": provider})).json()
    return [entry for entry in answer["entries"] if entry["action"] == "mail"]


# Sending


@pytest.mark.parametrize("provider", ["sendgrid", "mailgun"])
async def test_a_mail_goes_out_with_all_that_it_has(sandbox: RunningSandbox, provider: str) -> None:
    sender: dict[str, Any] = {"from": "The Shop <shop-7@example.com>", "replyTo": "help@example.com"}
    async with working():
        job = await ended(
            await added(
                provider=provider,
                to=["user-42@example.com", "The Second <user-43@example.com>", "USER-42@example.com"],
                tags=["welcome", "welcome"],
                attachments=[
                    {"url": "https://files.example.com/passport.jpg"},
                    {"url": "https://files.example.com/passport.jpg", "name": "second.jpg"},
                ],
                **sender,
            )
        )

    (sent,) = await outbox(sandbox, provider)
    assert job.result_value == {
        "provider": provider,
        "messageId": job.result_value["messageId"],
        "outcome": "sent",
        "recipients": 2,
    }
    assert job.result_value["messageId"]
    assert (job.progress, job.attempts_made) == (100, 1)
    assert sent["subject"] == "Welcome, Zoë"
    assert "Welcome, Zoë" in sent["text"]
    assert 'lang="en"' in sent["html"]
    assert sent["message_id"] == "<mail-1@example.com>"
    assert sent["job_id"] == "mail-1"
    assert sent["tags"] == ["welcome"]
    assert len(sent["to"]) == 2
    assert [file["name"] for file in sent["attachments"]] == ["passport.jpg", "second.jpg"]
    assert sent["attachments"][0]["bytes"] > 2000


async def test_a_mail_by_smtp_is_read_back_as_mime(mail_server: MailServer) -> None:
    async with working():
        job = await ended(
            await added(
                provider="smtp",
                subject="Grüße",
                attachments=[{"url": "https://files.example.com/passport.jpg", "name": "Päss.jpg"}],
            )
        )

    assert job.result_value["messageId"] == "<mail-1@example.com>"
    (taken,) = mail_server.taken
    assert isinstance(taken.content, bytes)
    message = mime.message_from_bytes(taken.content, policy=policy.default)
    assert (message["Subject"], message["Message-ID"]) == ("Grüße", "<mail-1@example.com>")
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "Welcome, Zoë" in plain.get_content()
    assert "<h1" in html.get_content()
    (file,) = message.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("Päss.jpg", "image/jpeg")


async def test_a_template_of_the_provider_gets_the_data_as_it_is(sandbox: RunningSandbox) -> None:
    async with working():
        await ended(await added(template=None, templateId="d-42", data={"plan": {"name": "x"}}))

    (sent,) = await outbox(sandbox, "sendgrid")
    assert (sent["template"], sent["variables"]) == ("d-42", {"plan": {"name": "x"}})
    assert sent["html"] == ""


async def test_a_teams_own_template_is_used(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "invoice.html").write_text("---\nsubject: Invoice {{ no }}\n---\n<p>{{ no }}</p>")
    monkeypatch.setenv("CORRAL_MAIL_TEMPLATES", str(tmp_path))
    async with working():
        await ended(await added(template="invoice", data={"no": 7}))

    (sent,) = await outbox(sandbox, "sendgrid")
    assert (sent["subject"], sent["text"]) == ("Invoice 7", "7\n")


# Fail-over


@pytest.mark.parametrize("fault", ["500", "429", "401"])
async def test_another_provider_takes_over_in_the_same_attempt(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("CORRAL_MAIL_FALLBACK", "mailgun")
    await script(sandbox, provider="sendgrid", fault=fault)
    with capture_logs() as logs:
        async with working():
            job = await ended(await added())

    assert (job.result_value["provider"], job.attempts_made) == ("mailgun", 1)
    assert await outbox(sandbox, "sendgrid") == []
    (sent,) = await outbox(sandbox, "mailgun")
    assert sent["message_id"] == "<mail-1@example.com>"
    (handed,) = [line for line in logs if line["event"] == "email_handed_over_to_another"]
    assert (handed["provider"], handed["to_provider"]) == ("sendgrid", "mailgun")


async def test_nobody_takes_over_from_a_refusal(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_MAIL_FALLBACK", "mailgun")
    async with working():
        # The stand-in wants the message before it looks at the template's id.
        job = await ended(await added(provider="sendgrid", template=None, templateId="no-guid", data={}))

    assert (job.status, job.attempts_made) == ("failed", 1)
    assert "template_id" in str(job.failed_reason)
    assert await outbox(sandbox, "mailgun") == []


async def test_nobody_takes_over_where_it_may_have_been_sent(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_MAIL_FALLBACK", "mailgun")
    await script(sandbox, provider="sendgrid", fault="drop")
    await script(sandbox, provider="sendgrid", fault="500")
    with capture_logs() as logs:
        async with working():
            job = await ended(await added())

    # Taken without an answer, then refused for now, then taken again: the same mailbox sees the same id.
    assert (job.status, job.attempts_made) == ("completed", 3)
    sent = await outbox(sandbox, "sendgrid")
    assert [entry["message_id"] for entry in sent] == ["<mail-1@example.com>"] * 2
    assert await outbox(sandbox, "mailgun") == []
    assert [line["event"] for line in logs].count("email_sent_again") == 2


async def test_a_provider_that_has_no_key_here_is_passed_over(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_MAIL_FALLBACK", "smtp,mailgun")
    await script(sandbox, provider="sendgrid", fault="500")
    async with working():
        job = await ended(await added())

    assert job.result_value["provider"] == "mailgun"


async def test_when_nobody_can_the_job_is_tried_again(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_MAIL_FALLBACK", "mailgun")
    await script(sandbox, provider="sendgrid", fault="500", times=2)
    await script(sandbox, provider="mailgun", fault="500")
    async with working():
        job = await ended(await added(retry=Retry(attempts=2, delays=(0.05,))))

    assert (job.result_value["provider"], job.attempts_made) == ("mailgun", 2)


async def test_a_wrong_key_puts_the_job_back_unspent(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="mailgun", fault="401")
    async with working():
        job = await added(provider="mailgun")
        await eventually(lambda: _is_delayed(job))

    assert job.attempts_made == 0


async def _is_delayed(job: Job) -> bool:
    return (await job.refresh()).status == "delayed"


async def test_without_a_sender_the_job_waits_for_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_SANDBOX", "0")
    with capture_logs() as logs:
        async with working():
            job = await added()
            await eventually(lambda: _is_delayed(job))

    assert job.attempts_made == 0
    assert any("CORRAL_MAIL_FROM" in str(line.get("reason")) for line in logs)


# Never twice, where that can be known


async def test_at_most_once_is_never_sent_again_after_a_lost_answer(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="sendgrid", fault="drop")
    async with working():
        job = await ended(await added(delivery="at_most_once"))

    assert (job.status, job.attempts_made) == ("failed", 1)
    assert "may have been sent" in str(job.failed_reason)
    await queue.admin.retry(job.id)
    async with working():
        await ended(job)
    assert "may have been sent" in str(job.failed_reason)
    assert len(await outbox(sandbox, "sendgrid")) == 1


async def test_the_setting_makes_all_mail_at_most_once_unless_the_job_says_otherwise(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_MAIL_DELIVERY", "at_most_once")
    await script(sandbox, provider="sendgrid", fault="drop", times=2)
    async with working():
        first = await ended(await added("mail-1"))
        second = await ended(await added("mail-2", delivery="at_least_once"))

    assert (first.status, second.status) == ("failed", "completed")


async def test_an_attachment_whose_server_is_away_is_fetched_again(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="images", fault="500")
    async with working():
        job = await ended(await added(attachments=[{"url": "https://files.example.com/passport.jpg"}]))

    assert (job.status, job.attempts_made) == ("completed", 2)
    assert len(await outbox(sandbox, "sendgrid")) == 1


async def test_a_clear_refusal_leaves_no_doubt(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="sendgrid", fault="500")
    async with working():
        job = await ended(await added(delivery="at_most_once"))

    assert (job.status, job.attempts_made) == ("completed", 2)
    assert len(await outbox(sandbox, "sendgrid")) == 1


async def test_a_mail_that_was_sent_is_not_sent_again_by_the_next_run(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Any] = []

    async def dies_afterwards(job: Any, run: Any) -> Any:
        runs.append(await run())
        if len(runs) == 1:
            raise ConnectionError("the run ends before its result is stored")
        return runs[-1]

    monkeypatch.setattr(queue, "middlewares", [declare_middleware(dies_afterwards, {})])
    async with working():
        job = await ended(await added())

    assert len(await outbox(sandbox, "sendgrid")) == 1
    assert runs[0] == runs[1]
    assert (job.status, job.attempts_made, job.result_value["recipients"]) == ("completed", 2, 1)


# Suppression


async def test_who_is_suppressed_is_left_out(sandbox: RunningSandbox) -> None:
    await SuppressionList().add("user-42@example.com", "bounce")
    async with working():
        job = await ended(await added(to=["USER-42@example.com", "user-43@example.com"]))

    (sent,) = await outbox(sandbox, "sendgrid")
    assert len(sent["to"]) == 1
    assert job.result_value["recipients"] == 1
    assert await job.logs() == ["1 suppressed (bounce), 1 to write to"]


async def test_a_job_without_recipients_left_says_so(sandbox: RunningSandbox) -> None:
    await SuppressionList().add("user-42@example.com", "complaint")
    async with working():
        job = await ended(await added())

    assert job.status == "completed"
    assert job.result_value == {
        "provider": "sendgrid", "messageId": "", "outcome": "suppressed", "recipients": 0,
    }  # fmt: skip
    assert await outbox(sandbox, "sendgrid") == []


async def test_the_setting_sends_it_to_the_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_MAIL_SUPPRESSED", "fail")
    await SuppressionList().add("user-42@example.com", "complaint")
    async with working():
        job = await ended(await added())

    assert (job.status, job.attempts_made) == ("failed", 1)
    assert "suppression list" in str(job.failed_reason)


# Bad input, and nothing personal


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {"nme": "Zoë"}}, "template welcome (subject): the data has no 'name'"),
        ({"template": "nope"}, "no mail template 'nope'"),
        ({"data": {"name": "Zoë\r\nBcc: x@example.com"}}, "line break into the subject"),
        ({"attachments": [{"url": "http://127.0.0.1/Secret%20Plan.pdf"}]}, "not public"),
        ({"attachments": [{"url": "https://files.example.com/missing.pdf"}]}, "404"),
        ({"from": "unverified@example.com"}, ""),
    ],
)
async def test_bad_input_costs_its_job_and_tells_nothing_personal(
    change: dict[str, Any], reason: str
) -> None:
    with capture_logs() as logs:
        async with working():
            job = await added(**change)
            await (eventually(lambda: _is_delayed(job)) if not reason else ended(job))

    if reason:
        assert (job.status, job.attempts_made) == ("failed", 1)
        assert reason in str(job.failed_reason)
    said = f"{job.failed_reason}{job.stacktrace}{logs}"
    assert not [text for text in PRIVATE if text in said]


async def test_a_sent_mail_is_logged_without_anything_personal() -> None:
    with capture_logs() as logs:
        async with working():
            job = await ended(await added(data={"name": "Zoë", "productName": "Secret Plan"}))

    assert any(line["event"] == "email_sent" and line["recipients"] == 1 for line in logs)
    assert not [text for text in PRIVATE if text in f"{logs}{job.result_value}"]


async def test_wrong_data_is_refused_at_the_edge() -> None:
    with pytest.raises(InvalidData, match=r"to\[0\]: .* no @"):
        await queue.add_json("send", b'{"to":["nobody"],"template":"welcome","data":{},"provider":"smtp"}')


def test_the_policy_is_the_designs() -> None:
    assert queue.retry.attempts == 5
    assert (queue.retry.backoff, queue.retry.delay, queue.retry.jitter) == ("exponential", 10, 0.2)
    assert (queue.timeout, queue.concurrency) == (120, 10)
    assert queue.rate_limit is not None
    assert (queue.rate_limit.jobs, queue.rate_limit.per) == (100, 60)
    assert queue.priority == 5
    assert queue.jobs["send"].data_type is EmailJob
