"""The queues this service speaks for: those it was given, and others by name as they are asked for.

Queues of other names are made on demand when `allow_any` is set, and the last OTHERS_KEPT of them are kept,
so that a caller who makes up names cannot fill the memory. A name that BullMQ cannot hold is an unknown
queue. Nothing here talks to Redis.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Iterator, Mapping

from corral.errors import InvalidOptions, UnknownQueue
from corral.queue import Queue
from corral.settings import Settings

#: Undeclared queues that are remembered; each holds a few kilobytes.
OTHERS_KEPT = 500


class KnownQueues:
    """Finds a queue by name. Iterates over the declared ones first, then the others, the last used last."""

    def __init__(self, settings: Settings, declared: Mapping[str, Queue], *, allow_any: bool) -> None:
        self._settings = settings
        self._allow_any = allow_any
        self._others: OrderedDict[str, Queue] = OrderedDict()
        self.declared: dict[str, Queue] = dict(declared)

    def named(self, name: str) -> Queue:
        """The queue of this name. Raises UnknownQueue."""
        queue = self.declared.get(name)
        if queue is not None:
            return queue
        queue = self._others.get(name)
        if queue is not None:
            self._others.move_to_end(name)
            return queue
        return self._make(name)

    def _make(self, name: str) -> Queue:
        if not self._allow_any:
            near = difflib.get_close_matches(name, self.declared, n=1)
            known = (
                f"Did you mean {near[0]!r}?"
                if near
                else f"Known queues: {', '.join(self.declared) or 'none'}."
            )
            raise UnknownQueue(f"There is no queue {_short(name)} here. {known}")
        if not name.isprintable():
            raise UnknownQueue(
                f"{_short(name)} cannot name a queue: it has characters that cannot be printed."
            )
        try:
            queue = Queue(name, redis_url=self._settings.redis_url, prefix=self._settings.prefix, retry=None)
            queue.settle(self._settings)
        except InvalidOptions as error:
            raise UnknownQueue(str(error)) from None
        self._others[name] = queue
        if len(self._others) > OTHERS_KEPT:
            self._others.popitem(last=False)
        return queue

    def __iter__(self) -> Iterator[Queue]:
        return iter([*self.declared.values(), *self._others.values()])

    async def close(self) -> None:
        """Stop every queue's waiting for results."""
        for queue in self:
            await queue.close()


def _short(name: str) -> str:
    return repr(name if len(name) <= 100 else name[:100] + "…")
