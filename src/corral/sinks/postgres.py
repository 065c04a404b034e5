"""Events in a table of PostgreSQL. Needs the optional package asyncpg: `pip install corral[postgres]`.

Guarantees: an event id is stored once (`on conflict (event_id) do nothing`); a batch is one statement, so all
or nothing of it. Works behind PgBouncer: nothing is prepared for later. A missing table, column, database or
right holds the jobs: it is the set-up that is wrong. The table is yours to make (docs/queues/analytics.md).
Limits: PostgreSQL stores no NUL character; an event with one is rejected, alone.

Options: POSTGRES_URL, CORRAL_ANALYTICS_TABLE (`schema.table` works).
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any

import msgspec

from corral.providers.errors import ProviderError, ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.sinks.event import Event, Rejected
from corral.sinks.splitting import Limits, deliver

#: Seconds to connect, and for a statement.
CONNECT_SECONDS = 10.0
STATEMENT_SECONDS = 30.0

#: As many batches as the queue has under way at once.
CONNECTIONS = 4

#: Bytes of properties; a statement may be far larger, but its memory is taken twice.
LIMITS = Limits(batch=16 * 2**20, event=16 * 2**20)

#: Raises 42P01 or 3F000 if there is no such table.
_CHECK = "select has_table_privilege($1, 'insert')"

_INSERT = """
insert into {table} (event_id, ts, name, user_id, props, received_at)
select * from unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
on conflict (event_id) do nothing
"""


class PostgresSink:
    """Rows of one table. `table` was checked to be a name, with or without its schema."""

    name = "postgres"

    def __init__(self, url: str, table: str, *, missing: str = "") -> None:
        self._url = url
        self._missing = missing
        self._table = ".".join(f'"{part}"' for part in table.split("."))
        self._insert = _INSERT.format(table=self._table)
        self._pool: Any = None
        self._opening = asyncio.Lock()

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Store events. Raises ProviderMisconfigured, ProviderRetryable."""
        try:
            pool = await self._opened()
        except Exception as error:
            raise as_provider_error(error) from None  # its message may hold the URL
        props = [msgspec.json.encode(event.properties).decode() for event in events]

        async def send(indexes: Sequence[int]) -> None:
            some = [events[i] for i in indexes]
            try:
                await pool.execute(
                    self._insert,
                    [event.id for event in some],
                    [event.at for event in some],
                    [event.name for event in some],
                    [event.user_id for event in some],
                    [props[i] for i in indexes],
                    [event.received_at for event in some],
                )
            except Exception as error:
                raise as_provider_error(error) from None  # its message may quote the events

        return await deliver(self.name, [len(text) for text in props], LIMITS, send)

    async def check(self) -> None:
        """Whether the server takes our login, and we may insert into the table. Raises as `write` does."""
        try:
            allowed = await (await self._opened()).fetchval(_CHECK, self._table)
        except Exception as error:
            raise as_provider_error(error) from None  # its message may hold the URL
        if not allowed:
            raise ProviderMisconfigured(self.name, f"no right to insert into {self._table}")

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close()

    async def _opened(self) -> Any:
        if self._missing:
            raise ProviderMisconfigured(self.name, self._missing)
        async with self._opening:
            if self._pool is None:
                self._pool = await _asyncpg().create_pool(
                    self._url,
                    min_size=0,
                    max_size=CONNECTIONS,
                    timeout=CONNECT_SECONDS,
                    command_timeout=STATEMENT_SECONDS,
                    statement_cache_size=0,
                )
            return self._pool


def _asyncpg() -> Any:
    try:
        return importlib.import_module("asyncpg")
    except ImportError:
        raise ProviderMisconfigured(
            PostgresSink.name, "asyncpg is not installed; pip install corral[postgres]"
        ) from None


# Decisions


def as_provider_error(error: Exception) -> ProviderError:
    """What an error of asyncpg, or of the network, means for the events. Names its code only."""
    if isinstance(error, ProviderError):
        return error
    state = getattr(error, "sqlstate", None)
    reason = type(error).__name__ + (f", SQLSTATE {state}" if state else "")
    if not state:
        # No answer of the server: the network, a time-out, or a URL that is none.
        wrong_url = isinstance(error, ValueError) or type(error).__name__ == "ClientConfigurationError"
        return (ProviderMisconfigured if wrong_url else ProviderRetryable)(PostgresSink.name, reason)
    return _kind(state)(PostgresSink.name, reason, code=state)


def _kind(state: str) -> type[ProviderRetryable | ProviderPermanent | ProviderMisconfigured]:
    if state.startswith(("22", "23")):
        return ProviderPermanent
    if state.startswith(("28", "3D", "3F", "42")):
        return ProviderMisconfigured
    return ProviderRetryable
