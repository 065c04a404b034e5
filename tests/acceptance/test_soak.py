"""A minute of the soak: faults of every kind, each number accounted for. `make soak` runs it for longer."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from bench.soak.conductor import Options, run
from bench.soak.numbers import PRODUCERS
from bench.soak.plan import FaultKind, World
from bench.soak.report import as_markdown

ROOT = Path(__file__).parents[2]

#: Fixed, so that a failure here is one that can be repeated. Every kind of fault of this world comes in it.
SEED = 5
#: Jobs a second that a machine bears which is ten times slower than the one it was written on.
RATE = 12
SECONDS = 45
NEEDS_SENTINEL = {FaultKind.FAILOVER_KILL, FaultKind.FAILOVER_FREEZE, FaultKind.FAILOVER_PLANNED}


@pytest.mark.timeout(600)
def test_no_number_is_lost_or_done_twice_without_a_reason(tmp_path: Path) -> None:
    outcome = asyncio.run(run(Options(SEED, SECONDS, RATE, World.SINGLE), tmp_path))
    told = as_markdown(outcome)
    verdict, book = outcome.verdict, outcome.book

    assert verdict.lost == [], told
    assert verdict.unexplained == [], told
    assert verdict.good, told
    assert outcome.surprises == []
    assert verdict.accounted == verdict.answered
    # It did what it is for: all three producers were answered, all faults happened, hopeless jobs are where
    # they belong.
    assert {answer.producer for answer in book.answers if answer.job is not None} == set(PRODUCERS)
    assert {trouble.kind for trouble in book.troubles} == set(FaultKind) - NEEDS_SENTINEL
    assert verdict.once > SECONDS * RATE / 4
    assert "number … is hopeless" in verdict.dead
    assert f"--seed {SEED}" in told


def test_the_command_is_a_part_of_the_bench() -> None:
    command = [sys.executable, "-m", "bench", "soak", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for option in ("--seconds", "--seed", "--rate", "--world", "--report"):
        assert option in done.stdout
