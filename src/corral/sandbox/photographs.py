"""Makes the sample pictures, and tells whether a file is a readable one.

Drawn with libvips at first use and kept: a portrait, a passport, both sides of an id card, a landscape.
They have a photograph's gradients and noise, so they compress, decode and resize like one, and no real
person or document is in them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from functools import lru_cache

import pyvips

from corral.providers.sniff import sniff

#: Pixels. More than any camera makes; a header that claims more is a decompression bomb.
MAX_PIXELS = 100_000_000

SUBJECTS = ("passport", "front", "back", "selfie", "landscape")

_LOADER_OPTIONS = {"access": "sequential", "fail_on": "error"}


@lru_cache(maxsize=32)
def photograph(subject: str, suffix: str) -> bytes:
    """A sample picture as a file; suffix is ".jpg", ".png" or ".webp"."""
    image = _DRAW[subject]()
    options = {".jpg": {"Q": 88}, ".png": {"compression": 6}, ".webp": {"Q": 85}}[suffix]
    return bytes(image.write_to_buffer(suffix, **options))


def readable(content: bytes, media_type: str) -> bool:
    """Whether the bytes are what `media_type` says and decode to the last row (a PDF: by its first bytes)."""
    if sniff(content) != media_type:
        return False
    if media_type == "application/pdf":
        return True
    try:
        image = pyvips.Image.new_from_buffer(content, "", **_LOADER_OPTIONS)
        if image.width * image.height > MAX_PIXELS:
            return False
        image.avg()
    except pyvips.Error:
        return False
    return True


def corrupt_jpeg() -> bytes:
    """A JPEG whose second half is garbage: its header is fine, its pixels are not."""
    whole = photograph("landscape", ".jpg")
    head = whole[: len(whole) // 3]
    return head + bytes(4096)


def huge_png(side: int = 50_000) -> bytes:
    """A PNG that claims side by side pixels and holds a few rows: a bomb's header without its charge."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    # Stored rather than packed, so that the file is above the smallest size that providers take.
    rows = zlib.compress(bytes(8192), level=0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# Drawing


def _scene(width: int, height: int, top: list[float], bottom: list[float], seed: int) -> pyvips.Image:
    """A vertical gradient with grain."""
    ramp = pyvips.Image.xyz(width, height)[1] / height
    image = ramp.bandjoin([ramp, ramp]) * [b - t for t, b in zip(top, bottom, strict=True)] + top
    grain = pyvips.Image.gaussnoise(width, height, mean=0, sigma=7, seed=seed)
    return (image + grain).copy_memory()


def _oval(image: pyvips.Image, x: float, y: float, rx: float, ry: float, colour: list[float]) -> pyvips.Image:
    """A soft oval, lit from the upper left."""
    # Only the part under the oval is computed; it may stick out of the image.
    left, top = max(int(x - rx * 1.1), 0), max(int(y - ry * 1.1), 0)
    right, bottom = min(int(x + rx * 1.1), image.width), min(int(y + ry * 1.1), image.height)
    part = image.crop(left, top, right - left, bottom - top)
    at = pyvips.Image.xyz(part.width, part.height)
    dx, dy = (at[0] + (left - x)) / rx, (at[1] + (top - y)) / ry
    distance = (dx * dx + dy * dy) ** 0.5
    cover = ((1.04 - distance) * 25).clamp(min=0, max=1)
    light = 1 - dx * 0.18 - dy * 0.22
    grain = pyvips.Image.gaussnoise(part.width, part.height, mean=0, sigma=5, seed=left)
    return image.insert(part * (1 - cover) + (light * colour + grain) * cover, left, top).copy_memory()


def _boxes(image: pyvips.Image, boxes: list[tuple[int, int, int, int, float]]) -> pyvips.Image:
    """Grey boxes: x, y, width, height, brightness."""
    # Row by row in plain memory: libvips would copy the whole image for each box.
    flat = image.clamp(min=0, max=255).cast("uchar")
    pixels = bytearray(flat.write_to_memory())
    for x, y, width, height, shade in boxes:
        run = bytes((int(shade), int(shade), int(shade * 1.2))) * width
        for row in range(y, min(y + height, flat.height)):
            start = (row * flat.width + x) * 3
            pixels[start : start + len(run)] = run
    return pyvips.Image.new_from_memory(bytes(pixels), flat.width, flat.height, 3, "uchar")


def _lines(image: pyvips.Image, x: int, y: int, width: int, count: int, step: int) -> pyvips.Image:
    """Dark bars where a document has text; their lengths differ as words do."""
    boxes = []
    for row in range(count):
        left = x
        for word in range(6):
            length = 30 + (row * 37 + word * 53) % (width // 6)
            if left + length > x + width:
                break
            boxes.append((left, y + row * step, length, max(step // 3, 4), 48.0))
            left += length + 18
    return _boxes(image, boxes)


def _portrait(width: int = 900, height: int = 1125) -> pyvips.Image:
    image = _scene(width, height, [176.0, 190.0, 205.0], [120.0, 134.0, 150.0], seed=11)
    x, y, unit = width / 2, height * 0.43, width / 9
    image = _oval(image, x, height * 1.02, unit * 3.4, unit * 2.6, [58.0, 74.0, 104.0])
    image = _oval(image, x, y - unit * 0.5, unit * 2.25, unit * 2.9, [62.0, 46.0, 38.0])
    image = _oval(image, x, y + unit * 2.4, unit * 0.8, unit * 1.2, [186.0, 142.0, 118.0])
    image = _oval(image, x, y, unit * 1.85, unit * 2.5, [214.0, 170.0, 146.0])
    for side in (-1, 1):
        image = _oval(
            image, x + side * unit * 0.75, y - unit * 0.3, unit * 0.3, unit * 0.14, [244.0, 244.0, 244.0]
        )
        image = _oval(
            image, x + side * unit * 0.75, y - unit * 0.3, unit * 0.13, unit * 0.13, [50.0, 60.0, 70.0]
        )
    return _finish(_oval(image, x, y + unit * 1.3, unit * 0.6, unit * 0.16, [170.0, 92.0, 92.0]))


def _document(
    width: int, height: int, tint: list[float], seed: int, *, face: bool, zone: int
) -> pyvips.Image:
    """A document on a desk: picture, lines of text, `zone` rows of machine-readable text."""
    image = _scene(width, height, [112.0, 84.0, 62.0], [84.0, 60.0, 44.0], seed)
    edge = width // 18
    page = _scene(width - 2 * edge, height - 2 * edge, tint, [c * 0.9 for c in tint], seed + 1)
    if face:
        small = _portrait(440, 550).resize(page.height * 0.52 / 550)
        page = page.insert(small, page.width // 20, page.height // 7)
    left = page.width * 2 // 5 if face else page.width // 12
    page = _lines(page, left, page.height // 6, page.width - left - page.width // 12, 7, page.height // 13)
    size = page.width // 60
    letters = [
        (
            20 + column * page.width // 42,
            page.height * 5 // 6 + row * page.height // 14 - page.height // 20,
            size,
            size,
            40.0 + (row * 29 + column * 17) % 50,
        )
        for row in range(zone)
        for column in range(40)
    ]
    page = _boxes(page, letters)
    return _finish(image.insert(page, edge, edge))


def _landscape(width: int = 1600, height: int = 1067) -> pyvips.Image:
    image = _scene(width, height, [96.0, 148.0, 214.0], [236.0, 206.0, 178.0], seed=21)
    image = _oval(image, width * 0.72, height * 0.3, 70, 70, [255.0, 236.0, 190.0])
    for number, (x, top, colour) in enumerate(
        ((0.2, 0.95, [96.0, 112.0, 132.0]), (0.75, 1.0, [70.0, 96.0, 92.0]), (0.45, 1.15, [44.0, 72.0, 52.0]))
    ):
        image = _oval(image, width * x, height * top, width * (0.42 + number * 0.06), height * 0.42, colour)
    return _finish(image)


def _finish(image: pyvips.Image) -> pyvips.Image:
    return image.clamp(min=0, max=255).cast("uchar").copy(interpretation="srgb").copy_memory()


_DRAW: dict[str, Callable[[], pyvips.Image]] = {
    "passport": lambda: _document(1250, 880, [206.0, 188.0, 196.0], 31, face=True, zone=2),
    "front": lambda: _document(1012, 638, [188.0, 206.0, 214.0], 41, face=True, zone=0),
    "back": lambda: _document(1012, 638, [196.0, 204.0, 186.0], 51, face=False, zone=3),
    "selfie": _portrait,
    "landscape": _landscape,
}
