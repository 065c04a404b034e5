"""Statistics in Redis: what several workers counted is what ran, bounded, and readable."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from running_worker import MakeQueue, Redis, StartWorker, drain

from corral import Queue, Retry
from corral.bullmq import statistics
from corral.bullmq.statistics import Entry, counted
from corral.errors import InvalidInput
from corral.observe.stand import read_standing
from corral.stats import read_marks
from corral.worker import reporting
from corral.worker.counting import Counting
from corral.worker.tally import Tally
from eventually import eventually

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
#: Some midnight.
NOW = 20_000 * DAY


async def note(queue: Queue, batch: int, at_ms: int, **names: Entry) -> bool:
    did = counted(queue.keys(), names, {}, ())
    return await statistics.write(queue.client(), "bull", "w", batch, [did], now_ms=at_ms)


async def read(queue: Queue, unit: statistics.Unit, count: int, at_ms: int, name: str | None = None) -> Any:
    _, entries = await statistics.read_series(queue.client(), queue.keys(), unit, count, at_ms, name)
    return entries


def ended(completed: int, **buckets: dict[int, int]) -> Entry:
    return Entry({"completed": completed}, **buckets)


async def test_what_is_added_to_a_minute_is_added_to_its_hour(queue: Queue) -> None:
    await note(queue, 1, NOW + 59 * MINUTE, build=ended(1, wait={5: 1}, run={200: 2, 7: 1}))
    await note(queue, 2, NOW + 60 * MINUTE, build=ended(2, wait={5: 2, 450: 1}), mail=ended(10, run={0: 3}))
    await note(queue, 3, NOW + 60 * MINUTE, build=ended(4, wait={4: 7}))
    at = NOW + 60 * MINUTE
    before, now = await read(queue, statistics.MINUTE, 2, at)
    assert before == ended(1, wait={5: 1}, run={200: 2, 7: 1})
    assert now == ended(16, wait={4: 7, 5: 2, 450: 1}, run={0: 3})
    assert (await read(queue, statistics.MINUTE, 1, at, "build"))[0] == ended(6, wait={4: 7, 5: 2, 450: 1})
    assert [e.counts for e in await read(queue, statistics.HOUR, 2, at)] == [
        {"completed": 1},
        {"completed": 16},
    ]
    assert [e.counts for e in await read(queue, statistics.HOUR, 3, at, "mail")] == [
        {},
        {},
        {"completed": 10},
    ]


async def test_a_batch_whose_answer_was_lost_is_added_once(queue: Queue) -> None:
    assert await note(queue, 1, NOW, build=ended(5))
    assert not await note(queue, 1, NOW, build=ended(5))
    assert await note(queue, 2, NOW, build=ended(5))
    assert (await read(queue, statistics.MINUTE, 1, NOW))[0].counts == {"completed": 10}


async def test_minutes_end_after_a_day_and_hours_after_ninety(queue: Queue, redis: Redis) -> None:
    for hour in range(0, 24 * 100, 6):
        await note(queue, hour + 1, NOW + hour * HOUR, build=ended(1))
    keys = [key for key in await redis.keys("corral:*") if ":stats:m:" in key or ":stats:h:" in key]
    for key in keys:
        lives = await redis.pttl(key)
        assert 0 < lives <= (DAY + HOUR if ":stats:m:" in key else 91 * DAY)
    # Of one hour and one day each, so that this is the bound once the old ones have gone.
    assert len({key for key in keys if ":stats:m:" in key}) == 400
    assert len({key for key in keys if ":stats:h:" in key}) == 100
    last = NOW + (24 * 100 - 6) * HOUR
    entries = await read(queue, statistics.HOUR, 90 * 24, last)
    assert sum(entry.counts.get("completed", 0) for entry in entries) == 90 * 4


async def test_names_are_bounded(queue: Queue, redis: Redis) -> None:
    for batch in range(3):
        names = {f"name-{batch}-{number}": ended(1) for number in range(100)}
        await note(queue, batch + 1, NOW, **names)
    assert await redis.zcard(queue.keys().stats_names()) == 201
    assert (await read(queue, statistics.MINUTE, 1, NOW, "other"))[0].counts == {"completed": 100}
    await note(queue, 9, NOW + 91 * DAY, late=ended(1))  # those that did nothing for 90 days make room
    assert set(await redis.zrange(queue.keys().stats_names(), 0, -1)) == {"other"}
    await note(queue, 10, NOW + 91 * DAY, late=ended(1))
    assert set(await redis.zrange(queue.keys().stats_names(), 0, -1)) == {"other", "late"}


async def test_torn_values_are_written_over(queue: Queue, redis: Redis) -> None:
    await redis.hset(f"{queue.keys().own()}stats:m:{NOW // HOUR}", "0:build", "\x00torn")
    await note(queue, 1, NOW, build=ended(1))
    assert (await read(queue, statistics.MINUTE, 1, NOW, "build"))[0].counts == {"completed": 1}


async def test_what_came_is_counted_by_whoever_looks_first(queue: Queue, redis: Redis) -> None:
    await queue.add_many("build", [1, 2])
    await note(queue, 1, NOW)  # the first look: nobody knows since when
    await queue.add_many("build", [3, 4, 5])
    await queue.add("build", 6, job_id="six")
    await note(queue, 2, NOW)
    await note(queue, 3, NOW)
    assert (await read(queue, statistics.MINUTE, 1, NOW))[0].counts == {"arrived": 4}
    await redis.set(queue.keys().id, 2)  # the queue was removed and made again
    await note(queue, 4, NOW + MINUTE)
    assert (await read(queue, statistics.MINUTE, 1, NOW + MINUTE))[0].counts == {"arrived": 2}


async def test_several_workers_add_up_to_what_ran(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue(retry=Retry(attempts=2, delay=0))
    ran = {"good": 0, "bad": 0}

    @queue.job("good")
    async def good(job: Any, data: int) -> None:
        ran["good"] += 1
        await asyncio.sleep(0.001)

    @queue.job("bad")
    async def bad(job: Any, data: int) -> None:
        ran["bad"] += 1
        raise ValueError("no")

    workers = [await start_worker(queue).ready() for _ in range(3)]
    await eventually(lambda: _seen(queue))
    await queue.add_many("good", list(range(300)))
    await queue.add_many("bad", list(range(20)))
    await eventually(lambda: _ended(queue, 320))
    for worker in workers:
        await worker.stop()
    assert ran == {"good": 300, "bad": 40}
    spans = await queue.stats.series(minutes=10)
    names = {name: await queue.stats.series(minutes=10, name=name) for name in ran}

    def total(spans: Any, number: str) -> int:
        return sum(getattr(span, number) for span in spans)

    whole = {n: total(spans, n) for n in ("arrived", "started", "completed", "failed", "retried", "put_back")}
    assert whole == {
        "arrived": 320, "started": 340, "completed": 300, "failed": 20, "retried": 20, "put_back": 0,
    }  # fmt: skip
    assert total(names["good"], "arrived") == total(names["good"], "completed") == 300
    assert [total(names["bad"], n) for n in ("arrived", "started", "failed", "retried")] == [20, 40, 20, 20]
    assert sum(sum(span.wait.values()) for span in spans) == 320
    assert sum(sum(span.run.values()) for span in spans) == 340
    recent = (await read_standing([queue], server=False)).queues[queue.name]
    assert (recent.recent.completed, recent.recent.failed, recent.recent.arrived) == (300, 20, 320)
    assert recent.recent.failure_rate == 20 / 320
    assert recent.names["good"].run_p50 is not None
    assert recent.names["good"].run_p50 >= 0.001
    alone = await queue.stats.recent(name="bad")
    assert replace(alone, window_seconds=0) == replace(recent.names["bad"], window_seconds=0)
    assert (await queue.stats.names()).keys() == {"good", "bad"}


async def _seen(queue: Queue) -> Any:
    return await queue.client().get(queue.keys().own() + "stats:seen")


async def _ended(queue: Queue, jobs: int) -> bool:
    counts = await queue.counts()
    return counts["completed"] + counts["failed"] == jobs


async def test_an_outage_keeps_what_was_counted(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    tally = Tally(["build"])
    counting = Counting([(queue.keys(), tally)])
    row = tally.row(b"build")
    row.started = row.completed = 3
    lost = counting.batch()
    number = counting.number
    row.started = row.completed = 10
    assert (counting.batch(), counting.number) == (lost, number)  # until it was answered
    await statistics.write(queue.client(), "bull", "w", number, lost, now_ms=NOW)
    counting.answered()
    await statistics.write(queue.client(), "bull", "w", number, lost, now_ms=NOW)  # it had arrived after all
    rest = counting.batch()
    await statistics.write(queue.client(), "bull", "w", counting.number, rest, now_ms=NOW)
    counting.answered()
    entry = (await read(queue, statistics.MINUTE, 1, NOW))[0]
    assert (entry.counts["started"], entry.counts["completed"]) == (10, 10)
    assert counting.batch()[0].names == {}


async def test_obliterate_removes_the_statistics(make_queue: MakeQueue, redis: Redis) -> None:
    queue = make_queue()

    @queue.job("build")
    async def build(job: Any, data: int) -> None:
        pass

    await queue.add("build", 1)
    await drain(queue)
    assert [key for key in await redis.keys("corral:*") if ":stats:" in key]
    await queue.admin.obliterate()
    assert [key for key in await redis.keys("corral:*") if ":stats:" in key] == []


async def test_a_release_is_marked_when_its_first_worker_comes(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.05)
    queue = make_queue()
    for release in ("v1", "v2", "v1"):
        monkeypatch.setenv("CORRAL_RELEASE", release)
        running = await start_worker(queue).ready()
        await eventually(lambda: _has_mark(queue, release))  # noqa: B023  # awaited here
        await running.stop()
    marks = await read_marks(queue.client(), "bull")
    assert [mark.release for mark in marks] == ["v1", "v2"]
    assert marks[0].at <= marks[1].at


async def _has_mark(queue: Queue, release: str) -> bool:
    return release in {mark.release for mark in await read_marks(queue.client(), "bull")}


async def test_unknown_names_reach_who_looks_on(
    make_queue: MakeQueue, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "BEAT_SECONDS", 0.05)
    queue = make_queue()

    @queue.job("known")
    async def known(job: Any, data: int) -> None:
        pass

    await make_queue(queue.name).add("brand-new", 1)
    await start_worker(queue).ready()

    async def told() -> bool:
        return (await read_standing([queue])).queues[queue.name].unknown_names == ("brand-new",)

    await eventually(told)


@pytest.mark.parametrize(
    "wrong", [{"minutes": 0}, {"minutes": 1_441}, {"hours": 2_161}, {"minutes": 1, "hours": 1}]
)
async def test_a_series_out_of_range_is_refused(queue: Queue, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        await queue.stats.series(**wrong)


async def test_a_series_has_a_span_for_each_minute_and_hour(queue: Queue) -> None:
    minutes = await queue.stats.series()
    assert len(minutes) == 60
    assert [b.at - a.at for a, b in pairwise(minutes)] == [60] * 59
    hours = await queue.stats.series(hours=2_160)
    assert len(hours) == 2_160
    assert hours[-1].at <= minutes[-1].at < hours[-1].at + 3_600
