"""Supabase, PostHog, Segment and ClickHouse as sinks, over HTTP against their stand-ins."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from events import event, some
from standins import running, script
from structlog.testing import capture_logs

from corral.providers import Providers
from corral.providers.errors import (
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox
from corral.settings import Settings
from corral.sinks import segment
from corral.sinks.clickhouse import ClickhouseSink
from corral.sinks.event import Sink
from corral.sinks.posthog import PosthogSink
from corral.sinks.supabase import SupabaseSink

NAMES = ["supabase", "posthog", "segment", "clickhouse"]
FAULTS = [("429", ProviderRetryable), ("500", ProviderRetryable), ("401", ProviderMisconfigured),
          ("drop", ProviderRetryable), ("truncated", ProviderRetryable)]  # fmt: skip


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def sinks(sandbox: RunningSandbox) -> AsyncIterator[dict[str, Sink]]:
    settings = Settings(_env_file=None, CORRAL_SANDBOX=True, CORRAL_ANALYTICS_SINK=",".join(NAMES))
    made = Providers(settings, sandbox.url)
    yield {sink.name: sink for sink in made.sinks}
    await made.close()


def stored(sandbox: RunningSandbox, name: str) -> dict[str, dict[str, Any]]:
    """The names of the events that a service has, by id."""
    if name == "supabase":
        rows = sandbox.app.postgrest._db.execute("select * from analytics_events order by event_id")
        return {row["event_id"]: dict(row) for row in rows}
    events: dict[str, dict[str, Any]] = getattr(sandbox.app, name).tracked.events
    return events


async def write(sink: Sink, *events: Any) -> type[ProviderError] | None:
    """The one error of all events, or none."""
    kinds = {type(one.error) for one in await sink.write(events)}
    assert len(kinds) <= 1
    return next(iter(kinds), None)


@pytest.mark.parametrize("name", NAMES)
async def test_events_arrive_and_count_once(
    sandbox: RunningSandbox, sinks: dict[str, Sink], name: str
) -> None:
    batch = [event(1, properties={"plan": "é", "deep": {"a": [1, None]}}), event(2, user_id=None), event(3)]
    assert await sinks[name].write(batch) == []
    assert await sinks[name].write([*batch, event(4)]) == []
    assert len(stored(sandbox, name)) == 4


@pytest.mark.parametrize("name", NAMES)
async def test_a_refused_event_is_refused_alone_and_nothing_of_it_is_told(
    sandbox: RunningSandbox, sinks: dict[str, Sink], name: str
) -> None:
    batch = some(60, user_id="user@example.com", properties={"street": "Elm Street 5"})
    batch[17] = event(17, name="Private REFUSE", user_id="user@example.com")
    with capture_logs() as lines:
        rejected = await sinks[name].write(batch)
    assert [one.index for one in rejected] == [17]
    assert isinstance(rejected[0].error, ProviderPermanent)
    assert str(rejected[0].error).startswith(f"{name}: ")
    said = f"{rejected[0].error} {lines}"
    for private in ("user@example.com", "Elm Street", "Private", "e-17"):
        assert private not in said
    assert len(stored(sandbox, name)) == 59


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("fault", "error"), FAULTS)
async def test_a_fault_is_the_error_of_all_and_the_next_write_works(
    sandbox: RunningSandbox, sinks: dict[str, Sink], name: str, fault: str, error: type[ProviderError]
) -> None:
    await script(sandbox, provider=name, fault=fault)
    assert await write(sinks[name], *some(3)) is error
    assert await write(sinks[name], *some(3)) is None
    assert len(stored(sandbox, name)) == 3


async def test_retry_after_is_handed_on(sandbox: RunningSandbox, sinks: dict[str, Sink]) -> None:
    await script(sandbox, provider="posthog", fault="429")
    (refused,) = await sinks["posthog"].write([event()])
    assert isinstance(refused.error, ProviderRetryable)
    assert refused.error.seconds == 1


async def test_a_large_batch_goes_to_segment_in_requests_that_it_takes(
    sandbox: RunningSandbox, sinks: dict[str, Sink]
) -> None:
    batch = some(40, properties={"text": "x" * 30_000})
    batch[3] = event(3, properties={"text": "x" * 33_000})
    rejected = await sinks["segment"].write(batch)
    assert [one.index for one in rejected] == [3]
    assert "segment takes 32,000" in str(rejected[0].error)
    assert len(stored(sandbox, "segment")) == 39
    assert sandbox.counts["segment.batch"] == 3  # 39 of 30 KB, at 500 KB each


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda url: _clickhouse(url, table="elsewhere"), "exception 60"),
        (lambda url: _clickhouse(url, password="wrong"), "exception 516"),
        (lambda url: PosthogSink(host=f"{url}/posthog", api_key="wrong", sandbox=True), "invalid_api_key"),
        (lambda url: segment.SegmentSink(host=f"{url}/nowhere", write_key="k", sandbox=True), "HTTP 404"),
    ],
)
async def test_a_wrong_set_up_holds_the_jobs(
    sandbox: RunningSandbox, make: Callable[[str], Sink], code: str
) -> None:
    sink = make(sandbox.url)
    rejected = await sink.write(some(2))
    assert [type(one.error) for one in rejected] == [ProviderMisconfigured] * 2
    assert code in str(rejected[0].error)
    await sink.close()


def _clickhouse(
    url: str, *, password: str = keys.CLICKHOUSE_PASSWORD, table: str = "analytics_events"
) -> Sink:
    return ClickhouseSink(
        url=f"{url}/clickhouse", user=keys.CLICKHOUSE_USER, password=password, table=table, sandbox=True
    )


async def test_a_missing_table_of_supabase_holds_the_jobs_and_is_asked_once(sandbox: RunningSandbox) -> None:
    made = Providers(Settings(_env_file=None, CORRAL_SANDBOX=True), sandbox.url)
    with capture_logs() as lines:
        rejected = await SupabaseSink(made.supabase, "not_there").write(some(3))
    assert {type(one.error) for one in rejected} == {ProviderMisconfigured}
    assert "PGRST205" in str(rejected[0].error)
    assert len(lines) == 1
    await made.close()


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("supabase", "SUPABASE_URL and SUPABASE_SERVICE_KEY"),
        ("posthog", "POSTHOG_API_KEY"),
        ("segment", "SEGMENT_WRITE_KEY"),
        ("clickhouse", "CLICKHOUSE_URL"),
        ("postgres", "POSTGRES_URL"),
    ],
)
async def test_outside_the_sandbox_a_missing_key_names_its_setting(name: str, setting: str) -> None:
    made = Providers(Settings(_env_file=None, CORRAL_ANALYTICS_SINK=name))
    (sink,) = made.sinks
    try:
        refused = [one.error for one in await sink.write([event()])]
    except ProviderError as error:
        refused = [error]
    assert [type(error) for error in refused] == [ProviderMisconfigured]
    assert setting in str(refused[0])
    await made.close()


async def test_a_key_is_in_no_reason(sandbox: RunningSandbox) -> None:
    key = "s3cret-write-key"
    sink = segment.SegmentSink(host=f"{sandbox.url}/segment", write_key=key, sandbox=True)
    with capture_logs() as lines:
        (refused,) = await sink.write([event()])
    assert isinstance(refused.error, ProviderMisconfigured)
    assert key not in f"{refused.error} {lines}"
    await sink.close()
