"""Adding groups of jobs in one call of add.lua, all or none: jobs that differ in name and options too.

`Producer` gathers whatever is added at the same time and may cut between two groups; this does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import redis.asyncio as aioredis

from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import MAX_BATCH_BYTES, MAX_BATCH_JOBS, Added, NewJobs, read_answer
from corral.bullmq.scripts import ours

_pack = msgspec.msgpack.Encoder().encode


async def add_groups(client: aioredis.Redis, keys: QueueKeys, groups: Sequence[NewJobs]) -> list[Added]:
    """Add groups of jobs in order. Raises what redis-py raises.

    One round trip, whole or not at all, up to MAX_BATCH_JOBS and MAX_BATCH_BYTES; beyond, one for each part.
    """
    script_keys = [
        keys.wait, keys.prioritized, keys.delayed, keys.active, keys.meta, keys.id, keys.pc, keys.marker,
        keys.events,
    ]  # fmt: skip
    added: list[Added] = []
    for part in parts(groups):
        options: dict[str, int] = {}
        packed = [
            (*group[:2], options.setdefault(group.options, len(options) + 1), *group[3:]) for group in part
        ]
        answers = await ours("add")(client, script_keys, _pack((keys.base, 0, list(options), packed)))
        added += [
            read_answer(answer, group, len(group.data)) for group, answer in zip(part, answers, strict=True)
        ]
    return added


def parts(groups: Sequence[NewJobs]) -> list[list[NewJobs]]:
    """Cut between groups so that no call passes the bounds; a single larger job travels alone."""
    cut: list[list[NewJobs]] = []
    jobs = size = 0
    for group in groups:
        count, bytes_ = len(group.data), sum(map(len, group.data))
        if not cut or jobs + count > MAX_BATCH_JOBS or size + bytes_ > MAX_BATCH_BYTES:
            cut.append([])
            jobs = size = 0
        cut[-1].append(group)
        jobs += count
        size += bytes_
    return cut
