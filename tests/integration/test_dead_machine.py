"""Failures, retries, cleans, removals, discards and undos in any order: index and failed set agree."""

from __future__ import annotations

import random

import pytest
from dead_letters import check_index, declare, fail
from running_worker import MakeQueue, Redis, drain

from corral import Queue, Retry
from corral.dead import Filter, Target


@pytest.mark.parametrize("seed", range(4))
async def test_index_and_failed_set_agree(make_queue: MakeQueue, redis: Redis, seed: int) -> None:
    rand = random.Random(seed)
    queue = declare(make_queue(retry=Retry(attempts=1)))
    discarded: list[str] = []
    for _ in range(14):
        await _do_something(queue, redis, rand, discarded)
        if rand.random() < 0.4:
            await queue.dead.groups()
    page = await queue.dead.groups()
    assert sum(group.count for group in page.groups) == page.standing.failed
    assert page.standing.complete
    await check_index(queue, redis)


async def _do_something(queue: Queue, redis: Redis, rand: random.Random, discarded: list[str]) -> None:
    ids = await redis.zrange(queue.keys().failed, 0, -1)
    some = rand.sample(ids, min(len(ids), 3))
    match rand.choice(
        ("fail", "fail", "retry", "run", "remove", "clean", "steal", "discard", "undo", "obliterate")
    ):
        case "fail":
            how = rand.choice(("value", "stock"))
            await fail(queue, *({"n": n, "how": how} for n in range(rand.randint(1, 8))))
        case "retry":
            for job_id in some:
                await queue.admin.retry(job_id)
        case "run":
            for job_id in some:
                await queue.dead.edit(job_id, {"n": 1, "how": rand.choice(("value", "stock"))})
            await drain(queue)
        case "remove":
            for job_id in some:
                await queue.admin.remove(job_id)
        case "clean":
            await queue.admin.clean("failed", limit=rand.randint(1, 4))
        case "steal":  # another client's retention
            for job_id in some:
                await redis.zrem(queue.keys().failed, job_id)
                await redis.delete(queue.keys().job(job_id))
        case "discard":
            groups = (await queue.dead.groups()).groups
            target = Target(group=rand.choice(groups).id) if groups else Target(filter=Filter())
            operation = await queue.dead.discard_many(target)
            await queue.dead.carry_on()
            discarded.append(operation.id)
        case "undo" if discarded:
            done = await queue.dead.operation(discarded.pop())
            if done.moved:
                await queue.dead.undo(done.id)
                await queue.dead.carry_on()
        case "obliterate" if rand.random() < 0.3:
            await queue.admin.obliterate(force=True)
            await queue.admin.resume()
            discarded.clear()
