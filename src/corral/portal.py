"""One event loop in a thread of its own, for code that has none: what `queue.sync` runs on.

It starts with the first call and lives as long as the process; all threads share it, so their adds share
round trips. A fork leaves the parent's loop behind (its thread does not exist in the child) and starts
another when needed. At the end of the process its connections are closed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError

Result = TypeVar("Result")

#: How long the end of the process waits for connections to close.
CLOSE_SECONDS = 2.0


class Portal:
    """A loop that runs in a daemon thread until `close`."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="corral-sync", daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self) -> None:
        # asyncio's own loop: after a fork, what uvloop left in the child could still reach the parent's.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            self.loop = runner.get_loop()
            self.loop.call_soon(self._started.set)
            self.loop.run_forever()

    def submit(self, call: Coroutine[Any, Any, Result]) -> Future[Result]:
        return asyncio.run_coroutine_threadsafe(call, self.loop)

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        future = self.submit(call)
        try:
            return future.result()
        except BaseException:  # Ctrl-C while it waits: nobody will ask for the answer
            future.cancel()
            raise

    def close(self) -> None:
        future = asyncio.run_coroutine_threadsafe(close_shared_clients(), self.loop)
        future.result(CLOSE_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(CLOSE_SECONDS)


_lock = threading.Lock()
_portal: Portal | None = None


def run_sync(call: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in the portal and wait for its result, whichever thread asks.

    Raises what the call raises, and ConfigurationError in an event loop, which would stand still meanwhile.
    """
    return _portal_for(call).run(call)


def submit(call: Coroutine[Any, Any, Result]) -> Future[Result]:
    """Run a coroutine in the portal, and do not wait for it. Raises ConfigurationError like `run_sync`."""
    return _portal_for(call).submit(call)


def _portal_for(call: Coroutine[Any, Any, Any]) -> Portal:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return _open()
    call.close()
    raise ConfigurationError("This thread runs an event loop: use `await queue.add(…)`, not `queue.sync`.")


def _open() -> Portal:
    global _portal  # noqa: PLW0603  # one for the process
    with _lock:
        if _portal is None:
            _portal = Portal()
        return _portal


def close_portal() -> None:
    """Close the portal's connections and end its thread. The next call starts another."""
    global _portal
    with _lock:
        portal, _portal = _portal, None
    if portal is not None:
        portal.close()


def _forget() -> None:
    global _portal, _lock  # noqa: PLW0603  # one for the process
    _lock = threading.Lock()  # another thread of the parent may have held it
    _portal = None


os.register_at_fork(after_in_child=_forget)
atexit.register(close_portal)
