"""Supabase REST's stand-in: a small, strict part of PostgREST over SQLite.

SQLite's real constraints give the real errors.

Known: insert, upsert (`on_conflict`, merge- and ignore-duplicates), update, select, delete; `select`,
`order`, `limit`; the filters eq, neq, lt, lte, gt, gte, in, is, and `not.`; `Prefer: return=`.
Limits: no joins, no functions, no schemas, no row security. An unknown parameter value is an error, so that a
client that needs more finds out.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

import msgspec

from corral.sandbox import keys
from corral.sandbox.filters import BadQuery, column, condition, ordering
from corral.sandbox.outbox import Outbox, masked
from corral.sandbox.people import People
from corral.sandbox.wire import Malformed, Reply, Request

_RESERVED = frozenset({"select", "order", "limit", "on_conflict", "columns"})

_KYC_TABLE = """
create table "{name}" (
    job_id text primary key,
    user_id text not null,
    provider text not null,
    document_type text not null,
    status text not null check (status in (
        'processing', 'approved', 'rejected', 'pending_review', 'expired', 'failed'
    )),
    provider_ref text,
    created_at text not null,
    updated_at text not null,
    completed_at text
)
"""

_ANALYTICS_TABLE = """
create table "{name}" (
    event_id text primary key,
    ts text not null,
    name text not null check (name not like '%REFUSE'),
    user_id text,
    props text not null,
    received_at text not null
)
"""


class PostgrestStandIn:
    """Tables in an SQLite database in memory."""

    provider = "supabase"

    def __init__(
        self,
        outbox: Outbox,
        kyc_table: str,
        analytics_table: str = "analytics_events",
        *,
        devices: tuple[str, str] = ("device_tokens", "user_id,kind,token"),
        profiles: tuple[str, str] = ("profiles", "id,phone,time_zone"),
    ) -> None:
        self._outbox = outbox
        # The server runs in one thread, which need not be the one that made this.
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute(_KYC_TABLE.format(name=column(kyc_table)))
        self._people = People(self._db, devices, profiles)
        self._db.execute(_ANALYTICS_TABLE.format(name=column(analytics_table)))

    def execute(self, sql: str) -> None:
        """Run a statement, so that tests can have tables of their own."""
        self._db.execute(sql)

    def answer(self, request: Request) -> Reply:
        if not authorized(request, keys.SUPABASE_SERVICE_KEY):
            return self.fault(401)
        try:
            return self._table(request, request.path.lstrip("/"))
        except BadQuery as error:
            return _error(400, error.code, str(error))
        except Malformed as error:
            return _error(400, "PGRST102", str(error))
        except sqlite3.Error as error:
            return _sql_error(error)

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return Reply(401, {"message": "Invalid API key", "hint": "Check the `apikey` header."})
            case 429:
                return Reply(429, {"message": "Too many requests"}, {"retry-after": "1"})
            case _:
                return _error(status, "57P01", "terminating connection due to administrator command")

    def _table(self, request: Request, name: str) -> Reply:
        known = {
            row["name"] for row in self._db.execute("select name from sqlite_master where type = 'table'")
        }
        if name not in known:
            return _error(404, "PGRST205", f"Could not find the table 'public.{name}' in the schema cache")
        self._people.meet(name, request.query)
        self._columns = {row["name"] for row in self._db.execute(f'pragma table_info("{name}")')}
        match request.method:
            case "GET":
                return Reply(200, self._select(name, request))
            case "POST":
                return self._insert(name, request)
            case "PATCH":
                return self._update(name, request)
            case "DELETE":
                where, values = self._where(request)
                self._db.execute(f'delete from "{name}"{where}', values)  # noqa: S608 - names are checked by `column`
                return Reply(204)
        return _error(405, "PGRST117", f"Unsupported HTTP method: {request.method}")

    def _select(self, name: str, request: Request) -> list[dict[str, Any]]:
        where, values = self._where(request)
        sql = f'select {self._selected(request)} from "{name}"{where}'  # noqa: S608 - the same
        if order := request.param("order"):
            sql += f" order by {ordering(order)}"
        if (limit := request.param("limit")) is not None:
            if not limit.isdigit():
                raise BadQuery("PGRST100", f"limit is {limit!r}, not a number")
            sql += f" limit {limit}"
        return [dict(row) for row in self._db.execute(sql, values)]

    def _insert(self, name: str, request: Request) -> Reply:
        body = request.json()
        rows = body if isinstance(body, list) else [body]
        prefer = _prefer(request)
        conflict = self._on_conflict(request, prefer)
        written = []
        self._db.execute("begin")
        try:
            for row in rows:
                columns = self._known_columns(row)
                names, marks = ", ".join(f'"{c}"' for c in columns), ", ".join("?" * len(columns))
                sql = f'insert into "{name}" ({names}) values ({marks}){conflict(columns)} '  # noqa: S608 - the same
                cursor = self._db.execute(sql + f"returning {self._selected(request)}", _bound(row))
                written += [dict(r) for r in cursor.fetchall()]
            self._db.execute("commit")
        except (sqlite3.Error, BadQuery):
            self._db.execute("rollback")
            raise
        if isinstance(body, list):
            self._outbox.record("supabase", "insert", table=name, rows=len(rows))
        else:
            self._record(name, "upsert", rows)
        return Reply(201, written) if prefer.get("return") == "representation" else Reply(201)

    def _update(self, name: str, request: Request) -> Reply:
        body = request.json_object()
        columns = self._known_columns(body)
        where, values = self._where(request)
        assignments = ", ".join(f'"{c}" = ?' for c in columns)
        sql = f'update "{name}" set {assignments}{where} returning {self._selected(request)}'  # noqa: S608 - the same
        rows = [dict(row) for row in self._db.execute(sql, [*body.values(), *values]).fetchall()]
        self._record(name, "update", [body], matched=len(rows))
        return Reply(200, rows) if _prefer(request).get("return") == "representation" else Reply(204)

    def _where(self, request: Request) -> tuple[str, list[Any]]:
        parts, values = [], []
        for name, expression in request.query:
            if name in _RESERVED:
                continue
            if name not in self._columns:
                raise BadQuery("42703", f"column {name} does not exist")
            sql, more = condition(name, expression)
            parts.append(sql)
            values += more
        return (" where " + " and ".join(parts) if parts else ""), values

    def _selected(self, request: Request) -> str:
        wanted = request.param("select") or "*"
        if wanted == "*":
            return "*"
        names = wanted.split(",")
        for name in names:
            if name not in self._columns:
                raise BadQuery("42703", f"column {name} does not exist")
        return ", ".join(f'"{column(name)}"' for name in names)

    def _known_columns(self, row: Any) -> list[str]:
        if not isinstance(row, dict) or not row:
            raise Malformed("a row is a JSON object with at least one column")
        for name in row:
            if name not in self._columns:
                raise BadQuery("PGRST204", f"Could not find the '{name}' column in the schema cache")
        return list(row)

    def _on_conflict(self, request: Request, prefer: dict[str, str]) -> Any:
        """The conflict clause for the columns of a row."""
        resolution = prefer.get("resolution")
        if resolution is None:
            return lambda _: ""
        target = ", ".join(f'"{column(c)}"' for c in (request.param("on_conflict") or "").split(",") if c)
        if resolution == "ignore-duplicates":
            return lambda _: f" on conflict ({target}) do nothing"
        return lambda columns: (
            f" on conflict ({target}) do update set " + ", ".join(f'"{c}" = excluded."{c}"' for c in columns)
        )

    def _record(self, table: str, action: str, rows: list[dict[str, Any]], **more: Any) -> None:
        for row in rows:
            shown = {k: masked(v) if k == "user_id" else v for k, v in row.items()}
            self._outbox.record("supabase", action, table=table, row=shown, **more)


def _bound(row: dict[str, Any]) -> list[Any]:
    """The values of a row for SQLite; JSON columns become text. PostgreSQL stores no NUL, so none passes."""
    if b"\\u0000" in msgspec.json.encode(row):
        raise BadQuery("22P05", "unsupported Unicode escape sequence")
    return [
        msgspec.json.encode(value).decode() if isinstance(value, (dict, list)) else value
        for value in row.values()
    ]


def authorized(request: Request, key: str) -> bool:
    """Whether the key is in `apikey`. A new key is not a JWT, so as a Bearer it is wrong."""
    return request.headers.get("apikey") == key and "authorization" not in request.headers


def _prefer(request: Request) -> dict[str, str]:
    pairs = (
        part.strip().partition("=") for part in request.headers.get("prefer", "").split(",") if part.strip()
    )
    prefer = {name: value for name, _, value in pairs}
    if prefer.get("return") not in (None, "minimal", "representation", "headers-only"):
        raise BadQuery("PGRST122", "Invalid preferences given with handling=strict")
    if prefer.get("resolution") not in (None, "merge-duplicates", "ignore-duplicates"):
        raise BadQuery("PGRST122", "Invalid preferences given with handling=strict")
    return prefer


def _sql_error(error: sqlite3.Error) -> Reply:
    text = str(error)
    where = re.sub(r".*: ", "", text)
    if "ON CONFLICT" in text:
        return _error(400, "42P10", "there is no unique constraint matching the ON CONFLICT specification")
    if "UNIQUE" in text:
        return _error(409, "23505", f"duplicate key value violates unique constraint on {where}")
    if "NOT NULL" in text:
        return _error(400, "23502", f"null value in column {where} violates not-null constraint")
    if "CHECK" in text:
        return _error(400, "23514", f"new row violates check constraint {where}")
    return _error(400, "42601", "syntax error")


def _error(status: int, code: str, message: str) -> Reply:
    return Reply(status, {"code": code, "message": message, "details": None, "hint": None})
