"""Pictures for the tests, made on the spot: no binary fixture, every pixel known."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import pyvips

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (40, 50, 190), (240, 240, 240)


def plain(width: int, height: int, colour: tuple[int, ...]) -> Any:
    """One colour; four bands make it RGBA."""
    return pyvips.Image.black(width, height).new_from_image(list(colour)).copy(interpretation="srgb")


def quadrants(width: int, height: int) -> Any:
    """Red and green above blue and white, so that every turn and mirror image is told apart."""
    w, h = width // 2, height // 2
    tiles = [plain(w, h, colour) for colour in (RED, GREEN, BLUE, WHITE)]
    return pyvips.Image.arrayjoin(tiles, across=2).copy(interpretation="srgb")


def noise(width: int, height: int, bands: int = 3) -> Any:
    """Pixels that no encoder makes small."""
    planes = [pyvips.Image.gaussnoise(width, height, mean=128, sigma=50, seed=n) for n in range(bands)]
    return planes[0].bandjoin(planes[1:]).cast("uchar").copy(interpretation="srgb")


def frames(*images: Any) -> bytes:
    """An animated GIF."""
    film = pyvips.Image.arrayjoin(list(images), across=1).copy(interpretation="srgb")
    film.set_type(pyvips.GValue.gint_type, "page-height", images[0].height)
    return bytes(film.gifsave_buffer())


def oriented(image: Any, orientation: int) -> bytes:
    """A JPEG of these stored pixels with this EXIF orientation."""
    image = image.copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    return bytes(image.jpegsave_buffer(Q=95, subsample_mode="off"))


def with_gps(image: Any) -> Any:
    """The image with the EXIF of a telephone, the position in it, and XMP."""
    image = image.copy()
    for name, value in (
        ("exif-ifd0-Make", "ExampleCam"),
        ("exif-ifd2-UserComment", "kept nowhere"),
        ("exif-ifd3-GPSLatitudeRef", "N"),
        ("exif-ifd3-GPSLatitude", "52/1 31/1 0/1"),
    ):
        image.set_type(pyvips.GValue.gstr_type, name, value)
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta>kept nowhere</x:xmpmeta>")
    return image


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces these sides and holds one row of nothing: only its header can be read."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def read(content: bytes) -> Any:
    return pyvips.Image.new_from_buffer(content, "", access="random", fail_on="error")


def pixel(image: Any, x: float, y: float) -> tuple[int, ...]:
    """The colour at a place given in shares of the sides (0 to 1)."""
    at = (min(image.width - 1, int(x * image.width)), min(image.height - 1, int(y * image.height)))
    return tuple(round(value) for value in image.getpoint(*at))


def near(colour: tuple[int, ...], expected: tuple[int, ...], tolerance: int = 6) -> bool:
    return len(colour) == len(expected) and all(
        abs(a - b) <= tolerance for a, b in zip(colour, expected, strict=True)
    )


#: Adobe RGB (1998): its gamma, and its primaries as XYZ under D65.
ADOBE_GAMMA = 563 / 256
ADOBE_TO_XYZ = (
    (0.5767309, 0.1855540, 0.1881852),
    (0.2973769, 0.6273491, 0.0752741),
    (0.0270343, 0.0706872, 0.9911085),
)


def adobe_rgb_profile() -> bytes:
    """A minimal ICC profile (version 2, matrix and gamma) of Adobe RGB; primaries adapted to D50."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))

    name = b"Adobe RGB for a test\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(ADOBE_GAMMA * 256)) + b"\0\0"
    tags = {
        b"desc": desc,
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(0.60974, 0.31111, 0.01947),
        b"gXYZ": xyz(0.20528, 0.62567, 0.06087),
        b"bXYZ": xyz(0.14919, 0.06322, 0.74457),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name_, data in tags.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += name_ + struct.pack(">II", start + len(body), len(data))
        body += padded
    size = start + len(body)
    header = (
        struct.pack(">I", size) + b"\0" * 4 + struct.pack(">I", 0x02200000) + b"mntrRGB XYZ " + b"\0" * 12
    )
    header += b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
