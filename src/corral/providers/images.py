"""Where finished images go: what every place can do, and Supabase Storage as one of them.

`folder`, `s3` and `cloudflare` are the others.

Options: CORRAL_IMAGE_TARGET (folder, supabase, s3, cloudflare), CORRAL_IMAGE_BUCKET.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from corral.providers import cloudflare, s3
from corral.providers.choice import Surroundings
from corral.providers.folder import FolderTarget
from corral.providers.supabase import Supabase
from corral.settings import Settings

#: Path of the folder target's files below CORRAL_PUBLIC_URL; the API serves them.
IMAGES_PATH = "/images"


class ImageTarget(Protocol):
    """A place for files that have a URL afterwards."""

    async def write(self, path: str, content: bytes, content_type: str = ...) -> str:
        """Store `content` under the relative `path`, replacing what is there. Returns its URL."""
        ...

    async def close(self) -> None:
        """Close the connections that are its own."""
        ...


class BucketTarget:
    """Files in a public bucket of Supabase Storage."""

    def __init__(self, supabase: Supabase, bucket: str) -> None:
        self._supabase = supabase
        self._bucket = bucket

    async def write(self, path: str, content: bytes, content_type: str = "application/octet-stream") -> str:
        """Store a file. Raises as `Supabase.upload` does."""
        return await self._supabase.upload(self._bucket, path, content, content_type)

    async def close(self) -> None:
        """Nothing: the connections are Supabase's."""


def from_settings(around: Surroundings, supabase: Supabase) -> ImageTarget:
    """The place that CORRAL_IMAGE_TARGET names."""
    match around.settings.image_target:
        case "supabase":
            return BucketTarget(supabase, around.settings.image_bucket)
        case "s3":
            return s3.from_settings(around)
        case "cloudflare":
            return cloudflare.from_settings(around)
    return image_folder(around.settings)


def image_folder(settings: Settings) -> FolderTarget:
    """Where finished images are on this machine, and the URL below which the API serves them."""
    return FolderTarget(Path(settings.data_dir) / "images", settings.public_url.rstrip("/") + IMAGES_PATH)
