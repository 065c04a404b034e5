"""The rendering process: reads requests from its standard input (a socket), renders, answers.

It is given what a hostile file can misuse least: an environment without secrets, no open file but its
socket, no right to write files or dump core, a bound on its address space and an alarm that ends it
even when its parent is gone. It ends when the socket closes.

Started by `corral.imaging.pool` as `python -m corral.imaging.child MEMORY_BYTES`.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys

import msgspec

from corral.imaging.errors import ImageRejected
from corral.imaging.frames import Broken, Channel, Done, PeerGone, Piece, Ready, Refused, Reply, Request

#: The alarm is the second line: the parent kills at the limit itself, this much earlier.
_ALARM_MARGIN_SECONDS = 2.0
#: A request's file. The fetcher has its own, lower limit.
_MAX_CONTENT_BYTES = 256 * 2**20


def main() -> None:
    """Serve until the parent closes the socket."""
    channel = Channel(socket.socket(fileno=sys.stdin.fileno()))
    try:
        serve(channel, int(sys.argv[1]))
    except PeerGone:
        pass
    except Exception as error:
        channel.send(Broken(f"{type(error).__name__}: {error}"))


def serve(channel: Channel, memory_bytes: int) -> None:
    # The library is loaded first: its own mappings are many, and a limit must be about pictures.
    from corral.imaging.pipeline import render  # noqa: PLC0415 - a failed import is reported to the parent

    confine(memory_bytes)
    requests = msgspec.msgpack.Decoder(Request)
    channel.send(Ready())
    while True:
        request = channel.receive(requests)
        signal.setitimer(signal.ITIMER_REAL, request.seconds + _ALARM_MARGIN_SECONDS)
        content = channel.read(request.content_bytes, _MAX_CONTENT_BYTES)
        files: list[bytes] = []
        reply: Reply
        try:
            rendering = render(content, request.plan)
        except ImageRejected as error:
            reply = Refused(error.message)
        except MemoryError:
            reply = Refused(
                "The image needs more memory than a rendering process may use. Scale it down first."
            )
        else:
            files = [image.content for image in rendering.images]
            reply = Done(
                rendering.source,
                tuple(Piece(i.width, i.height, i.format, len(i.content)) for i in rendering.images),
            )
        signal.setitimer(signal.ITIMER_REAL, 0)
        del content
        channel.send(reply, files)


def confine(memory_bytes: int) -> None:
    """Give up what rendering does not need. memory_bytes: room for pictures on top of what is mapped now."""
    # The default action of SIGALRM ends the process inside any C code; a Python handler could not.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    limit = _mapped_bytes() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _mapped_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123 - pathlib is a slow import here
            return int(statm.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        # Not Linux. RLIMIT_AS means little there; a generous guess keeps the child usable.
        return 2**30


if __name__ == "__main__":
    main()
