"""The sinks that the settings name.

Options: CORRAL_ANALYTICS_SINK (sqlite, supabase, postgres, posthog, segment, clickhouse; several with commas
between them), and those of each sink.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

from corral.providers.choice import Surroundings
from corral.providers.supabase import Supabase
from corral.settings import Settings
from corral.sinks import clickhouse, posthog, segment, sqlite
from corral.sinks.event import Sink
from corral.sinks.postgres import PostgresSink
from corral.sinks.sqlite import SqliteSink
from corral.sinks.supabase import SupabaseSink


class Sinks(tuple[Sink, ...]):
    """All places that every event goes to."""

    __slots__ = ()

    async def close(self) -> None:
        """Close them."""
        await asyncio.gather(*(sink.close() for sink in self))


def chosen(around: Surroundings, supabase: Callable[[], Supabase]) -> Sinks:
    """Make them. `supabase` gives the client when one is needed."""
    settings = around.settings
    makers: Mapping[str, Callable[[], Sink]] = {
        "sqlite": lambda: sqlite_file(settings),
        "supabase": lambda: SupabaseSink(supabase(), settings.analytics_table),
        "postgres": lambda: _postgres(settings),
        "posthog": lambda: posthog.from_settings(around),
        "segment": lambda: segment.from_settings(around),
        "clickhouse": lambda: clickhouse.from_settings(around),
    }
    return Sinks(makers[name]() for name in settings.analytics_sink)


def sqlite_file(settings: Settings) -> SqliteSink:
    """The file of this machine."""
    return SqliteSink(Path(settings.data_dir) / sqlite.FILE, keep_days=settings.analytics_days)


def _postgres(settings: Settings) -> PostgresSink:
    url = settings.postgres_url.get_secret_value()
    missing = "" if url else "there is no database; set POSTGRES_URL"
    return PostgresSink(url, settings.analytics_table, missing=missing)
