"""Adding jobs that belong together: a whole tree in one MULTI, or a child to a job that runs.

BullMQ's own add scripts do the work, with the arguments that Node's FlowProducer gives them. BullMQ 6.7
lets a parent go only when its whole tree is in; the installed scripts are one minor behind and would let
it go as soon as a child turns out to be complete already. So a parent with a child of a given id holds a
dependency on itself until the end of the MULTI (see release_parent.lua).

A job whose id was given may exist. What would leave half a flow or a parent that waits for ever is refused
before anything is written; WATCH sees that it stays so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from corral.bullmq import redis_errors
from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import NewJobs
from corral.bullmq.scripts import Script, official, ours
from corral.errors import FlowConflict
from corral.family import OnFailure

if TYPE_CHECKING:
    import redis.asyncio as aioredis

_pack = msgspec.msgpack.Encoder().encode

#: How often jobs of given ids may change under our eyes before the add gives up.
MAX_TRIES = 10


@dataclass(frozen=True, slots=True)
class Parent:
    """The job that a new job is a child of."""

    keys: QueueKeys
    id: str
    policy: OnFailure

    @property
    def key(self) -> str:
        return self.keys.job(self.id)


@dataclass(frozen=True, slots=True)
class FlowJob:
    """One job on its way. `options` is BullMQ's opts in JSON; `given`: its id was chosen, so it may exist."""

    keys: QueueKeys
    id: str
    name: str
    data: str
    options: str
    delay_ms: int
    priority: int
    given: bool
    parent: Parent | None
    is_parent: bool = False

    @classmethod
    def of(
        cls, new: NewJobs, keys: QueueKeys, job_id: str, parent: Parent | None, *, is_parent: bool = False
    ) -> FlowJob:
        """One prepared job, under this id."""
        return cls(
            keys=keys,
            id=job_id,
            name=new.name,
            data=new.data[0],
            options=new.options,
            delay_ms=new.delay_ms,
            priority=new.priority,
            given=bool(new.id),
            parent=parent,
            is_parent=is_parent,
        )

    @property
    def key(self) -> str:
        return self.keys.job(self.id)


@dataclass(frozen=True, slots=True)
class Existing:
    """What stands under the id of a job that is to be added. `parent_key`: only if that parent lives."""

    exists: bool
    failed: bool = False
    parent_key: str | None = None
    orphan: bool = False


def conflict(job: FlowJob, existing: Existing) -> str | None:
    """Why a job with a parent cannot be what stands under its id; None: it is free, or it fits.

    A parent that exists cannot get further children here: it may have run already. A failed child would
    never finish, and a child has one parent.
    """
    if not existing.exists:
        return None
    where = f"Job {job.id!r} exists already in queue {job.keys.name!r}"
    if job.is_parent:
        return f"{where} and cannot get other children. Give the node another `job_id`."
    if existing.failed:
        return f"{where} and has failed for good. Retry or remove it, or give the node another `job_id`."
    if existing.parent_key is not None and job.parent is not None and existing.parent_key != job.parent.key:
        return f"{where} and is a child of another job. Give the node another `job_id`."
    return None


async def add_flow(client: aioredis.Redis, jobs: Sequence[FlowJob], now_ms: int) -> bool:
    """Add a tree, parents before their children, the root first. False: its root exists, nothing was added.

    One round trip; four if an id was given. All of it arrives or nothing.
    Raises FlowConflict and what redis-py raises.
    """
    given = [job for job in jobs if job.given]
    for _ in range(MAX_TRIES):
        async with client.pipeline(transaction=True) as pipe:
            orphans: list[str] = []
            if given:
                await pipe.watch(*(job.key for job in given))
                found = await look(client, given)
                if jobs[0].given and found[0].exists:
                    return False
                for job, existing in zip(given, found, strict=True):
                    reason = conflict(job, existing)
                    if reason is not None:
                        raise FlowConflict(reason)
                    if existing.orphan:
                        orphans.append(job.key)
                pipe.multi()  # type: ignore[no-untyped-call]  # redis-py has no types here
            _queue_tree(pipe, jobs, orphans, now_ms)
            try:
                replies: list[Any] = await pipe.execute()
            except redis_errors.WatchError:
                continue
        # WATCH leaves no way for a refusal; one would mean that a script changed its mind.
        refused = [reply for reply in replies if isinstance(reply, int) and reply < -1]
        if refused:
            raise FlowConflict(f"BullMQ refused a job of the flow (code {refused[0]}).")
        return True
    raise FlowConflict(
        "Jobs of this flow that exist already change all the time. Try again, or give the nodes other ids."
    )


