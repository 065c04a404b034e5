"""Fetches a job's photographs and makes them fit what a provider takes. Nothing touches the disk.

A photograph that fits is passed on as it came, byte for byte. One that is too heavy, or in a format the
providers do not read (WebP, HEIF, …), is decoded once and written as JPEG.
Limits: 100 million pixels; what libvips cannot decode is refused. PDF is passed on if the provider takes it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pyvips

from corral.providers.errors import FetchRefused
from corral.providers.fetch import Fetched, Fetcher

#: Pixels; a header that claims more is a decompression bomb.
MAX_PIXELS = 100_000_000

#: Pixels of the longer side, tried in turn: a document stays readable at the last one.
SIDES = (3200, 2400, 1800)

#: Seconds for one photograph, so that three fit into an attempt of 60 s.
FETCH_TIMEOUT = 15.0

PHOTOGRAPHS = ("image/jpeg", "image/png")


async def picture(
    fetcher: Fetcher, url: str, *, sizes: tuple[int, int], types: Collection[str] = PHOTOGRAPHS
) -> Fetched:
    """A photograph of one of `types` with `sizes` = (fewest, most) bytes.

    Raises FetchBlocked, FetchRefused (permanent), ProviderRetryable.
    """
    fetched = await fetcher.fetch(url, accept=("image/*", *types), timeout=FETCH_TIMEOUT)
    fewest, most = sizes
    if fetched.content_type == "application/pdf":
        if len(fetched.content) > most:
            raise FetchRefused(f"the PDF has more than {most} bytes")
    else:
        fetched = await asyncio.to_thread(_fit, fetched, most, types)
    if len(fetched.content) < fewest:
        raise FetchRefused(f"the photograph has fewer than {fewest} bytes; send a larger one")
    return fetched


def _fit(fetched: Fetched, most: int, types: Collection[str]) -> Fetched:
    try:
        # Only the header is read here.
        image = pyvips.Image.new_from_buffer(fetched.content, "", access="sequential")
        if image.width * image.height > MAX_PIXELS:
            raise FetchRefused(f"the picture has {image.width} by {image.height} pixels; at most 100 million")
        if fetched.content_type in types and len(fetched.content) <= most:
            return fetched
        for side in SIDES:
            content = _shrunk(fetched.content, side)
            if len(content) <= most:
                return Fetched(content, "image/jpeg", fetched.url)
    except pyvips.Error:
        raise FetchRefused("the picture cannot be decoded") from None
    raise FetchRefused(f"the picture does not fit into {most} bytes")


def _shrunk(content: bytes, side: int) -> bytes:
    image = pyvips.Image.thumbnail_buffer(content, side, height=side, size="down")
    if image.hasalpha():
        image = image.flatten(background=255)
    return bytes(image.jpegsave_buffer(Q=88))
