"""Running the HTTP service: uvicorn, in the foreground (`run`) or inside a running program (`ApiServer`).

Guarantees: it does not start without keys, least of all where others than this machine could reach it. On
SIGTERM or `stop()` no connection is taken any more, long polls answer at once, requests under way get
`grace_seconds`, then it ends. No access log (the metrics count), no Server header.

Emits: log `http_listening` and `http_stopped` (service, url).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, Self

import structlog
import uvicorn

from corral.api.app import HttpService, create_app
from corral.api.loopback import is_loopback
from corral.api.protocol import EnqueueProtocol
from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError
from corral.listening import cannot_listen
from corral.observe.alerts.watching import watching
from corral.queue import Queue
from corral.settings import Settings

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]  # the fallback's whole meaning

log = structlog.get_logger(__name__)

#: Connections that wait to be accepted; a burst of clients after a restart should not meet a refusal.
BACKLOG = 2_048
#: Above what load balancers keep idle connections for (60 s): they close first, and never meet a closed one.
KEEP_ALIVE_SECONDS = 65


class Application(Protocol):
    """An ASGI application that can be told that it ends."""

    def begin_shutdown(self) -> None:
        """Let long polls and streams end now. Called before the server waits for open requests."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready, and tells the application before it waits for open requests.

    Its own signal handling is replaced: it would kill the process with the same signal after a graceful end.
    """

    def __init__(self, config: uvicorn.Config, app: Application, *, signals: bool) -> None:
        super().__init__(config)
        self._corral = app
        self._signals = signals
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._corral.begin_shutdown()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM) if self._signals else ()
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


class HttpServer:
    """A service inside a running event loop. `async with HttpServer(app) as server: … server.url`.

    name: what the log calls it. protocol: a class of uvicorn's kind; default its own.
    host, port: where to listen; port 0 takes a free one. grace_seconds: for requests under way at the end.
    signals: stop on SIGINT and SIGTERM; leave it to False where somebody else owns the process.
    """

    def __init__(
        self,
        app: Application,
        *,
        name: str = "http",
        protocol: type[asyncio.Protocol] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        grace_seconds: float = 10,
        signals: bool = False,
    ) -> None:
        self._app = app
        self._name = name
        self._protocol = protocol
        self._host = host
        self._port = port
        self._signals = signals
        self._grace = grace_seconds
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it listens, once started."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> Self:
        """Listen, and return when requests are answered. Raises OSError if the port is taken."""
        config = uvicorn.Config(
            self._app,
            host=self._host,
            port=self._port,
            http=self._protocol or "httptools",
            ws="none",
            lifespan="on",
            proxy_headers=False,  # nothing here asks who the client is: keys say it
            access_log=False,
            log_config=None,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(self._grace)),
        )
        self._socket = _listen(self._host, self._port)
        self._port = self._socket.getsockname()[1]
        self._server = _Server(config, self._app, signals=self._signals)
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        ready = asyncio.create_task(self._server.ready.wait())
        await asyncio.wait([self._task, ready], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._task
            raise ConfigurationError("The HTTP service did not start. Its log says why.")
        log.info("http_listening", service=self._name, url=self.url)
        return self

    async def wait(self) -> None:
        """Return when the service has ended, by a signal or by `stop()`."""
        if self._task is not None:
            await self._task
            log.info("http_stopped", service=self._name, url=self.url)

    async def stop(self) -> None:
        """End gracefully; returns when it has ended."""
        if self._server is not None:
            self._server.should_exit = True
        await self.wait()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class ApiServer(HttpServer):
    """The HTTP API. Its adds take the short way past ASGI: see `protocol`."""

    def __init__(
        self,
        app: HttpService,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        grace_seconds: float = 10,
        signals: bool = False,
    ) -> None:
        super().__init__(
            app,
            name="api",
            protocol=EnqueueProtocol,
            host=host,
            port=port,
            grace_seconds=grace_seconds,
            signals=signals,
        )


def run(
    settings: Settings,
    host: str,
    port: int,
    queues: Mapping[str, Queue],
    *,
    allow_any_queue: bool = True,
) -> None:
    """Serve until SIGINT or SIGTERM. Raises ConfigurationError without keys, OSError if the port is taken."""
    check_bind(settings, host)
    app = create_app(settings, queues, allow_any_queue=allow_any_queue)

    # What was imported stays: without this, each full collection would walk it, between two requests.
    gc.collect()
    gc.freeze()

    async def serve() -> None:
        server = ApiServer(app, host=host, port=port, grace_seconds=settings.grace_seconds, signals=True)
        try:
            async with watching(settings):
                await server.start()
                await server.wait()
        finally:
            await close_shared_clients()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve())


def check_bind(settings: Settings, host: str) -> None:
    """Raise ConfigurationError for an address that others can reach while no key is set."""
    if not settings.api_keys.get_secret_value() and not is_loopback(host):
        raise ConfigurationError(
            f"The HTTP service was to listen on {host}, where others can reach it, but CORRAL_API_KEYS is "
            "empty. Set it to name:secret:role,… (roles: enqueue, read, admin) first."
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio turns off Nagle: answers on a kept connection would wait 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise cannot_listen(host, port, error) from None
    return listener


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """uvloop where there is one: it is not made for Windows."""
    return uvloop.new_event_loop if uvloop is not None else asyncio.new_event_loop