def _queue_tree(
    pipe: aioredis.client.Pipeline, jobs: Sequence[FlowJob], orphans: list[str], now_ms: int
) -> None:
    known: set[str] = set()

    def call(script: Script, keys: list[str], *args: Any) -> None:
        # A script that the server lost would break the tree in its middle: its first call brings the text.
        if script.sha in known:
            pipe.evalsha(script.sha, len(keys), *keys, *args)
        else:
            known.add(script.sha)
            pipe.eval(script.source, len(keys), *keys, *args)

    for key in orphans:  # 6.7 lets go of a parent that is gone; the installed scripts do not
        pipe.hdel(key, "parentKey", "parent")
    held = {job.parent.key: job.parent for job in jobs if job.parent is not None and job.given}
    for job in jobs:
        call(*_add_call(job, now_ms))
        if job.key in held:
            pipe.sadd(job.keys.children(job.id).pending, _hold(job.key))
    for parent in held.values():
        script, keys, *args = release_call(parent.keys, parent.id, now_ms, hold=_hold(parent.key))
        call(script, keys, *args)


def _hold(parent_key: str) -> str:
    return f"{parent_key}:hold"


def release_call(keys: QueueKeys, job_id: str, now_ms: int, *, hold: str = "") -> tuple[Any, ...]:
    """release_parent.lua with its keys and arguments."""
    children = keys.children(job_id)
    names = [
        keys.job(job_id), children.pending, children.completed, children.ignored, keys.waiting_children,
        keys.wait, keys.prioritized, keys.delayed, keys.active, keys.meta, keys.marker, keys.pc, keys.events,
    ]  # fmt: skip
    return ours("release_parent"), names, job_id, keys.prefix + ":", now_ms, hold


async def add_child(client: aioredis.Redis, job: FlowJob, now_ms: int) -> None:
    """Add one child to a job that exists. One round trip, two if the id was given; the same refusals."""
    if job.given:
        (existing,) = await look(client, [job])
        reason = conflict(job, existing)
        if reason is not None:
            raise FlowConflict(reason)
        if existing.orphan:
            await client.hdel(job.key, "parentKey", "parent")
    script, keys, *args = _add_call(job, now_ms)
    answer = await script(client, keys, *args)
    if isinstance(answer, int) and answer < 0:
        raise FlowConflict(f"BullMQ refused child {job.id!r} in queue {job.keys.name!r} (code {answer}).")


def _add_call(job: FlowJob, now_ms: int) -> tuple[Any, ...]:
    """The official script that adds this job, with its keys and arguments."""
    keys, parent = job.keys, job.parent
    options: dict[str, Any] = msgspec.json.decode(job.options)
    link: dict[str, Any] | None = None
    if parent is not None:
        queue_key = parent.keys.base[:-1]
        options["parent"] = {"id": parent.id, "queue": queue_key}
        options[parent.policy.value] = True
        link = {"id": parent.id, "queueKey": queue_key, parent.policy.value: True}
    arguments = [
        keys.base, job.id, job.name, now_ms,
        parent.key if parent else None, f"{parent.key}:dependencies" if parent else None, link,
        None, None, 1,
    ]  # fmt: skip
    if job.is_parent:
        script = "addParentJob"
        names = [keys.meta, keys.id, keys.delayed, keys.waiting_children, keys.completed, keys.events]
    elif job.delay_ms > 0:
        script = "addDelayedJob"
        names = [keys.marker, keys.meta, keys.id, keys.delayed, keys.completed, keys.events]
    elif job.priority > 0:
        script = "addPrioritizedJob"
        names = [
            keys.marker, keys.meta, keys.id, keys.prioritized, keys.delayed, keys.completed, keys.active,
            keys.events, keys.pc,
        ]  # fmt: skip
    else:
        script = "addStandardJob"
        names = [
            keys.wait, keys.paused, keys.meta, keys.id, keys.completed, keys.delayed, keys.active,
            keys.events, keys.marker,
        ]  # fmt: skip
    return official(script), names, _pack(arguments), job.data, _pack(options)


async def look(client: aioredis.Redis, jobs: Sequence[FlowJob]) -> list[Existing]:
    """What stands under the ids of these jobs. One round trip, two if one has another parent."""
    pipe = client.pipeline(transaction=False)
    for job in jobs:
        pipe.exists(job.key)
        pipe.hget(job.key, "parentKey")
        pipe.zscore(job.keys.failed, job.id)
    replies = await pipe.execute()
    rows = [replies[i : i + 3] for i in range(0, len(replies), 3)]
    parents = sorted({row[1] for row in rows if row[1]})
    living: set[bytes] = set()
    if parents:
        pipe = client.pipeline(transaction=False)
        for key in parents:
            pipe.exists(key)
        living = {key for key, lives in zip(parents, await pipe.execute(), strict=True) if lives}
    return [
        Existing(
            exists=bool(exists),
            failed=score is not None,
            parent_key=parent.decode() if parent in living else None,
            orphan=bool(parent) and parent not in living,
        )
        for exists, parent, score in rows
    ]
