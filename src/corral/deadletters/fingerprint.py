"""What kind of failure it was: the error's class, the innermost own frame, the job's name. Pure.

Two failures of one kind have one fingerprint, whatever ids, numbers and texts are in them, on whatever
machine and line. A frame is own if it is neither of the language nor of an installed package; Corral's
built-in queues count as own. Failures that Corral itself decided go by what it decided. Where there is no
stack, the reason is what is left, with what varies in it replaced.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from corral.deadletters.stacks import Frame, Stack, read_stack

#: Of what is below; a change of it has all failed jobs grouped anew.
VERSION = "1"

#: Characters of a reason that count, where it does; and that are looked at, since others write what they
#: like.
REASON_CHARS, READ_CHARS = 160, 1_000

#: Parts of a path that count: the same code lies under other roots on other machines.
PATH_PARTS = 2

#: Errors that say what the system decided, not where the code failed.
OWN_KINDS = frozenset(
    (
        "AttemptTimeout", "ChildFailed", "HoldExpired", "JobCancelled", "JobExpired", "KilledItsWorker",
        "ProcessDied", "UndecodableData", "UnknownNameExpired",
    )
)  # fmt: skip

#: What BullMQ writes where Corral has a class.
_BULLMQ = {
    "job stalled more than allowable limit": "KilledItsWorker",
    "job started more than allowable limit": "KilledItsWorker",
}

_FOREIGN = re.compile(
    r"(?:^|/)(?:site-packages|dist-packages|node_modules)/|^node:|^internal/|^<"
    r"|/lib/python\d[\d.]*/|/(?:python|pypy)\d[\d.]*/(?:asyncio|concurrent|threading)|^[A-Za-z]:/Python\d*/Lib/"
)
#: Corral's own machinery, installed or not; its queues are what somebody wrote for a job.
_CORRAL = re.compile(r"(?:^|/)corral/(?!queues/)[\w/]+\.py$")
_CORRAL_QUEUES = re.compile(r"(?:^|/)corral/queues/\w+\.py$")

#: `chunk-4F2A91BC.js` has another name after each build.
_BUILD = re.compile(r"([-.])\w{0,40}\d\w{0,40}(?=\.[cm]?js$)")

_VARYING = (
    (re.compile(r"https?://\S+"), "<url>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<id>"),
    (re.compile(r"[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64}"), "<mail>"),
    (re.compile(r"'[^'\n]{1,200}'|\"[^\"\n]{1,200}\""), "<text>"),
    (re.compile(r"\b(?=[\w-]{0,80}\d)[A-Za-z0-9_-]{10,}\b"), "<id>"),
    (re.compile(r"0x[0-9a-fA-F]+|\d+(?:[.,:]\d+)*"), "<n>"),
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A kind of failure.

    error: the class. frame: `file in function`, or "". name: the job's. text: the reason without what varies
    in it, where nothing else tells; else "".
    """

    error: str
    frame: str
    name: str
    text: str = ""

    @property
    def id(self) -> str:
        """Twelve hex digits: the group's name everywhere."""
        digest = hashlib.blake2b(VERSION.encode(), digest_size=6)
        for part in (self.error, self.frame, self.name, self.text):
            digest.update(b"\0" + part.encode(errors="replace"))
        return digest.hexdigest()


def fingerprint(name: str, reason: str, stacktrace: Sequence[str], *, cancelled: bool = False) -> Fingerprint:
    """The kind of a failure. `stacktrace`: a trace for each attempt, the newest last; cancelled: by
    somebody.
    """
    kind = "JobCancelled" if cancelled else _BULLMQ.get(reason.strip(), "")
    job = without_ids(name)
    if kind:
        return Fingerprint(kind, "", job)
    stack = read_stack(stacktrace[-1]) if stacktrace else Stack("", ())
    own_kind = stack.error.removeprefix("corral.errors.")
    if own_kind in OWN_KINDS:
        return Fingerprint(own_kind, "", job)
    frame = own_frame(stack)
    if frame is not None and stack.error:
        return Fingerprint(stack.error, shown(frame), job)
    return Fingerprint(stack.error, "", job, without_ids(reason)[:REASON_CHARS])


def own_frame(stack: Stack) -> Frame | None:
    """The innermost frame of the job's own code; else the innermost that is not of the worker."""
    for frame in stack.frames:
        if is_own(frame):
            return frame
    others = [frame for frame in stack.frames if not _CORRAL.search(_slashes(frame.path))]
    return others[0] if others else None


def is_own(frame: Frame) -> bool:
    """Neither of the language, nor of an installed package, nor of the worker."""
    path = _slashes(frame.path)
    if _CORRAL_QUEUES.search(path):
        return True
    return not _FOREIGN.search(path) and not _CORRAL.search(path)


def shown(frame: Frame) -> str:
    """`shop/orders.py in ship`: the same on every machine."""
    parts = [part for part in _slashes(frame.path).split("/") if part]
    place = "/".join(_BUILD.sub(r"\1<id>", part) for part in parts[-PATH_PARTS:])
    return f"{place} in {frame.function}" if frame.function else place


def without_ids(text: str) -> str:
    """Text with its ids, numbers, addresses and quoted parts replaced, in one line."""
    line = " ".join(text[:READ_CHARS].split())
    for pattern, stands_for in _VARYING:
        line = pattern.sub(stands_for, line)
    return line


def _slashes(path: str) -> str:
    return path.replace("\\", "/")
