"""What follows the end of a worker process: pure decisions of the supervisor.

A process that dies unasked starts again after 0.5 s, doubling to 30 s; 60 s of life start the count anew.
Exit code 78 (EX_CONFIG: a setting is wrong) is final, since a restart cannot help. So is 69 (EX_UNAVAILABLE:
Redis does not answer) of a run until the queues are empty: who started it waits for its end.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Literal

from corral.policy import Retry

#: EX_CONFIG of sysexits.h: what `corral worker` exits with for a ConfigurationError.
EXIT_CONFIGURATION = 78
#: EX_UNAVAILABLE: a run until the queues are empty found no Redis.
EXIT_UNAVAILABLE = 69
#: Seconds before the 1st, 2nd, … restart in a row.
RESTART = Retry(delay=0.5, max_delay=30)
#: A process that lived this long, in seconds, was well: its next death counts as the first.
STEADY_SECONDS = 60.0

Verdict = Literal["restart", "done", "misconfigured", "unavailable"]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a process ended. `code` is negative for a signal, as in asyncio; `asked`: it was told to end."""

    pid: int | None
    code: int
    lived_seconds: float
    asked: bool

    @property
    def ended_by(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"


def in_place_of(end: Exit) -> str:
    """What the process is told that starts after this end."""
    who = "one that could not be started" if end.pid is None else str(end.pid)
    return f"{who}, ended by {end.ended_by}"


def verdict(end: Exit, *, until_empty: bool) -> Verdict:
    """What to do after a process has ended."""
    if end.asked:
        return "done"
    if end.code == EXIT_CONFIGURATION:
        return "misconfigured"
    if end.code == 0 and until_empty:
        return "done"
    if end.code == EXIT_UNAVAILABLE and until_empty:
        return "unavailable"
    return "restart"


def deaths_in_a_row(before: int, end: Exit) -> int:
    """The count that `restart_delay` takes, after one more death."""
    return 1 if end.lived_seconds >= STEADY_SECONDS else before + 1


def restart_delay(deaths: int) -> float:
    """Seconds to wait before the restart after that many deaths in a row (1 is the first)."""
    return RESTART.wait_after(deaths)
