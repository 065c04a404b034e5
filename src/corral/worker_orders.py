"""Tell running workers to go quiet or to stop, from anywhere: through Redis, to those in the registry.

`quiet`: the worker takes no new job, ends those it has, and stays until it is stopped. `stop`: as SIGTERM.
One that runs under a supervisor is then replaced by a fresh one, as after any end: to take a host out of
work, make it quiet and stop its supervisor.

A worker obeys within a second; one whose Redis is away, when it is back. An order is for the process that
lives now: its successor does not inherit it. Every order is in the audit log.
"""

from __future__ import annotations

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from corral import audit
from corral.bullmq import ordering
from corral.bullmq.failures import as_corral_error
from corral.bullmq.ordering import Order, Wish
from corral.errors import UnknownWorker
from corral.observe.stand import read_workers
from corral.observe.standing import WorkerStanding

#: Means every worker of the prefix.
ALL = "all"


async def tell_workers(
    client: aioredis.Redis, prefix: str, who: str, wish: Wish, actor: str
) -> tuple[WorkerStanding, ...]:
    """Give an order to a worker, to all of a host, or to `all`. Returns whom it was given, as they stood.

    actor: who gives it, for the audit log. Four round trips.
    Raises UnknownWorker if there is none, RedisUnavailable.
    """
    try:
        return await _tell(client, prefix, who, wish, actor)
    except (RedisError, OSError) as error:
        raise as_corral_error(error, "the workers registry") from error


async def _tell(
    client: aioredis.Redis, prefix: str, who: str, wish: Wish, actor: str
) -> tuple[WorkerStanding, ...]:
    workers = await read_workers(client, prefix)
    found = tuple(worker for worker in workers if who in (ALL, worker.name, worker.host))
    if not found:
        known = ", ".join(worker.name for worker in workers[:10]) or "none lives"
        raise UnknownWorker(f"No living worker or host is called {who[:100]!r}. Workers: {known}.")
    orders = [(worker.name, Order(do=wish, started_at=worker.started_at)) for worker in found]
    await ordering.give(client, prefix, orders)
    facts = {"workers": [worker.name for worker in found[:100]], "count": len(found)}
    await audit.record(client, prefix, actor, f"worker.{wish}", who, facts)
    return found
