"""The pixels of the results: upright, in sRGB, cropped and reduced as asked."""

from __future__ import annotations

import pytest
import pyvips

from corral.imaging.pipeline import render
from corral.imaging.plan import Format, Plan, Size
from pictures import (
    ADOBE_RGB,
    BLUE,
    DISPLAY_P3,
    GREEN,
    RED,
    WHITE,
    WideGamut,
    frames,
    near,
    noise,
    oriented,
    pixel,
    plain,
    quadrants,
    read,
)

CORNERS = ((0.2, 0.2), (0.8, 0.2), (0.2, 0.8), (0.8, 0.8))
#: The stored pixels that, with each EXIF orientation, show red, green over blue, white.
STORED_FOR = {
    1: lambda image: image,
    2: lambda image: image.fliphor(),
    3: lambda image: image.rot180(),
    4: lambda image: image.flipver(),
    5: lambda image: image.rot90().fliphor(),
    6: lambda image: image.rot270(),
    7: lambda image: image.rot90().flipver(),
    8: lambda image: image.rot90(),
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sides", [(64, 64), (700, 700), (20, 60)])
def test_every_orientation_comes_out_upright(orientation: int, sides: tuple[int, int]) -> None:
    stored = STORED_FOR[orientation](quadrants(1200, 800))
    rendering = render(oriented(stored, orientation), Plan((Size(*sides, "png"),)))
    assert (rendering.source.width, rendering.source.height) == (1200, 800)
    result = read(rendering.images[0].content)
    assert (result.width, result.height) == (sides[0], round(sides[0] * 2 / 3))
    colours = [pixel(result, x, y) for x, y in CORNERS]
    assert all(near(c, e, 12) for c, e in zip(colours, (RED, GREEN, BLUE, WHITE), strict=True)), colours


@pytest.mark.parametrize("save", ["pngsave_buffer", "webpsave_buffer", "heifsave_buffer"])
def test_other_formats_with_an_orientation_come_out_upright_too(save: str) -> None:
    stored = quadrants(120, 80).rot270().copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", 6)
    options = {"compression": "av1", "effort": 0} if save == "heifsave_buffer" else {}
    rendering = render(getattr(stored, save)(**options), Plan((Size(60, 60, "png"),)))
    assert (rendering.source.width, rendering.source.height) == (120, 80)
    result = read(rendering.images[0].content)
    assert (result.width, result.height) == (60, 40)
    colours = [pixel(result, x, y) for x, y in CORNERS]
    assert all(near(c, e, 12) for c, e in zip(colours, (RED, GREEN, BLUE, WHITE), strict=True)), colours


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_crop_is_taken_from_the_upright_picture(orientation: int) -> None:
    stored = STORED_FOR[orientation](quadrants(1200, 800))
    plan = Plan((Size(100, 400, "png", fit="cover"), Size(300, 10, "png", fit="cover")))
    tall, flat = (read(image.content) for image in render(oriented(stored, orientation), plan).images)
    assert (tall.width, tall.height) == (100, 400)
    assert near(pixel(tall, 0.1, 0.1), RED, 12)
    assert near(pixel(tall, 0.9, 0.9), WHITE, 12)
    assert (flat.width, flat.height) == (300, 10)


def test_all_sizes_come_out_exact_and_in_order_whatever_they_are_made_from() -> None:
    wanted = [(1000, 750), (40, 30), (900, 675), (500, 375), (1001, 751), (33, 25), (1, 1), (1000, 750)]
    rendering = render(
        quadrants(2000, 1500).jpegsave_buffer(Q=95),
        Plan(tuple(Size(w, h, "png", fit="cover") for w, h in wanted)),
    )
    for image, sides in zip(rendering.images, wanted, strict=True):
        result = read(image.content)
        assert (result.width, result.height) == (image.width, image.height) == sides
        if sides != (1, 1):
            assert near(pixel(result, 0.2, 0.2), RED, 10)
            assert near(pixel(result, 0.8, 0.8), WHITE, 10)


@pytest.mark.parametrize("save", ["jpegsave_buffer", "pngsave_buffer", "webpsave_buffer"])
@pytest.mark.parametrize("sides", [(1013, 757), (17, 400), (3, 3), (1, 50)])
def test_odd_sources_give_exact_sides(save: str, sides: tuple[int, int]) -> None:
    content = getattr(noise(*sides), save)()
    plan = Plan(tuple(Size(w, w, "png", fit=fit) for w in (100, 49, 7, 1) for fit in ("cover", "contain")))
    for image in render(content, plan).images:
        result = read(image.content)
        assert (result.width, result.height) == (image.width, image.height)


def test_a_small_source_is_not_enlarged() -> None:
    plan = Plan((Size(400, 400, "png"), Size(400, 400, "png", fit="cover")))
    inside, cover = render(quadrants(60, 40).pngsave_buffer(), plan).images
    assert (inside.width, inside.height) == (60, 40)
    assert (cover.width, cover.height) == (40, 40)


def test_a_small_source_is_enlarged_when_asked() -> None:
    plan = Plan(tuple(Size(400, 400, "png", fit=fit, enlarge=True) for fit in ("contain", "cover")))
    inside, cover = (read(image.content) for image in render(quadrants(60, 40).pngsave_buffer(), plan).images)
    assert (inside.width, inside.height) == (400, 267)
    assert (cover.width, cover.height) == (400, 400)
    assert near(pixel(cover, 0.1, 0.1), RED)


def test_attention_finds_what_a_centre_crop_would_cut_off() -> None:
    scene = plain(1200, 300, (90, 90, 90)).insert(noise(200, 200), 950, 50)
    plan = Plan(tuple(Size(100, 100, "png", fit="cover", crop=crop) for crop in ("attention", "centre")))
    attention, centre = (read(image.content) for image in render(scene.pngsave_buffer(), plan).images)
    assert attention.deviate() > 10 > centre.deviate()


def test_a_gif_gives_its_first_frame() -> None:
    film = frames(plain(90, 60, RED), plain(90, 60, BLUE), plain(90, 60, GREEN))
    (image,) = render(film, Plan((Size(45, 45, "jpeg"),))).images
    result = read(image.content)
    assert (result.width, result.height) == (45, 30)
    assert near(pixel(result, 0.5, 0.5), RED)


def test_an_animated_webp_gives_its_first_frame() -> None:
    film = pyvips.Image.arrayjoin([plain(90, 60, RED), plain(90, 60, BLUE)], across=1)
    film = film.copy(interpretation="srgb")
    film.set_type(pyvips.GValue.gint_type, "page-height", 60)
    (image,) = render(film.webpsave_buffer(), Plan((Size(30, 30, "png"),))).images
    assert (image.width, image.height) == (30, 20)
    assert near(pixel(read(image.content), 0.5, 0.5)[:3], RED)


#: Inside sRGB, at its edge, and greens and reds that sRGB does not have: clipped channel by channel.
WIDE_COLOURS = ((180, 100, 60), (90, 140, 60), (40, 50, 190), (255, 255, 255), (0, 255, 0), (255, 0, 0))


@pytest.mark.parametrize("space", [ADOBE_RGB, DISPLAY_P3], ids=["adobe-rgb", "display-p3"])
@pytest.mark.parametrize("save", ["pngsave_buffer", "jpegsave_buffer"])
def test_a_wide_gamut_becomes_srgb_pixel_for_pixel(space: WideGamut, save: str) -> None:
    stripes = pyvips.Image.arrayjoin([plain(64, 64, colour) for colour in WIDE_COLOURS], across=6)
    options = {"Q": 100, "subsample_mode": "off"} if save == "jpegsave_buffer" else {}
    content = getattr(space.tagged(stripes.copy(interpretation="srgb")), save)(**options)
    (image,) = render(content, Plan((Size(384, 64, "png"),))).images
    result = read(image.content)
    for number, stored in enumerate(WIDE_COLOURS):
        shown = pixel(result, (number + 0.5) / 6, 0.5)
        assert near(shown, space.in_srgb(stored), 4), (stored, shown, space.in_srgb(stored))
    # The conversion is no formality: stored as they are, these would be other colours.
    assert not near(space.in_srgb(WIDE_COLOURS[1]), WIDE_COLOURS[1], 8)


@pytest.mark.parametrize("profile", [True, False])
def test_cmyk_becomes_srgb(profile: bool) -> None:
    cmyk = plain(400, 300, RED).icc_transform("cmyk", input_profile="srgb")
    content = cmyk.jpegsave_buffer(Q=95, profile="cmyk" if profile else "none")
    (image,) = render(content, Plan((Size(40, 40, "png", fit="cover", crop="attention"),))).images
    result = read(image.content)
    assert (result.bands, result.interpretation) == (3, "srgb")
    assert near(pixel(result, 0.5, 0.5), RED, 25)


def test_a_broken_colour_profile_does_not_cost_the_picture() -> None:
    picture = plain(64, 64, RED)
    picture.set_type(pyvips.GValue.blob_type, "icc-profile-data", b"this is no profile" * 20)
    (image,) = render(picture.jpegsave_buffer(Q=95), Plan((Size(32, 32, "png"),))).images
    assert near(pixel(read(image.content), 0.5, 0.5), RED)


@pytest.mark.parametrize("format_", ["png", "jpeg", "webp"])
def test_sixteen_bits_and_grey_come_out_in_eight(format_: Format) -> None:
    deep = (plain(80, 60, RED).cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")
    grey = (plain(80, 60, (100,)).cast("ushort") * 257).cast("ushort").copy(interpretation="grey16")
    for picture, expected in ((deep, RED), (grey, (100, 100, 100))):
        (image,) = render(picture.pngsave_buffer(bitdepth=16), Plan((Size(40, 40, format_),))).images
        result = read(image.content)
        assert result.format == "uchar"
        colour = pixel(result, 0.5, 0.5)
        assert near(colour * 3 if len(colour) == 1 else colour, expected)


def test_hidden_colour_does_not_bleed_out_of_transparency() -> None:
    # Stripes of opaque white and of fully transparent red: without premultiplying, the mix is pink.
    stripe = plain(1, 64, (255, 255, 255, 255)).join(plain(1, 64, (255, 0, 0, 0)), "horizontal")
    (image,) = render(stripe.replicate(64, 1).pngsave_buffer(), Plan((Size(16, 16, "png"),))).images
    red, green, blue, alpha = pixel(read(image.content), 0.5, 0.5)
    assert min(red, green, blue) > 250
    assert 110 < alpha < 145


def test_opaque_pixels_of_a_picture_with_alpha_stay_as_they_are() -> None:
    (image,) = render(plain(64, 64, (*RED, 255)).pngsave_buffer(), Plan((Size(64, 64, "png"),))).images
    assert pixel(read(image.content), 0.5, 0.5) == (*RED, 255)


def test_a_large_interlaced_png_is_rendered() -> None:
    content = quadrants(6000, 4000).pngsave_buffer(interlace=True, compression=1)
    (image,) = render(content, Plan((Size(300, 300, "png"),))).images
    result = read(image.content)
    assert (result.width, result.height) == (300, 200)
    assert near(pixel(result, 0.2, 0.2), RED)


def test_a_fine_picture_is_reduced_from_more_pixels() -> None:
    # Lines three pixels apart: a decoder that shrinks by two mixes them, the Lanczos filter does not.
    line = plain(3, 1500, (255, 255, 255)).draw_rect([0, 0, 0], 0, 0, 1, 1500, fill=True)
    source = line.replicate(667, 1).crop(0, 0, 2000, 1500)
    content = source.jpegsave_buffer(Q=95)
    reference = read(content).resize(0.4, kernel="lanczos3")
    errors = []
    for quality in (80, 90):
        plan = Plan((Size(800, 600, "png", quality=quality),))
        difference = reference - read(render(content, plan).images[0].content)
        errors.append((difference * difference).avg())
    coarse, fine = errors
    assert fine < 1 < coarse
