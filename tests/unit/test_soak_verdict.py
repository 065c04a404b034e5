"""The verdict of a soak can fail: what is lost, doubled, forged or left over is found, by its number."""

from __future__ import annotations

from dataclasses import replace

import pytest
from bench.soak.ledger import Answer, Book, Run, Trouble
from bench.soak.plan import FaultKind
from bench.soak.verdict import RESENT, Held, judge, shape

#: Numbers 0, 3, … are Python's, 1, 4, … HTTP's, 2, 5, … Node's. 99 is hopeless.
WORKER, OTHER = 501, 502


def answer(number: int, job: str | None = "same", at: float = 10.0) -> Answer:
    return Answer(number, "python", f"j{number}" if job == "same" else job, at)


def run(number: int, began: float = 10.0, process: int = WORKER, job: str | None = None) -> Run:
    return Run(number, job or f"j{number}", 1, process, began, began + 1)


def book(*rows: Answer | Run | Trouble) -> Book:
    """Each run has begun and had its effect."""
    runs = tuple(row for row in rows if isinstance(row, Run))
    return Book(
        answers=tuple(row for row in rows if isinstance(row, Answer)),
        begun=runs,
        effects=tuple(one for one in runs if one.ended is not None),
        troubles=tuple(row for row in rows if isinstance(row, Trouble)),
        memory=(),
    )


def test_each_done_once_is_good() -> None:
    verdict = judge(book(answer(0), run(0), answer(1), run(1)), [])
    assert verdict.good
    assert (verdict.answered, verdict.once, verdict.accounted) == (2, 2, 2)


def test_an_answered_job_that_is_nowhere_is_lost() -> None:
    verdict = judge(book(answer(0), run(0), answer(1)), [])
    assert verdict.lost == [1]
    assert not verdict.good
    assert verdict.accounted == 2


def test_a_fault_excuses_no_loss() -> None:
    away = Trouble(FaultKind.REDIS_KILL, 9, 12)
    assert judge(book(answer(1), away), []).lost == [1]


def test_what_a_replaced_master_had_answered_may_be_lost_and_is_counted_apart() -> None:
    failover = Trouble(FaultKind.FAILOVER_FREEZE, 9.0, 9.5, over=11.0)
    verdict = judge(book(answer(0, at=10.9), answer(3, at=11.1), answer(6, at=6.9), failover), [])
    assert verdict.lost_with_master == {"python": [0]}
    assert verdict.lost == [3, 6]


def test_an_unanswered_add_is_neither_lost_nor_unexpected() -> None:
    verdict = judge(book(answer(0, None), answer(1, None), run(1)), [])
    assert verdict.good
    assert (verdict.answered, verdict.unanswered, verdict.unanswered_done) == (0, 2, 1)


def test_an_add_that_was_answered_late_counts_as_answered() -> None:
    verdict = judge(book(answer(0, None), answer(0)), [])
    assert verdict.lost == [0]
    assert verdict.unanswered == 0


def test_what_is_still_in_redis_is_unfinished_not_lost() -> None:
    verdict = judge(book(answer(0)), [Held(0, "j0", "delayed")])
    assert verdict.unfinished == [(0, "delayed")]
    assert verdict.lost == []
    assert not verdict.good


def test_a_second_effect_without_a_fault_is_found() -> None:
    verdict = judge(book(answer(0), run(0), run(0, 20, OTHER)), [])
    assert verdict.unexplained == [0]
    assert not verdict.good


def test_one_of_an_add_that_was_not_answered_is_found_too() -> None:
    assert judge(book(answer(0, None), run(0), run(0, 20, OTHER)), []).unexplained == [0]


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (Trouble(FaultKind.WORKER_KILL, 10.5, 10.5, WORKER), "its process was killed while it ran"),
        (Trouble(FaultKind.WORKER_FREEZE, 10.5, 30, WORKER), "its process was frozen while it ran"),
        (Trouble(FaultKind.WORKER_CUT, 5, 9, WORKER), "its process was cut off while it ran"),
        (Trouble(FaultKind.REDIS_KILL, 12, 13), "Redis was away when it ended"),
        (Trouble(FaultKind.FAILOVER_KILL, 12, 13), "Redis failed over"),
    ],
)
def test_a_fault_that_hit_the_first_run_explains_the_second(trouble: Trouble, reason: str) -> None:
    assert judge(book(answer(0), run(0), run(0, 40, OTHER), trouble), []).twice == {reason: [0]}


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(FaultKind.WORKER_KILL, 10.5, 10.5, OTHER),  # another process
        Trouble(FaultKind.WORKER_KILL, 14, 14, WORKER),  # its end had long been written
        Trouble(FaultKind.WORKER_FREEZE, 1, 4, WORKER),  # over before it began
        Trouble(FaultKind.REDIS_FREEZE, 20, 25),  # after the first, during the second
        Trouble(FaultKind.WORKER_STOP, 10.5, 11, WORKER),  # it has time to end
        Trouble(FaultKind.DEPLOY, 9, 20),
        Trouble(FaultKind.API_KILL, 9, 20),
        Trouble(FaultKind.CLOCK, 9, 20),
    ],
)
def test_any_other_fault_does_not(trouble: Trouble) -> None:
    assert judge(book(answer(0), run(0), run(0, 20, OTHER), trouble), []).unexplained == [0]


