"""The parent's side of one rendering process: start, ask, kill.

Blocking; used by one thread at a time, except for `kill`, which any thread may call to end a job.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from corral.imaging.errors import RendererUnavailable
from corral.imaging.frames import Broken, Channel, Done, PeerGone, Ready, Refused, Reply, Request
from corral.imaging.plan import Plan, Rendered, Rendering

#: A child imports Python and the image library: under a second here, much more under overload.
_START_SECONDS = 30.0
#: What the child needs of our environment. Nothing secret can leak from a process that never had it.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TZ")
_REPLIES: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
COMMAND = (sys.executable, "-P", "-m", "corral.imaging.child")


class ChildDied(Exception):
    """The rendering process ended, or stopped making sense, in the middle of a job."""


class Renderer:
    """One rendering process."""

    def __init__(self, command: Sequence[str], memory_bytes: int) -> None:
        """Start it and wait until it is ready. Raises RendererUnavailable."""
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        self.jobs = 0
        with theirs:
            try:
                self._process: subprocess.Popen[bytes] = subprocess.Popen(  # noqa: S603 - our own module, no shell
                    [*command, str(memory_bytes)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    env=_environment(),
                    # Ctrl-C is for the worker: it lets running jobs finish, so their children must live.
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise RendererUnavailable(f"The rendering process could not start: {error}.") from None
        self._await_ready()

    def _await_ready(self) -> None:
        self._channel.deadline = time.monotonic() + _START_SECONDS
        try:
            reply = self._channel.receive(_REPLIES)
        except (PeerGone, TimeoutError):
            reply = Broken("it gave no sign")
        if not isinstance(reply, Ready):
            self.close()
            reason = reply.reason if isinstance(reply, Broken) else type(reply).__name__
            raise RendererUnavailable(
                f"The rendering process did not get ready: {reason}. "
                "`python -m corral.imaging.child 1073741824` shows why."
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def render(self, content: bytes, plan: Plan, seconds: float) -> Rendering | Refused:
        """One job. Raises ChildDied, TimeoutError, RendererUnavailable; after any of them, kill it."""
        self.jobs += 1
        self._channel.deadline = time.monotonic() + seconds
        try:
            self._channel.send(Request(plan, len(content), seconds), [content])
            reply = self._channel.receive(_REPLIES)
            if isinstance(reply, Refused):
                return reply
            if isinstance(reply, Done):
                return self._collect(reply, plan)
        except PeerGone as gone:
            raise ChildDied(self._epitaph(str(gone))) from None
        if isinstance(reply, Broken):
            raise RendererUnavailable(f"The rendering process failed: {reply.reason}.")
        raise ChildDied(f"unexpected {type(reply).__name__}")

    def _collect(self, done: Done, plan: Plan) -> Rendering:
        images: list[Rendered] = []
        room = plan.limits.output_bytes
        for piece in done.pieces:
            content = self._channel.read(piece.content_bytes, room)
            room -= len(content)
            images.append(Rendered(piece.width, piece.height, piece.format, content))
        if len(images) != len(plan.sizes):
            raise ChildDied(f"{len(images)} results for {len(plan.sizes)} sizes")
        return Rendering(done.source, images)

    def _epitaph(self, otherwise: str) -> str:
        try:
            code = self._process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return otherwise
        if code >= 0:
            return f"exit code {code}"
        try:
            return signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"

    def kill(self) -> None:
        """End it at once. Any thread; the one that waits in `render` gets ChildDied."""
        self._process.kill()

    def close(self) -> None:
        """End it and take its body away. Only the thread that uses it."""
        self._process.kill()
        self._channel.close()
        self._process.wait()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return kept | {
        # The package may be importable only through what this process did to its path.
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
        "PYTHONDONTWRITEBYTECODE": "1",
        # glibc reserves 64 MiB of address space for each thread's heap; two are plenty here.
        "MALLOC_ARENA_MAX": "2",
        # The library keeps decoded pictures over 100 MB in a file, and a child may write none; what it may
        # have of the memory is bounded by its own limit.
        "VIPS_DISC_THRESHOLD": "100g",
        # A damaged file is told to its job; the library's own lines about it would fill the log.
        "VIPS_WARNING": "0",
    }
