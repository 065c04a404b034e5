"""The finished images of the folder target, for who has a key that may read jobs.

Images can be personal (a `proof` is somebody's document), so no URL is open: put the folder behind a web
server of your own, or use Supabase Storage, where links must open without a key. Only finished images are
served, by their ending; no path leads out of the folder.
"""

from __future__ import annotations

import asyncio

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from corral.api.auth import Permission
from corral.api.problems import Problem, Refused
from corral.api.service import Service, permits
from corral.providers.errors import ProviderPermanent
from corral.providers.folder import FolderTarget

MEDIA_TYPES = {
    ".avif": "image/avif",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}

#: Whose results the images are.
IMAGE_QUEUE = "image-processing"

_NOT_FOUND = Problem(404, "image-not-found", "Unknown image", "There is no image at this path.")


@get("/images/{path:path}", guards=[permits(Permission.READ_JOBS, IMAGE_QUEUE)])
async def picture(service: NamedDependency[Service], path: FromPath[str]) -> Response[bytes]:
    """One finished image."""
    if service.pictures is None:
        raise Refused(_NOT_FOUND)
    content, media_type = await asyncio.to_thread(_read, service.pictures, path.removeprefix("/"))
    return Response(content, media_type=media_type)


def _read(folder: FolderTarget, path: str) -> tuple[bytes, str]:
    try:
        file = folder.locate(path)
        media_type = MEDIA_TYPES.get(file.suffix)
        if media_type is None or file.is_symlink():
            raise Refused(_NOT_FOUND)
        return file.read_bytes(), media_type
    except (OSError, ProviderPermanent):
        raise Refused(_NOT_FOUND) from None
