"""ClickHouse's stand-in: inserts in JSONEachRow into the one table of the analytics queue.

Errors are text with the exception's code in a header, and quote the row, as the server's do.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import msgspec

from corral.sandbox import keys
from corral.sandbox.outbox import Outbox
from corral.sandbox.tracked import Tracked, refused
from corral.sandbox.wire import Reply, Request

_COLUMNS = ("event_id", "ts", "name", "user_id", "props", "received_at")
_INSERT = re.compile(r"INSERT INTO ([\w.]+) \(([\w, ]+)\) FORMAT JSONEachRow")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}")
_VERSION = "(version 25.8.1.1)"


class _Refused(Exception):
    """An exception of the server."""

    def __init__(self, status: int, code: int, name: str, text: str) -> None:
        super().__init__(text)
        self.reply = _exception(status, code, name, text)


class ClickhouseStandIn:
    """A table in memory; a row replaces one with its event id, as in a ReplacingMergeTree in the end."""

    provider = "clickhouse"

    def __init__(self, outbox: Outbox, table: str = "analytics_events") -> None:
        self.tracked = Tracked(outbox, self.provider)
        self._table = table

    def answer(self, request: Request) -> Reply:
        given = (request.headers.get("x-clickhouse-user"), request.headers.get("x-clickhouse-key"))
        if given != (keys.CLICKHOUSE_USER, keys.CLICKHOUSE_PASSWORD):
            return self.fault(401)
        if request.method == "GET" and request.param("query") == "SELECT 1":
            return Reply(200, b"1\n", {"content-type": "text/tab-separated-values"})
        try:
            rows = self._rows(request)
        except _Refused as error:
            return error.reply
        self.tracked.keep((row["event_id"], row["name"], row) for row in rows)
        return Reply(200, headers={"x-clickhouse-summary": f'{{"written_rows":"{len(rows)}"}}'})

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                text = f"{keys.CLICKHOUSE_USER}: Authentication failed: password is incorrect"
                return _exception(403, 516, "AUTHENTICATION_FAILED", text)
            case 429:
                return _exception(
                    500, 202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many simultaneous queries. Maximum: 100"
                )
            case _:
                return _exception(status, 252, "TOO_MANY_PARTS", "Too many parts (300). Merges are slower")

    def _rows(self, request: Request) -> list[dict[str, Any]]:
        found = _INSERT.fullmatch(request.param("query") or "")
        if found is None or request.method != "POST":
            raise _Refused(400, 62, "SYNTAX_ERROR", "Syntax error: failed at position 1")
        if found[1] != self._table:
            raise _Refused(404, 60, "UNKNOWN_TABLE", f"Table default.{found[1]} does not exist")
        columns = found[2].split(", ")
        if unknown := set(columns) - set(_COLUMNS):
            raise _Refused(404, 16, "NO_SUCH_COLUMN_IN_TABLE", f"No such column {unknown.pop()} in table")
        return [_row(line, columns) for line in request.body.splitlines()]


def _row(line: bytes, columns: list[str]) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        raise _unreadable(line) from None
    if unknown := set(row) - set(columns):
        raise _Refused(400, 117, "INCORRECT_DATA", f"Unknown field found: {unknown.pop()}: (at row 1)")
    texts = all(isinstance(row.get(name), str) for name in ("event_id", "name", "props"))
    times = all(_TIME.fullmatch(str(row.get(name))) for name in ("ts", "received_at"))
    if not texts or not times or refused(row["name"]):
        raise _unreadable(line)
    try:
        datetime.fromisoformat(row["ts"])
    except ValueError:
        raise _unreadable(line) from None
    return row


def _unreadable(line: bytes) -> _Refused:
    text = f"Cannot parse input: expected '\"' before: '{line.decode(errors='replace')}': (at row 1)"
    return _Refused(400, 27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", text)


def _exception(status: int, code: int, name: str, text: str) -> Reply:
    body = f"Code: {code}. DB::Exception: {text}. ({name}) {_VERSION}\n".encode()
    return Reply(
        status, body, {"content-type": "text/plain; charset=UTF-8", "x-clickhouse-exception-code": str(code)}
    )
