"""What the pool and a rendering process say to each other over their socket pair.

A frame is four bytes of length (big-endian), a MessagePack header of that length, then the files the
header announces, as they are. The parent treats what comes back as untrusted: types are checked,
lengths are bounded, and an announcement over the bound counts as a crash.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from corral.imaging.plan import Format, Plan, SourceInfo

_LENGTH = struct.Struct(">I")
#: A header is a plan or a list of sizes: some hundred bytes.
_MAX_HEADER_BYTES = 64 * 1024


class Request(msgspec.Struct, frozen=True):
    """Render the `content_bytes` that follow. The child ends itself after `seconds`, orphaned or not."""

    plan: Plan
    content_bytes: int
    seconds: float


class Piece(msgspec.Struct, frozen=True):
    width: int
    height: int
    format: Format
    content_bytes: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The child has loaded the image library and set its limits."""


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The files of all pieces follow, in this order."""

    source: SourceInfo
    pieces: tuple[Piece, ...]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The picture is at fault."""

    reason: str


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The child is at fault."""

    reason: str


Reply = Ready | Done | Refused | Broken
T = TypeVar("T")


class PeerGone(Exception):
    """The other side closed the socket, or does not keep to the protocol."""


class Channel:
    """One end of the socket pair. Blocking; `deadline` (monotonic seconds) is kept if one is set."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline: float | None = None

    def send(self, header: Request | Reply, files: Iterable[bytes] = ()) -> None:
        """Raises PeerGone, TimeoutError."""
        encoded = msgspec.msgpack.encode(header)
        try:
            for part in (_LENGTH.pack(len(encoded)) + encoded, *files):
                self._arm()
                self._sock.sendall(part)
        except ConnectionError as error:
            raise PeerGone(type(error).__name__) from None

    def receive(self, decoder: msgspec.msgpack.Decoder[T]) -> T:
        """The next header; its files are still to be read. Raises PeerGone, TimeoutError."""
        (length,) = _LENGTH.unpack(self.read(_LENGTH.size, _LENGTH.size))
        try:
            return decoder.decode(self.read(length, _MAX_HEADER_BYTES))
        except msgspec.MsgspecError as error:
            raise PeerGone(f"malformed header: {type(error).__name__}") from None

    def read(self, length: int, limit: int) -> bytes:
        """Exactly `length` bytes. Raises PeerGone if it is over the limit or the peer has gone."""
        if not 0 <= length <= limit:
            raise PeerGone(f"{length} bytes announced, {limit} allowed")
        buffer = bytearray(length)
        view = memoryview(buffer)
        at = 0
        try:
            while at < length:
                self._arm()
                received = self._sock.recv_into(view[at:])
                if not received:
                    raise PeerGone("closed")
                at += received
        except ConnectionError as error:
            raise PeerGone(type(error).__name__) from None
        view.release()
        return bytes(buffer)

    def _arm(self) -> None:
        if self.deadline is not None:
            left = self.deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._sock.settimeout(left)

    def close(self) -> None:
        self._sock.close()
