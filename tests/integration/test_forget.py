"""A queue that forgets: personal data leaves Redis with the job's end, and nothing else changes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Forget, JobContext, Keep, Priority, Queue, Retention, Retry, Settings
from corral.bullmq import forgetting
from corral.bullmq.scripts import ours
from corral.errors import IdempotencyConflict
from corral.worker import janitor
from eventually import eventually

FORGET = Forget(keep=("user",), failed_after=0)
DATA = {"user": "user-7", "secret": "SPECIMEN-1"}
LEFT = {"user": "user-7", "corral:forgotten": True}


class Typed(msgspec.Struct):
    secret: str


async def run(job: JobContext, data: dict[str, Any]) -> str:
    await job.checkpoint({"token": "SPECIMEN-2"})
    if data.get("fails"):
        raise ValueError("no")
    return "done"


def forgetful(make_queue: MakeQueue, **options: Any) -> Queue:
    queue = make_queue(**{"retry": Retry(attempts=1), "forget": FORGET, **options})
    queue.job("x")(run)
    return queue


async def everything(redis: Redis) -> str:
    """All that Redis holds, as text."""
    found = []
    async for key in redis.scan_iter():
        read: dict[str, Any] = {
            "hash": redis.hgetall, "string": redis.get, "set": redis.smembers,
            "list": lambda key: redis.lrange(key, 0, -1), "stream": redis.xrange,
            "zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        }  # fmt: skip
        kind = await redis.type(key)
        if kind != "none":  # it has just expired
            found.append(f"{key}={await read[kind](key)}")
    return "\n".join(found)


async def data_of(queue: Queue, job_id: str) -> Any:
    job = await queue.get(job_id)
    assert job is not None
    return json.loads(job.raw_data)


async def test_a_completed_job_forgets_with_the_write_that_completes_it(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = forgetful(make_queue)
    job = await queue.add("x", DATA)
    assert "SPECIMEN-1" in await everything(redis)
    await drain(queue)
    assert await data_of(queue, job.id) == LEFT
    assert await job.result(timeout=10) == "done"
    assert "SPECIMEN" not in await everything(redis)


async def test_a_job_that_the_official_script_completes_forgets_too(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = forgetful(make_queue)

    @queue.job("parent")
    async def parent(job: JobContext, data: dict[str, Any]) -> None:
        if not job.checkpoints.get("added"):
            await job.add_child(queue, "x", DATA)
            await job.checkpoint({"added": True})
        await job.wait_for_children()

    job = await queue.add("parent", DATA)
    await drain(queue)
    assert (await job.refresh()).status == "completed"
    assert await data_of(queue, job.id) == LEFT
    assert "SPECIMEN" not in await everything(redis)


async def test_a_job_that_is_removed_at_its_end_leaves_nothing(make_queue: MakeQueue, redis: Redis) -> None:
    queue = forgetful(make_queue)
    job = await queue.add("x", DATA, remove_on_complete=True)
    await drain(queue)
    assert await queue.get(job.id) is None
    assert not await redis.exists(queue.keys().job(job.id))


async def test_a_failed_job_keeps_its_data_until_its_time_has_passed(
    make_queue: MakeQueue, redis: Redis, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "INTERVAL_SECONDS", 0.05)
    patient = forgetful(make_queue, forget=Forget(keep=("user",), failed_after=3600))
    quick = forgetful(make_queue)
    kept = await patient.add("x", DATA | {"fails": True})
    gone = await quick.add("x", DATA | {"fails": True})
    start_worker(patient, quick)
    await eventually(lambda: _is(quick, gone.id, LEFT))
    await eventually(lambda: redis.exists(patient.keys().janitor()))
    assert await data_of(patient, kept.id) == DATA | {"fails": True}
    assert not await redis.hexists(quick.keys().job(gone.id), "corral:checkpoint")
    assert (await gone.refresh()).failed_reason == "no"
    # It can be tried again, and forgets when it succeeds.
    await patient.admin.update_data(kept.id, DATA)
    await patient.admin.retry(kept.id)
    assert await kept.result(timeout=15) == "done"
    assert await data_of(patient, kept.id) == LEFT


async def _is(queue: Queue, job_id: str, data: Any) -> bool:
    return bool(await data_of(queue, job_id) == data)


async def test_a_job_retried_after_it_forgot_says_why_it_cannot_run(make_queue: MakeQueue) -> None:
    queue = make_queue(retry=Retry(attempts=1), forget=Forget())

    @queue.job("typed")
    async def typed(job: JobContext, data: Typed) -> None: ...

    job = await queue.add("typed", Typed("SPECIMEN-1"))
    await drain(queue)
    await queue.admin.retry(job.id)
    await drain(queue)
    await job.refresh()
    assert job.status == "failed"
    assert job.failed_reason is not None
    assert "its data was removed then (Forget), so it cannot run again" in job.failed_reason


async def test_the_sweep_takes_each_job_once_also_many_of_one_millisecond(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = forgetful(make_queue)
    keys = queue.keys()
    pipe = redis.pipeline()
    for n in range(3 * forgetting.BATCH):
        score = 1000 if n < 2 * forgetting.BATCH else 2000 + n
        pipe.hset(keys.job(f"j{n}"), mapping={"name": "x", "data": json.dumps(DATA), "opts": "{}"})
        pipe.zadd(keys.failed, {f"j{n}": score})
    pipe.hset(keys.job("j0"), "data", b"\xff not JSON")
    await pipe.execute()

    async def forget(until_ms: int) -> int:
        reduce = janitor.reducer(queue.sealing, Forget(keep=("user",)))
        return await forgetting.forget_failed(queue.client(), keys, reduce, until_ms=until_ms, limit=10**6)

    assert await forget(999) == 0
    assert await forget(1500) == 2 * forgetting.BATCH
    assert await forget(10_000) == forgetting.BATCH
    assert await forget(10_000) == 0
    assert "SPECIMEN" not in await everything(redis)
    assert await redis.hget(keys.job("j0"), "data") == '{"corral:forgotten":true}'
    await redis.delete(keys.forgotten())  # where it stood got lost
    assert await forget(10_000) == 0


async def test_a_job_that_was_retried_while_the_sweep_read_it_keeps_its_data(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue = forgetful(make_queue)
    job = await queue.add("x", DATA | {"fails": True})
    await drain(queue)
    client, keys = queue.client(), queue.keys()
    await queue.admin.retry(job.id)
    entries = [(job.id, "0" * 40, "{}")]
    assert await ours("forget")(client, [keys.failed], forgetting._pack([keys.base, entries])) == 0
    await drain(queue)
    assert await ours("forget")(client, [keys.failed], forgetting._pack([keys.base, entries])) == 0
    assert await data_of(queue, job.id) == DATA | {"fails": True}


async def test_an_idempotency_key_still_stands_for_its_job(make_queue: MakeQueue) -> None:
    queue = forgetful(make_queue)
    job = await queue.add("x", DATA, idempotency_key="k")
    await drain(queue)
    again = await queue.add("x", DATA, idempotency_key="k")
    assert (again.id, again.existed) == (job.id, True)
    with pytest.raises(IdempotencyConflict):
        await queue.add("x", DATA | {"user": "user-8"}, idempotency_key="k")


async def test_a_queue_that_keeps_every_job_forgets_all_the_same(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "INTERVAL_SECONDS", 0.05)
    queue = forgetful(make_queue, retention=Retention(completed=Keep(), failed=Keep()))
    job = await queue.add("x", DATA | {"fails": True}, priority=Priority.LOW)
    start_worker(queue)
    await eventually(lambda: _is(queue, job.id, LEFT))


async def test_the_settings_may_decide(make_queue: MakeQueue) -> None:
    asked: list[Settings] = []

    def decide(settings: Settings) -> Forget | None:
        asked.append(settings)
        return None

    queue = forgetful(make_queue, forget=decide)
    job = await queue.add("x", DATA)
    await drain(queue)
    assert asked
    assert await data_of(queue, job.id) == DATA
