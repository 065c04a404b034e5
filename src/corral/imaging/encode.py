"""From pixels to a file, without metadata.

No EXIF (so no GPS position), XMP, IPTC, thumbnail or colour profile is written: pixels come here in
sRGB, which is what a file without a profile means.

JPEG has no transparency: it is laid on white. From FINE_QUALITY on the full colour resolution is kept
(4:4:4; sharp chroma in WebP up to 4 megapixels), which text on coloured ground needs.
"""

from __future__ import annotations

from typing import Any

from corral.imaging.plan import FINE_QUALITY, Format

#: WebP: 0 to 6. Measured at 1600 x 1200: 2 is twice as fast as 4, its files are 8 % larger.
_WEBP_EFFORT, _WEBP_EFFORT_LARGE = 4, 2
#: Pixels from which a WebP is large. Sharp chroma alone costs 3 s at 4096 x 4096; eight of the largest must
#: be made within one attempt, and at such a size a letter is many pixels wide.
_WEBP_LARGE = 2048 * 2048
#: AVIF: 0 to 9. At 4 a photograph takes seconds. Measured at 2048 x 2048: 3.1 s at 2 and 0.5 s at 0,
#: whose file is 14 % larger; so small pictures get the better one.
_AVIF_EFFORT, _AVIF_EFFORT_LARGE = 2, 0
#: Pixels from which an AVIF is large: eight of them at the limit take 4 s.
_AVIF_LARGE = 800 * 600
#: zlib: 0 to 9.
_PNG_COMPRESSION = 6
_WHITE = 255


def encode(image: Any, format_: Format, quality: int) -> bytes:
    """The file's bytes. Raises pyvips.Error when the pixels' source turns out to be damaged."""
    encoded: bytes
    match format_:
        case "webp":
            large = image.width * image.height > _WEBP_LARGE
            encoded = image.webpsave_buffer(
                Q=quality,
                effort=_WEBP_EFFORT_LARGE if large else _WEBP_EFFORT,
                smart_subsample=quality >= FINE_QUALITY and not large,
                keep="none",
            )
        case "jpeg":
            opaque = image.flatten(background=_WHITE) if image.hasalpha() else image
            encoded = opaque.jpegsave_buffer(
                Q=quality,
                optimize_coding=True,
                subsample_mode="off" if quality >= FINE_QUALITY else "on",
                keep="none",
            )
        case "png":
            encoded = image.pngsave_buffer(compression=_PNG_COMPRESSION, keep="none")
        case "avif":
            large = image.width * image.height > _AVIF_LARGE
            encoded = image.heifsave_buffer(
                Q=quality,
                compression="av1",
                effort=_AVIF_EFFORT_LARGE if large else _AVIF_EFFORT,
                keep="none",
            )
    return encoded
