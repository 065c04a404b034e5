"""Pictures for the tests, made on the spot: no binary fixture, every pixel known."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
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


def animated_webp(*images: Any) -> bytes:
    film = pyvips.Image.arrayjoin(list(images), across=1).copy(interpretation="srgb")
    film.set_type(pyvips.GValue.gint_type, "page-height", images[0].height)
    return bytes(film.webpsave_buffer())


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


def announced(format_: str) -> bytes:
    """A small file of the format whose header announces a billion pixels (WebP: 256 million)."""
    match format_:
        case "png":
            return png_header(50_000, 50_000)
        case "jpeg":
            content = bytearray(quadrants(64, 48).jpegsave_buffer())
            sides = content.index(b"\xff\xc0") + 5
            content[sides : sides + 4] = struct.pack(">HH", 65_500, 65_500)
        case "webp":
            content = bytearray(animated_webp(plain(64, 48, RED), plain(64, 48, BLUE)))
            canvas = content.index(b"VP8X") + 12
            content[canvas : canvas + 6] = (16_000).to_bytes(3, "little") * 2
        case "gif":
            content = bytearray(quadrants(64, 48).gifsave_buffer())
            content[6:10] = struct.pack("<HH", 65_535, 65_535)
            sides = content.index(b"\x2c\0\0\0\0" + struct.pack("<HH", 64, 48)) + 5
            content[sides : sides + 4] = struct.pack("<HH", 65_535, 65_535)
        case "avif":
            plain_file = quadrants(64, 48).heifsave_buffer(compression="av1", effort=0)
            box = b"ispe\0\0\0\0"
            sides_there = re.escape(box) + rb".{8}"
            return re.sub(sides_there, box + struct.pack(">II", 50_000, 50_000), plain_file, flags=re.DOTALL)
        case _:
            raise ValueError(format_)
    return bytes(content)


def _with_chunk(png: bytes, kind: bytes, body: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + body))
    return png[:33] + struct.pack(">I", len(body)) + kind + body + crc + png[33:]


def _deflated(name: bytes) -> bytes:
    return name + b"\0\0" + zlib.compress(b"\0" * (100 * 2**20), 1)


def _frames_of_a_gif() -> bytes:
    content = bytes(plain(16, 16, RED).gifsave_buffer())
    start = content.index(b"\x2c\0\0\0\0")
    return content[:start] + content[start:-1] * 100_000 + b";"


#: Small files that unpack to much and are within the limits of their headers.
DEFLATED: dict[str, Callable[[], bytes]] = {
    "a flat png of 49 megapixels": lambda: plain(7000, 7000, (1, 2, 3, 4)).pngsave_buffer(
        compression=9, interlace=True
    ),
    "a png whose text is 100 MB": lambda: _with_chunk(
        plain(64, 48, RED).pngsave_buffer(), b"zTXt", _deflated(b"Comment")
    ),
    "a png whose profile is 100 MB": lambda: _with_chunk(
        plain(64, 48, RED).pngsave_buffer(), b"iCCP", _deflated(b"icc")
    ),
    "a flat gif of 16 megapixels": lambda: bytes(plain(4000, 4000, RED).gifsave_buffer(effort=1)),
    "a gif of 100,000 frames": _frames_of_a_gif,
    "a flat webp of 49 megapixels": lambda: bytes(
        plain(7000, 7000, (1, 2, 3, 4)).webpsave_buffer(lossless=True, effort=0)
    ),
    "a flat progressive jpeg of 49 megapixels": lambda: bytes(
        plain(7000, 7000, RED).jpegsave_buffer(interlace=True)
    ),
    "a flat avif of 49 megapixels": lambda: bytes(
        plain(7000, 7000, RED).heifsave_buffer(compression="av1", effort=0)
    ),
}


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


@dataclass(frozen=True)
class WideGamut:
    """An RGB space of gamma 563/256: its primaries as XYZ under D65 (rows) and adapted to D50 (columns)."""

    to_xyz: tuple[tuple[float, float, float], ...]
    columns: tuple[tuple[float, float, float], ...]

    def in_srgb(self, colour: tuple[int, int, int]) -> tuple[int, ...]:
        """A colour of this space in sRGB: by the book, independently of any colour library."""
        linear = [(value / 255) ** GAMMA for value in colour]
        x, y, z = (sum(m * v for m, v in zip(row, linear, strict=True)) for row in self.to_xyz)
        rgb = (
            3.2404542 * x - 1.5371385 * y - 0.4985314 * z,
            -0.9692660 * x + 1.8760108 * y + 0.0415560 * z,
            0.0556434 * x - 0.2040259 * y + 1.0572252 * z,
        )
        curve = (12.92 * v if v <= 0.0031308 else 1.055 * max(v, 0) ** (1 / 2.4) - 0.055 for v in rgb)
        return tuple(round(255 * min(1, max(0, v))) for v in curve)

    def tagged(self, image: Any) -> Any:
        """The image with this space's profile."""
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", rgb_profile(self))
        return image


GAMMA = 563 / 256
ADOBE_RGB = WideGamut(
    (
        (0.5767309, 0.1855540, 0.1881852),
        (0.2973769, 0.6273491, 0.0752741),
        (0.0270343, 0.0706872, 0.9911085),
    ),
    ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)),
)
#: The primaries of Display P3, which telephones write.
DISPLAY_P3 = WideGamut(
    (
        (0.4865709, 0.2656677, 0.1982173),
        (0.2289746, 0.6917385, 0.0792869),
        (0.0, 0.0451134, 1.0439444),
    ),
    ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407)),
)


def rgb_profile(space: WideGamut) -> bytes:
    """A minimal ICC profile (version 2, matrix and gamma)."""

    def xyz(x: float, y: float, z: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))

    name = b"RGB for a test\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + b"\0" * 78
    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(GAMMA * 256)) + b"\0\0"
    tags = {
        b"desc": desc,
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
        b"rXYZ": xyz(*space.columns[0]),
        b"gXYZ": xyz(*space.columns[1]),
        b"bXYZ": xyz(*space.columns[2]),
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