def test_of_three_effects_each_but_the_last_needs_a_reason() -> None:
    killed = Trouble(FaultKind.WORKER_KILL, 10.5, 10.5, WORKER)
    runs = run(0), run(0, 20, OTHER), run(0, 30, OTHER)
    assert judge(book(answer(0), *runs, killed), []).unexplained == [0]
    again = replace(killed, began=20.5, ended=20.5, process=OTHER)
    assert judge(book(answer(0), *runs, killed, again), []).good


def test_a_frozen_run_may_end_after_the_one_that_took_its_place() -> None:
    frozen = Trouble(FaultKind.WORKER_FREEZE, 10.5, 30, WORKER)
    late = replace(run(0), ended=30.0)
    assert judge(book(answer(0), run(0, 25, OTHER), late, frozen), []).good


def test_a_fault_of_the_second_run_explains_it_only_if_the_first_was_not_written() -> None:
    killed = Trouble(FaultKind.WORKER_KILL, 20.5, 20.5, OTHER)
    assert judge(book(answer(0), run(0), run(0, 20, OTHER), killed), []).unexplained == [0]


def test_the_same_effect_written_twice_is_a_forgery() -> None:
    away = Trouble(FaultKind.REDIS_KILL, 10.5, 12)
    assert judge(book(answer(0), run(0), run(0), away), []).unexplained == [0]


def test_two_jobs_of_one_number_are_allowed_to_ioredis_alone() -> None:
    twice = run(2), run(2, 20, OTHER, "another")
    assert judge(book(answer(2), *twice), []).twice == {RESENT: [2]}
    corral = run(0), run(0, 20, OTHER, "another")
    assert judge(book(answer(0), *corral), []).unexplained == [0]


def test_an_effect_of_a_number_that_nobody_added_is_found() -> None:
    verdict = judge(book(answer(0), run(0), run(1)), [])
    assert verdict.invented == [1]
    assert not verdict.good


def test_a_hopeless_job_belongs_into_the_dead_letters_and_no_other_does() -> None:
    dead = [Held(99, "j99", "failed", "number 99 is hopeless"), Held(0, "j0", "failed", "ValueError: x")]
    begun = replace(run(99), ended=None), replace(run(0), ended=None)
    verdict = judge(book(answer(99), answer(0), *begun), dead)
    assert verdict.dead == {"number … is hopeless": [99]}
    assert verdict.dead_wrongly == [0]
    assert not verdict.good


KILLER = "The process died or stalled 2 times while it ran this job."


def hits(*times: tuple[float, int]) -> list[Trouble]:
    return [Trouble(FaultKind.WORKER_KILL, at, at, process) for at, process in times]


def test_one_may_be_taken_for_a_killer_whose_second_process_was_killed_while_it_ran() -> None:
    dead = [Held(0, "j0", "failed", KILLER)]
    begun = [replace(run(0, at, process), ended=None) for at, process in ((10, WORKER), (30, OTHER))]
    first, second = hits((10.5, WORKER), (30.5, OTHER))
    verdict = judge(book(answer(0), *begun, first, second), dead)
    assert verdict.good
    assert list(verdict.dead.values()) == [[0]]
    assert verdict.accounted == 1


@pytest.mark.parametrize(
    ("runs", "faults"),
    [
        ([], [(10.5, WORKER), (30.5, OTHER)]),  # no handler ever began it
        ([(10, WORKER)], [(10.5, WORKER), (30.5, OTHER)]),  # only waited in the second process
        ([(10, WORKER), (30, OTHER)], [(30.5, OTHER)]),  # one fault
        ([(10, WORKER), (30, OTHER)], [(10.5, WORKER), (30.5, WORKER)]),  # the second hit another process
        ([(10, WORKER), (30, OTHER)], [(10.5, WORKER), (40, OTHER)]),  # after it had ended
    ],
)
def test_no_other_may(runs: list[tuple[float, int]], faults: list[tuple[float, int]]) -> None:
    begun = [replace(run(0, at, process), ended=None) for at, process in runs]
    verdict = judge(book(answer(0), *begun, *hits(*faults)), [Held(0, "j0", "failed", KILLER)])
    assert (verdict.dead_wrongly, verdict.condemned_wrongly) == ([0], [0])
    assert not verdict.good


def test_one_fault_condemns_one_job_of_a_process_at_most() -> None:
    """As it was before suspects ran one at a time: two that shared both processes."""
    begun = [
        replace(run(n, at, process), ended=None)
        for n in (0, 1)
        for at, process in ((10, WORKER), (30, OTHER))
    ]
    dead = [Held(n, f"j{n}", "failed", KILLER) for n in (0, 1)]
    faults = hits((10.5, WORKER), (30.5, OTHER))
    assert judge(book(answer(0), answer(1), *begun, *faults), dead).condemned_wrongly == [1]


def test_one_that_is_done_as_well_is_judged_the_same() -> None:
    """The end of its first run was lost with its connection; in the process that died it never began."""
    cut = Trouble(FaultKind.WORKER_CUT, 10, 25, WORKER)
    verdict = judge(book(answer(0), run(0), cut, *hits((30.5, OTHER))), [Held(0, "j0", "failed", KILLER)])
    assert (verdict.once, verdict.dead_wrongly, verdict.condemned_wrongly) == (1, [], [0])
    assert not verdict.good


def test_a_reason_is_told_without_what_differs() -> None:
    assert shape("number 199 is hopeless") == shape("number 99 is hopeless") == "number … is hopeless"
