"""Answers for every host under example.com: a sample picture chosen by the words of the path.

| a word in the path | answer |
|---|---|
| passport · front · back · selfie, portrait, profile, face | that picture; anything else: a landscape |
| `.png`, `.webp` at the end | in that format; else JPEG |
| missing | 404 |
| corrupt | a JPEG that breaks off |
| text | a text file that says it is a JPEG |
| huge | a PNG of 50,000 by 50,000 pixels |
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from corral.sandbox import photographs
from corral.sandbox.outbox import Outbox
from corral.sandbox.wire import Reply, Request

_SUBJECTS = (
    ("passport", "passport"),
    ("back", "back"),
    ("front", "front"),
    ("licen", "front"),
    ("card", "front"),
    ("selfie", "selfie"),
    ("portrait", "selfie"),
    ("profile", "selfie"),
    ("avatar", "selfie"),
    ("face", "selfie"),
)

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}


class Pictures:
    """The web under example.com."""

    provider = "images"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def answer(self, request: Request) -> Reply:
        if request.method not in ("GET", "HEAD"):
            return Reply(405, {"message": "pictures can only be read"})
        words = request.path.lower()
        self._outbox.record("images", "get", path=request.path)
        for word, special in _SPECIAL.items():
            if re.search(rf"\b{word}", words.replace("_", "-")):
                return special()
        suffix = next((s for s in _TYPES if words.endswith(s)), ".jpg")
        # Drawing takes a tenth of a second the first time; other requests need not wait for it.
        content = await asyncio.to_thread(photographs.photograph, subject(words), suffix)
        return Reply(200, content, {"content-type": _TYPES[suffix]})

    def fault(self, status: int) -> Reply:
        return Reply(status, {"message": "a scripted fault"}, {"retry-after": "1"} if status == 429 else {})


def subject(path: str) -> str:
    """Which picture the words of a path ask for."""
    return next((found for word, found in _SUBJECTS if word in path), "landscape")


_SPECIAL: dict[str, Callable[[], Reply]] = {
    "missing": lambda: Reply(404, {"message": "there is no such picture"}),
    "corrupt": lambda: Reply(200, photographs.corrupt_jpeg(), {"content-type": "image/jpeg"}),
    "text": lambda: Reply(200, b"This is a text file. " * 200, {"content-type": "image/jpeg"}),
    "huge": lambda: Reply(200, photographs.huge_png(), {"content-type": "image/png"}),
}
