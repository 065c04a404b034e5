"""The built pages: files beside this module, read once, served from memory.

Names of assets hold a hash of their content, so browsers keep them for a year; pages are asked for each time,
with their ETag. `signin/` is for everybody, the rest for who has signed in.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from html import escape
from pathlib import Path

FOLDER = Path(__file__).parent / "static"

#: Files of this folder are served without a session.
OPEN = "signin/"

SIGN_IN = f"{OPEN}index.html"

_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".woff2": "font/woff2"}

#: Fonts are compressed as they are; pages are small.
_PACKED = (".js", ".css")


#: Scripts and styles that stand in a page itself.
_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Page:
    body: bytes
    media_type: str
    etag: str
    #: Its name changes with its content.
    lasting: bool
    #: The same, smaller; nothing for what is compressed already or made for one reader.
    gzipped: bytes = b""
    #: By `script` and `style`: what a Content-Security-Policy calls those that stand in the page.
    inline: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def etag_gzipped(self) -> str:
        """Other bytes have another tag."""
        return f'{self.etag[:-1]}-gzip"'


def with_facts(page: Page, **facts: str) -> Page:
    """The page with these facts on its root element (`data-…`), where its script finds them."""
    said = "".join(f' data-{name}="{escape(value)}"' for name, value in facts.items() if value)
    body = page.body.replace(b'<html lang="en"', f'<html lang="en"{said}'.encode(), 1)
    return replace(page, body=body, etag=_etag(body), gzipped=b"")


def _inline(body: bytes) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for kind, text in _INLINE.findall(body):
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        found[kind.decode()] = (*found.get(kind.decode(), ()), f"'sha256-{digest}'")
    return found


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


@cache
def built_pages(folder: Path = FOLDER) -> dict[str, Page]:
    """All files by their path below the folder; empty if the pages were not built."""
    pages = {}
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if file.is_file():
            name = file.relative_to(folder).as_posix()
            body = file.read_bytes()
            kind = _TYPES.get(file.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
            lasting = "/assets/" in f"/{name}"
            packed = gzip.compress(body, mtime=0) if file.suffix in _PACKED else b""
            inline = _inline(body) if file.suffix == ".html" else {}
            pages[name] = Page(body, kind, _etag(body), lasting, packed, inline)
    return pages
