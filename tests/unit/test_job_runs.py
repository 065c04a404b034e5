"""Joining what is known of a job's runs: its history, the record of the last one, the traces."""

from __future__ import annotations

from typing import Any

import pytest

from corral.bullmq.attempts import MESSAGE_LIMIT, Run, note, read
from corral.bullmq.codec import JobRecord, decode_record
from corral.manage.job_runs import runs_of


def record(**fields: str) -> JobRecord:
    plain = {"name": "build", "data": "{}", "opts": "{}", "timestamp": "1000", **fields}
    return decode_record("7", {name.encode(): value.encode() for name, value in plain.items()})


def run(start: float, outcome: str = "failed", **others: Any) -> Run:
    known: dict[str, Any] = {
        "started_at": start, "ended_at": start + 1, "worker": "w", "outcome": outcome, "spent": True,
        "wait": None, "error_type": "ValueError", "message": "no", **others,
    }  # fmt: skip
    return Run(**known)


SNOOZED = run(2, "snoozed", spent=False)


def outcomes(of: JobRecord, status: str, *history: Run) -> list[tuple[int | None, str]]:
    return [(one.number, one.outcome) for one in runs_of(of, status, history, cancelled=False, payloads=True)]


def test_a_job_that_completed_at_once_is_its_record() -> None:
    (one,) = runs_of(
        record(processedOn="2000", finishedOn="5000", pb="w1", atm="1"), "completed", [], cancelled=False,
        payloads=True,
    )  # fmt: skip
    assert (one.number, one.started_at, one.ended_at, one.worker, one.outcome) == (
        1,
        2.0,
        5.0,
        "w1",
        "completed",
    )


@pytest.mark.parametrize(
    ("fields", "status", "history", "expected"),
    [
        ({}, "waiting", [], []),
        ({"processedOn": "9000"}, "active", [run(2)], [(1, "failed"), (2, "running")]),
        ({"processedOn": "2000"}, "delayed", [run(2)], [(1, "failed")]),
        ({"processedOn": "9000", "atm": "2"}, "completed", [run(2)], [(1, "failed"), (2, "completed")]),
        ({"processedOn": "9000", "stc": "1"}, "waiting", [], [(1, "died")]),
        ({"processedOn": "9000"}, "waiting-children", [], [(1, "children")]),
        ({"processedOn": "9000"}, "delayed", [], [(1, "back")]),
        ({"processedOn": "9000"}, "active", [SNOOZED], [(1, "snoozed"), (1, "running")]),
    ],
)  # fmt: skip
def test_the_last_run_is_told_by_the_record_unless_the_history_has_it(
    fields: dict[str, str], status: str, history: list[Run], expected: list[tuple[int, str]]
) -> None:
    spent = sum(one.spent for one in history)
    assert outcomes(record(**{"atm": str(spent), **fields}), status, *history) == expected


def test_a_retry_by_hand_counts_anew() -> None:
    history = [run(2), run(4, "dead"), run(6)]
    assert outcomes(record(atm="1", processedOn="6000"), "delayed", *history) == [
        (1, "failed"), (2, "dead"), (1, "failed"),
    ]  # fmt: skip


def test_a_trimmed_history_keeps_the_numbers() -> None:
    assert outcomes(record(atm="30", processedOn="4000"), "failed", run(2), run(4, "dead")) == [
        (29, "failed"), (30, "dead"),
    ]  # fmt: skip


def test_traces_find_their_runs_and_those_without_one_have_no_times() -> None:
    traces = '["KeyError: of Node", "ValueError: first", "ValueError: second"]'
    history = [run(2), run(3, "snoozed", spent=False, error_type="Snooze"), run(4)]
    of = record(atm="3", processedOn="4000", stacktrace=traces)
    found = runs_of(of, "delayed", history, cancelled=False, payloads=True)
    assert [(one.started_at, one.trace) for one in found] == [
        (None, "KeyError: of Node"), (2, "ValueError: first"), (3, None), (4, "ValueError: second"),
    ]  # fmt: skip
    assert (found[0].number, found[0].error_type, found[0].message) == (1, "KeyError", "of Node")


def test_a_row_that_is_damaged_is_left_out() -> None:
    good = f'[1000,2000,"w",{note("failed", spent=True, wait_ms=500, error=ValueError(), message="x" * 300)}]'
    rows = f'{good}\n[1\n{{}}\n[1,2,"w","odd",true,0,"",""]\nnull'
    (found,) = read(rows.encode())
    assert found == Run(1.0, 2.0, "w", "failed", True, 0.5, "ValueError", "x" * MESSAGE_LIMIT)
    assert read(None) == []
