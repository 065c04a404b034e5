"""The files that come out: real, of the format asked for, without metadata."""

from __future__ import annotations

import pytest
import pyvips

from corral.imaging.decode import sniff
from corral.imaging.encode import encode
from corral.imaging.errors import ImageRejected
from corral.imaging.pipeline import render
from corral.imaging.plan import Format, Limits, Plan, Size
from pictures import BLUE, RED, near, noise, pixel, plain, quadrants, read, with_gps

FORMATS: list[Format] = ["webp", "jpeg", "png", "avif"]


@pytest.mark.parametrize("format_", FORMATS)
def test_each_format_is_what_it_says(format_: Format) -> None:
    (image,) = render(quadrants(80, 60).pngsave_buffer(), Plan((Size(40, 40, format_),))).images
    assert sniff(image.content) == image.format == format_
    assert near(pixel(read(image.content), 0.2, 0.2), RED, 12)


def test_transparency_is_laid_on_white_in_a_jpeg() -> None:
    scene = plain(80, 60, (*RED, 0)).insert(plain(20, 60, (*BLUE, 255)), 0, 0)
    (image,) = render(scene.pngsave_buffer(), Plan((Size(80, 80, "jpeg", quality=95),))).images
    result = read(image.content)
    assert near(pixel(result, 0.8, 0.5), (255, 255, 255))
    assert near(pixel(result, 0.1, 0.5), BLUE)


@pytest.mark.parametrize("format_", ["webp", "png", "avif"])
def test_transparency_is_kept_where_the_format_can(format_: Format) -> None:
    (image,) = render(plain(80, 60, (*RED, 128)).pngsave_buffer(), Plan((Size(40, 40, format_),))).images
    assert near(pixel(read(image.content), 0.5, 0.5), (*RED, 128), 8)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("side", [400, 60])
def test_no_metadata_survives(format_: Format, side: int) -> None:
    content = with_gps(quadrants(400, 300)).jpegsave_buffer(profile="srgb")
    assert {"exif-data", "xmp-data", "icc-profile-data"} <= set(read(content).get_fields())
    (image,) = render(content, Plan((Size(side, side, format_),))).images
    fields = read(image.content).get_fields()
    assert [f for f in fields if f.startswith(("exif", "xmp", "iptc", "icc", "orientation"))] == []
    for trace in (b"Exif", b"ExampleCam", b"xmpmeta", b"kept nowhere", b"ICC_PROFILE"):
        assert trace not in image.content


@pytest.mark.parametrize(("quality", "subsampled"), [(80, True), (92, False)])
def test_a_proof_keeps_the_full_colour_resolution(quality: int, subsampled: bool) -> None:
    content = encode(quadrants(64, 64), "jpeg", quality)
    chroma = pyvips.Image.new_from_buffer(content, "").get("jpeg-chroma-subsample")
    assert (chroma == "4:2:0") is subsampled


@pytest.mark.parametrize("format_", ["webp", "jpeg", "avif"])
def test_quality_reaches_the_encoder(format_: Format) -> None:
    picture = noise(64, 64)
    assert len(encode(picture, format_, 30)) < len(encode(picture, format_, 95))


@pytest.mark.parametrize("format_", ["webp", "jpeg", "png"])
def test_the_same_source_gives_the_same_bytes(format_: Format) -> None:
    content, plan = noise(300, 200).jpegsave_buffer(), Plan((Size(90, 90, format_),))
    assert render(content, plan) == render(content, plan)


def test_results_over_the_limit_are_refused() -> None:
    plan = Plan((Size(200, 200, "png"),) * 3, limits=Limits(output_bytes=200_000))
    with pytest.raises(ImageRejected, match="Ask for fewer or smaller sizes"):
        render(noise(200, 200).pngsave_buffer(), plan)
