"""What connects a queue: its keys, its server, and what it holds in each event loop.

Nothing is read or opened before the first use, so a queue may stand at module level.
"""

# ruff: noqa: PLC0415  # what adding a job does not need is imported where it is asked for (decision 7)

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self, cast
from weakref import WeakKeyDictionary

from corral.bullmq import redis_errors
from corral.bullmq.keys import QueueKeys, check_queue_name
from corral.environment import read_settings
from corral.errors import LayoutUnsupported, RedisUnavailable
from corral.sealing import Sealing

if TYPE_CHECKING:
    import redis.asyncio as aioredis

    from corral.adding import Templates
    from corral.bullmq.connection import Address
    from corral.events import EventHub
    from corral.queue import Queue
    from corral.settings import Settings

#: BullMQ's layouts that Corral reads and writes. A newer major is refused, not guessed.
KNOWN_LAYOUTS = ("3", "4", "5", "6")


class Connected:
    """A queue's name, prefix and server."""

    def __init__(
        self, name: str, redis_url: str | None, prefix: str | None, encrypt: bool | None = None
    ) -> None:
        check_queue_name(name)
        self.name = name
        self._redis_url = redis_url
        self._prefix = prefix
        self._encrypt = encrypt
        self._sealing: Sealing | None = None
        #: Looked at for every job that is added: whether it may have to be encrypted.
        self.may_seal = True
        self._keys: QueueKeys | None = None
        self._settled: Address | None = None
        self._bound: WeakKeyDictionary[asyncio.AbstractEventLoop, Bound] = WeakKeyDictionary()
        self._current: Bound | None = None

    def address(self, settings: Settings | None = None) -> Address:
        """Where its server is. Give `settings` to ask many queues: reading them takes milliseconds."""
        if self._settled is not None:
            return self._settled
        from corral.bullmq.connection import Address

        return Address.resolve(self._redis_url, settings, prefix=self.keys().prefix)

    def settle(self, settings: Settings) -> Self:
        """Take prefix and address from these settings for good, for who has many queues. Returns itself."""
        if self._keys is None:
            self._keys = QueueKeys(self._prefix or settings.prefix, self.name)
        self._settled = self.address(settings)
        return self

    def keys(self) -> QueueKeys:
        if self._keys is None:
            self._keys = QueueKeys(self._prefix or read_settings().prefix, self.name)
        return self._keys

    @property
    def sealing(self) -> Sealing:
        """How payloads of this queue are encrypted and opened. Raises ConfigurationError without a key."""
        if self._sealing is None:
            from corral.sealing_keys import sealing_of

            self._sealing = sealing_of(self.name, self.keys().prefix, self._encrypt)
            self.may_seal = self._sealing.active
        return self._sealing

    def _bind(self) -> Bound:
        loop = asyncio.get_running_loop()
        current = self._current
        if current is not None and current.loop is loop:
            return current
        from corral.bullmq.connection import binding, forget_closed_loops, shared_client

        with binding:
            bound = self._bound.get(loop)
            if bound is None:
                forget_closed_loops(self._bound)
                bound = self._bound[loop] = Bound(cast("Queue", self), loop, shared_client(self.address()))
        self._current = bound
        return bound

    def client(self) -> aioredis.Redis:
        """The running loop's client, for what is built on a queue (its schedules, groups, administration)."""
        return self._bind().client

    @contextlib.contextmanager
    def redis_errors(self) -> Iterator[None]:
        """Turns what redis-py raises into RedisUnavailable (RedisFull, RedisRefused)."""
        try:
            yield
        except (redis_errors.RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> RedisUnavailable:
        from corral.bullmq.failures import as_corral_error

        return as_corral_error(error, f"queue {self.name!r}")

    async def close(self) -> None:
        """Stop waiting for results. The connection pool stays: other queues of the process share it."""
        self._current = None
        bound = self._bound.pop(asyncio.get_running_loop(), None)
        if bound is not None:
            await bound.results.close()
            await bound.events.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def event_hub(self) -> EventHub:
        """The one reader of the queue's events in the running loop."""
        return self._bind().events

    def templates(self) -> Templates:
        """Turns options of an add into what travels."""
        return self._bind().templates

    async def ready(self) -> Bound:
        """What the queue holds in the running loop, its layout checked. Raises what redis-py raises."""
        bound = self._bind()
        if not bound.layout_checked:
            from corral.bullmq import reader

            async with bound.checking_layout:  # a first burst of adds asks once
                if not bound.layout_checked:
                    check_layout(self.name, await reader.version(bound.client, self.keys()))
                    bound.layout_checked = True
        return bound


class Bound:
    """What a queue holds in one event loop."""

    __slots__ = (
        "checking_layout", "client", "events", "layout_checked", "loop", "official", "producer", "results",
        "templates",
    )  # fmt: skip

    def __init__(self, queue: Queue, loop: asyncio.AbstractEventLoop, client: aioredis.Redis) -> None:
        from corral.adding import Templates
        from corral.bullmq.connection import shared_line, stream_client
        from corral.bullmq.official_add import OfficialProducer
        from corral.bullmq.producer import Producer
        from corral.events import EventHub
        from corral.results import Results

        keys = queue.keys()
        self.loop = loop
        self.client = client
        self.producer = Producer(client, keys, shared_line(queue.address()))
        self.official = OfficialProducer(client, keys)
        streams = stream_client(queue.address())
        self.results = Results(client, streams, keys)
        self.events = EventHub(client, streams, keys)
        self.templates = Templates(queue, keys)
        self.layout_checked = False
        self.checking_layout = asyncio.Lock()


def check_layout(queue: str, version: str | None) -> None:
    """Raise LayoutUnsupported if a Node client of an unknown major version wrote the queue."""
    if version and version.startswith("bullmq:"):
        major = version.removeprefix("bullmq:").split(".")[0]
        if major not in KNOWN_LAYOUTS:
            raise LayoutUnsupported(
                f"Queue {queue!r} was written by {version}; this Corral knows layouts up to 6. Upgrade it."
            )
