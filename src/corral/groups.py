"""Groups: jobs of one queue that share it fairly, tenant by tenant, each within its limits.

`await queue.add("build", data, group="tenant-7")`. Groups take turns, one job each, so a tenant with a
million waiting jobs delays another's first job by one turn. `lock="user-7"` is the same means for another
end: two jobs with one lock never run together.

Guarantees: concurrency and rate of a group hold over all Corral workers together, also when some are killed;
a place that a dead worker held is free once its job was rescued. Order in a group: priority, then first come.
Limits: jobs without a group run before those that have one. Stock BullMQ workers do not run grouped jobs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from corral.bullmq import grouping as wire
from corral.errors import InvalidOptions
from corral.policy import RateLimit

if TYPE_CHECKING:
    from corral.queue import Queue

#: Longest name of a group or lock; it becomes part of keys.
MAX_GROUP_NAME = 200

#: Groups that `list` answers with at most, unless it is asked for another number.
LIST_LIMIT = 100


@dataclass(frozen=True, slots=True)
class GroupLimits:
    """What holds for one group, over all workers together. None: no bound.

    concurrency: jobs that run at once.
    rate_limit: starts in a window; fixed windows, the first begins with a start.
    max_size: jobs that may wait in it; an add beyond raises GroupFull. Delayed jobs count when they are due.
    """

    concurrency: int | None = None
    rate_limit: RateLimit | None = None
    max_size: int | None = None

    def __post_init__(self) -> None:
        for name, bound in (("concurrency", self.concurrency), ("max_size", self.max_size)):
            if bound is not None and bound < 1:
                raise InvalidOptions(f"GroupLimits({name}={bound}): 1 or more, or None for no bound.")


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group as it stands. `waiting` may count jobs that a stock client removed, until their turn comes.

    limits: its own; None: the queue's. rate_limited_for: seconds until its rate allows a start.
    """

    group: str
    waiting: int
    active: int
    paused: bool
    limits: GroupLimits | None
    rate_limited_for: float


def group_of(group: str | None, lock: str | None) -> str:
    """The group that a job's options name, "" for none. Raises InvalidOptions."""
    if group is None and lock is None:
        return ""
    if group is not None and lock is not None:
        raise InvalidOptions(
            "Give a job `group` or `lock`, not both. To run one job of a group at a time, limit it: "
            "GroupLimits(concurrency=1)."
        )
    option, name = ("group", group) if lock is None else ("lock", lock)
    if not isinstance(name, str) or not 0 < len(name) <= MAX_GROUP_NAME:
        raise InvalidOptions(f"{option}={name!r}: a text of 1 to {MAX_GROUP_NAME} characters.")
    if lock is not None:
        return wire.LOCK + lock
    if name.startswith(wire.LOCK):
        raise InvalidOptions(f"group={name!r}: names that begin with {wire.LOCK!r} are those of locks.")
    return name


class Groups:
    """`queue.groups`: look after the groups of a queue. All calls raise RedisUnavailable."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def set_limits(self, group: str, limits: GroupLimits | None) -> None:
        """Give a group limits of its own, at once and for all workers; None: the queue's again.

        They replace the queue's as a whole. Jobs that run go on. One round trip.
        """
        if limits is None:
            await self._change(group, "unlimit")
        else:
            await self._change(group, "limit", encode_limits(limits))

    async def pause(self, group: str) -> None:
        """Start no more jobs of a group. What runs goes on; adding goes on. One round trip."""
        await self._change(group, "pause")

    async def resume(self, group: str) -> None:
        """End a pause. One round trip."""
        await self._change(group, "resume")

    async def _change(self, group: str, change: str, value: str = "") -> None:
        group_of(group, None)
        with self._queue.redis_errors():
            await wire.change(self._queue.client(), self._queue.keys(), group, change, value)

    async def counts(self, group: str) -> GroupState:
        """One group as it stands; a name that was never used has nothing waiting. One round trip."""
        group_of(group, None)
        with self._queue.redis_errors():
            return (await self._states([group]))[0]

    async def list(self, limit: int = LIST_LIMIT) -> Sequence[GroupState]:
        """Groups with waiting or running jobs, in no order, at most `limit` of them. Locks are left out.

        Two round trips for a few hundred groups.
        """
        with self._queue.redis_errors():
            names = await wire.names(self._queue.client(), self._queue.keys(), limit)
            return await self._states(names)

    async def drain(self, group: str) -> int:
        """Remove all jobs that wait in a group, with their logs; returns how many.

        Running and delayed ones stay. Four round trips for each 500 jobs.
        """
        group_of(group, None)
        with self._queue.redis_errors():
            return await wire.clean(self._queue.client(), self._queue.keys(), group)

    async def _states(self, names: Sequence[str]) -> Sequence[GroupState]:
        rows = await wire.states(self._queue.client(), self._queue.keys(), names)
        now_ms = time.time() * 1000
        default = self._queue.group_limits
        return [_state(name, row, default, now_ms) for name, row in zip(names, rows, strict=True)]


def _state(group: str, row: wire.GroupRow, default: GroupLimits | None, now_ms: float) -> GroupState:
    limits = None if row.limits is None else decode_limits(row.limits)
    rate = (limits or default or GroupLimits()).rate_limit
    rest = 0.0
    if rate is not None and row.used >= rate.jobs:
        rest = max(0.0, (row.since_ms + rate.per * 1000 - now_ms) / 1000)
    return GroupState(group, row.waiting, row.active, row.paused, limits, rest)


def wire_limits(limits: GroupLimits | None) -> tuple[int, int, int, int]:
    """As groups.lua reads them: concurrency, jobs, window in ms, max_size; 0 for none."""
    if limits is None:
        return (0, 0, 0, 0)
    rate = limits.rate_limit
    window = (rate.jobs, max(1, round(rate.per * 1000))) if rate else (0, 0)
    return (limits.concurrency or 0, *window, limits.max_size or 0)


def encode_limits(limits: GroupLimits) -> str:
    return msgspec.json.encode(wire_limits(limits)).decode()


def decode_limits(raw: bytes) -> GroupLimits:
    concurrency, jobs, window_ms, max_size = msgspec.json.decode(raw, type=tuple[int, int, int, int])
    return GroupLimits(
        concurrency=concurrency or None,
        rate_limit=RateLimit(jobs, per=window_ms / 1000) if jobs else None,
        max_size=max_size or None,
    )
