"""POST /api/v1/workers/{name}/quiet and /stop: what running workers are told."""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.status_codes import HTTP_202_ACCEPTED

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq.ordering import Wish
from corral.manage.service import Actor, Management, asks_for
from corral.worker_orders import tell_workers


class WorkersTold(msgspec.Struct, frozen=True, rename="camel"):
    """Who got the order; each obeys within a second."""

    order: Wish
    workers: list[str]


@post(
    "/workers/{name:str}/quiet",
    guards=[asks_for(Permission.OPERATE)],
    status_code=HTTP_202_ACCEPTED,
    tags=["workers"],
)
async def quiet_workers(
    management: NamedDependency[Management], actor: NamedDependency[Actor], name: FromPath[str]
) -> WorkersTold:
    """Let a worker, all of a host, or `all` take no new jobs. They stay until they are stopped."""
    return await _tell(management, actor, name, "quiet")


@post(
    "/workers/{name:str}/stop",
    guards=[asks_for(Permission.OPERATE)],
    status_code=HTTP_202_ACCEPTED,
    tags=["workers"],
)
async def stop_workers(
    management: NamedDependency[Management], actor: NamedDependency[Actor], name: FromPath[str]
) -> WorkersTold:
    """Stop a worker, all of a host, or `all`, as SIGTERM does. A supervisor then starts fresh ones."""
    return await _tell(management, actor, name, "stop")


async def _tell(management: Management, actor: Actor, name: str, wish: Wish) -> WorkersTold:
    async with answering():
        told = await tell_workers(management.client, management.prefix, name, wish, actor.name)
    return WorkersTold(wish, [worker.name for worker in told])
