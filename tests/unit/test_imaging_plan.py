"""Plans, presets and what they refuse."""

from __future__ import annotations

import subprocess
import sys

import pytest

from corral.errors import InvalidOptions
from corral.imaging.plan import Plan, Size, Wanted, plan_for


def test_a_profile_picture_fills_its_frame_around_what_is_looked_at() -> None:
    (size,) = plan_for("profile", [Wanted(256, 256, "webp")]).sizes
    assert (size.width, size.height, size.format, size.fit, size.crop) == (
        256,
        256,
        "webp",
        "cover",
        "attention",
    )


@pytest.mark.parametrize("picture", ["moment", "proof"])
def test_a_moment_and_a_proof_are_shown_whole(picture: str) -> None:
    (size,) = plan_for(picture, [Wanted(256, 256, "jpeg")]).sizes  # type: ignore[arg-type]  # a literal, by parameter
    assert size.fit == "contain"


def test_a_size_may_ask_for_another_fit_than_its_type() -> None:
    wanted = Wanted(9, 9, "webp", "contain"), Wanted(9, 9, "webp", "cover", enlarge=True)
    sizes = plan_for("profile", wanted).sizes
    assert [(size.fit, size.enlarge) for size in sizes] == [("contain", False), ("cover", True)]


def test_an_avif_is_not_asked_for_in_sides_that_take_seconds() -> None:
    assert Size(2048, 2048, "avif").format == "avif"
    with pytest.raises(InvalidOptions, match="at most 2048"):
        Size(2049, 10, "avif")


def test_a_proof_has_the_highest_quality() -> None:
    by_type = {
        name: plan_for(name, [Wanted(9, 9, "jpeg")]).sizes[0].quality
        for name in ("profile", "moment", "proof")
    }
    assert by_type["proof"] >= 90 > max(by_type["profile"], by_type["moment"])


def test_one_fine_size_makes_the_whole_decode_fine() -> None:
    assert not Plan((Size(9, 9, quality=80), Size(5, 5, quality=89))).fine
    assert Plan((Size(9, 9, quality=80), Size(5, 5, quality=90))).fine


@pytest.mark.parametrize("side", [0, -1, 4097])
def test_a_side_out_of_range_is_refused_by_name(side: int) -> None:
    with pytest.raises(InvalidOptions, match=f"{side}x10.*1 to 4096"):
        Size(side, 10)
    with pytest.raises(InvalidOptions, match=f"10x{side}.*1 to 4096"):
        Size(10, side)


@pytest.mark.parametrize("count", [0, 9])
def test_a_plan_has_one_to_eight_sizes(count: int) -> None:
    with pytest.raises(InvalidOptions, match=f"this one {count}"):
        Plan((Size(10, 10),) * count)


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_out_of_range_is_refused(quality: int) -> None:
    with pytest.raises(InvalidOptions, match="quality"):
        Size(10, 10, quality=quality)


def test_asking_for_pictures_does_not_load_the_image_library() -> None:
    # What is not loaded into the worker cannot be attacked there.
    code = "import sys, corral.imaging.pool, corral.imaging.plan; sys.exit('pyvips' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
