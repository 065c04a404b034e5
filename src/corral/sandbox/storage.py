"""Supabase Storage's stand-in: uploads in memory, public reads, errors as HTTP 400 with the code inside."""

from __future__ import annotations

import re
from typing import Any

from corral.sandbox import keys
from corral.sandbox.outbox import Outbox
from corral.sandbox.postgrest import authorized
from corral.sandbox.wire import Reply, Request, Route, find

#: Bytes of one file, and of all: the oldest make room.
MAX_FILE = 20 * 1024 * 1024
MAX_ALL = 256 * 1024 * 1024

_MIME_TYPES = re.compile(r"(image|application|text)/[a-z0-9.+-]+")


class StorageStandIn:
    """Public buckets in memory."""

    provider = "supabase"

    def __init__(self, outbox: Outbox, buckets: tuple[str, ...]) -> None:
        self._outbox = outbox
        self._buckets = frozenset(buckets)
        self._files: dict[str, tuple[bytes, str]] = {}
        self._routes = [
            Route("GET", "/object/public/([^/]+)/(.+)", self._read),
            Route("POST", "/object/([^/]+)/(.+)", self._upload),
            Route("PUT", "/object/([^/]+)/(.+)", self._upload),
        ]

    def answer(self, request: Request) -> Any:
        found = find(self._routes, request)
        if found is None:
            return _error(404, "not_found", "Route not found")
        handle, match = found
        return handle(request, match)

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, "Unauthorized", "The key is not known here", http=401)
            case 429:
                return _error(429, "SlowDown", "Too many requests", http=429)
            case _:
                return _error(status, "InternalError", "Something went wrong", http=status)

    def _upload(self, request: Request, match: re.Match[str]) -> Reply:
        bucket, path = match[1], match[2]
        if not authorized(request, keys.SUPABASE_SERVICE_KEY):
            return self.fault(401)
        if bucket not in self._buckets:
            return _error(404, "NoSuchBucket", "Bucket not found")
        if len(request.body) > MAX_FILE:
            return _error(413, "EntityTooLarge", "The object exceeded the maximum allowed size")
        if not _MIME_TYPES.fullmatch(request.media_type):
            return _error(415, "InvalidMimeType", "mime type is not supported")
        key = f"{bucket}/{path}"
        replace = request.method == "PUT" or request.headers.get("x-upsert") == "true"
        if key in self._files and not replace:
            return _error(409, "KeyAlreadyExists", "The resource already exists", name="Duplicate")
        self._files.pop(key, None)
        self._files[key] = (request.body, request.media_type)
        while sum(len(content) for content, _ in self._files.values()) > MAX_ALL:
            del self._files[next(iter(self._files))]
        self._outbox.record(
            "supabase",
            "upload",
            key=key,
            type=request.media_type,
            bytes=len(request.body),
            preview=f"/supabase/storage/v1/object/public/{key}",
        )
        return Reply(200, {"Id": f"{abs(hash(key)):032x}", "Key": key})

    def _read(self, _: Request, match: re.Match[str]) -> Reply:
        found = self._files.get(f"{match[1]}/{match[2]}")
        if found is None:
            return _error(404, "NoSuchKey", "Object not found", name="not_found")
        content, media_type = found
        return Reply(200, content, {"content-type": media_type})


def _error(status: int, code: str, message: str, *, name: str = "", http: int = 400) -> Reply:
    return Reply(http, {"statusCode": str(status), "error": name or code, "message": message, "code": code})
