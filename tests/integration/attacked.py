"""What the attacks on the dashboard work with: every route as it is described, jobs full of a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio as aioredis
from litestar import Litestar

from corral import JobContext, Queue, Retry, Worker
from corral.api.auth import Permission
from corral.manage.routes import PATH, description, management_router
from corral.manage.service import AsksFor

#: In all that a job holds, and nowhere else.
CANARY = "canaryofaperson"

SAFE = ("get", "head")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the management API. permission: what its guard asks for."""

    method: str
    path: str
    permission: Permission

    @property
    def safe(self) -> bool:
        return self.method in SAFE

    @property
    def endless(self) -> bool:
        """Whether it answers with a stream of events, as long as somebody reads it."""
        return self.path in (f"{PATH}/live", f"{PATH}/events")

    def at(self, **names: str) -> str:
        """Its address, with `queue-x` for a queue that is not given."""
        return re.sub(
            r"{(\w+)}",
            lambda found: names.get(found[1], "1" if found[1] == "number" else f"{found[1]}-x"),
            self.path,
        )

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def every_route() -> list[Route]:
    """As described; what is served and not described (the description itself) as well."""
    guards = dict(_guards())
    described = {(method, path) for path, item in description()["paths"].items() for method in item}
    assert described <= set(guards)
    assert set(guards) - described == {("get", f"{PATH}/openapi.json")}
    return [Route(method, path, asks.permission) for (method, path), asks in sorted(guards.items())]


def _guards() -> Iterator[tuple[tuple[str, str], AsksFor]]:
    app = Litestar([management_router(cast("Any", None))], openapi_config=None)
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.http_methods == {"OPTIONS"}:
                continue
            (guard,) = handler.guards  # each route has one, or whoever reads it cannot tell who may
            assert isinstance(guard, AsksFor), f"{route.path} lets everybody in"
            path = re.sub(r"{(\w+):\w+}", r"{\1}", route.path)
            for method in handler.http_methods:
                yield (method.lower(), path), guard


async def everything(redis: aioredis.Redis, *without: str) -> dict[bytes, Any]:
    """All that Redis holds, but for keys with one of these in their name."""
    found = {}
    async for key in redis.scan_iter("*"):
        name = key if isinstance(key, bytes) else key.encode()
        if not any(part.encode() in name for part in without):
            found[name] = await redis.execute_command("DUMP", key, NEVER_DECODE=True)  # type: ignore[no-untyped-call]  # redis-py's
    return found


async def fill(queue: Queue, redis: aioredis.Redis) -> tuple[str, str, str]:
    """Jobs in all states, each with the secret in all that it holds. Ids of two failed and a good one."""

    @queue.job("build")
    async def build(job: JobContext, data: Any) -> Any:
        await job.log(f"log {CANARY}")
        await job.progress({"step": CANARY})
        if data["fails"]:
            raise ValueError(f"no such person: {CANARY}")
        return {"result": CANARY}

    data = {"fails": False, "person": CANARY, CANARY: 1}
    good = await queue.add("build", data)
    failed, edited = [
        await queue.add("build", {**data, "fails": True}, retry=Retry(attempts=1)) for _ in range(2)
    ]
    await Worker(queue, concurrency=1).run(until_empty=True)
    await queue.add("build", data)
    await queue.add("build", data, delay=3_600)
    await queue.add("build", data, priority=3)
    await queue.schedules.upsert("nightly", "build", cron="0 3 * * *", data=data)
    await redis.hset(f"bull:{queue.name}:{good.id}", "corral:checkpoint", f'{{"at":"{CANARY}"}}')
    return failed.id, edited.id, good.id
