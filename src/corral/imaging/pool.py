"""A small pool of rendering processes: a hostile file costs its job, never the worker.

One thread drives each child through one job at a time, so what happens to a child happens to that job
alone. A child that dies in a job (segfault, out of memory, kill -9) is replaced and the job tried once
more; a second death is held against the file: ImageRejected. A job over its time limit, or one whose
caller no longer waits, has its child killed.

Limits: as many children as there are cores, started when first needed and replaced after
`JOBS_PER_CHILD` jobs; each may map `MEMORY_BYTES` for its pictures. The time limit covers both tries;
waiting for a free child does not count.

One pool serves a process, from any event loop. It emits the log events `render_child_died`
(cause, will_retry) and `render_timeout` (seconds); neither says anything of the picture.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog

from corral.imaging.errors import ImageRejected, RendererUnavailable, RenderTimeout
from corral.imaging.frames import Refused
from corral.imaging.plan import Plan, Rendering
from corral.imaging.renderer import COMMAND, ChildDied, Renderer

#: Address space for the pictures of one job: the worst that the default limits let through takes 1.4 GiB
#: (1.2 GiB of it real, see `pipeline`), so that nothing legitimate is refused.
MEMORY_BYTES = 3 * 2**29
#: Decoders leak and heaps fragment; a new process costs under a second, so 2 ms a job.
JOBS_PER_CHILD = 500

log = structlog.get_logger(__name__)


class _Ticket:
    """One job's hold on its child, so that a caller who gives up can end the work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._renderer: Renderer | None = None
        self._cancelled = False

    def hold(self, renderer: Renderer) -> None:
        with self._lock:
            self._renderer = renderer
            if self._cancelled:
                renderer.kill()

    def let_go(self) -> None:
        with self._lock:
            self._renderer = None

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._renderer is not None:
                self._renderer.kill()

    @property
    def cancelled(self) -> bool:
        return self._cancelled


class RenderPool:
    """Rendering processes for one process. `async with` closes it; else they end with this process."""

    def __init__(
        self,
        processes: int | None = None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        jobs_per_child: int = JOBS_PER_CHILD,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """processes: children at most (None: one a core). command: how a child is started, for tests."""
        self.processes = processes or cores()
        self._memory_bytes = memory_bytes
        self._jobs_per_child = jobs_per_child
        self._command = tuple(command)
        self._threads = ThreadPoolExecutor(self.processes, thread_name_prefix="corral-render")
        self._lock = threading.Lock()
        self._idle: deque[Renderer] = deque()
        self._busy: set[Renderer] = set()
        self._closed = False

    async def render(self, content: bytes, plan: Plan, seconds: float) -> Rendering:
        """All sizes of the plan. seconds: the limit for rendering itself, not for waiting for a free child.

        Raises ImageRejected, RenderTimeout, RendererUnavailable.
        """
        ticket = _Ticket()
        work = asyncio.get_running_loop().run_in_executor(
            self._threads, self._render, ticket, content, plan, seconds
        )
        try:
            return await work
        finally:
            # Does nothing after an orderly end; after a cancellation it stops the child.
            ticket.cancel()

    def busy_pids(self) -> set[int]:
        """The children that are at work now."""
        with self._lock:
            return {renderer.pid for renderer in self._busy}

    def _render(self, ticket: _Ticket, content: bytes, plan: Plan, seconds: float) -> Rendering:
        deadline: float | None = None
        for will_retry in (True, False):
            if ticket.cancelled:
                raise RenderTimeout("Nobody waits for this picture any more.")
            renderer = self._take()
            # From here on, so that starting a child is not charged to the picture.
            deadline = deadline or time.monotonic() + seconds
            ticket.hold(renderer)
            healthy = False
            try:
                reply = renderer.render(content, plan, max(0.001, deadline - time.monotonic()))
                healthy = True
            except ChildDied as died:
                if not ticket.cancelled:
                    log.warning("render_child_died", cause=str(died), will_retry=will_retry)
                cause = str(died)
                continue
            except TimeoutError:
                log.warning("render_timeout", seconds=seconds)
                raise RenderTimeout(
                    f"Rendering took longer than {seconds:g} s and was stopped. "
                    "Ask for fewer or smaller sizes, or send a smaller image."
                ) from None
            finally:
                ticket.let_go()
                # A caller who gave up just now may have killed it after its answer.
                self._give_back(renderer, healthy=healthy and not ticket.cancelled)
            if isinstance(reply, Refused):
                raise ImageRejected(reply.reason)
            return reply
        raise ImageRejected(f"The image crashed the decoder twice ({cause}). Convert it and send it again.")

    def _take(self) -> Renderer:
        with self._lock:
            if self._closed:
                raise RendererUnavailable("The render pool is closed.")
            renderer = self._idle.pop() if self._idle else None
        if renderer is not None and not renderer.alive:
            renderer.close()
            renderer = None
        renderer = renderer or Renderer(self._command, self._memory_bytes)
        with self._lock:
            self._busy.add(renderer)
        return renderer

    def _give_back(self, renderer: Renderer, *, healthy: bool) -> None:
        with self._lock:
            self._busy.discard(renderer)
            if healthy and not self._closed and renderer.jobs < self._jobs_per_child:
                self._idle.append(renderer)
                return
        renderer.close()

    def close(self) -> None:
        """Kill all children and wait for the threads. Jobs in flight end with RendererUnavailable."""
        with self._lock:
            self._closed = True
            idle, busy = list(self._idle), list(self._busy)
            self._idle.clear()
        for renderer in busy:
            renderer.kill()
        for renderer in idle:
            renderer.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    async def __aenter__(self) -> RenderPool:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.to_thread(self.close)


def cores() -> int:
    """Cores that this process may use."""
    # What this process may use, not what the machine has: containers and taskset narrow it.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Shared:
    """The pool of this process, made when first asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: RenderPool | None = None
        self._pid = 0

    def get(self) -> RenderPool:
        with self._lock:
            # After a fork the parent's threads and sockets are not ours to use.
            if self._pool is None or self._pid != os.getpid():
                self._pool, self._pid = RenderPool(), os.getpid()
                atexit.register(self._pool.close)
            return self._pool


_shared = _Shared()


async def render_in_pool(content: bytes, plan: Plan, seconds: float) -> Rendering:
    """`RenderPool.render` in the pool of this process."""
    return await _shared.get().render(content, plan, seconds)
