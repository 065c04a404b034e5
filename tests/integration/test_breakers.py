"""Breakers with a real worker and a real Redis: what is held, who tries, what lets it go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import process_jobs
import pytest
from held_jobs import Acme, Held, field
from process_jobs import declare
from redis_traffic import Traffic
from running_worker import MakeQueue, Redis, StartWorker
from structlog.testing import capture_logs

from corral import Batch, BatchJob, Queue, Retry
from corral.bullmq import settlement
from corral.bullmq.keys import breaker_keys
from corral.errors import InvalidInput
from corral.providers.errors import ProviderAmbiguous, ProviderMisconfigured, ProviderPermanent
from corral.worker import breakers
from eventually import eventually

JOBS = 30


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "0.1")
    monkeypatch.setenv("CORRAL_BREAKER_RATE", "2000")
    monkeypatch.setattr(breakers, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(settlement, "CLOSED_MS", 150)


@pytest.fixture
def acme() -> Acme:
    return Acme()


@pytest.fixture
def held(redis_url: str) -> Held:
    return Held(redis_url)


@pytest.fixture
def queue(make_queue: MakeQueue, acme: Acme) -> Queue:
    made = make_queue(retry=Retry(attempts=2, delays=(0.01,)))
    acme.serve(made)
    return made


async def all_completed(queue: Queue, jobs: int = JOBS) -> bool:
    return (await queue.counts())["completed"] == jobs


async def test_a_wrong_key_holds_every_job_and_spends_no_attempt(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker
) -> None:
    with capture_logs() as logs:
        await start_worker(queue, concurrency=5).ready()
        jobs = await queue.add_many("call", [None] * JOBS)
        await eventually(lambda: held.is_held(JOBS))
    opened = [entry for entry in logs if entry["event"] == "breaker_opened"]
    assert [(entry["log_level"], entry["breaker"]) for entry in opened] == [("error", "acme")]

    async def all_delayed() -> bool:  # but for a probe, now and then
        counts = await queue.counts()
        assert (counts["failed"], counts["completed"]) == (0, 0)
        return counts["delayed"] == JOBS

    await eventually(all_delayed)
    assert [await field(redis, queue, job.id, "atm") for job in jobs] == [None] * JOBS
    status = await held.status()
    assert (status.cause, status.reason) == ("configuration", "the key is wrong")
    assert status.job.startswith(f"{queue.name}:")
    assert await held.breakers.held_by_queue() == {queue.name: JOBS}
    # All the others did not even ask: five that ran together, and a probe now and then.
    asked = len(acme.calls)
    assert asked < JOBS


async def test_one_probe_finds_it_repaired_and_all_run(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "0.5")
    with capture_logs() as logs:
        await start_worker(queue, concurrency=5).ready()
        await queue.add_many("call", [None] * JOBS)
        await eventually(lambda: held.is_held(JOBS))
        acme.is_repaired()
        await eventually(lambda: all_completed(queue))
    events = [entry["event"] for entry in logs if entry["event"].startswith("breaker_")]
    assert events.count("breaker_closed") == 1
    assert events.index("breaker_probe") < events.index("breaker_closed") < events.index("breaker_released")
    assert (await held.status()).state == "closed"
    assert await held.count() == 0
    assert await held.breakers.held_by_queue() == {}


async def test_a_probe_that_fails_is_held_again_and_waits_longer(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker
) -> None:
    await start_worker(queue, concurrency=1).ready()
    job = await queue.add("call")
    await eventually(lambda: len(acme.calls) >= 4)
    await eventually(lambda: held.is_held(1))
    assert set(acme.calls) == {job.id}
    assert (await held.status()).failed_probes >= 3
    assert await field(redis, queue, job.id, "atm") is None


async def test_a_probe_that_meets_an_outage_keeps_its_attempts(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker
) -> None:
    await start_worker(queue).ready()
    job = await queue.add("call")
    await eventually(lambda: held.is_held(1))
    acme.breaks()
    calls = len(acme.calls)
    await eventually(lambda: len(acme.calls) >= calls + 3)
    await eventually(lambda: held.is_held(1))
    assert await field(redis, queue, job.id, "atm") is None


async def test_what_is_added_meanwhile_is_held_without_asking(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    await start_worker(queue).ready()
    await queue.add("call")
    await eventually(lambda: held.is_held(1))
    await queue.add_many("call", [None] * JOBS)
    await eventually(lambda: held.is_held(JOBS + 1))
    assert len(acme.calls) == 1


async def test_two_workers_send_one_probe(
    queue: Queue, acme: Acme, held: Held, make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    acme.serve(other := make_queue())
    with capture_logs() as logs:
        await start_worker(queue).ready()
        await start_worker(other).ready()
        await queue.add_many("call", [None] * 3)
        await other.add_many("call", [None] * 3)
        await eventually(lambda: held.is_held(6))
        acme.is_repaired()
        await eventually(lambda: all_completed(queue, 3))
        await eventually(lambda: all_completed(other, 3))
    assert [entry["event"] for entry in logs].count("breaker_closed") == 1


async def test_a_hold_that_is_over_is_a_dead_letter_that_says_so(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_HOLD_SECONDS", "0.6")
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    await start_worker(queue).ready()
    job = await queue.add("call")
    await eventually(lambda: _failed(queue))
    await job.refresh()
    assert job.failed_reason is not None
    assert "acme is still out of order: the key is wrong" in job.failed_reason
    assert await held.count() == 0
    # By hand it is held afresh, and runs once the provider is well.
    await queue.admin.retry(job.id)
    await eventually(lambda: held.is_held(1))
    acme.is_repaired()
    await held.breakers.resume("acme")
    await eventually(lambda: all_completed(queue, 1))


async def _failed(queue: Queue) -> bool:
    return (await queue.counts())["failed"] == 1


async def test_an_operator_holds_and_resumes(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker
) -> None:
    acme.is_repaired()
    with pytest.raises(InvalidInput, match="Say why"):
        await held.breakers.hold("acme", " ")
    await held.breakers.hold("acme", "they move house")
    await start_worker(queue).ready()
    await queue.add_many("call", [None] * JOBS)
    await eventually(lambda: held.is_held(JOBS))
    assert acme.calls == []  # nobody tries it
    status = await held.status()
    assert (status.cause, status.reason, status.next_probe) == ("operator", "they move house", None)
    with pytest.raises(InvalidInput, match="above 0"):
        await held.breakers.resume("acme", rate=0)
    assert (await held.breakers.resume("acme", rate=500)).rate == 500
    await eventually(lambda: all_completed(queue))


async def test_held_jobs_go_no_faster_than_their_pace(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker
) -> None:
    acme.is_repaired()
    await held.breakers.hold("acme", "for a moment")
    await start_worker(queue, concurrency=100).ready()
    await queue.add_many("call", [None] * 300)
    await eventually(lambda: held.is_held(300))
    members = await redis.zrange(breaker_keys(queue.keys().prefix, "acme").held, 0, -1)
    place = {member.rpartition(":")[2]: number for number, member in enumerate(members)}
    loop = asyncio.get_running_loop()
    started = loop.time()
    await held.breakers.resume("acme", rate=200)
    while not await all_completed(queue, 300):
        completed = (await queue.counts())["completed"]
        assert completed <= 200 * (loop.time() - started)
        await asyncio.sleep(0.02)
    # Those held longest went first; what goes at the same moment may change places.
    assert max(place[str(job_id)] for job_id in acme.calls[:100]) < 200
    assert min(place[str(job_id)] for job_id in acme.calls[200:]) >= 100


async def test_failures_in_a_row_open_it_if_asked_to(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_FAILURES", "3")
    acme.breaks()
    await start_worker(queue, concurrency=1).ready()
    await queue.add_many("call", [None] * 5)
    await eventually(lambda: held.is_held(5))  # three of them spent an attempt, none its last
    assert (await held.status()).cause == "failures"
    acme.is_repaired()
    await eventually(lambda: all_completed(queue, 5))


async def test_failures_do_not_open_it_by_default(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker
) -> None:
    acme.breaks()
    await start_worker(queue).ready()
    await queue.add_many("call", [None] * 20)
    await eventually(lambda: _dead(queue, 20))
    assert (await held.status()).state == "closed"


async def _dead(queue: Queue, jobs: int) -> bool:
    return (await queue.counts())["failed"] == jobs


async def test_a_provider_without_a_guard_is_held_and_tried_too(
    make_queue: MakeQueue, held: Held, start_worker: StartWorker
) -> None:
    queue, broken = make_queue(), [True]

    @queue.job("call")
    async def call(job: Any) -> None:
        if broken:
            raise ProviderMisconfigured("acme", "no such mailbox")

    await start_worker(queue).ready()
    await queue.add_many("call", [None] * 3)
    await eventually(lambda: held.is_held(3))
    broken.clear()
    await eventually(lambda: all_completed(queue, 3))
    assert (await held.status()).state == "closed"


async def test_a_handler_in_a_process_of_its_own_is_held(
    make_queue: MakeQueue, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    declare(queue := make_queue(), process_jobs.needs_acme)
    await start_worker(queue, processes=1).ready()
    await queue.add("needs_acme")
    await eventually(lambda: held.is_held(1))
    assert (await held.status()).reason == "the key is wrong"


async def test_calls_of_a_task_group_are_held_too(
    make_queue: MakeQueue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("call")
    async def call(job: Any) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(acme.call(job.id))
            group.create_task(acme.call(job.id))

    await start_worker(queue).ready()
    job = await queue.add("call")
    await eventually(lambda: held.is_held(1))
    assert await field(redis, queue, job.id, "atm") is None
    acme.is_repaired()
    await eventually(lambda: all_completed(queue, 1))


async def test_a_refusal_of_the_one_job_closes_it_too(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker
) -> None:
    await start_worker(queue).ready()
    await queue.add("call")
    await eventually(lambda: held.is_held(1))
    acme.error = ProviderPermanent("acme", "no such document")
    await eventually(lambda: _failed(queue))
    assert (await held.status()).state == "closed"


async def test_a_probe_that_may_have_been_carried_out_is_an_attempt(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker
) -> None:
    await start_worker(queue).ready()
    job = await queue.add("call")
    await eventually(lambda: held.is_held(1))
    acme.error = ProviderAmbiguous("acme", "no answer")
    await eventually(lambda: _failed(queue))
    assert await field(redis, queue, job.id, "atm") == "2"
    assert (await held.status()).state == "open"


async def test_jobs_of_a_batch_are_held_and_one_of_them_is_the_probe(
    make_queue: MakeQueue, acme: Acme, held: Held, start_worker: StartWorker
) -> None:
    queue = make_queue(retry=Retry(attempts=1))

    @queue.job("call", batch=Batch(size=10, linger=0.05))
    async def call(jobs: list[BatchJob], data: list[Any]) -> None:
        await acme.call(jobs[0].id)

    await start_worker(queue).ready()
    await queue.add_many("call", [None] * 25)
    await eventually(lambda: held.is_held(25))
    acme.is_repaired()
    await eventually(lambda: all_completed(queue, 25))


async def test_a_caller_that_goes_elsewhere_is_not_held_but_the_breaker_opens(
    make_queue: MakeQueue, acme: Acme, held: Held, start_worker: StartWorker
) -> None:
    queue = make_queue()

    @queue.job("call")
    async def call(job: Any) -> str:
        try:
            await acme.call(job.id)
        except ProviderMisconfigured:
            return "by the other provider"
        return "by acme"

    await start_worker(queue, concurrency=1).ready()
    jobs = await queue.add_many("call", [None] * 5)
    assert [await job.result(timeout=10) for job in jobs] == ["by the other provider"] * 5
    assert len(acme.calls) == 1
    assert (await held.status()).state == "open"


async def test_who_restarts_while_all_is_held_goes_on_trying(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker
) -> None:
    first = await start_worker(queue).ready()
    await queue.add_many("call", [None] * 3)
    await eventually(lambda: held.is_held(3))
    await first.stop()
    acme.is_repaired()
    await start_worker(queue).ready()
    await eventually(lambda: all_completed(queue, 3))


async def test_health_tells_of_it_and_stays_green(
    queue: Queue, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    running = await start_worker(queue).ready()
    assert running.worker.health()["breakers"] == {}
    await queue.add_many("call", [None] * 3)
    wanted = {"acme": {"state": "open", "held": 3}}
    await eventually(lambda: running.worker.health()["breakers"] == wanted)
    assert running.worker.health()["ok"]


async def test_calls_that_succeed_cost_redis_nothing(
    queue: Queue, acme: Acme, redis: Redis, start_worker: StartWorker
) -> None:
    acme.is_repaired()
    running = await start_worker(queue, concurrency=20).ready()
    await queue.add("call")
    await eventually(lambda: running.feeds[0].state.settled == 1)
    traffic = await Traffic.start(redis)
    await queue.add_many("call", [None] * 500)
    await eventually(lambda: running.feeds[0].state.settled == 501)
    await traffic.stop()
    assert len(acme.calls) == 501
    assert traffic.calls["hgetall"] == 0
    assert traffic.calls["smembers"] <= 2  # the watch looks every few seconds, whatever runs
    assert traffic.calls["hset"] == 3 * 500


async def test_a_worker_that_cannot_tell_redis_puts_the_job_back(
    make_queue: MakeQueue, acme: Acme, start_worker: StartWorker, redis: Redis
) -> None:
    queue = make_queue()

    @queue.job("call")
    async def call(job: Any) -> None:
        # What is written of the breaker is no breaker: Redis refuses every look at it.
        await redis.set("corral:bull::breaker:acme", "?")
        await acme.call(job.id)

    with capture_logs() as logs:
        await start_worker(queue).ready()
        jobs = await queue.add_many("call", [None] * 3)
        await eventually(lambda: _delayed(queue, 3))
    assert "breaker_not_reached" in [entry["event"] for entry in logs]
    assert [await field(redis, queue, job.id, "atm") for job in jobs] == [None] * 3
    assert [await field(redis, queue, job.id, "corral:held") for job in jobs] == [None] * 3


async def _delayed(queue: Queue, jobs: int) -> bool:
    return (await queue.counts())["delayed"] == jobs


# Tools


async def remove(queue: Queue, ids: Sequence[str]) -> None:
    for job_id in ids:
        await queue.admin.remove(job_id)


async def cancel(queue: Queue, ids: Sequence[str]) -> None:
    for job_id in ids:
        await queue.cancel(job_id)


async def promote(queue: Queue, ids: Sequence[str]) -> None:
    for job_id in ids:
        await queue.admin.promote(job_id)


async def drain(queue: Queue, ids: Sequence[str]) -> None:
    await queue.admin.drain(delayed=True)


async def clean(queue: Queue, ids: Sequence[str]) -> None:
    await queue.admin.clean("delayed")


async def obliterate(queue: Queue, ids: Sequence[str]) -> None:
    await queue.admin.obliterate(force=True)
    await queue.admin.resume()


@pytest.mark.parametrize(
    ("tool", "gone"), [(remove, 2), (cancel, 2), (drain, 5), (clean, 5), (obliterate, 5)]
)
async def test_what_a_tool_removes_is_held_no_longer(
    tool: Any,
    gone: int,
    queue: Queue,
    acme: Acme,
    held: Held,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    await start_worker(queue).ready()
    jobs = await queue.add_many("call", [None] * 5)
    await eventually(lambda: held.is_held(5))
    await tool(queue, [jobs[0].id, jobs[3].id])
    assert await held.count() == 5 - gone
    acme.is_repaired()
    await held.breakers.resume("acme")
    await eventually(lambda: all_completed(queue, 5 - gone))
    # What is added under an id that was held before is another job.
    await queue.add("call")
    await eventually(lambda: all_completed(queue, 6 - gone))


async def test_what_a_tool_promotes_meets_the_breaker_again(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    await start_worker(queue).ready()
    jobs = await queue.add_many("call", [None] * 3)
    await eventually(lambda: held.is_held(3))
    before = await field(redis, queue, jobs[1].id, "corral:held")
    await promote(queue, [jobs[1].id])
    await eventually(lambda: _starts(redis, queue, jobs[1].id, 2))
    await eventually(lambda: held.is_held(3))
    assert await field(redis, queue, jobs[1].id, "corral:held") == before  # its time goes on


async def _starts(redis: Redis, queue: Queue, job_id: str, times: int) -> bool:
    return int(await field(redis, queue, job_id, "ats")) == times


async def test_a_job_that_a_tool_set_to_another_time_keeps_that_time(
    queue: Queue, acme: Acme, held: Held, redis: Redis, start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    await start_worker(queue).ready()
    jobs = await queue.add_many("call", [None] * 3)
    await eventually(lambda: held.is_held(3))
    await queue.admin.change_delay(jobs[0].id, 7200)
    acme.is_repaired()
    await held.breakers.resume("acme")
    await eventually(lambda: all_completed(queue, 2))
    assert await held.count() == 0
    assert (await queue.counts())["delayed"] == 1


async def test_a_priority_and_a_paused_queue_are_respected_when_it_closes(
    queue: Queue, acme: Acme, held: Held, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    await start_worker(queue, concurrency=1).ready()
    late = await queue.add("call", priority=9)
    soon = await queue.add("call", priority=2)
    await eventually(lambda: held.is_held(2))
    acme.is_repaired()
    acme.calls.clear()
    await queue.admin.pause()
    await held.breakers.resume("acme")
    await eventually(lambda: _prioritized(queue, 2))
    assert acme.calls == []
    await queue.admin.resume()
    await eventually(lambda: all_completed(queue, 2))
    assert acme.calls == [soon.id, late.id]


async def _prioritized(queue: Queue, jobs: int) -> bool:
    return (await queue.counts())["prioritized"] == jobs
