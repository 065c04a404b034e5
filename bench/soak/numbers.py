"""What the job of a number does: the same in every process and in the verdict. Pure."""

from __future__ import annotations

from enum import StrEnum

QUEUE = "soak"

#: Producers, in the order in which they take numbers: the first has 0, 3, 6, …
PRODUCERS = ("python", "http", "node")


class Kind(StrEnum):
    PLAIN = "plain"
    #: Added with a delay of a second.
    DELAYED = "delayed"
    #: Its first attempt raises.
    WOBBLY = "wobbly"
    #: Every attempt raises what cannot be repaired: it belongs into the dead letters.
    HOPELESS = "hopeless"


#: Seconds.
DELAY = 1.0


def kind(number: int) -> Kind:
    """One job in a hundred is hopeless, one in twenty-five wobbly, one in twenty delayed."""
    if number % 100 == 99:
        return Kind.HOPELESS
    if number % 25 == 7:
        return Kind.WOBBLY
    if number % 20 == 3:
        return Kind.DELAYED
    return Kind.PLAIN


def work_seconds(number: int) -> float:
    """0.05 to 1 s, in no order."""
    return (number * 7 % 20 + 1) * 0.05


def producer(number: int) -> str:
    return PRODUCERS[number % len(PRODUCERS)]


def job_name(version: int) -> str:
    """A release of the application renames its job: workers of release 2 know `count-v1` and `count-v2`."""
    return f"count-v{version}"
