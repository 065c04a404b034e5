"""The delivery of a hook is added by the very call that settles its job, in every way that a job ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from queue_snapshot import comparable, differences, snapshots
from redis import Redis as BlockingRedis
from redis_traffic import Traffic
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Cancelled, Dedup, Flow, JobContext, Queue, Retry, Webhook
from corral.bullmq import settlement as wire
from corral.bullmq.connection import blocking_client
from corral.bullmq.consumer import Consumer
from corral.errors import ConfigurationError, InvalidOptions
from corral.hook_settings import rules_of
from corral.hooks import DELIVERY_OPTIONS
from corral.policy import Keep
from corral.queues.webhooks import Delivery, message_id
from eventually import eventually

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://receiver.example.org/in?k=1"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", SECRET)


@pytest.fixture
def work(make_queue: MakeQueue) -> Queue:
    """A queue with handlers that end in every way."""
    return declare(make_queue())


def declare(queue: Queue) -> Queue:
    @queue.job("succeed")
    async def succeed(job: JobContext, data: Any) -> dict[str, Any]:
        return {"got": data}

    @queue.job("fail")
    async def fail(job: JobContext, data: Any) -> None:
        raise ValueError("as asked")

    @queue.job("typed")
    async def typed(job: JobContext, data: int) -> None: ...

    @queue.job("endless")
    async def endless(job: JobContext, data: Any) -> None:
        await asyncio.Event().wait()

    return queue


async def told(redis: Redis) -> list[Delivery]:
    """What waits to be delivered, the oldest first."""
    ids = reversed(await redis.lrange("bull:webhooks:wait", 0, -1))
    raws = [await redis.hget(f"bull:webhooks:{job_id}", "data") for job_id in ids]
    return [msgspec.json.decode(raw, type=Delivery) for raw in raws]


def about(delivery: Delivery) -> tuple[str, str, int, str | None]:
    return delivery.id, delivery.event, delivery.attempts_made, delivery.failed_reason


# The ways a job ends


async def test_a_completed_job_is_told_with_its_result(work: Queue, redis: Redis) -> None:
    job = await work.add("succeed", {"n": "ü"}, webhook=URL)
    await drain(work)
    (delivery,) = await told(redis)
    assert about(delivery) == (job.id, "completed", 1, None)
    assert (delivery.url, delivery.queue, delivery.name) == (URL, work.name, "succeed")
    assert json.loads(bytes(delivery.result)) == {"got": {"n": "ü"}}
    seen = await redis.hgetall("bull:webhooks:1")
    assert seen["opts"] == DELIVERY_OPTIONS
    assert str(delivery.finished_on) == seen["timestamp"]
    assert seen["timestamp"] == await redis.hget(work.keys().job(job.id), "finishedOn")


async def test_a_failed_job_is_told_once_no_attempt_is_left(work: Queue, redis: Redis) -> None:
    job = await work.add("fail", retry=Retry(attempts=3, delays=(0,)), webhook=URL)
    await drain(work)
    assert [about(d) for d in await told(redis)] == [(job.id, "failed", 3, "as asked")]


@pytest.mark.parametrize(
    ("name", "data", "options", "reason"),
    [
        ("typed", "no number", {}, "Expected `int`"),
        ("succeed", None, {"ttl": 0.001}, "Expired"),
        (
            "succeed",
            None,
            {"marks": {"stc": 2, "ats": 2, "corral:suspect": "2:1"}},
            "died or stalled 2 times",
        ),
        ("succeed", None, {"marks": {"defa": "A child of the job failed."}}, "A child of the job failed."),
        ("succeed", None, {"marks": {"corral:cancel": "?not wanted"}}, "Cancelled: not wanted"),
        ("succeed", None, {"marks": {"corral:unknown": "1", "name": "nobody-knows"}}, "No worker knew"),
    ],
    ids=["undecodable", "expired", "killed its workers", "sentenced", "cancelled", "unknown name"],
)
async def test_a_job_that_fails_without_its_handler_is_told_too(
    make_queue: MakeQueue, redis: Redis, name: str, data: Any, options: dict[str, Any], reason: str
) -> None:
    producer, marks = make_queue("same"), options.pop("marks", {})
    job = await producer.add(name, data, webhook=Webhook(URL, ("failed",)), **options)
    if marks:
        await redis.hset(producer.keys().job(job.id), mapping=marks)
    await asyncio.sleep(0.002)
    await drain(declare(make_queue("same")))
    (delivery,) = await told(redis)
    assert (delivery.id, delivery.event) == (job.id, "failed")
    assert reason in (delivery.failed_reason or "")


async def test_a_job_that_is_cancelled_while_it_runs_is_told(
    work: Queue, redis: Redis, start_worker: StartWorker
) -> None:
    await start_worker(work).ready()
    job = await work.add("endless", webhook=URL)
    await eventually(lambda: is_status(job, "active"))
    await job.cancel("changed my mind")
    await eventually(lambda: redis.exists("bull:webhooks:1"))
    assert [about(d) for d in await told(redis)] == [(job.id, "failed", 1, "Cancelled: changed my mind")]


async def is_status(job: Any, status: str) -> bool:
    return bool((await job.refresh()).status == status)


async def test_a_job_that_is_cancelled_before_it_ran_is_told(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = "https://standing.example.org/"
    monkeypatch.setenv("CORRAL_WEBHOOKS", json.dumps([{"url": standing, "events": ["failed"]}]))
    queue = make_queue()
    with_own = await queue.add("x", {"a": 1}, webhook=URL)
    with_both_the_same = await queue.add("x", webhook=standing, delay=100)
    only_completed = await queue.add("x", webhook=Webhook(URL, ("completed",)))
    for job in (with_own, with_both_the_same, only_completed):
        assert await job.cancel("late") is Cancelled.REMOVED
    seen = await told(redis)
    assert [(d.id, d.url) for d in seen] == [
        (with_own.id, URL),
        (with_own.id, standing),
        (with_both_the_same.id, standing),
        (only_completed.id, standing),
    ]
    assert {d.failed_reason for d in seen} == {"Cancelled: late"}
    assert {(d.attempts_made, d.event, d.name) for d in seen} == {(0, "failed", "x")}


async def test_jobs_that_end_by_the_official_scripts_are_told(work: Queue, redis: Redis) -> None:
    deduplicated = await work.add("succeed", 1, dedup=Dedup.simple("d"), webhook=URL)
    fails = await work.add("fail", dedup=Dedup.simple("e"), webhook=URL, retry=Retry(attempts=1))
    parent = await Flow(work, "succeed", children=[Flow(work, "succeed", webhook=URL)], webhook=URL).add()
    await drain(work)
    seen = {d.id: d for d in await told(redis)}
    assert {deduplicated.id, fails.id, parent.id} < seen.keys()
    assert len(seen) == 4
    assert about(seen[deduplicated.id]) == (deduplicated.id, "completed", 1, None)
    assert about(seen[fails.id]) == (fails.id, "failed", 1, "as asked")


async def test_a_job_that_bullmq_refuses_to_complete_is_told_as_failed(
    make_queue: MakeQueue, redis: Redis
) -> None:
    queue, pages = make_queue(), make_queue("pages")

    @queue.job("build")
    async def build(job: JobContext) -> None:
        await job.add_child(pages, "render", 1)

    wants_all = await queue.add("build", webhook=URL)
    await queue.add("build", webhook=Webhook(URL, ("completed",)))
    await drain(queue)
    (delivery,) = await told(redis)
    assert (delivery.id, delivery.event) == (wants_all.id, "failed")
    assert "children that are not finished" in (delivery.failed_reason or "")


async def test_a_dead_letter_that_is_retried_is_told_again_as_another_message(
    work: Queue, redis: Redis
) -> None:
    job = await work.add("fail", retry=Retry(attempts=1), webhook=URL)
    await drain(work)
    await work.admin.retry(job.id)
    await drain(work)
    seen = await told(redis)
    assert [(d.id, d.event) for d in seen] == [(job.id, "failed")] * 2
    assert len({message_id(d) for d in seen}) == 2


# Whose hooks


async def test_events_that_were_not_asked_for_are_not_told(work: Queue, redis: Redis) -> None:
    await work.add("succeed", webhook=Webhook(URL, ("failed",)))
    await work.add("fail", webhook=Webhook(URL, ("completed",)))
    await work.add("succeed")
    await drain(work)
    assert await redis.keys("bull:webhooks:*") == []


async def test_a_queue_and_the_service_have_hooks_and_a_url_is_told_once(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = [
        {"url": "https://all.example.org/"},
        {"url": "https://others.example.org/", "queues": ["others"]},
        {"url": "https://failures.example.org/", "events": ["failed"]},
    ]
    monkeypatch.setenv("CORRAL_WEBHOOKS", json.dumps(endpoints))
    queue = declare(make_queue(webhooks=["https://queue.example.org/", Webhook(URL)]))
    await queue.add("succeed", webhook=URL)
    await drain(queue)
    assert [d.url for d in await told(redis)] == [
        URL,
        "https://queue.example.org/",
        "https://all.example.org/",
    ]


async def test_deliveries_are_never_told_themselves(
    make_queue: MakeQueue, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_WEBHOOKS", json.dumps([{"url": URL}]))
    assert rules_of(make_queue("webhooks")).targets(Webhook(URL)) is None


async def test_a_node_producers_hook_is_read_from_its_opts(work: Queue, redis: Redis) -> None:
    job = await work.add("succeed")
    await redis.hset(work.keys().job(job.id), "opts", json.dumps({"webhook": URL, "attempts": 1}))
    await drain(work)
    assert [d.url for d in await told(redis)] == [URL]


async def test_a_large_result_is_left_out(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()

    @queue.job("large")
    async def large(job: JobContext) -> str:
        return "x" * 20_000

    await queue.add("large", webhook=URL)
    await drain(queue)
    (delivery,) = await told(redis)
    assert (bytes(delivery.result), delivery.result_bytes) == (b"", 20_002)


# Refused


async def test_without_a_secret_a_hook_is_refused(work: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CORRAL_WEBHOOK_SECRET")
    with pytest.raises(InvalidOptions, match="CORRAL_WEBHOOK_SECRET"):
        await work.add("succeed", webhook=URL)
    monkeypatch.setenv("CORRAL_WEBHOOKS", json.dumps([{"url": URL}]))
    with pytest.raises(ConfigurationError, match="CORRAL_WEBHOOK_SECRET"):
        await drain(work)
    monkeypatch.setenv("CORRAL_WEBHOOKS", json.dumps([{"url": URL, "secret": SECRET}]))
    await drain(work)


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://127.0.0.1/in", "not public"),
        ("http://[::1]/in", "not public"),
        ("http://2130706433/in", "not public"),
        ("http://localhost/in", "not public"),
        ("ftp://receiver.example.org/in", "scheme"),
        ("https://receiver.example.org:8443/in", "8443"),
        ("https://user@receiver.example.org/in", "user name"),
        ("nonsense", "scheme"),
        ("", "URL"),
    ],
)
async def test_a_url_that_leads_nowhere_is_refused_at_adding(work: Queue, url: str, word: str) -> None:
    with pytest.raises(InvalidOptions, match=word):
        await work.add("succeed", webhook=url)


# One decision


async def held(work: Queue, redis: Redis, token: str, **options: Any) -> tuple[Consumer, wire.Fetched]:
    await work.add("succeed", **options)
    blocking = blocking_client(work.address(), "test")
    consumer = Consumer(work.client(), blocking, work.keys(), worker="w", lock_seconds=30, rate_limit=None)
    step = await consumer.step(token, 1, [])
    await blocking.aclose()
    return consumer, wire.Fetched(*step.jobs[0])


async def test_a_settlement_that_is_refused_tells_nothing_and_one_sent_twice_tells_once(
    work: Queue, redis: Redis
) -> None:
    consumer, job = await held(work, redis, "mine", webhook=URL)
    targets = rules_of(work).targets(Webhook(URL))
    assert targets is not None
    stolen = wire.completed(job.id, "another", "1", Keep())
    wire.tell(stolen, job, targets)
    assert (await consumer.step("", 0, [stolen])).problems != []
    assert await told(redis) == []
    settled = wire.completed(job.id, "mine", "1", Keep())
    wire.tell(settled, job, targets)
    assert (await consumer.step("", 0, [settled])).problems == []
    assert (await consumer.step("", 0, [settled])).problems != []  # its answer was lost, so it is sent again
    assert len(await told(redis)) == 1


async def test_the_official_way_refuses_and_repeats_as_well(work: Queue, redis: Redis) -> None:
    consumer, job = await held(work, redis, "mine", webhook=URL, dedup=Dedup.simple("d"))
    targets = rules_of(work).targets(Webhook(URL))
    assert targets is not None
    for token, code, deliveries in (("another", -6, 0), ("mine", 0, 1), ("mine", -2, 1)):
        settled = wire.failed(job.id, token, "no", "[]", Keep(), 1)
        wire.tell(settled, job, targets)
        answer = await consumer.finish_officially(settled, now_ms=1_750_000_000_000)
        assert answer == code or (code < 0 and answer < 0)
        assert len(await told(redis)) == deliveries


async def test_a_broken_queue_of_hooks_holds_back_no_job(
    work: Queue, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.set("bull:webhooks:meta", "no hash")
    plain = await work.add("succeed", webhook=URL)
    official = await work.add("succeed", webhook=URL, dedup=Dedup.simple("d"))
    await drain(work)
    assert [(await job.refresh()).status for job in (plain, official)] == ["completed"] * 2
    assert (await work.counts())["active"] == 0


async def test_a_hook_costs_seven_commands_and_no_call(work: Queue, redis: Redis) -> None:
    targets = rules_of(work).targets(Webhook(URL))
    assert targets is not None
    commands, calls = [], []
    for hooked in (True, False, True):  # the first warms up
        consumer, job = await held(work, redis, "mine", webhook=URL)
        settled = wire.completed(job.id, "mine", "1", Keep())
        if hooked:
            wire.tell(settled, job, targets)
        traffic = await Traffic.start(redis)
        await consumer.step("", 0, [settled])
        await traffic.stop()
        commands.append(traffic.commands)
        calls.append(traffic.scripts)
    assert commands[2] - commands[1] == 7
    assert calls[1:] == [1, 1]


@pytest.mark.parametrize("options", [{}, {"dedup": Dedup.simple("d")}], ids=["plain", "official"])
@pytest.mark.parametrize("name", ["succeed", "fail"])
async def test_a_hook_changes_nothing_about_its_job(
    make_queue: MakeQueue, redis_url: str, name: str, options: dict[str, Any]
) -> None:
    queues = [declare(make_queue(base, retry=Retry(attempts=1))) for base in ("with", "less")]
    for queue, hook in zip(queues, (URL, None), strict=True):
        await queue.add(name, 1, webhook=hook, **options)
        await drain(queue)
    with BlockingRedis.from_url(redis_url, decode_responses=True, encoding_errors="replace") as client:
        ours, plain = map(comparable, snapshots(client, *(queue.keys().base for queue in queues)))
    assert ours["1"].pop("opts").pop("webhook") == {"url": URL}
    plain["1"].pop("opts")
    for state in (ours, plain):
        state.pop("stalled-check")
        for moving in ("timestamp", "processedOn", "finishedOn", "pb", "stacktrace", "corral:attempts"):
            state["1"].pop(moving, None)
        for finished in ("completed", "failed"):
            state[finished] = [member for member, _ in state.get(finished, [])]
    assert differences(ours, plain) == []
