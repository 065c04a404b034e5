"""Events in an SQLite file: the sink that needs no service.

    events(event_id primary key, ts, name, user_id, props, received_at)

Guarantees: what was written is on the disk (WAL, `synchronous=full`) when `write` returns, or nothing of it;
an event id is stored once; several processes of one machine may write. A row that a constraint of the table
refuses (one of your own, say) is rejected alone. A file that is deleted or replaced under us is made anew.
Limits: one machine and a local disk (WAL does not work over a network file system). Another writer may hold
the file for 10 s; then the batch is tried again later.

Options: CORRAL_DATA_DIR (the file is `analytics.sqlite3` in it), CORRAL_ANALYTICS_DAYS.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import msgspec

from corral.providers.errors import ProviderError, ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.providers.redact import redact
from corral.sinks.event import Event, Rejected, utc_text

FILE = "analytics.sqlite3"

#: Seconds to wait for another process that writes.
BUSY_SECONDS = 10.0

#: Seconds between two looks for events that are too old.
CLEAN_SECONDS = 3600.0
#: Rows deleted at once: a few milliseconds, since nobody else can write meanwhile.
CLEAN_ROWS = 5_000

_SCHEMA = """
create table if not exists events (
    event_id text primary key not null,
    ts text not null,
    name text not null,
    user_id text,
    props text not null,
    received_at text not null
);
create index if not exists events_ts on events (ts);
"""
# Not "or ignore", which would pass over every other constraint in silence.
_INSERT = (
    "insert into events (event_id, ts, name, user_id, props, received_at) values {rows} "
    "on conflict (event_id) do nothing"
)
_MARKS = "(?, ?, ?, ?, ?, ?)"

#: Rows of one statement. For each statement Python lets the interpreter go and waits to get it back, from an
#: event loop that is busy: with a statement a row the waiting takes several times as long as the writing.
#: SQLite before 3.32 takes 999 values in a statement.
_INSERTS = {size: _INSERT.format(rows=", ".join([_MARKS] * size)) for size in (150, 10, 1)}

_CLEAN = "delete from events where rowid in (select rowid from events where ts < ? order by ts limit ?)"

#: About a row, not about the file.
_ABOUT_A_ROW = (sqlite3.IntegrityError, sqlite3.DataError, UnicodeEncodeError)

#: Results that no further try can change: no database, no access.
_BROKEN = frozenset({
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_ERROR,
})  # fmt: skip

Row = tuple[str, str, str, str | None, str, str]


class SqliteSink:
    """Events in the file at `path`, made when first needed. keep_days: 0 keeps them for ever."""

    name = "sqlite"

    def __init__(
        self,
        path: Path,
        *,
        keep_days: int = 0,
        busy_seconds: float = BUSY_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._keep_days = keep_days
        self._busy_seconds = busy_seconds
        self._now = now
        self._cleaned_at = 0.0
        self._db: sqlite3.Connection | None = None
        self._inode = 0
        # One thread, so that batches follow one another: SQLite has one writer anyway.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="corral-analytics")

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Store events in one transaction. Raises ProviderRetryable, ProviderMisconfigured."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._write, events)

    async def close(self) -> None:
        """Close the file, after the batch that is being written."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget)
        self._thread.shutdown(wait=False)

    # In the thread

    def _write(self, events: Sequence[Event]) -> list[Rejected]:
        rows = [row_of(event) for event in events]
        try:
            db = self._opened()
            rejected = self._insert(db, rows)
            self._clean(db)
        except (sqlite3.Error, OSError) as error:
            raise as_provider_error(error) from error
        return rejected

    def _insert(self, db: sqlite3.Connection, rows: Sequence[Row]) -> list[Rejected]:
        rejected: list[Rejected] = []
        db.execute("begin immediate")
        try:
            try:
                _all_at_once(db, rows)
            except _ABOUT_A_ROW:
                rejected = _one_by_one(db, rows)
            db.execute("commit")
        finally:
            if db.in_transaction:
                db.execute("rollback")
        return rejected

    def _clean(self, db: sqlite3.Connection) -> None:
        """Delete some events that are too old: one piece a batch at most, so that no batch waits long."""
        now = self._now()
        if not self._keep_days or now - self._cleaned_at < CLEAN_SECONDS:
            return
        oldest = datetime.fromtimestamp(now, UTC) - timedelta(days=self._keep_days)
        if db.execute(_CLEAN, (utc_text(oldest), CLEAN_ROWS)).rowcount < CLEAN_ROWS:
            self._cleaned_at = now

    def _opened(self) -> sqlite3.Connection:
        if self._db is not None and _inode(self.path) == self._inode:
            return self._db
        self._forget()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # It holds who did what: for this user's eyes. SQLite gives its other files the same mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(
            self.path, timeout=self._busy_seconds, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(db)
        except BaseException:
            db.close()
            raise
        self._db, self._inode = db, _inode(self.path)
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        limit = time.monotonic() + self._busy_seconds
        while True:
            try:
                db.execute("pragma journal_mode = wal")
                db.execute("pragma synchronous = full")
                db.executescript(_SCHEMA)
            except sqlite3.OperationalError as error:
                # Two processes that make the file at once: SQLite does not wait while the mode changes.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > limit:
                    raise
                time.sleep(0.02)
            else:
                return

    def _forget(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _all_at_once(db: sqlite3.Connection, rows: Sequence[Row]) -> None:
    start = 0
    for size, statement in _INSERTS.items():
        while len(rows) - start >= size:
            db.execute(statement, list(chain.from_iterable(rows[start : start + size])))
            start += size


def _one_by_one(db: sqlite3.Connection, rows: Sequence[Row]) -> list[Rejected]:
    """Each row alone, in the transaction that is open; those that are in already are passed over."""
    rejected = []
    for index, row in enumerate(rows):
        try:
            db.execute(_INSERTS[1], row)
        except _ABOUT_A_ROW as error:
            reason = f"the table refuses the event ({redact(str(error), [t for t in row if t])})"
            rejected.append(Rejected(index, ProviderPermanent(SqliteSink.name, reason)))
    return rejected


# Decisions


def row_of(event: Event) -> Row:
    """An event as a row of the table."""
    return (
        event.id,
        utc_text(event.at),
        event.name,
        event.user_id,
        msgspec.json.encode(event.properties).decode(),
        utc_text(event.received_at),
    )


def as_provider_error(error: sqlite3.Error | OSError) -> ProviderError:
    """What an error of the file means for the jobs of the batch."""
    if isinstance(error, OSError):
        return ProviderMisconfigured(
            SqliteSink.name, f"cannot make the file below CORRAL_DATA_DIR: {error.strerror}"
        )
    code = getattr(error, "sqlite_errorcode", 0)
    reason = f"{getattr(error, 'sqlite_errorname', type(error).__name__)} ({redact(str(error))})"
    if code & 0xFF in _BROKEN:
        return ProviderMisconfigured(SqliteSink.name, reason)
    return ProviderRetryable(SqliteSink.name, reason)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
