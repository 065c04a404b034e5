"""Deliveries through a real worker to a real receiver, and to the sandbox's."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import standins
from running_worker import Redis, StartWorker, drain

from corral import Job, Retry
from corral.bullmq.connection import close_shared_clients
from corral.bullmq.endpoints import Endpoints
from corral.hook_settings import parse_secrets
from corral.providers import close_providers
from corral.providers.errors import ProviderAmbiguous, ProviderMisconfigured
from corral.providers.guarded import GuardedPoster
from corral.providers.standard_webhooks import WebhookSender, verified
from corral.queues.webhooks import queue
from eventually import eventually
from hook_receiver import Receiver, receiving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEWER = "whsec_YW5vdGhlciBrZXkgb2YgMzIgYnl0ZXMsIGFzIHN1Y2g="
AT_ONCE = Retry(attempts=3, delays=(0,))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture(autouse=True)
async def service(redis_url: str, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", f"{NEWER} {SECRET}")
    monkeypatch.setenv("CORRAL_FETCH_ALLOW", f"127.0.0.1:{receiver.port}")
    monkeypatch.setenv("CORRAL_WEBHOOK_GIVE_UP", "2")
    yield
    await queue.close()
    await close_providers()
    await close_shared_clients()


def about(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "url": url, "queue": "reports", "id": "17", "name": "build", "attemptsMade": 1, "event": "completed",
        "finishedOn": 1_750_000_000_123, "result": {"pages": 3},
    } | changes  # fmt: skip


async def deliver(url: str, *, retry: Retry = AT_ONCE, **changes: Any) -> Job:
    """Add a delivery, let a worker run until nothing is left, and look again."""
    job = await queue.add("deliver", about(url, **changes), retry=retry)
    await drain(queue)
    found = await queue.get(job.id)
    assert found is not None
    return found


async def states() -> dict[str, tuple[int, bool]]:
    known = await Endpoints(queue.client(), queue.keys().prefix).all()
    return {state.url.rpartition("/")[2]: (state.failures, state.disabled_at is not None) for state in known}


async def test_a_delivery_is_signed_by_every_secret_and_says_how_the_job_ended(
    receiver: Receiver,
) -> None:
    job = await deliver(f"{receiver.url}/in")
    assert (job.status, job.result_value) == ("completed", {"outcome": "delivered", "status": 204})
    (got,) = receiver.got
    assert got.json()["data"]["result"] == {"pages": 3}
    assert got.headers["content-type"] == "application/json"
    assert len(got.headers["webhook-signature"].split()) == 2
    for secret in (SECRET, NEWER):
        assert verified(parse_secrets("X", secret), got.headers, got.body, time.time())


async def test_a_receiver_that_fails_gets_the_same_message_again(receiver: Receiver) -> None:
    receiver.answers("/in", "500 Internal Server Error", b"secret words")
    receiver.answers("/in", "302 Found", Location=f"{receiver.url}/elsewhere")
    receiver.answers("/in", "200 OK", b"x" * 5_000)
    job = await deliver(f"{receiver.url}/in")
    assert job.result_value == {"outcome": "delivered", "status": 200}
    assert job.attempts_made == 3
    assert [got.target for got in receiver.got] == ["/in"] * 3
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1


async def test_what_the_receiver_asks_to_wait_is_waited(receiver: Receiver, redis: Redis) -> None:
    receiver.answers("/in", "429 Too Many Requests", Retry_After="1800")
    job = await deliver(f"{receiver.url}/in")
    assert job.status == "delayed"
    delay_ms = int(await redis.hget(queue.keys().job(job.id), "delay"))
    assert delay_ms == 1_800_000


async def test_a_410_disables_the_endpoint_until_somebody_enables_it(
    receiver: Receiver, redis: Redis
) -> None:
    receiver.answers("/gone", "410 Gone")
    first = await deliver(f"{receiver.url}/gone")
    second = await deliver(f"{receiver.url}/gone", id="18")
    other = await deliver(f"{receiver.url}/other")
    assert first.result_value == {"outcome": "gone", "status": 410}
    assert second.result_value == {"outcome": "disabled"}
    assert other.result_value == {"outcome": "delivered", "status": 204}
    assert len(receiver.at("/gone")) == 1
    assert await states() == {"gone": (0, True)}
    for key in await redis.keys("corral:bull:webhooks:endpoint*"):
        assert 0 < await redis.ttl(key) <= 30 * 86_400
    await Endpoints(queue.client(), queue.keys().prefix).forget(f"{receiver.url}/gone")
    await deliver(f"{receiver.url}/gone", id="19")
    assert len(receiver.at("/gone")) == 2


async def test_deliveries_that_fail_for_good_in_a_row_disable_the_endpoint(receiver: Receiver) -> None:
    receiver.answers("/in", "500 Internal Server Error")
    one_try = Retry(attempts=1)
    first = await deliver(f"{receiver.url}/in", retry=one_try)
    assert (first.status, first.failed_reason) == ("failed", "webhook: the endpoint answered 500")
    assert await states() == {"in": (1, False)}
    second = await deliver(f"{receiver.url}/in", retry=one_try)
    assert second.status == "failed"
    assert await states() == {"in": (2, True)}
    assert (await deliver(f"{receiver.url}/in")).result_value == {"outcome": "disabled"}


async def test_a_delivery_that_succeeds_forgets_earlier_failures(receiver: Receiver, redis: Redis) -> None:
    receiver.answers("/in", "500 Internal Server Error")
    receiver.answers("/in", "204 No Content")
    await deliver(f"{receiver.url}/in", retry=Retry(attempts=1))
    await deliver(f"{receiver.url}/in")
    assert await states() == {}
    assert await redis.keys("corral:bull:webhooks:endpoint*") == []


@pytest.mark.parametrize("url", ["http://127.0.0.1/in", "http://[::1]/in", "ftp://receiver.example.org/"])
async def test_a_place_inside_the_network_is_refused_at_once(url: str) -> None:
    job = await deliver(url)
    assert (job.status, job.attempts_made) == ("failed", 1)
    assert "not public" in (job.failed_reason or "") or "scheme" in (job.failed_reason or "")
    assert await states() == {}


async def test_a_receiver_that_hangs_is_given_up_and_tried_again(receiver: Receiver) -> None:
    receiver.hangs("/in")
    poster = GuardedPoster("webhook", allow=["127.0.0.1"])
    sender = WebhookSender(poster, lambda _: parse_secrets("X", SECRET), timeout=0.2)
    with pytest.raises(ProviderAmbiguous, match="no answer"):
        await sender.send(f"{receiver.url}/in", "msg_1", b"{}")
    await sender.close()
    unsigned = WebhookSender(GuardedPoster("webhook"), lambda _: ())
    with pytest.raises(ProviderMisconfigured, match="CORRAL_WEBHOOK_SECRET"):
        await unsigned.send(f"{receiver.url}/in", "msg_1", b"{}")
    await unsigned.close()
    assert len(receiver.got) == 1


async def test_a_host_that_hangs_leaves_room_for_the_others(
    receiver: Receiver, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.hangs("/slow")
    async with receiving() as other:
        monkeypatch.setenv("CORRAL_FETCH_ALLOW", "127.0.0.1,localhost")
        await queue.add_many("deliver", [about(f"{receiver.url}/slow", id=str(n)) for n in range(30)])
        quick = await queue.add("deliver", about(f"http://localhost:{other.port}/in"))
        running = start_worker(queue)
        await eventually(lambda: bool(other.got))
        assert len(receiver.got) <= 5
        receiver.stopping.set()
        await eventually(lambda: completed(quick))
        await running.stop()


async def completed(job: Job) -> bool:
    return bool((await job.refresh()).status == "completed")


async def test_nothing_of_the_url_but_its_host_is_in_a_reason_or_a_log_line(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CORRAL_WEBHOOK_GIVE_UP", "1")
    receiver.answers("/s3cret", "500 Internal Server Error")
    job = await deliver(f"{receiver.url}/s3cret?token=t0ken", retry=Retry(attempts=1))
    blocked = await deliver("http://10.0.0.1/s3cret?token=t0ken", id="18")
    logged = capsys.readouterr().out
    assert "webhook_endpoint_disabled" in logged
    assert "post_blocked" in logged
    said = f"{job.failed_reason} {job.stacktrace} {blocked.failed_reason} {blocked.stacktrace} {logged}"
    for private in ("s3cret", "t0ken", SECRET, NEWER, "pages"):
        assert private not in said


async def test_the_sandbox_takes_and_verifies_what_is_for_hooks_example_com(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CORRAL_WEBHOOK_SECRET")
    with standins.running() as sandbox:
        monkeypatch.setenv("CORRAL_SANDBOX", "1")
        monkeypatch.setenv("CORRAL_SANDBOX_URL", sandbox.url)
        good = await deliver("https://hooks.example.com/in")
        gone = await deliver("https://hooks.example.com/in/410", id="18")
        assert good.result_value == {"outcome": "delivered", "status": 204}
        assert gone.result_value == {"outcome": "gone", "status": 410}
        await close_providers()
        monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", SECRET)
        forged = await deliver("https://hooks.example.com/in", id="19", retry=Retry(attempts=1))
        assert "401" in (forged.failed_reason or "")
        entries = sandbox.app.outbox.show("hooks")["entries"]
    assert [(e["action"], e["verified"]) for e in entries] == [
        ("job.completed", v) for v in (True, True, False)
    ]
    assert "pages" not in json.dumps(entries)
