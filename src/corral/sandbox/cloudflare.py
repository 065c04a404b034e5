"""Cloudflare Images' stand-in: uploads with an id of the sender's, and the delivery of what was uploaded."""

from __future__ import annotations

import re
import time
from typing import Any

from corral.providers.sniff import sniff
from corral.sandbox import keys
from corral.sandbox.files import Files, StoredFile
from corral.sandbox.outbox import Outbox
from corral.sandbox.wire import Malformed, Reply, Request, Route, find, form

BASE = "/cloudflare"
#: Bytes of a file.
MAX_FILE = 10 * 10**6

_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
_ID = re.compile(r"[^/\s][^\s]{0,1022}[^/\s]")
_HASH = "sandbox"


class CloudflareStandIn:
    """Images in memory."""

    provider = "cloudflare"

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._files = Files()
        self._routes = [
            Route("POST", "/client/v4/accounts/([^/]+)/images/v1", self._upload),
            Route("GET", "/client/v4/accounts/([^/]+)/images/v1/stats", self._stats),
            Route("GET", "/client/v4/accounts/([^/]+)/images/v1/(.+)", self._show),
            Route("DELETE", "/client/v4/accounts/([^/]+)/images/v1/(.+)", self._delete),
        ]

    def answer(self, request: Request) -> Any:
        if delivered := re.fullmatch(rf"/imagedelivery/{_HASH}/(.+)/public", request.path):
            return self._deliver(request, delivered[1])
        found = find(self._routes, request)
        if found is None:
            return _error(
                404, 7003, "Could not route to this path, perhaps your object identifier is invalid"
            )
        handle, match = found
        if request.headers.get("authorization") != f"Bearer {keys.CLOUDFLARE_API_TOKEN}":
            return self.fault(401)
        if match[1] != keys.CLOUDFLARE_ACCOUNT_ID:
            return _error(403, 5403, "The given account is not valid or not authorized for this service")
        return handle(request, match)

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, 10000, "Authentication error")
            case 429:
                return _error(429, 971, "Please wait and throttle your request speed", retry_after="1")
            case _:
                return _error(status, 5500, "Internal server error")

    def soft(self) -> Reply:
        """A 200 that says it did not work."""
        return _error(200, 5400, "Bad request: the request could not be processed")

    def _upload(self, request: Request, _: re.Match[str]) -> Reply:
        try:
            parts = form(request)
        except Malformed as error:
            return _error(400, 5400, f"Bad request: {error}")
        file, id_ = parts.get("file"), parts["id"].text if "id" in parts else ""
        if file is None:
            return _error(400, 5400, "Bad request: file or url is required")
        if not _ID.fullmatch(id_):
            return _error(400, 5411, "Bad request: the custom id is not valid")
        if len(file.content) > MAX_FILE:
            return _error(413, 5413, "The image is too large")
        if sniff(file.content) not in _TYPES:
            return _error(415, 5455, "Uploaded image must have an image content type that is supported")
        if self._files.get(id_) is not None:
            return _error(409, 5409, "Resource already exists")
        self._files.put(id_, StoredFile(file.content, sniff(file.content)))
        self._outbox.record(
            self.provider,
            "upload",
            id=id_,
            filename=file.filename,
            type=sniff(file.content),
            bytes=len(file.content),
            preview=f"{BASE}/imagedelivery/{_HASH}/{id_}/public",
        )
        return _good(_described(request, id_, file.filename))

    def _stats(self, _request: Request, _: re.Match[str]) -> Reply:
        return _good({"count": {"allowed": 100_000, "current": len(self._files)}})

    def _show(self, request: Request, match: re.Match[str]) -> Reply:
        if self._files.get(match[2]) is None:
            return _error(404, 5404, "Image not found")
        return _good(_described(request, match[2], None))

    def _delete(self, _: Request, match: re.Match[str]) -> Reply:
        return _good({}) if self._files.remove(match[2]) else _error(404, 5404, "Image not found")

    def _deliver(self, request: Request, id_: str) -> Reply:
        file = self._files.get(id_)
        if file is None or request.method != "GET":
            return Reply(404, b"ERROR 9404: Image not found", {"content-type": "text/plain"})
        return Reply(200, file.content, file.headers())


def _described(request: Request, id_: str, filename: str | None) -> dict[str, Any]:
    host = request.headers.get("host", "127.0.0.1")
    return {
        "id": id_,
        "filename": filename,
        "uploaded": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        "requireSignedURLs": False,
        "variants": [f"http://{host}{BASE}/imagedelivery/{_HASH}/{id_}/public"],
    }


def _good(result: dict[str, Any]) -> Reply:
    return Reply(200, {"result": result, "success": True, "errors": [], "messages": []})


def _error(status: int, code: int, message: str, *, retry_after: str = "") -> Reply:
    body = {"result": None, "success": False, "errors": [{"code": code, "message": message}], "messages": []}
    return Reply(status, body, {"retry-after": retry_after} if retry_after else {})
