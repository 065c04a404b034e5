"""The whole service in one command: Redis, sandbox, HTTP API, dashboard, workers; stopped in reverse order.

Everything listens on loopback. What is not configured is made: a server on the data directory if REDIS_URL
is not set, a key for the API if CORRAL_API_KEYS is not set, a user of the dashboard if CORRAL_DASHBOARD_USERS
is not. They are kept in the data directory, readable by its owner alone; of the user's password the hash.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Self

import structlog

from corral.api.app import create_app
from corral.api.server import ApiServer, HttpServer
from corral.bullmq.connection import close_shared_clients
from corral.dashboard.app import Dashboard
from corral.dashboard.users import Users, hash_password
from corral.embedded.datadir import write_private
from corral.embedded.locate import needs_server
from corral.embedded.server import EmbeddedServer
from corral.observe.alerts.watching import watching
from corral.providers import close_providers
from corral.queues import built_in
from corral.sandbox import serve
from corral.settings import Settings
from corral.worker.autoscale import Bounds
from corral.worker.host import Host
from corral.worker.supervise import Supervisor

log = structlog.get_logger(__name__)

#: Who may sign in to a dashboard for which nobody is configured.
FIRST_USER = "operator"


class Stack:
    """`async with Stack(…) as stack:` runs the service; `await stack.workers.run()` until it is stopped."""

    def __init__(
        self,
        *,
        data_dir: Path,
        host: str,
        api_port: int,
        processes: Bounds,
        sandbox: bool,
        dashboard_port: int | None = None,
        own_key: bool = False,
        quiet: bool = False,
        watch: bool = True,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """quiet: workers log errors alone. watch: the API judges the alert rules. prepare: awaited when Redis
        is there and nothing else is yet.
        """
        self.data_dir = data_dir
        self.sandbox_url: str | None = None
        self.api: ApiServer
        self.workers: Supervisor
        self.key = ""
        self.dashboard: HttpServer | None = None
        #: Of the dashboard's first user, if this start has made one.
        self.password = ""
        self.own_user = False
        self._dashboard_port = dashboard_port
        self._host = host
        self._api_port = api_port
        self._processes = processes
        self._sandbox = sandbox
        self._own_key = own_key
        self._quiet = quiet
        self._watch = watch
        self._prepare = prepare
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as opening:
            os.environ["CORRAL_DATA_DIR"] = str(self.data_dir)
            if self._sandbox:
                # Before the API is made: the sandbox's keys sign the webhooks that it will get.
                os.environ["CORRAL_SANDBOX"] = "1"
            if needs_server(Settings.load()):
                server = await opening.enter_async_context(EmbeddedServer(self.data_dir))
                os.environ |= {"REDIS_URL": server.url, "REDIS_PASSWORD": server.password}
            self.key = self._ensure_key()
            opening.push_async_callback(close_shared_clients)
            opening.push_async_callback(close_providers)
            if self._prepare is not None:
                await self._prepare()
            self.api = ApiServer(
                create_app(Settings.load(), built_in(), allow_any_queue=True),
                host=self._host,
                port=self._api_port,
            )
            await opening.enter_async_context(self.api)
            # Providers call back at the port that was really taken.
            os.environ["CORRAL_PUBLIC_URL"] = self.api.url
            if self._sandbox:
                self._start_sandbox(opening)
            if self._dashboard_port is not None:
                await self._start_dashboard(opening, self._dashboard_port)
            if self._watch:
                await opening.enter_async_context(watching(Settings.load()))
            self.workers = self._supervise(opening)
            self._open = opening.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    def _start_sandbox(self, opening: contextlib.AsyncExitStack) -> None:
        if not Settings.load().sandbox_url:
            sandbox = serve(public_url=self.api.url)
            opening.callback(sandbox.stop)
            os.environ["CORRAL_SANDBOX_URL"] = sandbox.url
        self.sandbox_url = Settings.load().sandbox_url

    async def _start_dashboard(self, opening: contextlib.AsyncExitStack, port: int) -> None:
        settings = Settings.load()
        made = not (settings.dashboard_oidc_issuer or settings.dashboard_users.get_secret_value())
        self.own_user = made
        users = Users.parse(self._ensure_user()) if made else Users.of(settings)
        self.dashboard = HttpServer(
            Dashboard(settings, users, built_in()),
            name="dashboard",
            host=self._host,
            port=port,
        )
        await opening.enter_async_context(self.dashboard)

    def _ensure_user(self) -> str:
        """The user of this installation, made once; only the hash of the password is kept."""
        file = self.data_dir / "dashboard-users"
        if not file.exists():
            self.password = secrets.token_urlsafe(12)
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(file, f"{FIRST_USER}:{hash_password(self.password)}:admin")
        return file.read_text().strip()

    def _supervise(self, opening: contextlib.AsyncExitStack) -> Supervisor:
        health_dir = opening.enter_context(tempfile.TemporaryDirectory(prefix="corral-health-"))
        host = Host(
            folder=Path(health_dir),
            processes=self._processes,
            options=["--quiet"] if self._quiet else [],
        )
        return host.supervisor(Settings.load())

    def _ensure_key(self) -> str:
        """The key to show to whoever started this, or "" if keys are configured: then they know theirs."""
        configured = Settings.load().api_keys.get_secret_value()
        if configured and not self._own_key:
            return ""
        file = self.data_dir / "api-key"
        if file.exists():
            key = file.read_text().strip()
        else:
            key = secrets.token_urlsafe(24)
            self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(file, key)
        os.environ["CORRAL_API_KEYS"] = ",".join(filter(None, [configured, f"local:{key}:admin"]))
        return key
