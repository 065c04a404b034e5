"""The Postgres sink on a real server, with the table of docs/queues/analytics.md."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from events import AT, event, some

from corral.providers import Providers
from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.settings import Settings
from corral.sinks.postgres import PostgresSink
from postgres_process import PostgresProcess, folder_of_programs

DOCS = Path(__file__).parents[2] / "docs" / "queues" / "analytics.md"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    programs = folder_of_programs()
    if programs is None and find_spec("pgserver") is None:
        pytest.skip("no PostgreSQL server is installed, and there is no pgserver wheel for this machine")
    assert programs is not None, "the server in the pgserver wheel does not run here"
    # Not tmp_path: another user than this one has to get there.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        process = PostgresProcess(programs, Path(folder) / "data")
        process.start()
        yield process
        process.stop()


@pytest.fixture
async def database(server: PostgresProcess) -> AsyncIterator[Any]:
    """A connection, with the table as the page has it."""
    connection = await asyncpg.connect(server.url)
    table = re.search(r"```sql\n(create table analytics_events .*?)```", DOCS.read_text(), re.DOTALL)
    assert table is not None
    await connection.execute("drop table if exists analytics_events;" + table[1])
    yield connection
    await connection.close()


@pytest.fixture
async def sink(server: PostgresProcess, database: Any) -> AsyncIterator[PostgresSink]:
    made = PostgresSink(server.url, "analytics_events")
    yield made
    await made.close()


async def ids(database: Any) -> list[str]:
    rows = await database.fetch("select event_id from analytics_events order by ts, event_id")
    return [row["event_id"] for row in rows]


async def test_events_are_rows_and_count_once(sink: PostgresSink, database: Any) -> None:
    batch = [event(1, properties={"plan": "é"}), event(2, user_id=None), event(1, name="again")]
    assert await sink.write(batch) == []
    assert await sink.write([event(2), event(3)]) == []
    rows = await database.fetch("select *, props ->> 'plan' as plan from analytics_events order by event_id")
    assert [(row["event_id"], row["name"], row["user_id"]) for row in rows] == [
        ("e-1", "opened", "user-42"),
        ("e-2", "opened", None),
        ("e-3", "opened", "user-42"),
    ]
    assert (rows[0]["plan"], rows[0]["ts"], rows[0]["received_at"]) == ("é", AT, AT)


async def test_what_postgres_cannot_store_costs_its_event_alone(sink: PostgresSink, database: Any) -> None:
    batch = some(50)
    batch[7] = event(7, properties={"text": "a\0b"})
    batch[31] = event(31, user_id="user\0")
    rejected = await sink.write(batch)
    assert sorted(one.index for one in rejected) == [7, 31]
    assert all(isinstance(one.error, ProviderPermanent) for one in rejected)
    assert {one.error.code for one in rejected} <= {"22P05", "22021"}
    assert "user" not in str(rejected[0].error)
    assert len(await ids(database)) == 48


async def test_a_missing_table_or_constraint_holds_the_jobs(
    sink: PostgresSink, database: Any, server: PostgresProcess
) -> None:
    elsewhere = PostgresSink(server.url, "public.not_there")
    (refused,) = await elsewhere.write([event()])
    assert isinstance(refused.error, ProviderMisconfigured)
    assert "42P01" in str(refused.error)
    await elsewhere.close()
    await database.execute("alter table analytics_events drop constraint analytics_events_pkey")
    (refused,) = await sink.write([event()])
    assert isinstance(refused.error, ProviderMisconfigured)
    assert "42P10" in str(refused.error)


async def test_a_server_that_went_away_is_tried_again_later(
    server: PostgresProcess, sink: PostgresSink
) -> None:
    assert await sink.write([event(1)]) == []
    server.stop()
    try:
        for _ in range(2):  # first the connection breaks, then there is none to be had
            errors: list[Exception] = []
            try:
                errors = [one.error for one in await sink.write([event(2)])]
            except ProviderRetryable as error:
                errors = [error]
            assert [type(error) for error in errors] == [ProviderRetryable]
    finally:
        server.start_again()
    assert await sink.write([event(2)]) == []


@pytest.mark.parametrize("url", ["nonsense", "postgresql://corral@127.0.0.1:{port}/not_there"])
async def test_a_wrong_url_holds_the_jobs_and_is_not_told(server: PostgresProcess, url: str) -> None:
    sink = PostgresSink(url.format(port=server._port), "analytics_events")
    try:
        (refused,) = await sink.write([event()])
        error: Exception = refused.error
    except ProviderMisconfigured as caught:
        error = caught
    assert isinstance(error, ProviderMisconfigured)
    assert "127.0.0.1" not in str(error)
    await sink.close()


async def test_the_settings_name_database_and_table(server: PostgresProcess, database: Any) -> None:
    made = Providers(
        Settings(
            _env_file=None,
            CORRAL_ANALYTICS_SINK="postgres",
            POSTGRES_URL=server.url,
            CORRAL_ANALYTICS_TABLE="public.analytics_events",
        )
    )
    (sink,) = made.sinks
    assert await sink.write([event(8)]) == []
    assert await ids(database) == ["e-8"]
    await made.close()


async def test_without_asyncpg_the_jobs_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ProviderMisconfigured, match=r"pip install corral\[postgres\]"):
        await PostgresSink("postgresql://localhost/x", "analytics_events").write([event()])


async def test_a_login_that_may_insert_passes_the_test(sink: PostgresSink, database: Any) -> None:
    await sink.check()
    assert await ids(database) == []


async def test_a_table_that_is_not_there_fails_it(server: PostgresProcess, database: Any) -> None:
    for table in ("nowhere", "nowhere.analytics_events"):
        sink = PostgresSink(server.url, table)
        with pytest.raises(ProviderMisconfigured, match=r"SQLSTATE (42P01|3F000)"):
            await sink.check()
        await sink.close()


async def test_a_login_that_may_not_insert_fails_it(server: PostgresProcess, database: Any) -> None:
    await database.execute("drop role if exists reader; create role reader login password 'reader'")
    url = re.sub(r"//[^/@]*@", "//reader:reader@", server.url)
    sink = PostgresSink(url, "analytics_events")
    with pytest.raises(ProviderMisconfigured, match="no right to insert"):
        await sink.check()
    await sink.close()


async def test_a_server_that_is_away_says_nothing_about_the_login(database: Any) -> None:
    sink = PostgresSink("postgresql://mia:secret@127.0.0.1:1/events", "analytics_events")
    with pytest.raises(ProviderRetryable) as raised:
        await sink.check()
    assert "secret" not in str(raised.value)
    await sink.close()
