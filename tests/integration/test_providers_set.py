"""`providers()`: one set for each loop, and a sandbox of its own where sandbox mode names none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from kyc_bench import KEYS

from corral.errors import ConfigurationError
from corral.providers import close_providers, providers
from corral.providers.errors import ProviderMisconfigured


@pytest.fixture(autouse=True)
async def environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[None]:
    monkeypatch.chdir(tmp_path_factory.mktemp("no-env-file"))
    for name in (*KEYS, "CORRAL_SANDBOX", "CORRAL_SANDBOX_URL"):
        monkeypatch.delenv(name, raising=False)
    yield
    await close_providers()


async def test_there_is_one_set_until_it_is_closed() -> None:
    first, second = await asyncio.gather(providers(), providers())
    assert first is second
    await close_providers()
    assert await providers() is not first


async def test_sandbox_mode_without_a_url_starts_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_SANDBOX", "1")
    outside = await providers()
    assert await outside.onfido.create_applicant(first_name="Sample", last_name="Specimen")
    assert (await outside.fetcher.fetch("https://docs.example.com/id-back.jpg")).content_type == "image/jpeg"


async def test_without_sandbox_mode_nothing_is_faked() -> None:
    outside = await providers()
    with pytest.raises(ProviderMisconfigured, match="set ONFIDO_API_KEY"):
        await outside.onfido.create_applicant(first_name="Sample", last_name="Specimen")


async def test_a_misspelt_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_SANDBOXX", "1")
    with pytest.raises(ConfigurationError, match="CORRAL_SANDBOX"):
        await providers()
