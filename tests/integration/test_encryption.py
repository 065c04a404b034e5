"""Payloads encrypted at rest: nothing readable in Redis, and everything that jobs do works as without."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import redis as blocking_redis
from http_service import serving
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import (
    Batch,
    Dedup,
    Flow,
    JobContext,
    Queue,
    Retry,
    Snooze,
    Unrecoverable,
    encryption,
    sealing_keys,
)
from corral.bullmq import resealing
from corral.bullmq.connection import close_shared_clients
from corral.dead import Target
from corral.errors import CannotDecrypt, ConfigurationError, IdempotencyConflict, InvalidInput, JobTooLarge
from corral.policy import Forget
from corral.sealing import MARK, is_sealed
from corral.special_adds import NewJob
from eventually import eventually

MARKER = "PII-4111-Mustermann"
ONE, TWO = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
DATA = {"name": MARKER, "number": 7}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k1:{ONE}")
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", f"whsec_{TWO}")
    monkeypatch.setattr(sealing_keys, "RENEW_SECONDS", 0.0)


@pytest.fixture
def secret_queue(make_queue: MakeQueue) -> Queue:
    return make_queue(encrypt=True, retry=Retry(attempts=3, delays=(0,)))


def readable(redis_url: str) -> list[str]:
    """Keys that hold the marker anywhere: in their name, a field, a value, an entry."""
    found = []
    with blocking_redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter():
            kind = client.type(key)
            held: Any
            match kind:
                case b"hash":
                    held = client.hgetall(key)
                case b"list":
                    held = client.lrange(key, 0, -1)
                case b"set":
                    held = client.smembers(key)
                case b"zset":
                    held = client.zrange(key, 0, -1, withscores=True)
                case b"stream":
                    held = client.xrange(key)
                case _:
                    held = client.get(key)
            if MARKER in f"{key!r} {held!r}":
                found.append(key.decode())
    return found


async def test_nothing_readable_is_left_by_anything_that_jobs_do(  # noqa: PLR0915  # a job's whole life
    secret_queue: Queue, make_queue: MakeQueue, start_worker: StartWorker, redis_url: str, redis: Redis
) -> None:
    queue, children = secret_queue, make_queue(encrypt=True)
    seen: list[Any] = []

    @queue.job("work")
    async def work(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
        await job.progress({"at": data["name"]})
        await job.progress(50)
        if "person" not in job.checkpoints:
            await job.checkpoint({"person": data["name"]})
            raise Snooze(0)
        if job.attempt < 2:
            raise RuntimeError("once more")
        told = await job.wait_for(f"ok-{job.id}", 60)
        seen.append((data, job.checkpoints, told))
        return {"result": data["name"]}

    @queue.job("fail")
    async def fail(job: JobContext, data: dict[str, Any]) -> None:
        raise Unrecoverable("it will not do")

    @queue.job("gather")
    async def gather(job: JobContext, data: dict[str, Any]) -> list[Any]:
        await job.add_child(children, "part", {"name": MARKER, "extra": True})
        await job.wait_for_children()
        return list((await job.children_values()).values())

    @children.job("part")
    async def part(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
        return data

    job = await queue.add("work", DATA, webhook="https://hooks.example.com/told")
    failing = await queue.add("fail", DATA)
    later = await queue.add("work", DATA, delay=3_600, idempotency_key="k")
    many = await queue.add_many("fail", [DATA, DATA])
    await queue.add_batch([NewJob("fail", DATA, lock="l"), NewJob("fail", DATA, dedup=Dedup.simple("d"))])
    await queue.schedules.upsert("nightly", "work", cron="0 3 * * *", data=DATA)
    flow = Flow(queue, "gather", DATA, children=[Flow(children, "part", DATA)])
    parent = await flow.add()
    assert readable(redis_url) == []
    start_worker(queue, children)
    await eventually(lambda: redis.hget(queue.keys().job(job.id), "corral:wait"))
    await queue.signal(f"ok-{job.id}", {"by": MARKER})
    assert await job.result(timeout=20) == {"result": MARKER}
    children_of = await parent.result(timeout=20)
    assert sorted(children_of, key=str) == [{"name": MARKER, "extra": True}, DATA]
    await eventually(lambda: _is(failing, "failed"))
    await eventually(lambda: _is(many[1], "failed"))
    assert readable(redis_url) == []
    assert seen == [(DATA, {"person": MARKER}, {"by": MARKER})]
    # Whoever has the key sees it all.
    fresh = await job.refresh()
    assert (fresh.data, fresh.result_value, fresh.progress) == (DATA, {"result": MARKER}, 50)
    assert json.loads(fresh.raw_data) == DATA
    assert (await queue.browse.jobs("failed"))[0].data == DATA
    schedule = await queue.schedules.get("nightly")
    assert schedule is not None
    assert schedule.data == DATA
    page = await parent.children()
    assert {json.dumps(child.value) for child in page.children} >= {json.dumps(DATA)}
    # Administration.
    await queue.admin.update_data(later.id, {"name": MARKER, "number": 8})
    assert (await later.refresh()).data["number"] == 8
    await queue.admin.retry(failing.id)
    await eventually(lambda: _is(failing, "failed"))
    await queue.schedules.run_now("nightly")
    assert readable(redis_url) == []
    (delivery,) = await Queue("webhooks", redis_url=redis_url).browse.jobs("waiting")
    assert "result" not in delivery.data
    assert delivery.data["resultBytes"] > 0


async def _is(job: Any, status: str) -> bool:
    return bool((await job.refresh()).status == status)


async def test_batches_and_processes_get_it_opened(make_queue: MakeQueue, redis_url: str) -> None:
    queue = make_queue(encrypt=True)

    @queue.job("many", batch=Batch(size=2, linger=0.01))
    async def many(jobs: list[JobContext], data: list[dict[str, Any]]) -> list[str]:
        return [each["name"] for each in data]

    added = await queue.add_many("many", [DATA, DATA])
    await drain(queue)
    assert [await job.result(timeout=10) for job in added] == [MARKER, MARKER]
    assert readable(redis_url) == []


async def test_what_completed_and_is_forgotten_stays_sealed(make_queue: MakeQueue, redis_url: str) -> None:
    queue = make_queue(encrypt=True, forget=Forget(keep=("number",)))

    @queue.job("work")
    async def work(job: JobContext, data: dict[str, Any]) -> None:
        await job.checkpoint({"name": data["name"]})

    job = await queue.add("work", DATA)
    await drain(queue)
    assert (await job.refresh()).data == {"number": 7, "corral:forgotten": True}
    assert readable(redis_url) == []


async def test_plain_jobs_of_others_run_in_a_queue_that_encrypts(secret_queue: Queue, redis_url: str) -> None:
    secret_queue.job("work")(_echo)
    plain = Queue(secret_queue.name, redis_url=redis_url, encrypt=False)
    job = await plain.add("work", DATA)
    assert readable(redis_url) != []
    await drain(secret_queue)
    assert await job.result(timeout=10) == DATA


async def _echo(job: JobContext, data: dict[str, Any]) -> dict[str, Any]:
    return data


async def test_the_setting_chooses_queues(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_ENCRYPT", "mails, other")
    for name, encrypt, sealed in (("mails", None, True), ("news", None, False), ("mails", False, False)):
        queue = make_queue(name, encrypt=encrypt)
        job = await queue.add("send", DATA)
        assert is_sealed(await redis.hget(queue.keys().job(job.id), "data")) is sealed
    monkeypatch.setenv("CORRAL_ENCRYPT", "all")
    assert make_queue("anything").sealing.active
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", "")
    with pytest.raises(ConfigurationError, match="Queue 'more' is to encrypt"):
        await make_queue("more").add("send", DATA)


async def test_keys_rotate_while_jobs_wait(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue("rotating", encrypt=True)
    queue.job("work")(_echo)
    await start_worker(queue).ready()
    old = await queue.add("work", DATA, delay=0.2)
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k2:{TWO},k1:{ONE}")
    producer = make_queue("rotating", encrypt=True)
    new = await producer.add("work", DATA)
    assert b"v1.k2." in (await _raw(producer, new.id))
    # The worker meets a key that it did not know when it started.
    assert await new.result(timeout=20) == DATA
    assert await old.result(timeout=20) == DATA


async def _raw(queue: Queue, job_id: str) -> bytes:
    raw: Any = await queue.client().hget(queue.keys().job(job_id), "data")
    return bytes(raw)


async def test_an_unknown_key_is_a_dead_letter_that_can_be_retried(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await make_queue("q", encrypt=True).add("work", DATA)
    raw = await redis.hget("bull:q:" + job.id, "data")
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k2:{TWO}")
    stranger = make_queue("q", encrypt=True)
    stranger.job("work")(_echo)
    await drain(stranger)
    found = await stranger.get(job.id)
    assert found is not None
    assert found.status == "failed"
    assert "encrypted with key 'k1', which CORRAL_ENCRYPTION_KEYS does not have" in (
        found.failed_reason or ""
    )
    assert found.data == json.loads(raw)  # opaque, and no error
    assert await redis.hget("bull:q:" + job.id, "data") == raw
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k2:{TWO},k1:{ONE}")
    knowing = make_queue("q", encrypt=True)
    knowing.job("work")(_echo)
    await knowing.admin.retry(job.id)
    await drain(knowing)
    assert (await job.refresh()).status == "completed"
    again = await knowing.get(job.id)
    assert again is not None
    assert await again.result(timeout=10) == DATA


@pytest.mark.parametrize("change", ["ciphertext", "moved"])
async def test_what_was_tampered_with_is_a_dead_letter(
    secret_queue: Queue, redis: Redis, change: str
) -> None:
    ran = []

    @secret_queue.job("pay")
    async def pay(job: JobContext, data: Any) -> None:
        ran.append(data)

    @secret_queue.job("refund")
    async def refund(job: JobContext, data: Any) -> None:
        ran.append(data)

    job = await secret_queue.add("pay", DATA)
    key = secret_queue.keys().job(job.id)
    raw = await redis.hget(key, "data")
    if change == "moved":
        await redis.hset(key, "name", "refund")
    else:
        middle = len(raw) // 2
        await redis.hset(key, "data", raw[:middle] + ("A" if raw[middle] != "A" else "B") + raw[middle + 1 :])
    await drain(secret_queue)
    assert ran == []
    assert (await job.refresh()).status == "failed"
    assert "does not open" in (job.failed_reason or "")


async def test_results_that_cannot_be_opened_are_an_error_to_who_waits(
    secret_queue: Queue, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_queue.job("work")(_echo)
    job = await secret_queue.add("work", DATA)
    await drain(secret_queue)
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", "")
    stranger = await Queue(secret_queue.name, redis_url=redis_url).get(job.id)
    assert stranger is not None
    assert stranger.result_value.keys() == {MARK}
    with pytest.raises(CannotDecrypt):
        await stranger.result(timeout=10)


async def test_an_idempotency_key_compares_what_was_meant(secret_queue: Queue) -> None:
    first = await secret_queue.add("work", DATA, idempotency_key="once")
    again = await secret_queue.add("work", DATA, idempotency_key="once")
    assert (again.id, again.existed, again.data) == (first.id, True, DATA)
    with pytest.raises(IdempotencyConflict):
        await secret_queue.add("work", {"name": "another"}, idempotency_key="once")


async def test_a_schedule_that_is_the_same_is_not_written_again(secret_queue: Queue, redis: Redis) -> None:
    key = secret_queue.keys().schedule("nightly")
    await secret_queue.schedules.upsert("nightly", "work", cron="0 3 * * *", data=DATA)
    before = await redis.hgetall(key)
    await secret_queue.schedules.upsert("nightly", "work", cron="0 3 * * *", data=DATA)
    assert await redis.hgetall(key) == before
    changed = await secret_queue.schedules.upsert("nightly", "work", cron="0 3 * * *", data={"a": 1})
    assert changed.data == {"a": 1}


async def test_the_size_limit_counts_what_is_stored(make_queue: MakeQueue) -> None:
    queue = make_queue(encrypt=True, max_data_bytes=200)
    await queue.add("work", "x" * 60)
    with pytest.raises(JobTooLarge, match="bytes, encrypted"):
        await queue.add("work", "x" * 150)


async def test_a_search_into_encrypted_data_says_that_it_cannot(secret_queue: Queue) -> None:
    job = await secret_queue.add("work", DATA)
    with pytest.raises(InvalidInput, match="encrypts its data"):
        await secret_queue.browse.search(where={"number": 7})
    assert [found.id for found in (await secret_queue.browse.search(name="work")).jobs] == [job.id]


async def test_over_http_with_a_live_stream(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_ENCRYPT", "all")
    async with serving(redis_url) as service:
        added = await service.http.post("/v1/queues/private/jobs", json={"name": "work", "data": DATA})
        assert added.status_code == 202
        assert readable(redis_url) == []
        bulk = {"jobs": [{"name": "work", "data": DATA, "opts": {"delay": 100}}]}
        assert (await service.http.post("/v1/queues/private/jobs/bulk", json=bulk)).status_code == 202
        worker = Queue("private", redis_url=redis_url)
        worker.job("work")(_echo)
        await drain(worker)
        job_id = added.json()["jobId"]
        found = (await service.http.get(f"/job-status/{job_id}?queue=private")).json()
        assert (found["status"], found["result"]) == ("completed", DATA)
        assert (await service.http.get(f"/v1/queues/private/jobs/{job_id}")).json()["result"] == DATA
        events = await service.http.get(
            f"/v1/queues/private/jobs/{job_id}/events", headers={"Last-Event-ID": "0-1"}
        )
        assert f'"result":{{"name":"{MARKER}"' in events.text
        assert readable(redis_url) == []
    await close_shared_clients()


async def test_old_payloads_are_encrypted_anew(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue("old", encrypt=True)

    @queue.job("work")
    async def work(job: JobContext, data: Any) -> Any:
        await job.checkpoint({"at": MARKER})
        if data == "fail":
            raise Unrecoverable("no")
        return data

    await queue.add_many("work", [DATA, "fail"])
    await drain(queue)
    await queue.add("work", DATA, delay=3_600)
    await queue.add_many("work", [DATA] * (resealing.BATCH + 1))
    await queue.add("work", DATA, group="g")
    await queue.schedules.upsert("nightly", "work", cron="0 3 * * *", data=DATA)
    await make_queue("old", encrypt=False).add("work", DATA)
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k2:{TWO},k1:{ONE}")
    renewed = make_queue("old", encrypt=True)
    before = await encryption.check(renewed)
    assert (before.payloads["plain"], before.missing) == (1, ())
    done = await encryption.rotate(renewed)
    assert (done.written, done.schedules, done.unreadable) == (sum(before.payloads.values()), 1, 0)
    after = await encryption.check(renewed)
    assert after.payloads == {"k2": done.written}
    assert (await encryption.rotate(renewed)).written == 0
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k2:{TWO}")
    last = make_queue("old", encrypt=True)

    @last.job("work")
    async def again(job: JobContext, data: Any) -> Any:
        return job.checkpoints.get("at") if data == "fail" else data

    schedule = await last.schedules.get("nightly")
    assert schedule is not None
    assert schedule.data == DATA
    await last.admin.retry_all("failed")
    await drain(last)
    assert (await last.counts())["failed"] == 0
    (healed,) = [job for job in await last.browse.jobs("completed", count=200) if job.data == "fail"]
    assert healed.result_value == MARKER


async def test_a_rotation_passes_over_what_it_cannot_open(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await make_queue("lost", encrypt=True).add("work", DATA)
    monkeypatch.setenv("CORRAL_ENCRYPTION_KEYS", f"k2:{TWO}")
    queue = make_queue("lost", encrypt=True)
    raw = await redis.hget(queue.keys().job(job.id), "data")
    assert (await encryption.check(queue)).missing == ("k1",)
    done = await encryption.rotate(queue)
    assert (done.written, done.unreadable) == (0, 1)
    assert await redis.hget(queue.keys().job(job.id), "data") == raw


async def test_the_dead_letter_desk_shows_edits_and_exports_what_is_sealed(
    make_queue: MakeQueue, redis_url: str
) -> None:
    queue = make_queue(encrypt=True, retry=Retry(attempts=1))

    @queue.job("build")
    async def build(job: JobContext, data: dict[str, Any]) -> None:
        await job.checkpoint({"step": data["marker"]})
        raise ValueError("no luck")

    job = await queue.add("build", {"marker": MARKER})
    await drain(queue)
    shown = await queue.dead.show(job.id)
    assert (shown.data, shown.checkpoint) == ({"marker": MARKER}, {"step": MARKER})
    (row,) = [row async for row in queue.dead.export(Target(ids=[job.id]))]
    assert row["data"] == {"marker": MARKER}
    await queue.dead.edit(job.id, {"marker": MARKER + " edited"}, retry=False)
    assert (await queue.dead.show(job.id)).data == {"marker": MARKER + " edited"}
    assert await queue.dead.original(job.id) == {"marker": MARKER}
    assert not readable(redis_url)
