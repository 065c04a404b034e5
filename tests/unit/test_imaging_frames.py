"""The talk between pool and rendering process, and what happens when one side does not keep to it."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from corral.imaging.frames import Channel, Done, PeerGone, Piece, Ready, Refused, Reply, Request
from corral.imaging.plan import Plan, Size, SourceInfo

REPLIES: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Channel(ours), Channel(theirs), theirs


def test_a_request_with_its_file_arrives_whole(pair: tuple[Channel, Channel, socket.socket]) -> None:
    ours, theirs, _ = pair
    content = bytes(range(256)) * 4096
    request = Request(Plan((Size(10, 20, "jpeg", fit="cover"), Size(5, 5))), len(content), 3.5)
    sender = threading.Thread(target=ours.send, args=(request, [content]))
    sender.start()
    assert theirs.receive(msgspec.msgpack.Decoder(Request)) == request
    assert theirs.read(request.content_bytes, len(content)) == content
    sender.join()


@pytest.mark.parametrize(
    "reply",
    [Ready(), Refused("no"), Done(SourceInfo(4, 3, "png"), (Piece(2, 1, "webp", 7), Piece(1, 1, "png", 0)))],
)
def test_replies_are_told_apart(pair: tuple[Channel, Channel, socket.socket], reply: Reply) -> None:
    ours, theirs, _ = pair
    theirs.send(reply)
    assert ours.receive(REPLIES) == reply


def test_a_closed_socket_is_a_peer_that_has_gone(pair: tuple[Channel, Channel, socket.socket]) -> None:
    ours, theirs, _ = pair
    theirs.close()
    with pytest.raises(PeerGone):
        ours.receive(REPLIES)
    with pytest.raises(PeerGone):
        ours.send(Ready())


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">I", 2**32 - 1),
        struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1",
        struct.pack(">I", 1) + b"\x80",
        struct.pack(">I", 11) + b"\x81\xa4type\xa4none",
    ],
)
def test_nonsense_from_a_child_is_not_believed(
    pair: tuple[Channel, Channel, socket.socket], raw: bytes
) -> None:
    ours, _, wire = pair
    wire.sendall(raw)
    with pytest.raises(PeerGone):
        ours.receive(REPLIES)


def test_a_file_over_the_limit_is_not_read(pair: tuple[Channel, Channel, socket.socket]) -> None:
    with pytest.raises(PeerGone, match="101 bytes announced, 100 allowed"):
        pair[0].read(101, 100)


def test_the_deadline_ends_a_read_and_a_write(pair: tuple[Channel, Channel, socket.socket]) -> None:
    ours = pair[0]
    ours.deadline = time.monotonic() + 0.05
    with pytest.raises(TimeoutError):
        ours.receive(REPLIES)
    ours.deadline = time.monotonic() + 0.05
    with pytest.raises(TimeoutError):
        ours.send(Ready(), [b"\0" * 2**24])
