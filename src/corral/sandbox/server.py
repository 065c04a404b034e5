"""Runs a sandbox on loopback in a thread of this process.

A thread with a loop of its own, so that it can be started from a test, a worker or the command line alike,
and a busy loop of the owner does not slow the providers down.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from corral.errors import ServerFailed
from corral.sandbox import serve
from corral.sandbox.application import SandboxApp

#: Seconds to wait for the server to answer, and to stop.
START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


class RunningSandbox:
    """A sandbox that answers at `.url` until `.stop()`. A context manager too."""

    def __init__(self, app: SandboxApp, port: int = 0) -> None:
        self.app = app
        self._socket = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            http=_Protocol,
            loop="asyncio",
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="corral-sandbox", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(START_TIMEOUT):
            self.stop()
            raise ServerFailed("The sandbox did not start. Its error is in the log.")

    @property
    def counts(self) -> dict[str, int]:
        """How often each `provider.action` was received."""
        return dict(self.app.outbox.counts)

    def stop(self) -> None:
        """Stop it. Safe to call twice."""
        self._server.should_exit = True
        if self._server.loop is not None and self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self.app.close(), self._server.loop)
        self._thread.join(STOP_TIMEOUT)
        self._socket.close()

    def __enter__(self) -> RunningSandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            # Also when it failed, so that the owner does not wait for nothing.
            self._server.ready.set()


class _Server(uvicorn.Server):
    """Says when it answers, which uvicorn's own has only as a flag to poll."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()


class _Protocol(HttpToolsProtocol):
    """Puts the connection into the scope, so that a scripted fault can cut it."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["corral.transport"] = self.transport  # type: ignore[typeddict-unknown-key]  # a key of our own


_shared: RunningSandbox | None = None
_shared_lock = threading.Lock()


def shared(public_url: str) -> RunningSandbox:
    """The one sandbox of this process, started at the first call. It ends with the process."""
    global _shared  # noqa: PLW0603 - one per process is its meaning
    with _shared_lock:
        if _shared is None:
            _shared = serve(public_url=public_url)
        return _shared
