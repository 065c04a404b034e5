"""Who is taken for a killer, and in which order suspects run."""

from __future__ import annotations

import asyncio

import pytest

from corral.bullmq.settlement import Fetched
from corral.errors import KilledItsWorker, Unrecoverable
from corral.worker.suspects import (
    MAX_BATCH_STALLS,
    MAX_STALLS,
    STALLED,
    Suspects,
    alone_seconds,
    is_guilty,
    is_refused,
    mark_of,
    refuse_killers,
)


def job(started: int, stalls: int | None, suspect: str | None = None, **fields: bytes) -> Fetched:
    """As it is fetched: `started` and `stalls` of before this run."""
    return Fetched(
        "1",
        b"build",
        b"null",
        b"{}",
        b"0",
        attempts_started=str(started).encode(),
        stalled_count=None if stalls is None else str(stalls).encode(),
        suspect=None if suspect is None else suspect.encode(),
        **fields,
    )


def test_the_mark_of_a_run_that_stalled_is_the_guilty_ones() -> None:
    first_rescue = job(1, 1)
    assert not is_guilty(first_rescue)
    mark = mark_of(first_rescue)
    assert is_guilty(job(2, 2, mark))


@pytest.mark.parametrize(
    ("started", "stalls", "mark"),
    [
        (2, 2, None),  # it waited for its turn, or ran beside another
        (2, 2, ""),  # it was alone at first
        (2, 1, "2:1"),  # that run ended well, and this is a retry
        (3, 2, "2:1"),  # the run after it stalled, in which it had no turn
        (2, 2, "nonsense"),
    ],
)
def test_any_other_is_not(started: int, stalls: int, mark: str | None) -> None:
    suspect = job(started, stalls, mark)
    assert not is_guilty(suspect)
    assert not is_refused(suspect)
    refuse_killers(suspect)


def test_what_stalled_too_often_is_given_up_whoever_was_guilty() -> None:
    refuse_killers(job(9, MAX_STALLS - 1))
    with pytest.raises(KilledItsWorker, match="died or stalled 10 times"):
        refuse_killers(job(10, MAX_STALLS))
    assert is_refused(job(10, MAX_STALLS))


def test_a_job_of_batches_is_given_up_sooner() -> None:
    refuse_killers(job(9, MAX_BATCH_STALLS - 1), in_batches=True)
    with pytest.raises(KilledItsWorker, match="died or stalled 3 times"):
        refuse_killers(job(9, MAX_BATCH_STALLS), in_batches=True)


def test_a_sentence_of_another_worker_stands() -> None:
    with pytest.raises(KilledItsWorker, match=STALLED):
        refuse_killers(job(1, 1, deferred_failure=STALLED.encode()))
    with pytest.raises(Unrecoverable, match="child"):
        refuse_killers(job(1, None, deferred_failure=b"child"))
    assert is_refused(job(1, 1, deferred_failure=b"child"))
    assert is_refused(job(1, 1, cancel=b"?never mind"))


class Told:
    """A mark that says what was done with it."""

    def __init__(self, name: str, said: list[str]) -> None:
        self.name = name
        self.said = said

    async def write(self) -> None:
        await asyncio.sleep(0)
        self.said.append(f"{self.name} marked")

    async def remove(self) -> None:
        await asyncio.sleep(0)
        self.said.append(f"{self.name} unmarked")


async def run(suspects: Suspects, mark: Told, until: asyncio.Event) -> None:
    async with suspects.turn(mark, 1):
        mark.said.append(f"{mark.name} runs")
        await until.wait()
    mark.said.append(f"{mark.name} ended")


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_after_the_other_each_alone_and_marked() -> None:
    suspects, said, gates = Suspects(first_seconds=3600), list[str](), [asyncio.Event(), asyncio.Event()]
    tasks = [
        asyncio.create_task(run(suspects, Told(name, said), gate))
        for name, gate in zip("ab", gates, strict=True)
    ]
    await turns(50)
    assert said == ["a marked", "a runs"]
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks)
    assert said == ["a marked", "a runs", "a ended", "b marked", "b runs", "b ended"]


async def test_nobody_waits_for_ever_and_two_beside_each_other_are_unmarked() -> None:
    suspects, said, gate = Suspects(first_seconds=0), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(run(suspects, Told(name, said), gate)) for name in "abc"]
    while "c runs" not in said:
        await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert [row for row in said if row.endswith("marked")][:2] == ["a marked", "a unmarked"]
    assert "b marked" not in said
    assert "c marked" not in said


async def test_who_is_stopped_while_it_waits_holds_up_nobody() -> None:
    suspects, said, gate = Suspects(first_seconds=3600), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(run(suspects, Told(name, said), gate)) for name in "abc"]
    await turns(20)
    tasks[1].cancel()
    gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert [row for row in said if row.endswith("ended")] == ["a ended", "c ended"]


async def test_a_handler_that_raises_gives_its_turn_on() -> None:
    suspects, said = Suspects(first_seconds=3600), list[str]()
    with pytest.raises(ValueError, match="no"):
        async with suspects.turn(Told("a", said), 1):
            raise ValueError("no")
    async with suspects.turn(Told("b", said), 1):
        assert said[-1] == "b marked"


def test_who_stalls_again_is_alone_for_longer() -> None:
    assert [alone_seconds(stalls) for stalls in (1, 2, 3, 4, 9)] == [1, 4, 16, 60, 60]


async def test_behind_a_crowd_nobody_is_alone_for_long() -> None:
    suspects, said, gate = Suspects(first_seconds=60), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(run(suspects, Told(str(number), said), gate)) for number in range(10_000)]
    async with asyncio.timeout(60):  # the first is to be alone for 60 ms; where nobody waits, 60 s
        while "1 runs" not in said:
            await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
