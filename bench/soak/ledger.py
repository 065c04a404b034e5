"""The ledger: what was answered and what was done, in append-only SQLite files outside Redis.

Every process writes a file of its own: a frozen one would otherwise keep the write lock from all others. What
is written is in the system's hands when the call returns, so it outlives the process, kill -9 included; it
need not outlive the machine, hence no fsync. Times are seconds of this machine's clock.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Answer:
    """How an add ended. `job`: its id, or None where no answer came or an error did: it may be in or not."""

    number: int
    producer: str
    job: str | None
    at: float
    error: str = ""


@dataclass(frozen=True)
class Run:
    """A handler began; with `ended`, its effect happened then."""

    number: int
    job: str
    attempt: int
    process: int
    began: float
    ended: float | None = None


@dataclass(frozen=True)
class Trouble:
    """A fault as it happened. `process`: whom it hit, None: Redis, or whoever it says.

    `over`: of a failover, when the old master was a replica again; until then it may have answered somebody.
    """

    kind: str
    began: float
    ended: float
    process: int | None = None
    detail: str = ""
    over: float = 0.0


_TABLES = """
CREATE TABLE IF NOT EXISTS answers (number INTEGER, producer TEXT, job TEXT, at REAL, error TEXT);
CREATE TABLE IF NOT EXISTS begun (number INTEGER, job TEXT, attempt INTEGER, process INTEGER, began REAL);
CREATE TABLE IF NOT EXISTS effects (
    number INTEGER, job TEXT, attempt INTEGER, process INTEGER, began REAL, ended REAL);
CREATE TABLE IF NOT EXISTS troubles (
    kind TEXT, began REAL, ended REAL, process INTEGER, detail TEXT, over REAL);
CREATE TABLE IF NOT EXISTS memory (at REAL, what TEXT, bytes INTEGER);
"""


class Ledger:
    """This process's file in `folder`. Every call is one committed row."""

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / f"{name}-{os.getpid()}.sqlite"
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=OFF")
        self._database.executescript(_TABLES)

    def answer(self, answer: Answer) -> None:
        row = (answer.number, answer.producer, answer.job, answer.at, answer.error)
        self._database.execute("INSERT INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def begun(self, run: Run) -> None:
        row = (run.number, run.job, run.attempt, run.process, run.began)
        self._database.execute("INSERT INTO begun VALUES (?, ?, ?, ?, ?)", row)

    def effect(self, run: Run) -> None:
        row = (run.number, run.job, run.attempt, run.process, run.began, run.ended)
        self._database.execute("INSERT INTO effects VALUES (?, ?, ?, ?, ?, ?)", row)

    def trouble(self, trouble: Trouble) -> None:
        over = trouble.over or trouble.ended
        row = (trouble.kind, trouble.began, trouble.ended, trouble.process, trouble.detail, over)
        self._database.execute("INSERT INTO troubles VALUES (?, ?, ?, ?, ?, ?)", row)

    def memory(self, at: float, what: str, size: int) -> None:
        self._database.execute("INSERT INTO memory VALUES (?, ?, ?)", (at, what, size))

    def close(self) -> None:
        self._database.close()


@dataclass(frozen=True)
class Book:
    """All files of a run, read together."""

    answers: tuple[Answer, ...]
    begun: tuple[Run, ...]
    effects: tuple[Run, ...]
    troubles: tuple[Trouble, ...]
    #: (time, what, bytes)
    memory: tuple[tuple[float, str, int], ...]


def read(folder: Path) -> Book:
    """Read every file. Those of dead processes too: SQLite takes up what their journals hold."""
    rows: dict[str, list[Any]] = {
        table: [] for table in ("answers", "begun", "effects", "troubles", "memory")
    }
    for path in sorted(folder.glob("*.sqlite")):
        with closing(sqlite3.connect(path)) as database:
            database.executescript(_TABLES)  # one that was killed before its first row
            for table in rows:
                rows[table] += database.execute(f"SELECT * FROM {table}").fetchall()
    return Book(
        answers=tuple(Answer(*row) for row in rows["answers"]),
        begun=tuple(Run(*row) for row in rows["begun"]),
        effects=tuple(sorted((Run(*row) for row in rows["effects"]), key=lambda run: run.ended or 0)),
        troubles=tuple(sorted((Trouble(*row) for row in rows["troubles"]), key=lambda one: one.began)),
        memory=tuple(sorted(rows["memory"])),
    )


def done_so_far(folder: Path) -> int:
    """Effects so far, while others write."""
    count = 0
    for path in folder.glob("work-*.sqlite"):
        with closing(sqlite3.connect(path)) as database:
            try:
                (found,) = database.execute("SELECT count(*) FROM effects").fetchone()
            except sqlite3.OperationalError:  # its process is about to make its tables
                continue
            count += found
    return count
