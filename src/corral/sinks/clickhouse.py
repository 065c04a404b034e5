"""Events in a table of ClickHouse, over its HTTP interface, a JSON object a line.

Guarantees: the same batch sent again is one (`insert_deduplication_token`), where the table's engine looks at
it; a batch that is put together anew is not, so the table in docs/queues/analytics.md is a ReplacingMergeTree
with the event id in its key: it merges repeats in its own time, and `final` in a query does at once.
The server gathers the inserts of all workers (`async_insert`) and answers when they are stored.
Limits: `ts` is a DateTime64(3), `props` is JSON text.

Options: CLICKHOUSE_URL, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD, CLICKHOUSE_TABLE (`database.table` works).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from corral.providers.choice import Surroundings
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict
from corral.sandbox import keys
from corral.sinks.event import Event, Rejected, utc_text
from corral.sinks.judging import about_batch
from corral.sinks.splitting import Limits, deliver

#: Bytes. ClickHouse itself takes far more; this bounds what a refused batch costs.
LIMITS = Limits(batch=8 * 2**20, event=2**20)

CHECK = "SELECT 1"

_COLUMNS = "event_id, ts, name, user_id, props, received_at"

#: Exception codes that say "not now", whatever the HTTP status: a time limit (159), too many queries (202),
#: the network (209, 210), memory (241), too many parts (252), no Keeper (999).
_NOT_NOW = frozenset({"159", "202", "209", "210", "241", "252", "999"})
#: And those of the account: unknown user, wrong password, access denied, authentication failed.
_ACCOUNT = frozenset({"192", "193", "194", "497", "516"})
#: And those of the table: no such column (16), unknown identifier (47), table (60) or database (81).
_TABLE = frozenset({"16", "47", "60", "81"})


class ClickhouseSink:
    """Rows of one table. `table` was checked to be a name, with or without its database."""

    name = "clickhouse"

    def __init__(
        self, *, url: str, user: str, password: str, table: str, missing: str = "", sandbox: bool = False
    ) -> None:
        self._query = f"INSERT INTO {table} ({_COLUMNS}) FORMAT JSONEachRow"
        self._client = ProviderClient(
            self.name,
            base_url=url,
            classify=classify,
            headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": password},
            secrets=[password],
            missing=missing,
            sandbox=sandbox,
        )

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Send events."""
        parts = [msgspec.json.encode(row_of(event)) for event in events]

        async def send(indexes: Sequence[int]) -> None:
            params = {
                "query": self._query,
                "async_insert": "1",
                "wait_for_async_insert": "1",
                "insert_deduplication_token": batch_token(events[i].id for i in indexes),
            }
            body = b"\n".join([parts[i] for i in indexes])
            await self._client.send("POST", "/", repeatable=True, params=params, content=body)

        return await deliver(self.name, [len(part) for part in parts], LIMITS, send)

    async def check(self) -> None:
        """Whether the server takes user and password. Raises as `write` does. One round trip.

        The table is not looked at: a user who may insert need not be allowed to read.
        """
        await self._client.send("GET", "/", repeatable=True, params={"query": CHECK})

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def from_settings(around: Surroundings) -> ClickhouseSink:
    """The server that is set, or the sandbox's."""
    settings = around.settings
    if around.plays(settings.clickhouse_url):
        return ClickhouseSink(
            url=f"{around.sandbox_url}/clickhouse",
            user=keys.CLICKHOUSE_USER,
            password=keys.CLICKHOUSE_PASSWORD,
            table=settings.clickhouse_table,
            sandbox=True,
        )
    return ClickhouseSink(
        url=settings.clickhouse_url,
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
        table=settings.clickhouse_table,
        missing="" if settings.clickhouse_url else "there is no server; set CLICKHOUSE_URL",
    )


# Decisions


def row_of(event: Event) -> dict[str, Any]:
    """An event as a row of the table."""
    return {
        "event_id": event.id,
        "ts": _clickhouse_time(utc_text(event.at)),
        "name": event.name,
        "user_id": event.user_id,
        "props": msgspec.json.encode(event.properties).decode(),
        "received_at": _clickhouse_time(utc_text(event.received_at)),
    }


def batch_token(event_ids: Iterable[str]) -> str:
    """A name for a batch: the same for the same events in the same order."""
    return hashlib.sha256(msgspec.json.encode(list(event_ids))).hexdigest()[:32]


def classify(answer: Answer) -> Verdict:
    """ClickHouse's answers: the exception's code in a header wins over the status. Its text quotes rows."""
    number = answer.headers.get("x-clickhouse-exception-code", "")
    if not number.isdigit():
        return about_batch(answer)
    code = f"exception {number[:6]}"
    if number in _NOT_NOW:
        return Verdict(Kind.RETRY, code, after=answer.retry_after)
    if number in _ACCOUNT or number in _TABLE:
        return Verdict(Kind.MISCONFIGURED, code)
    return Verdict(about_batch(answer).kind, code, after=answer.retry_after)


def _clickhouse_time(text: str) -> str:
    """2026-01-01T00:00:00.000Z as ClickHouse reads it without any setting."""
    return text.replace("T", " ")[:-1]
