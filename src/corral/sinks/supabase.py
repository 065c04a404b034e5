"""Events in a table of Supabase, over REST.

Guarantees: an event id is stored once (`on_conflict=event_id`, ignore-duplicates); a batch is one statement,
so all or nothing of it. A missing table, column or unique constraint holds the jobs: it is the set-up that is
wrong.

Options: SUPABASE_URL, SUPABASE_SERVICE_KEY, CORRAL_ANALYTICS_TABLE. The table: docs/queues/analytics.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.supabase import Supabase
from corral.sinks.event import Event, Rejected, utc_text
from corral.sinks.splitting import Limits, deliver

#: Bytes of a request. PostgREST has no bound of its own, the gateways before it have; a 413 is halved.
LIMITS = Limits(batch=4 * 2**20, event=4 * 2**20, envelope=2)


class SupabaseSink:
    """Rows of one table. The client is Supabase's own, and closed with it."""

    name = "supabase"

    def __init__(self, supabase: Supabase, table: str) -> None:
        self._supabase = supabase
        self._table = table

    async def write(self, events: Sequence[Event]) -> list[Rejected]:
        """Store events."""
        rows = [msgspec.Raw(msgspec.json.encode(row_of(event))) for event in events]

        async def send(indexes: Sequence[int]) -> None:
            try:
                await self._supabase.insert_new(
                    self._table, [rows[i] for i in indexes], on_conflict="event_id"
                )
            except ProviderPermanent as error:
                if not about_rows(error.code):
                    raise ProviderMisconfigured(error.provider, error.reason, code=error.code) from None
                raise

        return await deliver(self.name, [len(bytes(row)) for row in rows], LIMITS, send)

    async def close(self) -> None:
        """Nothing: the connections are Supabase's."""


def row_of(event: Event) -> dict[str, Any]:
    """An event as a row of the table."""
    return {
        "event_id": event.id,
        "ts": utc_text(event.at),
        "name": event.name,
        "user_id": event.user_id,
        "props": event.properties,
        "received_at": utc_text(event.received_at),
    }


def about_rows(code: str) -> bool:
    """Whether a refusal with this code is about what was in the rows, not about the table."""
    return code.startswith(("22", "23")) or code in ("HTTP 400", "HTTP 413", "HTTP 422")
