"""The dashboard as one ASGI application: sign-in, the management API behind a session, the built pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from litestar import Litestar, route
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.enums import HttpMethod
from litestar.exceptions import HTTPException
from litestar.handlers.base import BaseRouteHandler

from corral.api.app import on_error, on_http_error
from corral.api.asgi import App, Receive, Scope, Send
from corral.api.auth import Permission
from corral.api.edge import Edge
from corral.api.known import KnownQueues
from corral.api.problems import Problem, Refused
from corral.api.reading import MAX_BODY_BYTES
from corral.api.traffic import Traffic
from corral.dashboard.content_policy import policy
from corral.dashboard.origin import MISDIRECTED, is_ours
from corral.dashboard.serving import PAGES
from corral.dashboard.sessions import SESSIONS
from corral.dashboard.signing_on import SINGLE_SIGN_ON
from corral.dashboard.site import Site
from corral.dashboard.users import Users
from corral.manage.live_ticker import end_live
from corral.manage.routes import management_router
from corral.manage.service import Actor, Management
from corral.manage.warming import warm_up
from corral.providers import close_providers
from corral.queue import Queue
from corral.settings import Settings

#: Everything comes from here; nothing is framed, sniffed or sent elsewhere.
HEADERS: list[tuple[bytes, bytes]] = [
    (b"content-security-policy", policy().encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
]
_HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")

_NOT_ALLOWED = "Signed in as {}, whose role {!r} may not {}. Ask an admin."


class Dashboard:
    """The ASGI application."""

    def __init__(self, settings: Settings, users: Users, queues: Mapping[str, Queue]) -> None:
        for queue in queues.values():
            queue.settle(settings)  # else each reads them anew, at the first look
        self.site = Site(settings, users)
        self.management = Management(
            settings, KnownQueues(settings, queues, allow_any=True), self._authenticate
        )
        self.litestar = self._litestar()
        headers = [*HEADERS, _HTTPS_ONLY] if self.site.secure else HEADERS
        self._edge = Edge(cast("App", self.litestar), Traffic(), headers)

    def begin_shutdown(self) -> None:
        """Let event streams and live ones end now. For the server, before it waits for open requests."""
        self.management.streams.stopping.set()
        end_live(self.litestar)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._edge(scope, receive, send)

    async def _authenticate(
        self, connection: ASGIConnection[Any, Any, Any, Any], permission: Permission
    ) -> Actor:
        user = await self.site.user_of(connection)
        if permission not in user.permissions:
            detail = _NOT_ALLOWED.format(user.name, str(user.role), permission)
            raise Refused(Problem(403, "wrong-role", "Not allowed", detail))
        return Actor(f"user:{user.name}", user.permissions)

    def _refuse_other_hosts(
        self, connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler
    ) -> None:
        """A guard. Raises Refused. Whoever asks whether the process is alive may call it anything."""
        host = connection.headers.get("host", "")
        if connection.scope["path"] != "/healthz" and not is_ours(host, self.site.settings.dashboard_url):
            raise Refused(MISDIRECTED)

    async def _warm_up(self) -> None:
        await warm_up(self.litestar, self.management)

    def _litestar(self) -> Litestar:
        app = Litestar(
            route_handlers=[
                healthz, *SESSIONS, *(SINGLE_SIGN_ON if self.site.single else ()), *PAGES,
                management_router(self.management),
            ],
            guards=[self._refuse_other_hosts],
            dependencies={"site": Provide(lambda: self.site, sync_to_thread=False)},
            exception_handlers={HTTPException: on_http_error, Exception: on_error},
            on_startup=[self._warm_up],
            on_shutdown=[self.management.known.close, self.site.close, close_providers],
            request_max_body_size=MAX_BODY_BYTES,
            openapi_config=None,
            logging_config=None,
        )  # fmt: skip
        app.state.management = self.management
        return app


@route("/healthz", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}
