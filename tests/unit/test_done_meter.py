"""How many attempts a second a worker ended of late."""

from __future__ import annotations

import pytest

from corral.worker.done import DoneMeter


def test_the_first_look_has_nothing_to_compare_with() -> None:
    meter = DoneMeter()
    assert meter.note(100, 0) is None
    assert meter.note(105, 50) == pytest.approx(10)


def test_the_window_slides() -> None:
    meter = DoneMeter(30)
    counts = [*range(0, 700, 100), 600, 600, 600]  # 20 a second for half a minute, then nothing
    seen = [meter.note(5.0 * number, count) for number, count in enumerate(counts)]
    assert seen[6] == pytest.approx(20)
    assert seen[7:] == [pytest.approx(expected) for expected in (500 / 30, 400 / 30, 300 / 30)]


def test_after_a_long_silence_nothing_is_known_until_the_next_look() -> None:
    meter = DoneMeter(30)
    meter.note(0, 0)
    assert meter.note(31, 1_000) is None  # how much of it was of late?
    assert meter.note(36, 1_010) == pytest.approx(2)
