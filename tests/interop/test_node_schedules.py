"""Schedules made by Node run here, ours run there, and each side sees, changes and removes the other's."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import httpx2
from node_process import BOTH_VERSIONS, Node, Workers

from corral import JobContext, Queue, Retry
from eventually import eventually

pytestmark = BOTH_VERSIONS


class Ticks:
    """A queue whose job `tick` notes its runs."""

    def __init__(self, redis_url: str, name: str = "ticking") -> None:
        self.queue = Queue(name, redis_url=redis_url)
        self.ran: list[str] = []
        self.data: list[Any] = []

        @self.queue.job("tick")
        async def tick(job: JobContext, data: Any) -> str:
            self.ran.append(job.id)
            self.data.append(data)
            return "ticked"

    def slots(self, schedule_id: str) -> list[int]:
        return [int(i.rpartition(":")[2]) for i in self.ran if i.startswith(f"repeat:{schedule_id}:")]


# Made by Node, run here


async def test_a_schedule_of_node_goes_on_here(redis_url: str, node: Node, workers: Workers) -> None:
    ticks = Ticks(redis_url)
    client = await node("client.mjs", redis_url, "ticking")
    first = await client.call("schedule", "fast", {"every": 200})
    await workers(ticks.queue)
    await eventually(lambda: len(ticks.ran) >= 4)
    assert ticks.ran[0] == first
    slots = ticks.slots("fast")
    assert len(set(slots)) == len(slots)  # one run a tick
    assert all((later - earlier) % 200 == 0 for earlier, later in itertools.pairwise(slots))


async def test_a_cron_schedule_of_node_goes_on_here(redis_url: str, node: Node, workers: Workers) -> None:
    ticks = Ticks(redis_url)
    client = await node("client.mjs", redis_url, "ticking")
    template = {"name": "tick", "data": {"city": "Köln"}, "opts": {"attempts": 2, "priority": 3}}
    await client.call("schedule", "each-second", {"pattern": "* * * * * *", "tz": "Europe/Berlin"}, template)
    await workers(ticks.queue)
    await eventually(lambda: len(ticks.ran) >= 3)
    slots = ticks.slots("each-second")
    assert all(slot % 1000 == 0 for slot in slots)
    assert len(set(slots)) == len(slots)
    assert ticks.data[:3] == [{"city": "Köln"}] * 3
    job = await client.call("job", ticks.ran[-1])
    assert (job["opts"]["attempts"], job["opts"]["priority"]) == (2, 3)
    assert job["repeatJobKey"] == "each-second"
    assert job["opts"]["repeat"]["tz"] == "Europe/Berlin"
    assert job["opts"]["repeat"]["count"] == slots.index(slots[-1]) + 1


async def test_a_limit_of_node_is_kept(redis_url: str, node: Node, workers: Workers) -> None:
    ticks = Ticks(redis_url)
    client = await node("client.mjs", redis_url, "ticking")
    await client.call("schedule", "thrice", {"every": 50, "limit": 3})
    await client.call("schedule", "pulse", {"every": 50})
    await workers(ticks.queue)
    await eventually(lambda: len(ticks.slots("pulse")) >= 10)
    assert len(ticks.slots("thrice")) == 3


async def test_node_and_corral_workers_share_a_schedule(redis_url: str, node: Node, workers: Workers) -> None:
    ticks = Ticks(redis_url)
    client = await node("client.mjs", redis_url, "ticking")
    other = await node("worker.mjs", redis_url, "ticking")
    await client.call("schedule", "fast", {"every": 100})
    await workers(ticks.queue, concurrency=1)
    await eventually(lambda: ticks.ran and len(other.jobs["completed"]) >= 1 and len(ticks.ran) >= 3)
    everywhere = Counter(ticks.ran) + Counter(other.jobs["completed"])
    assert set(everywhere.values()) == {1}


async def test_a_schedule_that_node_removes_ends_here(redis_url: str, node: Node, workers: Workers) -> None:
    ticks = Ticks(redis_url)
    client = await node("client.mjs", redis_url, "ticking")
    await client.call("schedule", "gone", {"every": 50})
    await workers(ticks.queue)
    await eventually(lambda: len(ticks.ran) >= 2)
    assert await client.call("unschedule", "gone")
    assert await ticks.queue.schedules.list() == []
    await client.call("schedule", "pulse", {"every": 50})
    had = len(ticks.slots("gone"))
    await eventually(lambda: len(ticks.slots("pulse")) >= 6)
    assert len(ticks.slots("gone")) <= had + 1  # the one that was due already


# Made here, run and seen by Node


async def test_our_schedule_goes_on_with_node(redis_url: str, node: Node) -> None:
    ticks = Ticks(redis_url)
    await ticks.queue.schedules.upsert("fast", "tick", every=0.1, data={"n": 1}, retry=Retry(attempts=1))
    await ticks.queue.schedules.upsert("each-second", "tick", cron="* * * * * *", tz="Asia/Kolkata")
    client = await node("client.mjs", redis_url, "ticking")
    worker = await node("worker.mjs", redis_url, "ticking")

    def ran(schedule_id: str) -> list[str]:
        return sorted(i for i in worker.jobs["completed"] if i.startswith(f"repeat:{schedule_id}:"))

    await eventually(lambda: len(ran("fast")) >= 4 and len(ran("each-second")) >= 2)
    job = await client.call("job", ran("fast")[-1])
    assert job["data"] == {"n": 1}
    assert job["returnvalue"] == {"echo": {"n": 1}, "by": "node"}
    assert job["opts"]["attempts"] == 1
    slots = [int(i.rpartition(":")[2]) for i in ran("fast")]
    assert all((later - earlier) % 100 == 0 for earlier, later in itertools.pairwise(slots))


async def test_node_and_bull_board_see_our_schedules(redis_url: str, node: Node) -> None:
    ticks = Ticks(redis_url)
    made = await ticks.queue.schedules.upsert(
        "nightly", "tick", cron="0 3 * * *", tz="Europe/Berlin", data={"all": True}, limit=9
    )
    assert made.next_run is not None
    client = await node("client.mjs", redis_url, "ticking")
    [seen] = await client.call("schedulers")
    assert seen["key"] == "nightly"
    assert (seen["name"], seen["pattern"], seen["tz"]) == ("tick", "0 3 * * *", "Europe/Berlin")
    assert (seen["limit"], seen["iterationCount"]) == (9, 1)
    assert seen["next"] == made.next_run.timestamp() * 1000
    assert seen["template"]["data"] == {"all": True}
    assert seen["template"]["opts"]["attempts"] == 3

    board = await node("board.mjs", redis_url, "ticking")
    port = (await board.event("listening"))["port"]
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        page = (await http.get("/api/job-schedulers")).json()
        [shown] = page["schedulers"]
        assert (shown["id"], shown["queueName"]) == ("nightly", "ticking")
        assert shown["nextRunJobId"] == f"repeat:nightly:{seen['next']}"
        edited = await http.patch("/api/queues/ticking/job-schedulers/nightly", json={"every": 3_600_000})
        assert edited.status_code == 204, edited.text
        ran = await http.put("/api/queues/ticking/job-schedulers/nightly/run")
        assert ran.status_code == 200, ran.text
    changed = await ticks.queue.schedules.get("nightly")
    assert changed is not None
    assert (changed.cron, changed.every, changed.data) == (None, 3600.0, {"all": True})
    mine = await ticks.queue.schedules.run_now("nightly")
    assert len(await client.call("ids", "waiting")) == 3  # the board's, ours, and that of the new interval
    assert (await client.call("job", mine.id))["data"] == {"all": True}


async def test_each_removes_the_others_and_a_paused_one_is_out_of_sight(redis_url: str, node: Node) -> None:
    ticks = Ticks(redis_url)
    schedules = ticks.queue.schedules
    client = await node("client.mjs", redis_url, "ticking")
    await client.call("schedule", "theirs", {"pattern": "0 3 * * *"})
    await schedules.upsert("ours", "tick", cron="0 4 * * *")
    assert await schedules.remove("theirs")
    assert await client.call("unschedule", "ours")
    assert await client.call("schedulers") == []
    assert await client.call("ids", "delayed") == []

    await client.call("schedule", "theirs", {"pattern": "0 3 * * *", "tz": "America/New_York", "limit": 5})
    [before] = await client.call("schedulers")
    assert await schedules.pause("theirs")
    assert await client.call("schedulers") == []
    assert await client.call("ids", "delayed") == []
    assert await schedules.resume("theirs")
    assert await client.call("schedulers") == [before]


async def test_an_upsert_here_of_what_node_made_changes_it_there(redis_url: str, node: Node) -> None:
    ticks = Ticks(redis_url)
    client = await node("client.mjs", redis_url, "ticking")
    await client.call("schedule", "nightly", {"pattern": "0 3 * * *"})
    await ticks.queue.schedules.upsert("nightly", "tick", cron="30 4 * * *", tz="Asia/Tokyo")
    [seen] = await client.call("schedulers")
    assert (seen["pattern"], seen["tz"]) == ("30 4 * * *", "Asia/Tokyo")
    assert await client.call("ids", "delayed") == [f"repeat:nightly:{seen['next']}"]
    await asyncio.gather(*(ticks.queue.schedules.upsert("nightly", "tick", every=60) for _ in range(5)))
    assert len(await client.call("ids", "delayed")) + len(await client.call("ids", "waiting")) == 1
