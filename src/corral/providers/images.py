"""Where finished images go: what every place can do, and Supabase Storage as one of them.

`folder` is the other.

Options: CORRAL_IMAGE_TARGET (folder, supabase), CORRAL_IMAGE_BUCKET.
"""

from __future__ import annotations

from typing import Protocol

from corral.providers.supabase import Supabase


class ImageTarget(Protocol):
    """A place for files that have a URL afterwards."""

    async def write(self, path: str, content: bytes, content_type: str = ...) -> str:
        """Store `content` under the relative `path`, replacing what is there. Returns its URL."""
        ...


class BucketTarget:
    """Files in a public bucket of Supabase Storage."""

    def __init__(self, supabase: Supabase, bucket: str) -> None:
        self._supabase = supabase
        self._bucket = bucket

    async def write(self, path: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Store a file. Raises as `Supabase.upload` does."""
        return await self._supabase.upload(self._bucket, path, content, content_type)
