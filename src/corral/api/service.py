"""What the routes share: one Service for each application, handed to handlers as the dependency `service`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from corral.api.auth import ApiKey, Keyring, Permission
from corral.api.known import KnownQueues
from corral.api.lookup import Lookup
from corral.api.scraping import Scraper
from corral.api.traffic import Traffic
from corral.providers.folder import FolderTarget
from corral.queues.mail_webhooks import MailWebhooks
from corral.results import Outcome


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one running service. `stopping` is set when it shuts down, so that
    long polls and event streams end; `waiting` holds one task for each of those, `streams` one object for
    each of these."""

    known: KnownQueues
    keyring: Keyring
    lookup: Lookup
    traffic: Traffic
    scraper: Scraper
    mail: MailWebhooks
    pictures: FolderTarget | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: set[asyncio.Task[Outcome]] = field(default_factory=set)
    streams: set[object] = field(default_factory=set)


def permits(permission: Permission, queue: str | None = None) -> Guard:
    """A Litestar guard: the caller's key must have this permission.

    queue: the one that the route is about, where its path has none; OWN_QUEUES: it keeps to those of the key
    by itself. Without either, a key for certain queues is not let in.
    """

    def guard(connection: ASGIConnection, _: BaseRouteHandler) -> None:  # type: ignore[type-arg]  # of any app
        connection.scope["state"]["key"] = key_of(connection, permission, queue)

    return guard


def key_of(
    connection: ASGIConnection[Any, Any, Any, Any], permission: Permission, queue: str | None = None
) -> ApiKey:
    """The caller's key. Raises Refused if it is none of ours, lacks the permission, or is for other queues.

    The queue is what the route's path calls `queue`; `queue` counts where it calls nothing so.
    """
    service: Service = connection.app.state.service
    authorization = connection.headers.get("authorization")
    return service.keyring.require(
        authorization.encode("latin-1") if authorization else None,
        permission,
        connection.path_params.get("queue", queue),
    )


def caller_of(connection: ASGIConnection[Any, Any, Any, Any]) -> ApiKey:
    """The key that `permits` let in."""
    found: ApiKey = connection.scope["state"]["key"]
    return found
