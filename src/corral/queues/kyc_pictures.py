"""Fetches a job's photographs and makes them fit what a provider takes. Nothing touches the disk.

A photograph that fits is passed on as it came, byte for byte. One that is too heavy, or in a format the
providers do not read (WebP, AVIF, …), is decoded once and written as JPEG.
Guarantees: every photograph is decoded once before it is sent, in a process of its own, so a damaged or
hostile file costs its job, not the worker and not a provider's fee.
Limits: 50 million pixels. PDF is passed on if the provider takes it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from corral.imaging.errors import ImageRejected
from corral.imaging.plan import Plan, Size
from corral.imaging.pool import render_in_pool
from corral.providers.errors import FetchRefused

if TYPE_CHECKING:
    from corral.providers.fetch import Fetched, Fetcher

#: Pixels of the longer side, the first that fits is taken: a document stays readable at the last one.
SIDES = (3200, 2400, 1800)

#: Only to see that a photograph which is passed on can be decoded at all.
PROBE = Plan((Size(64, 64, "jpeg"),))
FITTING = Plan(tuple(Size(side, side, "jpeg", quality=88) for side in SIDES))

#: Seconds for one photograph, so that three fit into an attempt of 60 s.
FETCH_TIMEOUT = 12.0
RENDER_TIMEOUT = 6.0

PHOTOGRAPHS = ("image/jpeg", "image/png")


async def picture(
    fetcher: Fetcher, url: str, *, sizes: tuple[int, int], types: Collection[str] = PHOTOGRAPHS
) -> Fetched:
    """A photograph of one of `types` with `sizes` = (fewest, most) bytes.

    Raises FetchBlocked, FetchRefused (permanent), ProviderRetryable, RenderTimeout.
    """
    fetched = await fetcher.fetch(url, accept=("image/*", *types), timeout=FETCH_TIMEOUT)
    fewest, most = sizes
    if fetched.content_type == "application/pdf":
        if len(fetched.content) > most:
            raise FetchRefused(f"the PDF has more than {most} bytes")
    else:
        fetched = await _fit(fetched, most, types)
    if len(fetched.content) < fewest:
        raise FetchRefused(f"the photograph has fewer than {fewest} bytes; send a larger one")
    return fetched


async def _fit(fetched: Fetched, most: int, types: Collection[str]) -> Fetched:
    fits = fetched.content_type in types and len(fetched.content) <= most
    try:
        rendering = await render_in_pool(fetched.content, PROBE if fits else FITTING, RENDER_TIMEOUT)
    except ImageRejected as error:
        raise FetchRefused(f"the picture cannot be used: {error}") from None
    if fits:
        return fetched
    for image in rendering.images:
        if len(image.content) <= most:
            return replace(fetched, content=image.content, content_type="image/jpeg")
    raise FetchRefused(f"the picture does not fit into {most} bytes")
