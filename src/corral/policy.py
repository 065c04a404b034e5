"""What a queue promises about its jobs: Retry, RateLimit, Priority, Retention, Forget, Objective.

Pure values and pure decisions; nothing here does I/O. Seconds throughout: milliseconds exist only on
the wire, and `corral.bullmq.codec` is where they turn.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from inspect import iscoroutinefunction
from typing import Literal

from corral.errors import InvalidOptions

#: Which errors: classes, subclasses included.
ErrorClasses = Sequence[type[BaseException]]

#: Seconds to wait after failed run number `attempt` (1 is the first), or None for the dead letters.
WaitFunction = Callable[[int, BaseException], float | None]

#: BullMQ holds a priority in 21 bits; 0 means "none" and runs before every numbered one.
MAX_PRIORITY = 2**21 - 1


class Priority(IntEnum):
    """Lower runs first. Jobs of stock producers without a priority run before all of these."""

    HIGH = 1
    MEDIUM = 5
    LOW = 10


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job is tried and how long it waits in between.

    attempts: runs in all, the first included.
    delays: seconds before the 2nd, 3rd, … run; the last one repeats. Wins over `backoff`.
    backoff: "fixed" waits `delay` each time, "exponential" doubles it: delay, 2 x delay, 4 x delay, …
    delay: seconds; the base of `backoff`.
    max_delay: seconds; no wait is longer.
    jitter: 0 to 1; the share of each wait that is random, so that jobs which failed together do not
        come back together. 0.1 turns 60 s into 54 to 60 s. (BullMQ's formula.)
    wait: a function `(attempt, error) -> seconds`, or None for the dead letters; wins over all waits above,
        `max_delay` and `jitter` included. It runs in the worker's event loop, so it must not block and cannot
        be async. One that raises or returns nonsense counts as not given, for that attempt.
    permanent: errors of these classes go to the dead letters at once.
    retryable: if given, only errors of these classes are tried again, and `RetryAfter`. An attempt that ran
        into its timeout is a TimeoutError.

    The last three are the queue's: functions and classes do not travel. A job that brings attempts and waits
    of its own obeys the queue's `permanent` and `retryable` too, and its own waits instead of `wait`.
    """

    attempts: int = 3
    delays: Sequence[float] = ()
    backoff: Literal["fixed", "exponential"] = "exponential"
    delay: float = 1.0
    max_delay: float = 24 * 3600.0
    jitter: float = 0.0
    wait: WaitFunction | None = None
    permanent: ErrorClasses = ()
    retryable: ErrorClasses = ()

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise InvalidOptions(f"Retry(attempts={self.attempts}): a job is tried at least once.")
        if not 0 <= self.jitter <= 1:
            raise InvalidOptions(f"Retry(jitter={self.jitter}): jitter is a share between 0 and 1.")
        if not all(0 <= wait < math.inf for wait in (self.delay, self.max_delay, *self.delays)):
            raise InvalidOptions("Retry: a wait cannot be negative or endless.")
        if self.backoff not in ("fixed", "exponential"):
            raise InvalidOptions(f"Retry(backoff={self.backoff!r}): choose 'fixed' or 'exponential'.")
        if self.wait is not None and (not callable(self.wait) or iscoroutinefunction(self.wait)):
            raise InvalidOptions(
                "Retry(wait=…): a plain function (attempt, error) -> seconds or None, not async."
            )
        object.__setattr__(self, "delays", tuple(float(d) for d in self.delays))
        for name in ("permanent", "retryable"):
            object.__setattr__(self, name, _classes(name, getattr(self, name)))

    def wait_after(self, attempt: int, *, rand: Callable[[], float] = random.random) -> float:
        """Seconds to wait after failed run number `attempt` (1 is the first)."""
        if self.delays:
            wait = self.delays[min(attempt, len(self.delays)) - 1]
        elif self.backoff == "exponential":
            # 2**62 s is past any max_delay; the bound keeps a huge attempt number from overflowing.
            wait = self.delay * 2.0 ** min(attempt - 1, 62)
        else:
            wait = self.delay
        wait = min(wait, self.max_delay)
        if self.jitter:
            wait = wait * (1 - self.jitter) + wait * self.jitter * rand()
        return wait


def _classes(name: str, given: ErrorClasses | type[BaseException]) -> tuple[type[BaseException], ...]:
    classes = (given,) if isinstance(given, type) else tuple(given)
    if not all(isinstance(each, type) and issubclass(each, BaseException) for each in classes):
        raise InvalidOptions(f"Retry({name}={given!r}): error classes, as in {name}=(ValueError,).")
    return classes


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `jobs` starts in each window of `per` seconds, over all workers of the queue together."""

    jobs: int
    per: float = 1.0

    def __post_init__(self) -> None:
        if self.jobs < 1 or not 0 < self.per < math.inf:
            raise InvalidOptions(f"RateLimit({self.jobs}, per={self.per}): both must be above zero.")


@dataclass(frozen=True, slots=True)
class Keep:
    """Which finished jobs stay: at most `count` of them, none older than `age` seconds. None: no bound."""

    count: int | None = None
    age: float | None = None

    def __post_init__(self) -> None:
        if not all(bound is None or 0 <= bound < math.inf for bound in (self.count, self.age)):
            raise InvalidOptions(f"Keep(count={self.count}, age={self.age}): 0 or more; None for no bound.")


@dataclass(frozen=True, slots=True)
class Forget:
    """What is removed of a job's data after the job has ended, for data that nobody should keep.

    keep: top-level fields of the data that stay. The others go, and with them the job's checkpoint.
    failed_after: seconds that a failed job keeps everything, so that it can be retried; None: until it is
        removed. A completed job forgets in the very write that completes it.

    A job that has forgotten what its handler needs cannot run again. What a handler returns, logs or puts
    into an error's text is not looked at: keep personal data out of there.
    """

    keep: Sequence[str] = ()
    failed_after: float | None = 7 * 24 * 3600.0

    def __post_init__(self) -> None:
        if isinstance(self.keep, str) or not all(isinstance(name, str) for name in self.keep):
            raise InvalidOptions(f"Forget(keep={self.keep!r}): names of fields, as in keep=('userId',).")
        if self.failed_after is not None and not 0 <= self.failed_after < math.inf:
            raise InvalidOptions(f"Forget(failed_after={self.failed_after}): 0 or more; None for never.")
        object.__setattr__(self, "keep", tuple(self.keep))


@dataclass(frozen=True, slots=True)
class Retention:
    """How long finished jobs can be looked up. Memory is bounded by default.

    completed: a day, at most 10,000. failed (the dead letters): 30 days, any number.
    BullMQ applies a bound when another job of the queue finishes.
    """

    completed: Keep = field(default=Keep(count=10_000, age=24 * 3600.0))
    failed: Keep = field(default=Keep(age=30 * 24 * 3600.0))


@dataclass(frozen=True, slots=True)
class Objective:
    """How soon a queue's jobs are to start; worker processes are added while it is missed.

    drain: seconds within which everything that waits should be started, at the present rate.
    age: seconds that no job should have waited longer than.
    """

    drain: float = 30.0
    age: float = 60.0

    def __post_init__(self) -> None:
        if not all(0 < seconds < math.inf for seconds in (self.drain, self.age)):
            raise InvalidOptions(f"Objective(drain={self.drain}, age={self.age}): seconds above zero.")
