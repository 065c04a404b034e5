"""The scaling decision over recorded shapes of load: it helps, it does not flap, it keeps its bounds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from load_model import LOOK_SECONDS, Model, Run, Shape

from corral.policy import RateLimit
from corral.worker.autoscale import Bounds

#: With 20 slots and jobs of 0.2 s, one process does 100 a second.
WORK: Shape = ((1, 0.2),)
HOUR = 3_600

SPIKE: Shape = ((300, 20), (60, 600), (HOUR, 20))
RAMP: Shape = (*((60, 25.0 * step) for step in range(40)), *((60, 25.0 * step) for step in range(40, -1, -1)))
STEADY: Shape = ((HOUR, 420),)
NEAR_THE_EDGE: Shape = tuple((7, load) for load in (97, 104, 95, 108, 99, 101, 93, 106) * 60)
FLAP: Shape = ((45, 350), (45, 10)) * 40
IDLE_NIGHT: Shape = ((600, 350), (6 * HOUR, 0.02))
DAY: Shape = tuple((600, load) for load in (5, 20, 80, 250, 600, 900, 700, 400, 500, 300, 90, 20, 5, 1, 1, 1))
SHAPES = {
    "spike": SPIKE,
    "ramp": RAMP,
    "steady": STEADY,
    "near the edge": NEAR_THE_EDGE,
    "flap": FLAP,
    "idle night": IDLE_NIGHT,
    "day": DAY,
}


def run(shape: str) -> Run:
    return Model(arrivals=SHAPES[shape], work=WORK).run()


@pytest.mark.parametrize("shape", SHAPES)
def test_it_keeps_its_bounds_and_its_steps(shape: str) -> None:
    seen = Model(arrivals=SHAPES[shape], work=WORK, bounds=Bounds(least=2, most=7)).run()
    assert set(seen.counts) <= set(range(2, 8))
    for _, decision in seen.changes:
        assert decision.after <= 2 * decision.before
        assert decision.after >= decision.before - max(1, decision.before // 4)


@pytest.mark.parametrize("shape", SHAPES)
def test_between_two_growths_lies_the_cooldown(shape: str) -> None:
    grown = [second for second, each in run(shape).changes if each.after > each.before]
    assert all(later - earlier >= 15 for earlier, later in pairwise(grown))


def test_after_a_spike_the_objective_is_met_again_soon_and_the_processes_go() -> None:
    seen = run("spike")
    assert max(seen.counts) >= 4
    assert seen.missed
    missed_from, missed_to = seen.missed[0], seen.missed[-1]
    assert seen.decisions_between(missed_from, missed_to + 1) <= 16
    assert seen.counts[-1] == 1
    assert seen.turns == 1


def test_a_ramp_is_followed_up_and_down_without_turning() -> None:
    seen = run("ramp")
    assert 10 <= max(seen.counts) <= 16
    assert seen.turns == 1
    assert seen.counts[-1] <= 3
    longest = max((len(part) for part in _stretches(seen.missed)), default=0)
    assert longest <= 12 * LOOK_SECONDS


def test_a_steady_load_settles() -> None:
    seen = run("steady")
    assert all(second < 600 for second, _ in seen.changes)
    assert 5 <= seen.counts[-1] <= 7
    assert not [second for second in seen.missed if second > 300]


def test_a_load_around_the_edge_of_what_one_process_does_changes_little() -> None:
    assert len(run("near the edge").changes) <= 3


def test_a_load_that_comes_and_goes_does_not_make_processes_come_and_go() -> None:
    seen = run("flap")
    assert seen.turns <= 1
    assert len(seen.changes) <= 6
    assert not [second for second in seen.missed if second > 600]


def test_an_idle_night_needs_the_least() -> None:
    seen = run("idle night")
    assert max(seen.counts) > 1
    assert set(seen.counts[2 * HOUR :]) == {1}
    assert not [second for second, _ in seen.changes if second > 2 * HOUR]


def test_a_day_turns_no_oftener_than_the_load() -> None:
    assert run("day").turns <= 3


def test_a_slow_provider_is_met_with_more_processes_that_go_when_it_is_well_again() -> None:
    seen = Model(arrivals=((2 * HOUR, 60),), work=((600, 0.2), (1_200, 2.0), (1, 0.2))).run()
    assert max(seen.counts) >= 6
    assert seen.turns == 1
    assert seen.counts[-1] == 1
    assert not [second for second in seen.missed if 900 < second < 1_800]


def test_a_provider_that_answers_nothing_for_long_is_grown_for_only_to_the_most() -> None:
    seen = Model(arrivals=((900, 60), (HOUR, 0)), work=((300, 0.2), (600, 30.0), (1, 0.2))).run()
    assert max(seen.counts) == 16
    assert seen.counts[-1] == 1
    assert [each.obstacle for each in seen.news].count("maximum") == 1


@pytest.mark.parametrize(
    ("options", "obstacle"),
    [
        ({"rate_limit": RateLimit(100, per=10.0)}, "rate limit"),
        ({"concurrency": 10}, "concurrency"),
        ({"paused": ((60, 0), (1_200, 1), (1, 0))}, "paused"),
        ({"room": 0}, "memory"),
    ],
)
def test_where_more_processes_cannot_help_none_come_and_it_is_told_once(
    options: dict[str, object], obstacle: str
) -> None:
    seen = Model(arrivals=((900, 150), (1, 0)), work=WORK, **options).run()  # type: ignore[arg-type]  # a table
    assert set(seen.counts) == {1}
    assert seen.missed
    assert [each.obstacle for each in seen.news if each.obstacle == obstacle] == [obstacle]
    assert len(seen.news) <= 3


def test_growth_ends_where_the_limit_binds() -> None:
    seen = Model(arrivals=((HOUR, 900),), work=WORK, rate_limit=RateLimit(400)).run()
    assert 4 <= max(seen.counts) <= 6
    assert "rate limit" in {each.obstacle for each in seen.news}


def test_held_jobs_are_grown_for_neither_while_held_nor_when_they_trickle_back() -> None:
    seen = Model(arrivals=((HOUR, 40),), work=WORK, held=((300, 0), (1_200, 1), (1, 0))).run()
    assert set(seen.counts) == {1}
    assert seen.news == []


def _stretches(seconds: list[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for second in seconds:
        if found and found[-1][-1] == second - 1:
            found[-1].append(second)
        else:
            found.append([second])
    return found
