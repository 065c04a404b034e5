"""The queue `image-processing`: one picture from a URL, in up to eight sizes, each with a URL of its own.

    guarded fetch → progress 20 → decode once, render all sizes → progress 60 → store them → progress 100

Guarantees: a file that is no picture, is damaged, or crashes the decoder costs its job and goes to the
dead letters at once, with the reason. A retry overwrites its own work: a result's path depends on the
job's data alone. No metadata of the source (position, camera, time) is in a result.
Limits: 20 MiB a source, 50 megapixels; nothing is enlarged unless its size asks for it, so a result can be
smaller than asked for. Rendering one job takes 1.2 GiB of memory at worst, in a process that may die of it.

Options: CORRAL_IMAGE_TARGET, CORRAL_IMAGE_BUCKET, CORRAL_FETCH_ALLOW.
Emits the log event `image_processed` (info).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from typing import Annotated, Literal

import msgspec
import structlog
from msgspec import Meta

from corral.context import JobContext
from corral.imaging.plan import (
    EXTENSIONS,
    MAX_AVIF_SIDE,
    MAX_OUTPUT_SIDE,
    MAX_SIZES,
    MEDIA_TYPES,
    PRESETS,
    PictureType,
    Wanted,
    plan_for,
)
from corral.imaging.pool import cores, render_in_pool
from corral.policy import Priority, Retry
from corral.providers import providers
from corral.providers.images import ImageTarget
from corral.queue import Queue

log = structlog.get_logger(__name__)

#: Bytes of a source. A 50 megapixel photograph of a telephone has 10 to 20 MB.
MAX_SOURCE_BYTES = 20 * 2**20

#: Seconds for rendering, where the attempt has that long. Typical pictures take a fraction of one.
RENDER_SECONDS = 20.0

#: Seconds that an attempt keeps back from rendering to store the results.
RESERVE = 3.0

#: As many as render at once, and as many again that fetch or store meanwhile.
queue = Queue(
    "image-processing",
    retry=Retry(attempts=3, backoff="exponential", delay=5),
    timeout=30,
    priority=Priority.MEDIUM,
    concurrency=2 * cores(),
)

_Side = Annotated[int, Meta(ge=1, le=MAX_OUTPUT_SIDE)]


class ImageSize(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A size in pixels: the frame to fill ("cover") or to stay within ("contain").

    fit: unsaid, a profile fills its frame, a moment and a proof stay within it.
    enlarge: a source that is smaller than the frame is enlarged to it; unsaid, as the job says.
    """

    width: _Side
    height: _Side
    format: Literal["webp", "jpeg", "png", "avif"]
    fit: Literal["cover", "contain"] | None = None
    enlarge: bool | None = None

    def __post_init__(self) -> None:
        if self.format == "avif" and max(self.width, self.height) > MAX_AVIF_SIDE:
            raise ValueError(f"A side of an avif is at most {MAX_AVIF_SIDE} pixels")


class ImageJob(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A picture to process. enlarge: for the sizes that do not say it themselves."""

    image_url: Annotated[str, Meta(max_length=2048, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s/?#]+[^\s]*$")]
    user_id: Annotated[str, Meta(min_length=1, max_length=255)]
    type: PictureType
    sizes: Annotated[list[ImageSize], Meta(min_length=1, max_length=MAX_SIZES)]
    enlarge: bool = False


class StoredImage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One result. `width` and `height` are what it has, not what was asked for; `bytes` is its length."""

    url: str
    width: int
    height: int
    format: str
    bytes: int


class SourceImage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The source as a viewer shows it: upright."""

    width: int
    height: int
    format: str


class ImageResult(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the job returns; `images` in the order of the job's sizes."""

    images: list[StoredImage]
    source: SourceImage


@queue.job("process")
async def process(job: JobContext, data: ImageJob) -> ImageResult:
    """Make all sizes of one picture."""
    outside = await providers()
    fetched = await outside.fetcher.fetch(data.image_url, max_bytes=MAX_SOURCE_BYTES, accept="image/*")
    await job.progress(20)
    plan = plan_for(data.type, wanted(data))
    rendering = await render_in_pool(fetched.content, plan, render_seconds(job.deadline, time.time()))
    await job.progress(60)
    paths = [image_path(data, size) for size in data.sizes]
    files = [image.content for image in rendering.images]
    types = [MEDIA_TYPES[image.format] for image in rendering.images]
    urls = await _store(outside.images, list(zip(paths, files, types, strict=True)))
    await job.progress(100)
    log.info("image_processed", job_id=job.id, sizes=len(urls), source_format=rendering.source.format)
    return ImageResult(
        images=[
            StoredImage(
                url=url, width=image.width, height=image.height, format=image.format, bytes=len(image.content)
            )
            for url, image in zip(urls, rendering.images, strict=True)
        ],
        source=SourceImage(
            width=rendering.source.width, height=rendering.source.height, format=rendering.source.format
        ),
    )


async def _store(target: ImageTarget, files: list[tuple[str, bytes, str]]) -> list[str]:
    """Store all files at once. Raises the first error, after the others were stopped."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(target.write(*file)) for file in files]
    except ExceptionGroup as errors:
        # The worker decides by the error's class, which a group would hide.
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


# Decisions


def wanted(data: ImageJob) -> list[Wanted]:
    """The sizes of a job, each with what the job says for all."""
    return [Wanted(s.width, s.height, s.format, s.fit, _enlarges(data, s)) for s in data.sizes]


def _enlarges(data: ImageJob, size: ImageSize) -> bool:
    return data.enlarge if size.enlarge is None else size.enlarge


def image_path(data: ImageJob, size: ImageSize) -> str:
    """Where a result is stored: the same for the same data, and nobody else's.

    It holds nothing that a path could be led astray with: the user's id is cleaned, the URL is hashed.
    """
    source = hashlib.sha256(data.image_url.encode()).hexdigest()[:16]
    # What the type's own treatment would make has the plain name; the same sides made otherwise have theirs.
    fit = "" if size.fit in (None, PRESETS[data.type].fit) else f"-{size.fit}"
    enlarged = "-enlarged" if _enlarges(data, size) else ""
    name = f"{size.width}x{size.height}{fit}{enlarged}.{EXTENSIONS[size.format]}"
    return f"{data.type}/{safe_part(data.user_id)}/{source}/{name}"


def safe_part(text: str) -> str:
    """Text as one part of a path or URL. Different texts give different parts.

    A plain text stays itself. Any other is cleaned for the eye and told apart by a hash behind a dot,
    which no plain text has.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '-', text)[:40]}.{digest}"


def render_seconds(deadline: float | None, now: float) -> float:
    """Seconds that rendering may take, so that an attempt ends with the reason and not just out of time."""
    if deadline is None:
        return RENDER_SECONDS
    return min(RENDER_SECONDS, max(1.0, deadline - now - RESERVE))
