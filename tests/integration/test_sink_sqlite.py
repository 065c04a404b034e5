"""The SQLite sink on real files."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from events import AT, event, some

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.sinks.sqlite import CLEAN_SECONDS, SqliteSink


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "analytics.sqlite3"


@pytest.fixture
async def sink(path: Path) -> AsyncIterator[SqliteSink]:
    made = SqliteSink(path)
    yield made
    await made.close()


def read(path: Path, sql: str = "select * from events order by event_id") -> list[Any]:
    with sqlite3.connect(path) as db:
        rows = db.execute(sql).fetchall()
    db.close()
    return rows


async def test_events_are_rows_that_sqlite_can_query(sink: SqliteSink, path: Path) -> None:
    assert (
        await sink.write([event(1, properties={"plan": "pro", "é": [1, None]}), event(2, user_id=None)]) == []
    )
    assert read(path)[0] == (
        "e-1",
        "2026-01-02T03:04:05.678Z",
        "opened",
        "user-42",
        '{"plan":"pro","é":[1,null]}',
        "2026-01-02T03:04:05.678Z",
    )
    assert read(path)[1][3] is None
    sql = "select props ->> 'plan', strftime('%Y', ts) from events where props ->> 'plan' is not null"
    assert read(path, sql) == [("pro", "2026")]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_event_id_counts_once(sink: SqliteSink, path: Path) -> None:
    await sink.write([event(1), event(1, name="second"), event(2)])
    await sink.write([event(2, name="third"), event(3)])
    assert [(row[0], row[2]) for row in read(path)] == [
        ("e-1", "opened"),
        ("e-2", "opened"),
        ("e-3", "opened"),
    ]


async def test_two_writers_at_once_lose_nothing(path: Path) -> None:
    sinks = [SqliteSink(path), SqliteSink(path)]

    async def fill(sink: SqliteSink, first: int) -> None:
        for start in range(first, first + 1_000, 50):
            assert await sink.write([event(n) for n in range(start, start + 50)]) == []

    await asyncio.gather(fill(sinks[0], 0), fill(sinks[1], 900))
    for sink in sinks:
        await sink.close()
    assert read(path, "select count(*), count(distinct event_id) from events") == [(1_900, 1_900)]
    assert read(path, "pragma integrity_check") == [("ok",)]


async def test_a_file_that_somebody_holds_is_tried_again_later(path: Path) -> None:
    sink = SqliteSink(path, busy_seconds=0.05)
    await sink.write([event(1)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(ProviderRetryable, match="SQLITE_BUSY"):
        await sink.write([event(2)])
    other.execute("rollback")
    other.close()
    assert await sink.write([event(2)]) == []
    assert len(read(path)) == 2
    await sink.close()


async def test_a_row_that_the_table_refuses_is_refused_alone(sink: SqliteSink, path: Path) -> None:
    await sink.write([])  # makes the file
    with sqlite3.connect(path) as db:
        db.execute(
            "create trigger bad before insert on events when new.name = 'bad' "
            "begin select raise(abort, 'no bad events'); end"
        )
    db.close()
    rejected = await sink.write([event(1), event(2, name="bad"), event(3), event(4, name="bad"), event(5)])
    assert [one.index for one in rejected] == [1, 3]
    assert all(isinstance(one.error, ProviderPermanent) for one in rejected)
    assert "no [redacted] events" in str(rejected[0].error)  # the event's own words do not come back
    assert [row[0] for row in read(path)] == ["e-1", "e-3", "e-5"]


async def test_a_text_that_is_no_unicode_costs_its_event_alone(sink: SqliteSink, path: Path) -> None:
    rejected = await sink.write([event(1), event(2, user_id="\ud800"), event(3)])
    assert [one.index for one in rejected] == [1]
    assert [row[0] for row in read(path)] == ["e-1", "e-3"]


async def test_a_file_that_was_deleted_is_made_anew(sink: SqliteSink, path: Path) -> None:
    await sink.write([event(1)])
    for file in path.parent.iterdir():
        file.unlink()
    await sink.write([event(2)])
    assert [row[0] for row in read(path)] == ["e-2"]


async def test_a_file_that_is_no_database_holds_the_jobs(sink: SqliteSink, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"a letter, not a database; " * 100)
    with pytest.raises(ProviderMisconfigured, match="SQLITE_NOTADB"):
        await sink.write([event(1)])


async def test_a_folder_that_cannot_be_made_holds_the_jobs(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    sink = SqliteSink(tmp_path / "data" / "analytics.sqlite3")
    with pytest.raises(ProviderMisconfigured, match="CORRAL_DATA_DIR"):
        await sink.write([event(1)])
    await sink.close()


async def test_old_events_are_deleted_when_it_is_time(path: Path) -> None:
    day, now = 86_400.0, AT.timestamp()
    sink = SqliteSink(path, keep_days=30, now=lambda: now)
    await sink.write([event(1)])
    now += CLEAN_SECONDS * 1.5
    await sink.write(some(3))
    assert len(read(path)) == 3
    now += 30 * day
    await sink.write([event(9, at=AT.replace(month=2))])
    assert [row[0] for row in read(path)] == ["e-9"]
    await sink.close()


async def test_without_retention_nothing_is_deleted(path: Path) -> None:
    sink = SqliteSink(path, now=lambda: AT.timestamp() + 10**9)
    await sink.write([event(1)])
    await sink.write([event(2)])
    assert len(read(path)) == 2
    await sink.close()
