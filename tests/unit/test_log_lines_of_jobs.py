"""Log lines name the job that they were written for."""

from __future__ import annotations

import contextvars
import logging
from types import SimpleNamespace
from typing import Any

from corral import current_job
from corral.current import CURRENT, Cell
from corral.observe.logs import JobFilter, add_job

JOB: Any = SimpleNamespace(queue="orders", id="7", attempt=2)


def in_a_job(call: Any, *arguments: Any) -> Any:
    context = contextvars.copy_context()
    context.run(CURRENT.set, Cell(JOB))
    return context.run(call, *arguments)


def test_outside_of_a_job_there_is_none() -> None:
    assert current_job() is None
    assert in_a_job(current_job) is JOB
    assert current_job() is None


def test_a_line_gets_the_job_and_keeps_what_it_says_itself() -> None:
    assert add_job(None, "info", {"event": "fetched"}) == {"event": "fetched"}
    assert in_a_job(add_job, None, "info", {"event": "fetched", "job": "8"}) == {
        "event": "fetched", "queue": "orders", "job": "8", "attempt": 2
    }  # fmt: skip


def test_records_of_the_standard_module() -> None:
    def filtered() -> tuple[Any, ...]:
        record: Any = logging.LogRecord("app", logging.INFO, "", 1, "fetched", (), None)
        assert JobFilter().filter(record)
        return record.queue, record.job, record.attempt

    assert filtered() == (None, None, None)
    assert in_a_job(filtered) == ("orders", "7", 2)
