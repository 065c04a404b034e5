"""How many worker processes are needed in all, by what one look shows."""

from __future__ import annotations

from typing import Any

import pytest

from corral.bullmq.fleets import Fleet
from corral.needed import processes_needed
from corral.observe.depth import fleet_of
from corral.observe.standing import QueueStanding, Recent, Standing, WorkerStanding
from corral.policy import Objective

FALLBACK = Objective(drain=30, age=60)


def queue(
    name: str = "load", waiting: int = 0, active: int = 0, per_second: float = 0.0, **more: Any
) -> QueueStanding:
    recent = Recent(window_seconds=100, completed=round(per_second * 100))
    counts = {"waiting": waiting, "active": active}
    return QueueStanding(queue=name, counts=counts, recent=recent, **more)


def worker(number: int = 1, *queues: str, slots: int = 10, **more: Any) -> WorkerStanding:
    names = queues or ("load",)
    return WorkerStanding(
        name=f"w-{number}", host="h", pid=number, version="1", queues=names, slots=slots * len(names), busy=0,
        places=dict.fromkeys(names, (slots, 0)), **more,
    )  # fmt: skip


def needed(*queues: QueueStanding, workers: int | list[WorkerStanding] = 4) -> float | None:
    fleet = [worker(n) for n in range(workers)] if isinstance(workers, int) else workers
    standing = Standing(at=0, queues={one.queue: one for one in queues}, workers=tuple(fleet))
    return processes_needed(standing, FALLBACK)


def test_a_part_of_what_runs_is_enough_for_an_easy_load() -> None:
    assert needed(queue(active=14, per_second=9)) == pytest.approx(4 * 0.35 / 0.7)
    # Nothing to do needs nobody, and the last job one process.
    assert needed(queue()) == 0
    assert needed(queue(active=1, per_second=1)) == 1


def test_in_the_band_where_nothing_changes_what_runs_is_needed() -> None:
    assert needed(queue(active=36, waiting=100, per_second=10)) == 4


def test_a_missed_objective_asks_for_more_up_to_the_double() -> None:
    late = queue(active=40, waiting=450, per_second=10)  # 45 s instead of 30
    assert needed(late) == pytest.approx(6)
    assert needed(queue(active=40, waiting=90_000, per_second=10)) == 8
    own = queue(active=40, waiting=450, per_second=10, objective=Objective(drain=45, age=60))
    assert needed(own) == 4


def test_what_more_processes_would_not_help_does_not_count() -> None:
    assert needed(queue(active=40, waiting=9_000, per_second=10, paused=True)) == 4
    assert needed(queue(active=40, waiting=9_000, per_second=10, concurrency=40)) == 4
    # The free slots show that something else keeps the jobs.
    assert needed(queue(active=7, waiting=9_000, per_second=10)) == 1


def test_a_busy_processor_is_as_good_as_busy_slots() -> None:
    fleet = [worker(n, cpu_percent=130) for n in range(2)]
    assert needed(queue(active=1, waiting=400, per_second=10), workers=fleet) == pytest.approx(8 / 3)


def test_each_process_is_asked_for_by_the_neediest_of_its_queues() -> None:
    mail = queue("mail", active=20, waiting=400, per_second=10)  # of two processes: 4/3
    idle = queue("idle", active=0)
    fleet = [worker(1, "mail", "idle"), worker(2, "mail", "idle"), worker(3, "idle")]
    assert needed(mail, idle, workers=fleet) == pytest.approx(8 / 3)


def test_where_nobody_can_tell_there_is_no_number() -> None:
    assert needed(queue(waiting=5), workers=0) is None
    assert needed(queue(waiting=5), workers=[worker(quiet=True)]) is None
    # Workers of another client may serve it.
    assert needed(queue(), queue("of-node", waiting=9_000)) == 0


def test_what_is_kept_counts_all_that_live() -> None:
    standing = Standing(
        at=0, queues={"load": queue(active=14)}, workers=(worker(1, quiet=True), worker(2, slots=40))
    )
    assert fleet_of(standing, FALLBACK) == Fleet(running=2, needed_tenths=10)
    nobody = fleet_of(Standing(at=0, queues={"load": queue()}), FALLBACK)
    assert (nobody.running, nobody.needed) == (0, None)
