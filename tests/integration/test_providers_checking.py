"""`check`: whether a provider takes our key, asked over real HTTP; and settings that change while we run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from kyc_bench import KEYS
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.providers import Providers, close_providers, providers, renew_providers
from corral.providers.checking import Checkable
from corral.providers.errors import ProviderMisconfigured, ProviderRetryable
from corral.providers.idenfy import Idenfy
from corral.providers.mailgun import Mailgun
from corral.providers.onfido import Onfido
from corral.providers.sendgrid import SendGrid
from corral.providers.supabase import Supabase
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox

NAMES = ("onfido", "idenfy", "supabase", "sendgrid", "mailgun")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def made(sandbox: RunningSandbox) -> AsyncIterator[Providers]:
    await forget_faults(sandbox)
    async with talking_to(sandbox) as found:
        yield found


def of(made: Providers, name: str) -> Checkable:
    found = getattr(made, name)
    assert isinstance(found, Checkable)
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_a_good_key_passes_and_nothing_is_made(
    name: str, made: Providers, sandbox: RunningSandbox
) -> None:
    before = dict(sandbox.counts)
    await of(made, name).check()
    assert sandbox.counts == before


@pytest.mark.parametrize("name", NAMES)
async def test_a_wrong_key_does_not(name: str, sandbox: RunningSandbox) -> None:
    wrong: dict[str, Any] = {
        "onfido": lambda: Onfido(base_url=f"{sandbox.url}/onfido/v3.6", api_key="wrong", sandbox=True),
        "idenfy": lambda: Idenfy(
            base_url=f"{sandbox.url}/idenfy", api_key="wrong", api_secret="wrong", sandbox=True
        ),
        "sendgrid": lambda: SendGrid(base_url=f"{sandbox.url}/sendgrid", api_key="wrong", sandbox=True),
        "mailgun": lambda: Mailgun(
            base_url=f"{sandbox.url}/mailgun/v3", api_key="wrong", domain=keys.MAILGUN_DOMAIN, sandbox=True
        ),
        "supabase": lambda: Supabase(url=f"{sandbox.url}/supabase", service_key="wrong", sandbox=True),
    }
    await forget_faults(sandbox)
    client = wrong[name]()
    with pytest.raises(ProviderMisconfigured):
        await client.check()
    await client.close()


@pytest.mark.parametrize("name", NAMES)
async def test_a_provider_that_is_down_says_nothing_about_the_key(
    name: str, made: Providers, sandbox: RunningSandbox
) -> None:
    await script(sandbox, provider=name, fault="500")
    with pytest.raises(ProviderRetryable):
        await of(made, name).check()


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
