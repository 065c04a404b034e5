"""FCM, APNs and Web Push over real HTTP: success, each error class, faults, nothing personal told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.errors import Snooze
from corral.providers import Providers
from corral.providers.apns import Apns
from corral.providers.errors import (
    FetchBlocked,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.fcm import Fcm
from corral.providers.guarded import GuardedPoster
from corral.providers.push import DeadDevice, Push
from corral.providers.webpush import WebPush
from corral.sandbox import accounts, keys
from corral.sandbox.server import RunningSandbox
from corral.sandbox.webpush import subscription

PUSH = Push("Good news", "It is done.", "job-7", {"orderId": "order-7"})


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def outside(sandbox: RunningSandbox) -> AsyncIterator[Providers]:
    await forget_faults(sandbox)
    async with talking_to(sandbox) as providers:
        yield providers


def last(sandbox: RunningSandbox, provider: str) -> dict[str, Any]:
    entry: dict[str, Any] = sandbox.app.outbox.show(provider)["entries"][-1]
    return entry


def token_for(kind: str, name: str) -> str:
    return subscription(name) if kind == "webpush" else name


@pytest.mark.parametrize("kind", ["fcm", "apns", "webpush"])
async def test_a_message_arrives_whole(sandbox: RunningSandbox, outside: Providers, kind: str) -> None:
    sent = await getattr(outside, kind).send(token_for(kind, "device7"), PUSH)
    entry = last(sandbox, kind)
    assert (entry["title"], entry["body"], entry["collapseKey"]) == ("Good news", "It is done.", "job-7")
    assert entry["data"] == {"orderId": "order-7"}
    assert entry["token"] == "…e7"
    assert bool(sent) is (kind != "webpush")


@pytest.mark.parametrize(
    ("kind", "token", "error", "code"),
    [
        ("fcm", "dead-7", DeadDevice, "UNREGISTERED"),
        ("fcm", "other-7", DeadDevice, "SENDER_ID_MISMATCH"),
        ("fcm", "wrong-7", DeadDevice, "INVALID_REGISTRATION_TOKEN"),
        ("fcm", "apple-7", ProviderMisconfigured, "THIRD_PARTY_AUTH_ERROR"),
        ("fcm", "quota-7", ProviderRetryable, "QUOTA_EXCEEDED"),
        ("apns", "dead7", DeadDevice, "Unregistered"),
        ("apns", "bad7", DeadDevice, "BadDeviceToken"),
        ("apns", "../../admin", DeadDevice, "BadDeviceToken"),
        ("apns", "busy7", ProviderRetryable, "TooManyRequests"),
        ("webpush", "dead7", DeadDevice, "HTTP 404 or 410"),
        ("webpush", "late7", ProviderRetryable, "HTTP 429"),
    ],
)
async def test_each_refusal_has_its_class(
    outside: Providers, kind: str, token: str, error: type[ProviderError], code: str
) -> None:
    with pytest.raises(error) as caught:
        await getattr(outside, kind).send(token_for(kind, token), PUSH)
    assert type(caught.value) is error
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["fcm", "apns", "webpush"])
@pytest.mark.parametrize("fault", ["500", "429", "drop"])
async def test_faults_are_worth_a_retry_and_tell_nothing_personal(
    sandbox: RunningSandbox, outside: Providers, kind: str, fault: str
) -> None:
    provider, token = getattr(outside, kind), token_for(kind, "devicetoken77")
    await provider.send(token, PUSH)  # so that the fault does not meet the access token
    await script(sandbox, provider=kind, fault=fault)
    with capture_logs() as logs, pytest.raises(ProviderRetryable) as caught:
        await provider.send(token, PUSH)
    told = f"{caught.value} {logs}"
    for private in ("devicetoken77", "Good news", "It is done.", "order-7", "push.example.com/"):
        assert private not in told


async def test_fcms_answer_that_breaks_off_is_no_answer(sandbox: RunningSandbox, outside: Providers) -> None:
    await outside.fcm.send("device-7", PUSH)
    await script(sandbox, provider="fcm", fault="truncated")
    with pytest.raises(ProviderRetryable):
        await outside.fcm.send("device-7", PUSH)


async def test_what_is_too_large_is_refused_for_good(outside: Providers) -> None:
    huge = Push("t", "b", "job-7", {"k": "x" * 4200})
    with pytest.raises(ProviderPermanent, match="too big"):
        await outside.fcm.send("device-7", huge)
    with pytest.raises(ProviderPermanent, match="PayloadTooLarge"):
        await outside.apns.send("device7", huge)
    with pytest.raises(ProviderPermanent, match="bytes; 3993 fit"):
        await outside.webpush.send(subscription("device7"), huge)


# Access tokens of FCM


async def test_many_messages_share_one_access_token(sandbox: RunningSandbox, outside: Providers) -> None:
    before = sandbox.counts.get("fcm.token", 0)
    await asyncio.gather(*(outside.fcm.send(f"device-{n}", PUSH) for n in range(20)))
    assert sandbox.counts["fcm.token"] == before + 1


async def test_an_access_token_is_renewed_five_minutes_before_its_end(sandbox: RunningSandbox) -> None:
    # An hour ago, since the stand-in takes no claim of the future.
    start = time.time() - 3400
    times = [start]
    base = f"{sandbox.url}/fcm"
    account = accounts.service_account(f"{base}/token")
    fcm = Fcm(account=account, base_url=base, sandbox=True, clock=lambda: times[0])
    before, seen = sandbox.counts.get("fcm.token", 0), []
    for later in (0, 3298, 3299):
        times[0] = start + later
        await fcm.send("device-7", PUSH)
        seen.append(sandbox.counts["fcm.token"] - before)
    assert seen == [1, 1, 2]
    await fcm.close()


async def test_a_refused_access_token_is_renewed_once(sandbox: RunningSandbox, outside: Providers) -> None:
    await outside.fcm.send("device-7", PUSH)
    before = sandbox.counts["fcm.token"]
    sandbox.app.fcm.forget_tokens()
    assert await outside.fcm.send("device-7", PUSH)
    assert sandbox.counts["fcm.token"] == before + 1


async def test_a_second_refusal_is_the_accounts_fault(sandbox: RunningSandbox, outside: Providers) -> None:
    await outside.fcm.send("device-7", PUSH)
    await script(sandbox, provider="fcm", fault="401", times=2, path="messages:send")
    with pytest.raises(ProviderMisconfigured) as caught:
        await outside.fcm.send("device-7", PUSH)
    assert isinstance(caught.value, Snooze)
    assert await outside.fcm.send("device-7", PUSH)


async def test_all_who_wait_for_a_token_hear_that_there_is_none(
    sandbox: RunningSandbox, outside: Providers
) -> None:
    await script(sandbox, provider="fcm", fault="500", path="/token")
    sending = (outside.fcm.send(f"device-{n}", PUSH) for n in range(5))
    ended = await asyncio.gather(*sending, return_exceptions=True)
    assert [type(end) for end in ended] == [ProviderRetryable] * 5
    assert await outside.fcm.send("device-7", PUSH)


async def test_whoever_is_cancelled_does_not_take_the_token_from_others(
    sandbox: RunningSandbox, outside: Providers
) -> None:
    first, second = (asyncio.create_task(outside.fcm.send(f"device-{n}", PUSH)) for n in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert (await asyncio.gather(first, return_exceptions=True))[0].__class__ is asyncio.CancelledError


async def test_an_account_with_another_key_is_misconfigured(sandbox: RunningSandbox) -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    base = f"{sandbox.url}/fcm"
    good = accounts.service_account(f"{base}/token")
    other = type(good)(good.client_email, rsa.generate_private_key(65537, 2048), "k", good.token_uri, "p")
    fcm = Fcm(account=other, base_url=base, sandbox=True)
    with pytest.raises(ProviderMisconfigured, match="invalid_grant"):
        await fcm.send("device-7", PUSH)
    await fcm.close()


async def test_another_project_is_misconfigured(sandbox: RunningSandbox) -> None:
    base = f"{sandbox.url}/fcm"
    account = accounts.service_account(f"{base}/token")
    fcm = Fcm(account=account, project="no-such-project", base_url=base, sandbox=True)
    with pytest.raises(ProviderMisconfigured, match="NOT_FOUND"):
        await fcm.send("device-7", PUSH)
    await fcm.close()


# Provider tokens of APNs


def apns(sandbox: RunningSandbox, **more: Any) -> Apns:
    options: dict[str, Any] = {
        "key": accounts.signing_key(keys.APNS_PHRASE), "key_id": keys.APNS_KEY_ID,
        "team_id": keys.APNS_TEAM_ID, "topic": keys.APNS_TOPIC,
        "base_url": f"{sandbox.url}/apns", "sandbox": True,
    }  # fmt: skip
    return Apns(**options | more)


async def test_a_provider_token_is_reused_for_half_an_hour(sandbox: RunningSandbox) -> None:
    now = time.time() - 1800
    times = [now]
    client = apns(sandbox, clock=lambda: times[0])
    tokens = []
    for later in (0, 1799, 1800):
        times[0] = now + later
        await client.send("device7", PUSH)
        tokens.append(client._token)
    assert tokens[0] == tokens[1] != tokens[2]
    await client.close()


async def test_an_expired_provider_token_is_renewed_once(sandbox: RunningSandbox) -> None:
    """The machine slept, so that the token is older than its clock says."""
    moments = iter([time.time() - 4000])
    client = apns(sandbox, clock=lambda: next(moments, time.time()))
    assert await client.send("device7", PUSH)
    await client.close()


async def test_a_clock_that_is_hours_late_is_misconfigured(sandbox: RunningSandbox) -> None:
    client = apns(sandbox, clock=lambda: time.time() - 7200)
    with pytest.raises(ProviderMisconfigured, match="ExpiredProviderToken"):
        await client.send("device7", PUSH)
    await client.close()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"key_id": "OTHER"}, "InvalidProviderToken"),
        ({"key": accounts.signing_key("other")}, "InvalidProvider"),
    ],
)
async def test_a_wrong_key_is_misconfigured(
    sandbox: RunningSandbox, wrong: dict[str, Any], reason: str
) -> None:
    client = apns(sandbox, **wrong)
    with pytest.raises(ProviderMisconfigured, match=reason):
        await client.send("device7", PUSH)
    await client.close()


async def test_a_repetition_has_the_id_of_the_first(sandbox: RunningSandbox) -> None:
    client = apns(sandbox)
    assert await client.send("device7", PUSH) == await client.send("device7", PUSH)
    assert await client.send("device7", PUSH) != await client.send("device8", PUSH)
    await client.close()


# Browsers


@pytest.mark.parametrize(
    "token",
    [
        "",
        "{}",
        "no json",
        subscription("x").replace("p256dh", "other"),
        subscription("x").replace('"B', '"A'),
    ],
)
async def test_what_is_no_subscription_is_a_dead_device(outside: Providers, token: str) -> None:
    with pytest.raises(DeadDevice):
        await outside.webpush.send(token, PUSH)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1/x",
        "http://169.254.169.254/x",
        "https://[::1]/x",
        "https://a@push.example.com/x",
        "ftp://x/y",
    ],
)
async def test_an_endpoint_inside_the_network_is_blocked(outside: Providers, endpoint: str) -> None:
    token = subscription("x").replace("https://push.example.com/x", endpoint)
    with pytest.raises(FetchBlocked):
        await outside.webpush.send(token, PUSH)


async def test_a_push_service_that_refuses_our_key_costs_the_device_not_the_queue(
    sandbox: RunningSandbox, outside: Providers
) -> None:
    await script(sandbox, provider="webpush", fault="401")
    with pytest.raises(ProviderPermanent, match="401") as caught:
        await outside.webpush.send(subscription("device7"), PUSH)
    assert not isinstance(caught.value, DeadDevice | Snooze)


async def test_a_browsers_claim_is_made_for_its_push_service_and_reused(sandbox: RunningSandbox) -> None:
    now = [time.time()]
    poster = GuardedPoster("webpush", sandbox_url=sandbox.url)
    client = WebPush(
        key=accounts.signing_key(keys.VAPID_PHRASE), subject="mailto:a@example.com", poster=poster,
        clock=lambda: now[0],
    )  # fmt: skip
    await client.send(subscription("device7"), PUSH)
    (first,) = client._claims.values()
    await client.send(subscription("device8"), PUSH)
    assert list(client._claims) == ["https://push.example.com"]
    assert list(client._claims.values()) == [first]
    now[0] += 6 * 3600
    await client.send(subscription("device7"), PUSH)
    assert list(client._claims.values()) != [first]
    await client.close()
