"""`check`: whether a provider takes our key, asked over real HTTP; and settings that change while we run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from kyc_bench import KEYS
from standins import forget_faults, running, script
from structlog.testing import capture_logs

from corral.errors import InvalidInput
from corral.providers import Providers, close_providers, providers, renew_providers
from corral.providers.apns import Apns
from corral.providers.checking import Checkable
from corral.providers.cloudflare import CloudflareTarget
from corral.providers.errors import ProviderMisconfigured, ProviderRetryable
from corral.providers.fcm import Fcm
from corral.providers.idenfy import Idenfy
from corral.providers.mailgun import Mailgun
from corral.providers.onfido import Onfido
from corral.providers.s3 import S3Target
from corral.providers.sendgrid import SendGrid
from corral.providers.service_account import ServiceAccount
from corral.providers.sigv4 import Credentials
from corral.providers.supabase import Supabase
from corral.providers.trying import checkable
from corral.providers.twilio import Twilio
from corral.sandbox import keys
from corral.sandbox.accounts import service_account, signing_key
from corral.sandbox.server import RunningSandbox
from corral.settings import Settings
from corral.sinks.clickhouse import ClickhouseSink
from corral.sinks.posthog import PosthogSink

NAMES = (
    "onfido", "idenfy", "supabase", "sendgrid", "mailgun",
    "twilio", "fcm", "apns", "posthog", "clickhouse", "s3", "cloudflare",
)  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture(autouse=True)
async def well_again(sandbox: RunningSandbox) -> None:
    await forget_faults(sandbox)


@asynccontextmanager
async def of(sandbox: RunningSandbox, name: str, url: str | None = None) -> AsyncIterator[Checkable]:
    """The provider of sandbox mode behind a breaker of this name."""
    target = name if name in ("s3", "cloudflare") else "folder"
    settings = Settings(
        _env_file=None, CORRAL_SANDBOX=True, analytics_sink="posthog,clickhouse,segment", image_target=target
    )
    made = Providers(settings, url or sandbox.url)
    yield checkable(made, name)
    await made.close()


def made_there(sandbox: RunningSandbox) -> dict[str, int]:
    """What was made so far. An access token is not a thing."""
    return {kind: count for kind, count in sandbox.counts.items() if kind != "fcm.token"}


@pytest.mark.parametrize("name", NAMES)
async def test_a_good_key_passes_and_nothing_is_made(name: str, sandbox: RunningSandbox) -> None:
    before = made_there(sandbox)
    async with of(sandbox, name) as provider:
        await provider.check()
    if name != "apns":  # whose refusal is the answer
        assert made_there(sandbox) == before


def another_account(url: str) -> ServiceAccount:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    return replace(service_account(url), key=key)


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_key_does_not(name: str, sandbox: RunningSandbox) -> None:
    url = sandbox.url
    wrong: dict[str, Any] = {
        "onfido": lambda: Onfido(base_url=f"{url}/onfido/v3.6", api_key="wrong", sandbox=True),
        "idenfy": lambda: Idenfy(base_url=f"{url}/idenfy", api_key="wrong", api_secret="wrong", sandbox=True),
        "sendgrid": lambda: SendGrid(base_url=f"{url}/sendgrid", api_key="wrong", sandbox=True),
        "mailgun": lambda: Mailgun(
            base_url=f"{url}/mailgun/v3", api_key="wrong", domain=keys.MAILGUN_DOMAIN, sandbox=True
        ),
        "supabase": lambda: Supabase(url=f"{url}/supabase", service_key="wrong", sandbox=True),
        "twilio": lambda: Twilio(
            base_url=f"{url}/twilio",
            account_sid=keys.TWILIO_ACCOUNT_SID,
            auth_token="wrong",
            sender="",
            sandbox=True,
        ),
        "fcm": lambda: Fcm(account=another_account(f"{url}/fcm/token"), base_url=f"{url}/fcm", sandbox=True),
        "apns": lambda: Apns(
            base_url=f"{url}/apns",
            key=signing_key("wrong"),
            key_id=keys.APNS_KEY_ID,
            team_id=keys.APNS_TEAM_ID,
            topic=keys.APNS_TOPIC,
            sandbox=True,
        ),
        "posthog": lambda: PosthogSink(host=f"{url}/posthog", api_key="wrong", sandbox=True),
        "clickhouse": lambda: ClickhouseSink(
            url=f"{url}/clickhouse", user="corral", password="wrong", table="events", sandbox=True
        ),
        "s3": lambda: S3Target(
            endpoint=f"{url}/s3",
            bucket=keys.S3_BUCKET,
            credentials=Credentials(keys.S3_ACCESS_KEY_ID, "wrong", keys.S3_REGION),
            sandbox=True,
        ),
        "cloudflare": lambda: CloudflareTarget(
            base_url=f"{url}/cloudflare/client/v4",
            account_id=keys.CLOUDFLARE_ACCOUNT_ID,
            api_token="wrong",
            sandbox=True,
        ),
    }
    client = wrong[name]()
    with pytest.raises(ProviderMisconfigured) as raised:
        await client.check()
    assert "wrong" not in str(raised.value)
    await client.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_provider_that_is_down_says_nothing_about_the_key(name: str, sandbox: RunningSandbox) -> None:
    await script(sandbox, provider=name, fault="500")
    async with of(sandbox, name) as provider:
        with pytest.raises(ProviderRetryable):
            await provider.check()


async def test_another_topic_than_the_keys_is_a_setting_to_repair(sandbox: RunningSandbox) -> None:
    apns = Apns(
        base_url=f"{sandbox.url}/apns",
        key=signing_key(keys.APNS_PHRASE),
        key_id=keys.APNS_KEY_ID,
        team_id=keys.APNS_TEAM_ID,
        topic="com.example.other",
        sandbox=True,
    )
    with pytest.raises(ProviderMisconfigured, match="BadTopic"):
        await apns.check()
    await apns.close()


async def test_a_bucket_that_is_not_there_is_a_setting_to_repair(sandbox: RunningSandbox) -> None:
    credentials = Credentials(keys.S3_ACCESS_KEY_ID, keys.S3_SECRET_ACCESS_KEY, keys.S3_REGION)
    target = S3Target(endpoint=f"{sandbox.url}/s3", bucket="other", credentials=credentials, sandbox=True)
    with pytest.raises(ProviderMisconfigured, match="NoSuchBucket"):
        await target.check()
    await target.close()


async def test_a_key_that_may_only_write_to_a_bucket_is_good(sandbox: RunningSandbox) -> None:
    await script(sandbox, provider="s3", fault="403")
    async with of(sandbox, "s3") as provider:
        await provider.check()


async def test_an_access_token_that_was_revoked_is_renewed_for_the_question(sandbox: RunningSandbox) -> None:
    async with of(sandbox, "fcm") as provider:
        await provider.check()
        await script(sandbox, provider="fcm", fault="401", path="messages:send", times=1)
        await provider.check()


@pytest.mark.parametrize("name", ["segment", "webpush", "nobody"])
async def test_who_has_no_such_question_says_so(name: str, sandbox: RunningSandbox) -> None:
    with pytest.raises(InvalidInput, match=r"can be tested.*twilio"):
        async with of(sandbox, name):
            pass


# Settings that change


@pytest.fixture
async def env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sandbox: RunningSandbox
) -> AsyncIterator[Path]:
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, "CORRAL_SANDBOX", "CORRAL_SANDBOX_URL"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / ".env"
    _write(file, sandbox, "wrong")
    await forget_faults(sandbox)
    yield file
    await close_providers()


def _write(file: Path, sandbox: RunningSandbox, key: str) -> None:
    file.write_text(f"SUPABASE_URL={sandbox.url}/supabase\nSUPABASE_SERVICE_KEY={key}\n")


async def test_a_key_that_was_changed_in_the_file_is_taken_over(
    env_file: Path, sandbox: RunningSandbox
) -> None:
    outside = await providers()
    old = outside.supabase
    with pytest.raises(ProviderMisconfigured):
        await old.check()
    renew_providers()
    assert outside.supabase is old  # nothing has changed, so nothing is made anew
    _write(env_file, sandbox, keys.SUPABASE_SERVICE_KEY)
    renew_providers()
    await outside.supabase.check()
    # Who still holds the old one can end what it does.
    with pytest.raises(ProviderMisconfigured):
        await old.check()


async def test_a_file_that_somebody_is_editing_changes_nothing(env_file: Path) -> None:
    outside = await providers()
    old = outside.supabase
    env_file.write_text("CORRAL_SANDBOXX=1\n")
    with capture_logs() as logs:
        renew_providers()
    assert [entry["event"] for entry in logs] == ["provider_settings_unreadable"]
    assert outside.supabase is old


async def test_who_has_made_no_providers_renews_none() -> None:
    renew_providers()
