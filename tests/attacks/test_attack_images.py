# ruff: noqa: E501 - payloads are read best as rows
"""Picture bombs of each format: the process's memory stays bounded, its job fails for good, the worker lives.

Bombs by announced sides are in tests/integration/test_image_pool.py and test_image_processing.py, by
deflated content there too; here are the further ways, with the peak of the whole family of processes.
"""

from __future__ import annotations

import asyncio
import functools
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from corral.imaging.errors import ImageRejected
from corral.imaging.plan import Plan, Size
from corral.imaging.pool import MEMORY_BYTES, RenderPool
from pictures import RED, animated_webp, noise, plain, png_header, quadrants

SMALL = Plan((Size(40, 40, "webp"),))
#: Seconds, on a machine ten times slower.
LIMIT = 60.0
MANY = 20 * 2**20


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png() -> bytes:
    return bytes(quadrants(64, 48).pngsave_buffer())


def jpeg() -> bytes:
    return bytes(quadrants(64, 48).jpegsave_buffer())


def with_segments(marker: bytes, name: bytes, count: int) -> bytes:
    """A JPEG with this many segments of 64 KB of one kind."""
    content = jpeg()
    body = name + b"\0" * (65_000 - len(name))
    return content[:2] + (b"\xff" + marker + struct.pack(">H", len(body) + 2) + body) * count + content[2:]


def icc_in_pieces() -> bytes:
    """A JPEG whose colour profile says 255 pieces and has them all."""
    content = jpeg()
    pieces = b""
    for number in range(1, 256):
        body = b"ICC_PROFILE\0" + bytes([number, 255]) + b"\xff" * 65_000
        pieces += b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body
    return content[:2] + pieces + content[2:]


def exif_loop() -> bytes:
    """A JPEG whose EXIF directory is its own successor, with 65,535 entries."""
    tiff = (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", 65_535)
        + b"\x0f\x01\x02\0\xff\xff\xff\x7f\x08\0\0\0"
    )
    tiff += struct.pack("<I", 8)
    body = b"Exif\0\0" + tiff
    content = jpeg()
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:]


def scans() -> bytes:
    """A progressive JPEG whose last scan is repeated thousands of times: a second of work for each."""
    content = bytes(noise(1200, 1200).jpegsave_buffer(interlace=True))
    start = content.rindex(b"\xff\xda")
    return content[:-2] + content[start:-2] * (12 * 2**20 // (len(content) - start)) + content[-2:]


def frames_of_a_webp() -> bytes:
    """Thousands of frames in a file of some hundred kilobytes."""
    content = animated_webp(plain(16, 16, RED), plain(16, 16, (1, 2, 3)))
    start = content.index(b"ANMF")
    many = content[:start] + content[start:] * 5_000
    return many[:4] + struct.pack("<I", len(many) - 8) + many[8:]


def frames_of_a_png() -> bytes:
    """An animated PNG that announces four billion frames."""
    content = png()
    return content[:33] + chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + content[33:]


def texts_of_a_png() -> bytes:
    """Twenty thousand texts that unpack to a megabyte each."""
    packed = chunk(b"zTXt", b"k\0\0" + zlib.compress(b"\0" * 2**20))
    content = png()
    return content[:33] + packed * (MANY // 2 // len(packed)) + content[33:]


def boxes_of_an_avif() -> bytes:
    """Boxes in boxes, ten thousand deep."""
    content = bytes(quadrants(64, 48).heifsave_buffer(compression="av1", effort=0))
    nested = b""
    for _ in range(10_000):
        nested = struct.pack(">I", len(nested) + 8) + b"moov" + nested[:4_000_000]
    return content + nested


def box_beyond(content: bytes) -> bytes:
    """The first box says that it is as large as numbers go."""
    return struct.pack(">I", 1) + content[4:8] + struct.pack(">Q", 2**63) + content[8:]


BOMBS: dict[str, Callable[[], bytes]] = {
    "a jpeg with 12 MB of exif": lambda: with_segments(b"\xe1", b"Exif\0\0II*\0", 190),
    "a jpeg with 12 MB of xmp": lambda: with_segments(b"\xe1", b"http://ns.adobe.com/xap/1.0/\0", 190),
    "a jpeg with 12 MB of comments": lambda: with_segments(b"\xfe", b"", 190),
    "a jpeg with a profile of 16 MB": icc_in_pieces,
    "a jpeg whose exif is a loop": exif_loop,
    "a jpeg with thousands of scans": scans,
    "a png of four billion frames": frames_of_a_png,
    "a png of texts": texts_of_a_png,
    "a png as wide as numbers go": lambda: png_header(2**31 - 1, 1),
    "a png as high as numbers go": lambda: png_header(1, 2**31 - 1),
    "a png without sides": lambda: png_header(0, 0),
    "a webp of 10,000 frames": frames_of_a_webp,
    "a gif of no sides": lambda: b"GIF89a\0\0\0\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\0\0\0\0\0\x02\x01\0\0;",
    "a gif whose code says nothing": lambda: (
        b"GIF89a\x40\0\x40\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x40\0\x40\0\0\x0b" + b"\xff" * 2**20
    ),
    "an avif of boxes": boxes_of_an_avif,
    "an avif whose box has no end": lambda: box_beyond(
        bytes(quadrants(64, 48).heifsave_buffer(compression="av1", effort=0))
    ),
}

#: Refused by their first bytes, whatever they are called.
NOT_TAKEN: dict[str, bytes] = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "svg with an entity bomb": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    b"<svg>&b;</svg>",
    "svg with a file": b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg><text>&x;</text></svg>',
    "svg behind a mark": b"\xef\xbb\xbf   <svg/>",
    "tiff": b"II*\0\x08\0\0\0" + b"\xff" * 500,
    "big tiff": b"MM\0+\0\x08\0\0" + b"\xff" * 500,
    "pdf": b"%PDF-1.7\n1 0 obj",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) (r) file",
    "magick": b"push graphic-context\nviewbox 0 0 9 9\nfill 'url(https://127.0.0.1/\"|id\")'\npop graphic-context",
    "msl": b'<?xml version="1.0"?><image><read filename="/etc/passwd"/></image>',
    "bmp": b"BM" + b"\xff" * 500,
    "ico": b"\0\0\1\0\1\0" + b"\xff" * 500,
    "psd": b"8BPS\0\1" + b"\xff" * 500,
    "openexr": b"v/1\1" + b"\xff" * 500,
    "jpeg 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\xff" * 500,
    "jpeg xl": b"\xff\x0a" + b"\xff" * 500,
    "vips": b"\xb6\xa6\xf2\x08" + b"\xff" * 500,
    "netpbm": b"P6 99999 99999 255\n",
    "csv": b"1,2,3\n4,5,6\n",
    "matlab": b"MATLAB 5.0 MAT-file" + b"\0" * 500,
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + b"\0" * 500,
    "zip": b"PK\3\4" + b"\0" * 500,
    "html": b"<!doctype html><script>alert(1)</script>",
    "spaces": b" " * 10_000,
    "zeros": b"\0" * 10_000,
}

POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "a jpeg and a zip": lambda: jpeg() + b"PK\3\4" + b"\0" * 500,
    "a jpeg and a page": lambda: (
        jpeg()[:2] + b"\xff\xfe\0\x22<script>alert(1)</script><!--  \0\0" + jpeg()[2:]
    ),
    "a png and a script": lambda: png() + b"<?php system('id'); ?>",
    "a gif and a script": lambda: bytes(quadrants(64, 48).gifsave_buffer()) + b"/*=1;alert(1)//*/",
}


@pytest.fixture(scope="module")
def pool() -> Iterator[RenderPool]:
    """One pool for all attacks, as in a worker: what one does to it the next would feel."""
    made = RenderPool(1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bound(pool: RenderPool) -> int:
    """Bytes that this process and its children may ever take."""
    asyncio.run(pool.render(png(), SMALL, LIMIT))
    return family() + MEMORY_BYTES


def family() -> int:
    """Bytes of real memory of this process and its children, each at its peak."""
    me = psutil.Process(os.getpid())
    return sum(_peak(one.pid) for one in [me, *me.children(recursive=True)])


def _peak(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123 - a file of the kernel's
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


async def spared(pool: RenderPool, bound: int, content: bytes) -> Any:
    """What became of a file; afterwards the pool renders as ever, within its memory."""
    try:
        return await pool.render(content, SMALL, LIMIT)
    except ImageRejected as error:
        return error
    finally:
        assert family() < bound
        assert len((await pool.render(png(), SMALL, LIMIT)).images) == 1


@pytest.mark.parametrize("kind", BOMBS)
async def test_an_image_bomb_costs_its_own_job_and_bounded_memory(
    pool: RenderPool, bound: int, kind: str
) -> None:
    content = BOMBS[kind]()
    assert len(content) < MANY
    became = await spared(pool, bound, content)
    if isinstance(became, ImageRejected):
        assert str(became).isprintable()
        assert len(str(became)) < 500
    else:  # taken for the small picture that it is beside its ballast
        (image,) = became.images
        assert len(image.content) < 10_000


@pytest.mark.parametrize("kind", NOT_TAKEN)
async def test_a_format_that_is_not_taken_is_refused_whatever_it_is_called(
    pool: RenderPool, bound: int, kind: str
) -> None:
    became = await spared(pool, bound, NOT_TAKEN[kind])
    assert isinstance(became, ImageRejected)
    assert "passwd" not in str(became)
    assert "root:" not in str(became)


@pytest.mark.parametrize("kind", POLYGLOTS)
async def test_a_polyglot_comes_out_as_a_picture_and_nothing_else(
    pool: RenderPool, bound: int, kind: str
) -> None:
    rendering = await spared(pool, bound, POLYGLOTS[kind]())
    assert not isinstance(rendering, ImageRejected), rendering
    (image,) = rendering.images
    assert image.content[:4] == b"RIFF"
    for other in (b"<script", b"<?php", b"PK\3\4", b"alert"):
        assert other not in image.content


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp", "gif", "avif"])
async def test_a_file_cut_or_changed_anywhere_never_harms_the_pool(pool: RenderPool, format_: str) -> None:
    image = noise(60, 40)
    save = {
        "jpeg": image.jpegsave_buffer,
        "png": image.pngsave_buffer,
        "webp": image.webpsave_buffer,
        "gif": image.gifsave_buffer,
        "avif": functools.partial(image.heifsave_buffer, compression="av1", effort=0),
    }
    content = bytes(save[format_]())
    before = await pool.render(content, SMALL, LIMIT)
    for step in range(1, 25):
        at = len(content) * step // 25
        for odd in (
            content[:at],
            content[:at] + b"\xff" * 8 + content[at + 8 :],
            content[at:] + content[:at],
        ):
            try:
                await pool.render(odd, SMALL, LIMIT)
            except ImageRejected:
                continue
    assert await pool.render(content, SMALL, LIMIT) == before
