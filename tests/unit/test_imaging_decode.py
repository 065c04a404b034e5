"""What is let in, and with which words the rest is turned away."""

from __future__ import annotations

import pytest

from corral.imaging.decode import open_source, sniff
from corral.imaging.errors import ImageRejected
from corral.imaging.geometry import Sides
from corral.imaging.pipeline import render
from corral.imaging.plan import Limits, Plan, Size, SourceInfo
from pictures import announced, frames, noise, oriented, plain, png_header, quadrants

PLAN = Plan((Size(64, 64, "png"),))
LIMITS = Limits()


def encoded(format_: str) -> bytes:
    picture = noise(120, 90)
    match format_:
        case "gif":
            return frames(picture)
        case "avif":
            return bytes(picture.heifsave_buffer(compression="av1", effort=0))
        case "progressive jpeg":
            return bytes(picture.jpegsave_buffer(interlace=True))
        case "interlaced png":
            return bytes(picture.pngsave_buffer(interlace=True))
        case _:
            return bytes(getattr(picture, f"{format_}save_buffer")())


FORMATS = ["jpeg", "progressive jpeg", "png", "interlaced png", "webp", "gif", "avif"]


def kind(format_: str) -> str:
    return format_.rpartition(" ")[2]


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_known_by_its_bytes(format_: str) -> None:
    rendering = render(encoded(format_), PLAN)
    assert rendering.source == SourceInfo(120, 90, kind(format_))
    assert (rendering.images[0].width, rendering.images[0].height) == (64, 48)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_file_is_rejected(format_: str, kept: float) -> None:
    content = encoded(format_)
    with pytest.raises(ImageRejected, match=f"{kind(format_)} image is damaged or incomplete"):
        render(content[: int(len(content) * kept)], PLAN)


def test_a_truncated_jpeg_is_rejected_by_every_shrink_on_load() -> None:
    content = noise(1600, 1200).jpegsave_buffer()
    for side in (1600, 700, 350, 100):
        with pytest.raises(ImageRejected, match="incomplete"):
            render(content[: len(content) * 3 // 4], Plan((Size(side, side),)))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GIF", "of an unknown type"),
        (b"Hello, this is a text file and no picture.\n", "of an unknown type"),
        (b"\0" * 4096, "of an unknown type"),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', "an SVG drawing"),
        (b'\xef\xbb\xbf  <?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an XML document"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"II*\0\x08\0\0\0", "a TIFF file"),
        (b'{"error": "not found"}', "a JSON document"),
    ],
)
def test_what_is_no_picture_is_rejected_and_named(content: bytes, words: str) -> None:
    with pytest.raises(ImageRejected, match=words):
        render(content, PLAN)


def test_no_content_of_a_rejected_file_is_quoted() -> None:
    with pytest.raises(ImageRejected) as raised:
        render(b"password=hunter2\n" * 10, PLAN)
    assert "hunter2" not in raised.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"RIFF\x10\0\0\0WEBPVP8 ",
        b"\0\0\0\x1cftypavif\0\0\0\0",
    ],
)
def test_a_bare_signature_is_rejected_as_damaged(content: bytes) -> None:
    with pytest.raises(ImageRejected, match="damaged or incomplete"):
        render(content + b"\0" * 40, PLAN)


def test_heic_is_refused_with_what_to_send_instead() -> None:
    content = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100
    assert sniff(content) == "heif"
    with pytest.raises(ImageRejected, match=r"HEIC.*Send JPEG"):
        open_source(content, LIMITS)


def test_an_avif_is_told_from_a_heic_by_its_compatible_brands() -> None:
    assert sniff(b"\0\0\0\x20ftypmif1\0\0\0\0mif1avif" + b"\0" * 64) == "avif"


def test_a_gigantic_png_is_refused_on_its_header_alone() -> None:
    # The file has no pixels: were one decoded, the reason would be "damaged".
    with pytest.raises(ImageRejected, match=r"50000x50000 pixels.*50 megapixels"):
        open_source(png_header(50_000, 50_000), LIMITS)


@pytest.mark.parametrize("format_", ["jpeg", "png", "webp", "gif", "avif"])
def test_too_many_announced_pixels_are_refused_in_every_format(format_: str) -> None:
    assert sniff(announced(format_)) == format_
    with pytest.raises(ImageRejected, match="over the limit of 50 megapixels"):
        open_source(announced(format_), LIMITS)


def test_the_pixel_limit_is_exact() -> None:
    content = plain(100, 80, (9, 9, 9)).pngsave_buffer()
    assert open_source(content, Limits(pixels=8000)).stored == Sides(100, 80)
    with pytest.raises(ImageRejected, match="100x80 pixels"):
        open_source(content, Limits(pixels=7999))


def test_a_side_over_the_limit_is_refused() -> None:
    with pytest.raises(ImageRejected, match="40000x10 pixels, over the limit of 30000 pixels a side"):
        open_source(png_header(40_000, 10), LIMITS)


def test_the_pixels_of_an_animation_are_those_of_one_frame() -> None:
    film = frames(*[noise(50, 40)] * 5)
    assert open_source(film, Limits(pixels=2000)).stored == Sides(50, 40)


def test_sides_are_those_of_the_upright_picture() -> None:
    source = open_source(oriented(quadrants(80, 40), 6), LIMITS)
    assert (source.stored, source.upright) == (Sides(80, 40), Sides(40, 80))


@pytest.mark.parametrize("stored", [0, 9, 255])
def test_an_orientation_that_does_not_exist_counts_as_upright(stored: int) -> None:
    entry = b"\x12\x01\x03\0\x01\0\0\0"
    content = oriented(quadrants(80, 40), 6)
    assert content.count(entry + b"\x06") == 1
    content = content.replace(entry + b"\x06", entry + bytes([stored]))
    assert open_source(content, LIMITS).orientation == 1
    (image,) = render(content, PLAN).images
    assert (image.width, image.height) == (64, 32)


@pytest.mark.parametrize("format_", ["jpeg", "png", "gif", "webp"])
def test_a_polyglot_is_read_as_what_its_first_bytes_say_and_its_rest_is_lost(format_: str) -> None:
    payload = b"<script>alert(1)</script>PK\x03\x04<svg onload=alert(1)>"
    (image,) = render(encoded(format_) + payload, PLAN).images
    assert b"script" not in image.content
    assert b"PK\x03\x04" not in image.content


def test_a_script_behind_a_gif_signature_is_rejected() -> None:
    with pytest.raises(ImageRejected, match="gif image is damaged"):
        render(b"GIF89a/*" + b"\0" * 32 + b"*/=1;alert(1)//" * 20, PLAN)
