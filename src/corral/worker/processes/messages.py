"""What a worker and its child processes say to each other: frames of a length and a msgpack message.

The child is told one job at a time. While it works it may ask the worker for things (progress, a log row, a
checkpoint, a signal), from any of its threads; each question has a number that its answer repeats.
Data, results and the arguments of questions travel as JSON, just as Redis keeps them.
"""

from __future__ import annotations

import struct

import msgspec

LENGTH = struct.Struct(">I")

#: A frame that claims to be longer comes from something else than our peer. Job data is far below it.
MAX_FRAME_BYTES = 512 * 2**20

#: What a child may ask for: methods of JobContext.
QUESTIONS = frozenset(("progress", "log", "checkpoint", "wait_for"))


class Run(msgspec.Struct, tag=True, frozen=True):
    """Worker to child: run this job. Times are epoch seconds."""

    module: str
    qualname: str
    id: str
    name: str
    queue: str
    data: bytes
    attempt: int
    attempts: int
    enqueued_at: float
    deadline: float | None
    checkpoints: bytes
    #: The trace it belongs to, as headers.
    trace: dict[str, str] = {}


class Failure(msgspec.Struct, frozen=True):
    """An exception on its way to another process: see `failures`."""

    name: str
    classes: list[tuple[str, str]]
    message: str
    trace: str
    attributes: dict[str, str | int | float | bool | None]


class Answer(msgspec.Struct, tag=True, frozen=True):
    """Worker to child: what became of a question. `value` is JSON."""

    number: int
    value: bytes = b"null"
    failure: Failure | None = None


class End(msgspec.Struct, tag=True, frozen=True):
    """Worker to child: end, soon. SIGKILL follows."""


class Ready(msgspec.Struct, tag=True, frozen=True):
    """Child to worker: it can take jobs."""


class Started(msgspec.Struct, tag=True, frozen=True):
    """Child to worker: it has the job. What happens to it from here on is the job's doing."""


class Ask(msgspec.Struct, tag=True, frozen=True):
    """Child to worker: call this method of the job's context. `arguments` is a JSON list."""

    number: int
    method: str
    arguments: bytes


class Done(msgspec.Struct, tag=True, frozen=True):
    """Child to worker: the handler returned this (JSON)."""

    value: bytes


class Raised(msgspec.Struct, tag=True, frozen=True):
    """Child to worker: the handler raised."""

    failure: Failure


FromWorker = Run | Answer | End
FromChild = Ready | Started | Ask | Done | Raised

_encoder = msgspec.msgpack.Encoder()
decode_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
decode_from_child = msgspec.msgpack.Decoder(FromChild).decode


def frame(message: FromWorker | FromChild) -> bytes:
    """A message as it goes over the wire."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body
