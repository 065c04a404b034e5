"""Where the pixels of each size come from."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.imaging.geometry import Placement, Sides, block_shrink, parents, place, shrink_on_load
from corral.imaging.plan import Size

sides = st.builds(Sides, st.integers(1, 30_000), st.integers(1, 30_000))
sizes = st.builds(
    Size,
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    fit=st.sampled_from(["cover", "contain"]),
)


@pytest.mark.parametrize(
    ("source", "size", "out"),
    [
        ((4000, 3000), Size(800, 800), (800, 600)),
        ((3000, 4000), Size(800, 800), (600, 800)),
        ((4000, 3000), Size(800, 800, fit="cover"), (800, 800)),
        ((4000, 3000), Size(1600, 1200), (1600, 1200)),
        ((640, 480), Size(800, 800), (640, 480)),
        ((640, 480), Size(800, 800, fit="cover"), (480, 480)),
        ((300, 100), Size(200, 200, fit="cover"), (100, 100)),
        ((300, 100), Size(400, 100, fit="cover"), (300, 75)),
        ((30_000, 1), Size(100, 100), (100, 1)),
        ((1, 1), Size(4096, 4096, fit="cover"), (1, 1)),
    ],
)
def test_result_sides(source: tuple[int, int], size: Size, out: tuple[int, int]) -> None:
    assert place(Sides(*source), size).out == out


@pytest.mark.parametrize(
    ("size", "out"),
    [
        (Size(800, 800, enlarge=True), (800, 600)),
        (Size(800, 800, fit="cover", enlarge=True), (800, 800)),
        (Size(80, 80, enlarge=True), (80, 60)),
    ],
)
def test_result_sides_when_enlarging_was_asked_for(size: Size, out: tuple[int, int]) -> None:
    assert place(Sides(640, 480), size).out == out


@given(source=sides, size=sizes)
def test_nothing_is_enlarged_unless_asked(source: Sides, size: Size) -> None:
    placement = place(source, size)
    assert placement.out == placement.crop
    _assert_bounded(placement, source, size)


@given(source=sides, size=sizes)
def test_enlarging_never_makes_a_stage_larger_than_its_source(source: Sides, size: Size) -> None:
    # A 10 x 10,000 strip enlarged to cover 4096 x 4096 before it is cropped would be 16 gigapixels.
    _assert_bounded(place(source, replace(size, enlarge=True)), source, size)


def _assert_bounded(placement: Placement, source: Sides, size: Size) -> None:
    for axis in (0, 1):
        assert 1 <= placement.crop[axis] <= placement.stage[axis] <= source[axis]
        assert 1 <= placement.out[axis] <= (size.width, size.height)[axis]


def test_small_stages_come_from_larger_ones() -> None:
    large, middle, small = Sides(1600, 1200), Sides(800, 600), Sides(200, 150)
    assert parents([small, large, middle, small]) == {large: None, middle: large, small: middle}


def test_stages_closer_than_a_factor_of_two_both_come_from_the_source() -> None:
    large, close, small = Sides(1600, 1200), Sides(1000, 750), Sides(500, 375)
    assert parents([large, close, small]) == {large: None, close: None, small: close}


@pytest.mark.parametrize(
    ("width", "shrink", "fine"),
    [
        (4000, 1, 1),
        (1601, 1, 1),
        (1600, 2, 1),
        (1000, 2, 2),
        (801, 2, 2),
        (800, 4, 2),
        (400, 8, 4),
        (250, 8, 8),
    ],
)
def test_a_jpeg_is_shrunk_on_load_with_reduction_to_spare(width: int, shrink: int, fine: int) -> None:
    source, largest = Sides(4000, 3000), Sides(width, width * 3 // 4)
    assert shrink_on_load(source, largest, 1.25) == shrink
    assert shrink_on_load(source, largest, 2) == fine


@given(source=sides, size=sizes, margin=st.sampled_from([1.25, 2]))
def test_shrinking_on_load_leaves_enough_for_the_largest_stage(
    source: Sides, size: Size, margin: float
) -> None:
    stage = place(source, size).stage
    shrink = shrink_on_load(source, stage, margin)
    assert shrink == 1 or source.width / shrink >= margin * stage.width
    assert shrink == 1 or source.height / shrink >= margin * stage.height


def test_the_base_of_several_stages_stays_twice_as_large_as_the_largest() -> None:
    assert block_shrink(Sides(8000, 6000), Sides(1000, 750)) == 4
    assert block_shrink(Sides(8000, 6000), Sides(1100, 825)) == 3
    assert block_shrink(Sides(8000, 6000), Sides(8000, 6000)) == 1
