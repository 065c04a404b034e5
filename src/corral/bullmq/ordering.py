"""The wire of orders to worker processes: a key each, and the control channel of their prefix.

The key `corral:<prefix>::worker:<name>:order` is the truth and outlives a lost message; it names the life of
the worker that is meant, because a process in a container has the same name after its restart. The message on
the channel only makes it quick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import control_channel, worker_order

#: A worker that has not seen its order by then never will: it looks whenever its connection is back.
KEEP_SECONDS = 3_600

Wish = Literal["quiet", "stop"]


class Order(msgspec.Struct, frozen=True):
    """`started_at`: of the worker that is meant, as the registry tells it."""

    do: Wish
    started_at: float


class Called(msgspec.Struct, frozen=True):
    """What goes over the channel: this worker has an order."""

    worker: str


_decode_order = msgspec.json.Decoder(Order).decode
_decode_called = msgspec.json.Decoder(Called).decode


async def give(client: aioredis.Redis, prefix: str, orders: Sequence[tuple[str, Order]]) -> None:
    """Leave each worker its order and tell it to look. One round trip. Raises what redis-py raises."""
    pipe = client.pipeline(transaction=False)
    for worker, order in orders:
        pipe.set(worker_order(prefix, worker), msgspec.json.encode(order), ex=KEEP_SECONDS)
        pipe.publish(control_channel(prefix), msgspec.json.encode(Called(worker)))
    await pipe.execute()


async def find(client: aioredis.Redis, prefix: str, worker: str) -> Order | None:
    """The order of a worker. One round trip. None: there is none, or one that this version does not know."""
    text: Any = await client.get(worker_order(prefix, worker))
    try:
        return None if text is None else _decode_order(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_call(data: bytes) -> str | None:
    """The worker that a message on the control channel calls; None: it is another message."""
    try:
        return _decode_called(data).worker
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
