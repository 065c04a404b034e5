"""What the supervisor decides when a worker process has ended."""

from __future__ import annotations

import dataclasses
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.errors import ConfigurationError
from corral.worker.restarts import STEADY_SECONDS, Exit, deaths_in_a_row, in_place_of, restart_delay, verdict
from corral.worker.supervise import Supervisor

CRASH = Exit(pid=7, code=1, lived_seconds=2.0, asked=False)


def test_restarts_wait_half_a_second_doubling_to_thirty() -> None:
    assert [restart_delay(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers(1, 100_000))
def test_a_restart_never_comes_sooner_after_one_more_death(deaths: int) -> None:
    assert 0.5 <= restart_delay(deaths) <= restart_delay(deaths + 1) <= 30


@pytest.mark.parametrize(("lived", "count"), [(0.0, 6), (59.9, 6), (60.0, 1), (1e6, 1)])
def test_a_minute_of_life_starts_the_count_anew(lived: float, count: int) -> None:
    assert STEADY_SECONDS == 60
    assert deaths_in_a_row(5, dataclasses.replace(CRASH, lived_seconds=lived)) == count


@pytest.mark.parametrize("until_empty", [False, True])
@pytest.mark.parametrize("code", [1, 2, 71, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGTERM])
def test_what_dies_unasked_is_restarted(code: int, until_empty: bool) -> None:
    assert verdict(dataclasses.replace(CRASH, code=code), until_empty=until_empty) == "restart"


def test_exit_code_0_is_the_end_only_for_a_worker_that_drains() -> None:
    end = dataclasses.replace(CRASH, code=0)
    assert verdict(end, until_empty=True) == "done"
    assert verdict(end, until_empty=False) == "restart"


def test_a_run_until_empty_without_redis_ends() -> None:
    end = dataclasses.replace(CRASH, code=69)
    assert verdict(end, until_empty=True) == "unavailable"
    assert verdict(end, until_empty=False) == "restart"


@pytest.mark.parametrize("until_empty", [False, True])
def test_a_configuration_error_is_final(until_empty: bool) -> None:
    assert verdict(dataclasses.replace(CRASH, code=78), until_empty=until_empty) == "misconfigured"


@pytest.mark.parametrize("until_empty", [False, True])
@pytest.mark.parametrize("code", [0, 1, 78, -signal.SIGKILL, -signal.SIGTERM])
def test_what_was_asked_to_stop_is_never_restarted(code: int, until_empty: bool) -> None:
    assert verdict(dataclasses.replace(CRASH, code=code, asked=True), until_empty=until_empty) == "done"


@pytest.mark.parametrize(
    ("code", "text"), [(0, "exit code 0"), (78, "exit code 78"), (-9, "SIGKILL"), (-63, "signal 63")]
)
def test_an_end_is_told_in_words(code: int, text: str) -> None:
    assert dataclasses.replace(CRASH, code=code).ended_by == text


def test_who_starts_anew_is_told_in_whose_place() -> None:
    assert in_place_of(dataclasses.replace(CRASH, code=-signal.SIGKILL)) == "7, ended by SIGKILL"
    never = Exit(pid=None, code=71, lived_seconds=0, asked=False)
    assert in_place_of(never) == "one that could not be started, ended by exit code 71"


@pytest.mark.parametrize("processes", [0, -1])
def test_no_process_at_all_is_refused(processes: int) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        Supervisor(["corral"], processes, 30)
