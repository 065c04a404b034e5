"""Devices, numbers and time zones from the Supabase tables, over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from standins import running
from structlog.testing import capture_logs

from corral.providers import Providers
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.recipients import Device, RecipientResolver
from corral.sandbox import people
from corral.sandbox.server import RunningSandbox
from corral.settings import Settings


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@asynccontextmanager
async def resolver(sandbox: RunningSandbox, **settings: Any) -> AsyncIterator[RecipientResolver]:
    made = Providers(Settings(_env_file=None, CORRAL_SANDBOX=True, **settings), sandbox.url)
    yield made.recipients
    await made.close()


async def test_each_kind_of_device_is_found_and_one_is_forgotten(sandbox: RunningSandbox) -> None:
    async with resolver(sandbox) as recipients:
        devices = await recipients.devices("every-1")
        assert sorted((d.kind, d.token) for d in devices) == sorted(people.devices("every-1"))
        browser = next(d for d in devices if d.kind == "webpush")
        await recipients.drop("every-1", browser)
        await recipients.drop("every-1", browser)  # it may be gone already
        assert [d for d in devices if d != browser] == await recipients.devices("every-1")
        # The device of the same token is another user's.
        assert await recipients.devices("every-2")


async def test_a_number_and_a_time_zone(sandbox: RunningSandbox) -> None:
    sandbox.app.postgrest.execute("insert into profiles values ('zoned', ' +15005557777 ', 'Asia/Tokyo')")
    sandbox.app.postgrest.execute("insert into profiles values ('blank', '', null)")
    async with resolver(sandbox) as recipients:
        assert await recipients.phone("zoned") == "+15005557777"
        assert await recipients.time_zone("zoned") == "Asia/Tokyo"
        assert await recipients.phone("blank") is None
        assert await recipients.time_zone("blank") is None
        assert await recipients.phone("none-1") is None


async def test_tables_of_other_names_and_json_subscriptions(sandbox: RunningSandbox) -> None:
    for statement in (
        "create table phones_of (account text, mobile text)",
        "insert into phones_of values ('a', '+15005558888')",
        "create table tokens_of (account text, how text, what text)",
        "insert into tokens_of values ('a', 'apns', 'abc'), ('a', 'pigeon', 'x'), ('a', 'fcm', '')",
    ):
        sandbox.app.postgrest.execute(statement)
    async with resolver(
        sandbox,
        CORRAL_DEVICES_TABLE="tokens_of",
        CORRAL_DEVICES_COLUMNS="account,how,what",
        CORRAL_PHONES_TABLE="phones_of",
        CORRAL_PHONES_COLUMNS="account,mobile",
    ) as recipients:
        with capture_logs() as logs:
            assert await recipients.devices("a") == [Device("apns", "abc")]
        assert {e["kind"] for e in logs if e["event"] == "device_kind_unknown"} == {"pigeon", "fcm"}
        assert await recipients.phone("a") == "+15005558888"
        assert await recipients.time_zone("a") is None


@pytest.mark.parametrize(
    "settings",
    [
        {"CORRAL_DEVICES_TABLE": "absent"},
        {"CORRAL_DEVICES_COLUMNS": "user_id,kind,absent"},
        {"CORRAL_DEVICES_COLUMNS": "absent,kind,token"},
    ],
)
async def test_a_table_or_column_that_is_not_there_holds_the_jobs(
    sandbox: RunningSandbox, settings: dict[str, str]
) -> None:
    async with resolver(sandbox, **settings) as recipients:
        with pytest.raises(ProviderMisconfigured, match="CORRAL_DEVICES_TABLE"):
            await recipients.devices("user-1")


async def test_deleting_without_a_filter_is_refused(sandbox: RunningSandbox) -> None:
    made = Providers(Settings(_env_file=None, CORRAL_SANDBOX=True), sandbox.url)
    with pytest.raises(ProviderPermanent, match="would empty the table"):
        await made.supabase.delete("device_tokens", {})
    await made.close()
