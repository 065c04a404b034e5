"""Sends many events in requests that a service takes, and finds the ones that it refuses.

`split` is the pure part: which events share a request, and which are too large for any. `deliver` sends: a
refused request is halved until the refused event is alone, so one bad event never costs another; n bad ones
among m cost about 2·n·log2(m/n) further requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from corral.providers.errors import ProviderError, ProviderPermanent
from corral.sinks.event import Rejected

#: Requests of one batch under way at once. Where every event of 500 is bad, 999 requests one after the other
#: would not end within an attempt.
AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """What a service takes, in bytes of JSON. `envelope`: bytes of a request around its events.

    `batch` counts one byte between two events.
    """

    batch: int
    event: int
    envelope: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Indexes of events by request, in order, and of those that fit into none."""

    groups: tuple[tuple[int, ...], ...]
    too_large: tuple[int, ...]


def split(sizes: Sequence[int], limits: Limits) -> Plan:
    """Fill requests in order. `sizes`: bytes of each event."""
    room = limits.batch - limits.envelope
    groups: list[tuple[int, ...]] = []
    too_large: list[int] = []
    group: list[int] = []
    used = 0
    for index, size in enumerate(sizes):
        if size > limits.event or size > room:
            too_large.append(index)
            continue
        if group and used + 1 + size > room:
            groups.append(tuple(group))
            group, used = [], 0
        used += size + (1 if group else 0)
        group.append(index)
    if group:
        groups.append(tuple(group))
    return Plan(tuple(groups), tuple(too_large))


async def deliver(
    name: str,
    sizes: Sequence[int],
    limits: Limits,
    send: Callable[[Sequence[int]], Awaitable[None]],
) -> list[Rejected]:
    """Send the events of these sizes with `send(indexes)`. Returns those that were not taken.

    `ProviderPermanent` from `send` is about the events in that request. After any other provider error
    nothing more is sent: it is the error of all events that are not settled by then. Those that were sent
    stay sent.
    """
    plan = split(sizes, limits)
    rejected = [_too_large(name, index, sizes[index], limits) for index in plan.too_large]
    left = deque(plan.groups)
    while left:
        some = [left.popleft() for _ in range(min(AT_ONCE, len(left)))]
        errors = await asyncio.gather(*(_error_of(send, group) for group in some))
        halves: list[tuple[int, ...]] = []
        last: ProviderError | None = None
        for group, error in zip(some, errors, strict=True):
            if isinstance(error, ProviderPermanent) and len(group) > 1:
                middle = len(group) // 2
                halves += [group[:middle], group[middle:]]
            elif error is not None:
                rejected += [Rejected(index, error) for index in group]
                last = last if isinstance(error, ProviderPermanent) else error
        left.extendleft(reversed(halves))
        if last is not None:
            return rejected + [Rejected(index, last) for index in chain.from_iterable(left)]
    return rejected


async def _error_of(
    send: Callable[[Sequence[int]], Awaitable[None]], group: Sequence[int]
) -> ProviderError | None:
    try:
        await send(group)
    except ProviderError as error:
        return error
    return None


def _too_large(name: str, index: int, size: int, limits: Limits) -> Rejected:
    most = min(limits.event, limits.batch - limits.envelope)
    reason = f"the event has {size:,} bytes; {name} takes {most:,}"
    return Rejected(index, ProviderPermanent(name, reason, code="too-large"))
