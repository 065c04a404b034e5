"""One decision at a time: how many worker processes, and the reason with its figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import ConfigurationError, InvalidOptions
from corral.observe.standing import QueueStanding, Recent
from corral.policy import Objective, RateLimit
from corral.worker.autoscale import (
    Bounds,
    Decision,
    Demand,
    Pace,
    Past,
    Situation,
    decide,
    need_of,
    wanted_processes,
)

BOUNDS = Bounds(least=1, most=10)
PACE = Pace(up=60, down=120)


def demand(
    waiting: int = 0,
    per_second: float = 0.0,
    *,
    active: int = 60,
    age: float | None = None,
    live: int = 3,
    paused: bool = False,
    held: dict[str, int] | None = None,
    **options: Any,
) -> Demand:
    """All slots of three processes are busy, unless told otherwise."""
    standing = QueueStanding(
        queue="kyc-verification",
        counts={"waiting": waiting, "active": active},
        oldest_waiting_seconds=age,
        recent=Recent(window_seconds=100, completed=round(per_second * 100)),
        paused=paused,
        held=held or {},
    )
    return Demand(standing=standing, objective=Objective(), live=live, **options)


def situation(*demands: Demand, processes: int = 3, at: float = 1_000.0, **more: Any) -> Situation:
    return Situation(at=at, processes=processes, demands=demands, **more)


def once(now: Situation, past: Past | None = None) -> Decision:
    return decide(now, BOUNDS, PACE, past or Past())[0]


def test_the_reason_names_the_queue_and_its_figures() -> None:
    decision = once(situation(demand(1_840, 20)))
    assert (decision.before, decision.after, decision.queue) == (3, 6, "kyc-verification")
    assert decision.reason == "3→6: kyc-verification backlog 1,840, drain 92 s > 30 s; cooldown 60 s"
    assert decision.news


def test_it_grows_to_what_would_meet_the_objective() -> None:
    assert once(situation(demand(1_000, 20))).after == 5  # 50 s with three, 30 s with five


def test_the_queue_that_needs_most_decides() -> None:
    other = demand(1_000, 20)
    other = replace(other, standing=replace(other.standing, queue="email"))
    assert once(situation(other, demand(1_840, 20))).queue == "kyc-verification"


def test_old_jobs_that_others_overtake_get_one_process_more() -> None:
    decision = once(situation(demand(100, 20, age=90)))
    assert decision.after == 4
    assert "drain 5 s ≤ 30 s, oldest 90 s > 60 s" in decision.reason


def test_long_jobs_of_which_none_ended_count_by_their_age() -> None:
    assert once(situation(demand(100, 0, age=10))).after == 3
    decision = once(situation(demand(100, 0, age=61)))
    assert decision.after == 6
    assert "nothing ends, oldest 61 s > 60 s" in decision.reason


@pytest.mark.parametrize(
    ("seen", "obstacle", "words"),
    [
        (demand(900, 0, paused=True, age=90), "paused", "the queue is paused"),
        (demand(900, 0, held={"onfido": 1_200}, age=90), "held", "jobs are held (1,200 by onfido)"),
        (
            demand(900, 1.6, rate_limit=RateLimit(100, per=60)),
            "rate limit",
            "its rate limit of 100 jobs per 60 s binds",
        ),
        (
            demand(900, 0.1, rate_limit=RateLimit(100, per=60), rate_limited_seconds=12),
            "rate limit",
            "its rate limit of 100 jobs per 60 s binds",
        ),
        (demand(900, 2, concurrency=60), "concurrency", "its global concurrency of 60 jobs binds"),
        (
            demand(900, 2, active=4),
            "slots free",
            "4 of 60 slots are busy, so something else keeps the jobs",
        ),
    ],
)
def test_it_says_what_binds_instead_of_growing(seen: Demand, obstacle: str, words: str) -> None:
    decision = once(situation(seen))
    assert (decision.after, decision.obstacle) == (3, obstacle)
    assert decision.reason.startswith("stays 3: kyc-verification backlog 900")
    assert decision.reason.endswith(f"more processes would not help: {words}")


def test_free_slots_do_not_matter_where_the_processor_is_full() -> None:
    assert once(situation(demand(900, 2, active=4), cpu_share=0.95)).after == 6


def test_the_slots_of_a_process_that_was_just_added_may_be_free() -> None:
    beside = demand(900, 2, active=4)
    assert once(situation(beside), Past(grown_at=970)).obstacle == ""
    assert once(situation(beside), Past(grown_at=930)).obstacle == "slots free"


def test_a_limit_caps_what_is_asked_for() -> None:
    assert once(situation(demand(9_000, 20, concurrency=70))).after == 4
    assert once(situation(demand(9_000, 20, rate_limit=RateLimit(24)))).after == 4


@pytest.mark.parametrize("counts", [{"delayed": 9_000}, {"completed": 5, "failed": 9_000}, {}])
def test_delayed_and_ended_jobs_ask_for_nothing(counts: dict[str, int]) -> None:
    standing = QueueStanding(queue="q", counts=counts)
    need = need_of(Demand(standing=standing, objective=Objective()))
    assert (need.grow, need.keep) == (0.0, 0.0)


def test_cooldown_maximum_and_memory_are_told_once() -> None:
    busy = demand(1_840, 20)
    for now, past, obstacle in (
        (situation(busy), Past(grown_at=950), "cooldown"),
        (situation(busy, processes=10), Past(), "maximum"),
        (situation(busy, room=0), Past(), "memory"),
    ):
        first, after = decide(now, BOUNDS, PACE, past)
        again, _ = decide(replace(now, at=now.at + 5), BOUNDS, PACE, after)
        assert (first.obstacle, first.news, again.news) == (obstacle, True, False)
        assert first.after == first.before


def test_what_was_told_is_told_again_after_a_time_without_it() -> None:
    now = situation(demand(1_840, 20), room=0)
    _, past = decide(now, BOUNDS, PACE, Past())
    assert decide(replace(now, at=now.at + 121), BOUNDS, PACE, past)[0].news


def test_it_takes_no_more_than_the_host_has_room_for() -> None:
    assert once(situation(demand(1_840, 20), room=1)).after == 4


def test_it_shrinks_by_a_quarter_after_a_calm_without_a_break() -> None:
    idle = demand(active=2)
    first, past = decide(situation(idle, processes=9, at=0), BOUNDS, PACE, Past())
    early, past = decide(situation(idle, processes=9, at=119), BOUNDS, PACE, past)
    assert (first.after, early.after) == (9, 9)
    later, past = decide(situation(idle, processes=9, at=120), BOUNDS, PACE, past)
    assert (later.after, later.reason) == (7, "9→7: 1 would have been enough for 120 s")
    next_one, _ = decide(situation(idle, processes=7, at=125), BOUNDS, PACE, past)
    assert next_one.after == 7


def test_a_break_in_the_calm_starts_it_anew() -> None:
    idle = demand(active=2)
    _, past = decide(situation(idle, at=0), BOUNDS, PACE, Past())
    _, past = decide(situation(demand(active=58), at=60), BOUNDS, PACE, past)
    assert decide(situation(idle, at=121), BOUNDS, PACE, past)[0].after == 3


def test_what_was_just_added_is_not_taken_away_at_once() -> None:
    past = Past(grown_at=100, calm_since=0)
    assert decide(situation(demand(active=2), at=219), BOUNDS, PACE, past)[0].after == 3
    assert decide(situation(demand(active=2), at=220), BOUNDS, PACE, past)[0].after == 2


def test_it_does_not_shrink_into_missing_the_objective() -> None:
    calm = Past(calm_since=0)
    assert once(situation(demand(500, 20, active=20)), calm).after == 3  # 25 s: near the objective
    assert once(situation(demand(active=45)), calm).after == 3  # two would have 45 of 40 slots busy


def test_processes_that_wait_for_a_paused_queue_may_go() -> None:
    assert once(situation(demand(9_000, paused=True, active=0, age=900)), Past(calm_since=0)).after == 2


@pytest.mark.parametrize(("count", "after"), [(0, 1), (14, 10)])
def test_it_comes_back_into_its_bounds_at_once(count: int, after: int) -> None:
    assert once(situation(demand(), processes=count)).after == after


def test_frozen_it_changes_nothing() -> None:
    decision = once(situation(demand(1_840, 20), frozen="a process of this host was made quiet"))
    assert (decision.after, decision.obstacle) == (3, "frozen")


@given(
    waiting=st.integers(0, 10**7),
    rate=st.floats(0, 10**4),
    active=st.integers(0, 10**4),
    age=st.none() | st.floats(0, 10**7),
    live=st.integers(0, 500),
    processes=st.integers(1, 10),
    cpu=st.floats(0, 1),
    room=st.integers(0, 64),
    calm=st.none() | st.just(0.0),
)
def test_whatever_it_sees_it_keeps_its_word(
    waiting: int,
    rate: float,
    active: int,
    age: float | None,
    live: int,
    processes: int,
    cpu: float,
    room: int,
    calm: float | None,
) -> None:
    seen = demand(waiting, rate, active=active, age=age, live=live)
    now = situation(seen, processes=processes, cpu_share=cpu, room=room)
    decision, past = decide(now, BOUNDS, PACE, Past(calm_since=calm))
    assert 1 <= decision.after <= 10
    assert decision.after <= min(2 * processes, processes + room)
    assert decision.after >= processes - max(1, processes // 4)
    assert not (decision.obstacle and decision.after != processes)
    again, _ = decide(replace(now, processes=decision.after), BOUNDS, PACE, past)
    assert again.after == decision.after  # nothing follows at the same moment
    assert 0 <= wanted_processes(seen) < 10**12


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        (demand(0, 0, active=0), 0),
        (demand(5, 0, active=0, live=0), 1),
        (demand(1_840, 20), 10),
        (demand(1_840, 20, concurrency=60), 3),
        (demand(0, 20, active=20), 2),
        (demand(500, 20, active=58), 3),  # in between: as it is
        (demand(0, 0, active=1), 1),
    ],
)
def test_for_an_autoscaler_outside(seen: Demand, wanted: int) -> None:
    assert wanted_processes(seen) == wanted


def test_delayed_jobs_need_somebody_who_wakes_them() -> None:
    standing = QueueStanding(queue="q", counts={"delayed": 4})
    assert wanted_processes(Demand(standing=standing, objective=Objective(), live=5)) == 1


@pytest.mark.parametrize(("text", "bounds"), [("4", (4, 4)), (2, (2, 2)), ("1..8", (1, 8)), ("3..3", (3, 3))])
def test_processes_are_a_number_or_a_range(text: str, bounds: tuple[int, int]) -> None:
    parsed = Bounds.parse(text)
    assert (parsed.least, parsed.most) == bounds
    assert parsed.fixed == (bounds[0] == bounds[1])


@pytest.mark.parametrize(
    "text", ["", "many", "1..", "..4", "8..1", "0", "0..3", "1..65", "1..2..3", "-1", "1.5"]
)
def test_other_numbers_of_processes_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--processes"):
        Bounds.parse(text)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_an_objective_is_some_seconds(seconds: float) -> None:
    with pytest.raises(InvalidOptions):
        Objective(drain=seconds)
    with pytest.raises(InvalidOptions):
        Objective(age=seconds)
