"""What a server was asked to do since a moment: calls by command, in scripts or not, and reads of sockets."""

from __future__ import annotations

from collections import Counter
from typing import Any

#: What the look itself costs, and a connection that is new.
NOT_COUNTED = frozenset(
    {"info", "config|resetstat", "hello", "client|setinfo", "client|setname", "script|load", "ping"}
)


class Traffic:
    """`traffic = await Traffic.start(client)`, then the work, then `await traffic.stop()`."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.calls: Counter[str] = Counter()
        #: How often the server read from a client. A pipeline is one read, a large one a few (16 KiB each),
        #: so this is what round trips can be at most.
        self.reads = 0

    @classmethod
    async def start(cls, client: Any) -> Traffic:
        await client.config_resetstat()
        return cls(client)

    async def stop(self) -> Traffic:
        stats = await self._client.info("everything")
        calls = {
            name.removeprefix("cmdstat_"): int(found["calls"])
            for name, found in stats.items()
            if name.startswith("cmdstat_")
        }
        self.calls = Counter({name: count for name, count in calls.items() if name not in NOT_COUNTED})
        self.reads = int(stats["total_reads_processed"]) - 1  # this look
        return self

    @property
    def scripts(self) -> int:
        return self.calls["evalsha"] + self.calls["eval"]

    @property
    def commands(self) -> int:
        """Everything but the calls of scripts themselves."""
        return self.calls.total() - self.scripts
