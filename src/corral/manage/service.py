"""What the routes of the management API share: dependencies `management` and `actor`, and who may what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis.asyncio as aioredis
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from corral import audit
from corral.api.auth import Permission
from corral.api.known import KnownQueues
from corral.api.lookup import answering
from corral.api.problems import Problem, Refused
from corral.bullmq.connection import Address, shared_client
from corral.manage.streaming import Streams
from corral.queue import Queue
from corral.settings import Settings

#: What a filter by error or data does.
CHOOSING_SHOWS = "Choosing by error or data shows what jobs hold"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls. `name` is what the audit log shows, as `key:ops`.

    queues: those that the caller may see and change; None: all. `authenticate` has looked at it.
    """

    name: str
    permissions: tuple[Permission, ...]
    queues: frozenset[str] | None = None

    @property
    def sees_payloads(self) -> bool:
        return Permission.READ_PAYLOADS in self.permissions

    def check_sees_payloads(self, doing: str) -> None:
        """Raise Refused, unless the caller may see payloads. doing: what would show them, as a sentence."""
        if not self.sees_payloads:
            detail = f"{doing}: that asks for the right to see payloads."
            raise Refused(Problem(403, "no-payloads", "Not allowed", detail))


#: Tells who calls, or raises Refused. `permission`: what the route asks for.
Authenticate = Callable[[ASGIConnection[Any, Any, Any, Any], Permission], Awaitable[Actor]]


@dataclass(frozen=True, slots=True)
class Management:
    """The parts that routes work with. `authenticate` differs between the HTTP service and the dashboard."""

    settings: Settings
    known: KnownQueues
    authenticate: Authenticate
    streams: Streams = field(default_factory=Streams)

    @property
    def prefix(self) -> str:
        return self.settings.prefix

    @property
    def client(self) -> aioredis.Redis:
        """Of the server that Corral's own keys are on, for calls that answer at once."""
        return shared_client(Address.resolve(self.settings.redis_url, self.settings))

    def queue(self, name: str) -> Queue:
        """The queue of this name. Raises UnknownQueue."""
        return self.known.named(name)

    async def record(
        self, actor: Actor, action: str, target: str, facts: Mapping[str, Any] | None = None
    ) -> None:
        """Write a change into the audit log. One round trip. Raises RedisUnavailable."""
        async with answering():
            await audit.record(self.client, self.prefix, actor.name, action, target, facts)


@dataclass(frozen=True, slots=True)
class AsksFor:
    """A guard: the caller must be known and have this permission. Puts the Actor where `actor` finds it.

    A caller who is for certain queues is let in where the path has one of them as `{queue}`, nowhere else.
    """

    permission: Permission

    async def __call__(self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        management: Management = connection.app.state.management
        connection.scope["state"]["actor"] = await management.authenticate(connection, self.permission)


def asks_for(permission: Permission) -> Guard:
    """What each route has, and one only."""
    return AsksFor(permission)


def actor_of(request: Request[Any, Any, Any]) -> Actor:
    """The dependency `actor`."""
    found: Actor = request.scope["state"]["actor"]
    return found
