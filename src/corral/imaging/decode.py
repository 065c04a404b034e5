"""From bytes to an open picture, trusting nothing.

The first bytes choose the loader, never the content type or the name, and no loader outside the table
below can be reached. Opening reads the header only: a 50,000 x 50,000 file is refused in about a
millisecond. Damaged or truncated data is an error, not a grey area in the result: the library's
`fail_on="error"` is passed to the loader itself, since its thumbnail call ignores it.

Limits: of an animation the first frame is read; HEIC (HEVC) is refused, because the wheel has no
decoder for it, AVIF is read.

Emits nothing. Raises ImageRejected with a reason that quotes no content of the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from corral.imaging.errors import ImageRejected
from corral.imaging.geometry import Sides, shrink_on_load
from corral.imaging.plan import Limits, SourceInfo
from corral.imaging.vips import pyvips

ACCEPTED = "JPEG, PNG, WebP, GIF or AVIF"

_LOADERS = {
    "jpeg": "jpegload_source",
    "png": "pngload_source",
    "gif": "gifload_source",
    "webp": "webpload_source",
    "avif": "heifload_source",
    "heif": "heifload_source",
}
_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
#: What people send instead of a picture. A hint for the message alone; nothing is decided by it.
_STRANGERS = (
    (b"<svg", "an SVG drawing"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML document"),
    (b"%pdf", "a PDF document"),
    (b"ii*\x00", "a TIFF file"),
    (b"mm\x00*", "a TIFF file"),
    (b"bm", "a BMP file"),
    (b"{", "a JSON document"),
)
#: How much of a reduction is left to be done after a JPEG was shrunk on load. With a quarter left, the
#: result is 48 dB or more from a reduction of all pixels for photographs, 31 to 36 dB for black text on
#: white; with half of it left, 50 dB for both.
_MARGIN, _FINE_MARGIN = 1.25, 2.0
#: The WebP encoder gives no other word for it; all its other reasons are ruled out by a plan's limits.
_MEMORY_SIGNS = ("out of memory", "webpsave: unable to encode")
_HEADER_BYTES = 64
_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Source:
    """An opened picture: header read, pixels not."""

    content: bytes
    format: str
    stored: Sides
    orientation: int

    @property
    def upright(self) -> Sides:
        return self.stored.turned() if self.is_turned else self.stored

    @property
    def is_turned(self) -> bool:
        """EXIF orientations 5 to 8 lie on their side."""
        return self.orientation >= 5

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(self.upright.width, self.upright.height, self.format)


def sniff(content: bytes) -> str | None:
    """The format that the first bytes announce, or None."""
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[4:8] == b"ftyp":
        brands = {content[at : at + 4] for at in (8, *range(16, _HEADER_BYTES, 4))}
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIF_BRANDS:
            return "heif"
    return None


def open_source(content: bytes, limits: Limits) -> Source:
    """Read the header and hold it against the limits. Raises ImageRejected; decodes nothing."""
    if not content:
        raise ImageRejected("The image file is empty (0 bytes). Check that its upload finished.")
    format_ = sniff(content)
    if format_ is None:
        raise ImageRejected(f"The file is {_stranger(content)}, not a picture. Send {ACCEPTED}.")
    try:
        header = _load(content, format_)
    except pyvips.Error as error:
        raise rejected(error, format_) from None
    stored = Sides(header.width, header.height)
    _hold_against(stored, limits)
    orientation = header.get("orientation") if header.get_typeof("orientation") else 1
    return Source(content, format_, stored, orientation if 1 <= orientation <= 8 else 1)


def _hold_against(sides: Sides, limits: Limits) -> None:
    name = f"{sides.width}x{sides.height} pixels"
    if sides.width * sides.height > limits.pixels:
        megapixels = limits.pixels / 1e6
        raise ImageRejected(
            f"The image is {name}, over the limit of {megapixels:g} megapixels. Scale it down first."
        )
    if sides.longest > limits.side:
        raise ImageRejected(
            f"The image is {name}, over the limit of {limits.side} pixels a side. Crop it first."
        )


def load(source: Source, largest: Sides, *, fine: bool) -> Any:
    """The pixels as a stream to be read once from top to bottom, shrunk by the decoder where it can.

    largest: the sides of the largest stage, upright; the stream is at least that large.
    fine: leave most of the reduction to the better filter.
    The picture comes as stored (not turned) with its metadata, in 8 bits a band.
    """
    factor = min(source.upright.width / largest.width, source.upright.height / largest.height)
    options: dict[str, Any] = {}
    if source.format == "jpeg":
        options["shrink"] = shrink_on_load(source.upright, largest, _FINE_MARGIN if fine else _MARGIN)
    elif source.format == "webp" and factor > _FINE_MARGIN:
        # Always the larger margin: this decoder's reduction is the coarser one, and saves memory alone.
        options["scale"] = _FINE_MARGIN / factor
    return _eight_bits(_load(source.content, source.format, **options))


def _load(content: bytes, format_: str, **options: Any) -> Any:
    # Through a source the library reads our bytes in place; a buffer it would copy first.
    source = pyvips.Source.new_from_memory(content)
    loader = getattr(pyvips.Image, _LOADERS[format_])
    return loader(source, access="sequential", fail_on="error", **options)


def _eight_bits(image: Any) -> Any:
    """16-bit sources halve here, before anything is kept in memory; no result has more than 8."""
    if image.format == "uchar":
        return image
    interpretation = {"rgb16": "srgb", "grey16": "b-w"}.get(image.interpretation, image.interpretation)
    return image.cast("uchar", shift=True).copy(interpretation=interpretation)


def rejected(error: Exception, format_: str) -> ImageRejected:
    """What the image library says of a file, as one line without line breaks."""
    detail = getattr(error, "detail", "") or str(error)
    if any(sign in detail.lower() for sign in _MEMORY_SIGNS):
        return ImageRejected(
            f"The {format_} image needs more memory than a rendering process may use. Scale it down first."
        )
    if format_ == "heif":
        return ImageRejected(f"The image is HEIC, which cannot be decoded here. Send {ACCEPTED}.")
    lines = dict.fromkeys(" ".join(line.split()) for line in detail.splitlines() if line.strip())
    reason = "; ".join(lines)[:_REASON_CHARACTERS] or "unreadable"
    return ImageRejected(f"The {format_} image is damaged or incomplete ({reason}). Send it again.")


def _stranger(content: bytes) -> str:
    start = content[:_HEADER_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((name for sign, name in _STRANGERS if start.startswith(sign)), "of an unknown type")
