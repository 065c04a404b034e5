"""Orders to running workers through Redis: who gets them, who obeys, what is left in the audit log."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from http_service import ADMIN, READ, serving
from running_worker import MakeQueue, Redis, RunningWorker, StartWorker

from corral import Queue, audit
from corral.bullmq import ordering
from corral.bullmq.ordering import Order
from corral.errors import RedisUnavailable, UnknownWorker
from corral.observe.stand import read_workers
from corral.worker import reporting
from corral.worker_orders import tell_workers
from eventually import eventually


@pytest.fixture(autouse=True)
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.05)


async def listed(queue: Queue) -> dict[str, bool]:
    return {worker.name: worker.quiet for worker in await read_workers(queue.client(), "bull")}


async def start(queue: Queue, start_worker: StartWorker, *names: str) -> list[RunningWorker]:
    running = [await start_worker(queue, name=name).ready() for name in names]

    async def all_listed() -> bool:
        return len(await listed(queue)) == len(names)

    await eventually(all_listed)
    return running


def declare(queue: Queue) -> None:
    @queue.job("build")
    async def build(job: object) -> None: ...


async def test_one_worker_goes_quiet_and_the_registry_shows_it(
    queue: Queue, start_worker: StartWorker
) -> None:
    declare(queue)
    one, two = await start(queue, start_worker, "one", "two")
    name = next(name for name in await listed(queue) if name.startswith("one@"))
    told = await tell_workers(queue.client(), "bull", name, "quiet", "cli:mia@desk")
    assert [worker.name for worker in told] == [name]
    await eventually(lambda: one.worker.health()["quiet"])

    async def shown() -> bool:
        return [who for who, quiet in (await listed(queue)).items() if quiet] == [name]

    await eventually(shown)
    assert not two.worker.health()["quiet"]
    (entry,) = await audit.entries(queue.client(), "bull")
    assert (entry.actor, entry.action, entry.target) == ("cli:mia@desk", "worker.quiet", name)
    assert entry.facts == {"workers": [name], "count": 1}


@pytest.mark.parametrize("who", ["all", "host"])
async def test_many_are_told_at_once(queue: Queue, start_worker: StartWorker, who: str) -> None:
    declare(queue)
    running = await start(queue, start_worker, "one", "two")
    target = who if who == "all" else (await read_workers(queue.client(), "bull"))[0].host
    assert len(await tell_workers(queue.client(), "bull", target, "stop", "key:ops")) == 2
    async with asyncio.timeout(15):
        await asyncio.gather(*(each.task for each in running))
    assert len(await audit.entries(queue.client(), "bull")) == 1


async def test_nobody_of_that_name(queue: Queue, start_worker: StartWorker) -> None:
    with pytest.raises(UnknownWorker, match="host is called 'bob'"):
        await tell_workers(queue.client(), "bull", "bob", "quiet", "key:ops")
    assert await audit.entries(queue.client(), "bull") == []


async def test_an_order_for_an_earlier_life_is_not_obeyed(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    declare(queue)
    (running,) = await start(queue, start_worker, "one")
    (worker,) = await read_workers(queue.client(), "bull")
    old = Order(do="stop", started_at=worker.started_at - 10)
    await ordering.give(queue.client(), "bull", [(worker.name, old)])
    now = Order(do="quiet", started_at=worker.started_at)
    await ordering.give(queue.client(), "bull", [(worker.name, now)])
    await eventually(lambda: running.worker.health()["quiet"])
    assert not running.worker.health()["stopping"]


async def test_an_order_whose_message_was_lost_is_found_after_the_next_subscription(
    queue: Queue, start_worker: StartWorker, redis: Redis
) -> None:
    declare(queue)
    (running,) = await start(queue, start_worker, "one")
    (worker,) = await read_workers(queue.client(), "bull")
    order = Order(do="quiet", started_at=worker.started_at)
    await redis.set(f"corral:bull::worker:{worker.name}:order", msgspec.json.encode(order))
    await redis.client_kill_filter(_type="pubsub", skipme=True)
    await eventually(lambda: running.worker.health()["quiet"])


@pytest.mark.parametrize("text", [b"", b"{}", b'{"worker":7}', b"\xff", b'{"worker":"nobody"}'])
async def test_what_it_cannot_read_on_the_channel_changes_nothing(
    queue: Queue, start_worker: StartWorker, redis: Redis, text: bytes
) -> None:
    declare(queue)
    (running,) = await start(queue, start_worker, "one")
    await redis.publish("corral:bull:control", text)
    await tell_workers(queue.client(), "bull", "all", "quiet", "key:ops")
    await eventually(lambda: running.worker.health()["quiet"])


async def test_over_http(redis_url: str, make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue("orders", prefix="bull")
    declare(queue)
    (running,) = await start(queue, start_worker, "one")
    (name,) = await listed(queue)
    async with serving(redis_url) as service:
        path = f"/api/v1/workers/{name}"
        refused = await service.http.post(f"{path}/quiet", headers=service.as_(READ))
        assert refused.status_code == 403
        answer = await service.http.post(f"{path}/quiet", headers=service.as_(ADMIN))
        assert (answer.status_code, answer.json()) == (202, {"order": "quiet", "workers": [name]})
        await eventually(lambda: running.worker.health()["quiet"])
        assert (await service.http.post(f"{path}/stop")).status_code == 202
        async with asyncio.timeout(15):
            await running.task
        missing = await service.http.post("/api/v1/workers/bob/stop")
        assert missing.status_code == 404
        assert missing.headers["content-type"] == "application/problem+json"
        page = (await service.http.get("/api/v1/audit")).json()
        assert [(row["actor"], row["action"]) for row in page["entries"]] == [
            ("key:ops", "worker.stop"),
            ("key:ops", "worker.quiet"),
        ]


async def test_without_redis_it_says_so(make_queue: MakeQueue) -> None:
    queue = Queue("away", redis_url="redis://127.0.0.1:1")
    with pytest.raises(RedisUnavailable):
        await tell_workers(queue.client(), "bull", "all", "quiet", "key:ops")
    await queue.close()
