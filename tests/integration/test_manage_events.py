"""The stream of events in the management API: a real server, a real stream, a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from http_service import READ, Service, serving
from running_worker import Redis

from corral import Worker
from corral.manage import events_rows, streaming
from eventually import eventually
from redis_process import RedisProcess

EVENTS, RECENT = "/api/v1/events", "/api/v1/events/recent"
SECRET = "passport-of-somebody"


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


class Heard:
    """What a stream has said so far, read in the background as a browser does."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any]] = []
        self.place = ""
        self.ended = False

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for batch in self.batches for event in batch["events"]]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events]

    async def until(self, kind: str, count: int = 1) -> None:
        await eventually(lambda: self.kinds().count(kind) >= count, within=30)


@contextlib.asynccontextmanager
async def listening(api: Service, key: str | None = None, **params: Any) -> AsyncIterator[Heard]:
    headers = api.as_(key) if key else {}
    if "last_event_id" in params:
        headers["last-event-id"] = params.pop("last_event_id")
    heard = Heard()
    async with api.http.stream("GET", EVENTS, params=params, headers=headers, timeout=60) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        reading = asyncio.create_task(_read(answer, heard))
        try:
            await eventually(lambda: heard.batches, within=30)
            yield heard
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(answer: httpx2.Response, heard: Heard) -> None:
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "id":
            heard.place = value
        elif name == "data":
            heard.batches.append(json.loads(value))
    heard.ended = True


async def run(api: Service, month: str = "may", count: int = 1) -> None:
    queue = api.queues["reports"]
    await queue.add_many("build", [{"month": month}] * count)
    async with asyncio.timeout(30):
        await Worker(queue).run(until_empty=True)


async def recent(api: Service, key: str | None = None, **params: Any) -> dict[str, Any]:
    answer = await api.http.get(RECENT, params=params, headers=api.as_(key) if key else {})
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


async def test_a_page_opens_full_and_the_stream_goes_on_behind_it(api: Service) -> None:
    await run(api)
    page = await recent(api)
    assert [event["kind"] for event in page["events"]][:2] == ["drained", "completed"] or page["events"]
    assert {"added", "active", "completed"} <= {event["kind"] for event in page["events"]}
    await run(api)  # between the page and its stream
    async with listening(api, after=page["after"]) as heard:
        await heard.until("completed")
        await run(api)
        await heard.until("completed", 2)
    ids = [event["id"] for event in [*reversed(page["events"]), *heard.events]]
    assert len(ids) == len(set(ids))
    told = [event for event in heard.events if event["kind"] == "completed"]
    assert {(event["queue"], event["name"]) for event in told} == {("reports", "build")}


async def test_filters(api: Service) -> None:
    await api.queues["kyc-verification"].add("verify", {"userId": "u", "documentType": "passport"})
    await run(api, "may")
    job = await api.queues["reports"].add("purge", {})
    assert {e["queue"] for e in (await recent(api, queue="reports"))["events"]} == {"reports"}
    assert {e["queue"] for e in (await recent(api, queue=["reports", "kyc-verification"]))["events"]} == {
        "reports",
        "kyc-verification",
    }
    assert {e["kind"] for e in (await recent(api, kind=["completed", "active"]))["events"]} == {
        "completed",
        "active",
    }
    assert {e["job"] for e in (await recent(api, name="purge"))["events"]} == {job.id}
    by_id = (await recent(api, id=job.id, queue="reports"))["events"]
    assert [e["kind"] for e in by_id] == ["waiting", "added"]
    async with listening(api, name="purge", kind="completed") as heard:
        await run(api, "june", 3)
        await heard.until("completed")
    assert {e["name"] for e in heard.events} == {"purge"}


async def test_past_events_go_back_page_by_page_and_none_is_lost(api: Service) -> None:
    await api.queues["kyc-verification"].add("verify", {"userId": "u", "documentType": "passport"})
    await run(api, count=30)
    whole = (await recent(api, count=500))["events"]
    assert len(whole) > 60
    paged: list[dict[str, Any]] = []
    page = await recent(api, count=7)
    while True:
        paged += page["events"]
        if page["before"] is None:
            break
        page = await recent(api, count=7, before=page["before"])
    assert paged == whole


async def test_payloads_are_for_those_who_may_see_them(api: Service, redis: Redis) -> None:
    queue = api.queues["reports"]
    async with listening(api) as admin, listening(api, READ) as reader:
        stream = queue.keys().events
        await redis.xadd(stream, {"event": "completed", "jobId": "1", "returnvalue": json.dumps(SECRET)})
        await redis.xadd(stream, {"event": "failed", "jobId": "1", "failedReason": SECRET, "prev": "active"})
        await redis.xadd(stream, {"event": "progress", "jobId": "1", "data": json.dumps({"of": SECRET})})
        await redis.xadd(stream, {"event": "progress", "jobId": "1", "data": "40"})
        await redis.xadd(stream, {"event": "greeted", "jobId": "1", "prev": SECRET, "whom": SECRET})
        await admin.until("greeted")
        await reader.until("greeted")
    past = await recent(api, READ)
    for rows in (reader.events, past["events"]):
        assert SECRET not in json.dumps(rows)
        by_kind = {row["kind"]: row for row in rows if row["detail"] is None}
        assert all(by_kind[kind]["redacted"] for kind in ("completed", "failed", "progress", "greeted"))
        assert [row["detail"] for row in rows if row["detail"]] == ["40"]
        assert by_kind["failed"]["facts"] == {"prev": "active"}
    assert past["redacted"] is True
    assert [SECRET in row["detail"] for row in admin.events] == [True, True, True, False, True]


async def test_who_comes_back_gets_what_it_missed(api: Service) -> None:
    async with listening(api) as heard:
        await run(api)
        await heard.until("completed")
        # The place belongs to a batch: whatever was told up to it is not told again.
        place, seen = heard.place, len(heard.events)
    await run(api, "june")
    async with listening(api, last_event_id=place, after="0") as again:
        await again.until("completed")
    assert seen
    assert again.events
    assert not {event["id"] for event in heard.events[:seen]} & {event["id"] for event in again.events}
    assert [batch["missed"] for batch in again.batches if batch["missed"]] == []


async def test_what_was_trimmed_meanwhile_is_counted(api: Service, redis: Redis) -> None:
    stream = api.queues["reports"].keys().events
    async with listening(api, queue="reports") as heard:
        await redis.xadd(stream, {"event": "first", "jobId": "1"})
        await heard.until("first")
        place = heard.place
    for _ in range(50):
        await redis.xadd(stream, {"event": "lost", "jobId": "1"})
    await redis.xtrim(stream, maxlen=3, approximate=False)
    async with listening(api, queue="reports", last_event_id=place) as again:
        await again.until("lost", 3)
        await eventually(lambda: any(batch["missed"] for batch in again.batches), within=30)
    assert [batch["missed"] for batch in again.batches if batch["missed"]] == [
        [{"queue": "reports", "count": 47}]
    ]
    assert len(again.events) == 3


async def test_a_stream_that_began_anew_says_that_some_may_be_missing(api: Service, redis: Redis) -> None:
    stream = api.queues["reports"].keys().events
    await redis.xadd(stream, {"event": "first", "jobId": "1"}, id="99999999999999-0")
    place = (await recent(api, queue="reports"))["after"]
    await redis.delete(stream)
    await redis.xadd(stream, {"event": "fresh", "jobId": "1"})
    async with listening(api, queue="reports", last_event_id=place) as heard:
        await heard.until("fresh")
    assert [batch["missed"] for batch in heard.batches if batch["missed"]] == [
        [{"queue": "reports", "count": None}]
    ]


async def test_of_a_burst_it_tells_some_and_counts_the_rest_exactly(api: Service, redis: Redis) -> None:
    stream = api.queues["reports"].keys().events
    async with listening(api, queue="reports") as heard:
        pipe = redis.pipeline(transaction=False)
        for number in range(3_000):
            kind = "failed" if number % 1_000 == 0 else "active"
            pipe.xadd(stream, {"event": kind, "jobId": str(number)})
        await pipe.execute()
        await redis.xadd(stream, {"event": "last"})
        await heard.until("last")
    left = sum(sum(batch["left"].values()) for batch in heard.batches)
    assert len(heard.events) + left == 3_001
    assert left > 0
    assert max(len(batch["events"]) for batch in heard.batches) <= 100
    assert heard.kinds().count("failed") == 3  # what is rare is not left out


async def test_a_new_queue_joins_a_stream_of_all(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.manage.events_feed.NEW_QUEUES_SECONDS", 0.1)
    async with listening(api) as heard:
        await api.http.post("/v1/queues/invoices/jobs", json={"name": "send", "data": {}})
        await eventually(lambda: any(e["queue"] == "invoices" for e in heard.events), within=30)


async def test_all_streams_of_a_queue_share_one_reader(api: Service, redis: Redis) -> None:
    async def blocked() -> int:
        return len([c for c in await redis.client_list() if c["cmd"] in ("xread", "XREAD")])

    async with listening(api, queue="reports"), listening(api, queue="reports"):
        await eventually(blocked, within=30)
        assert await blocked() == 1


async def test_one_too_many_is_refused(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = api.app.litestar.state.management.streams
    monkeypatch.setattr(streams, "_most", 1)
    async with listening(api):
        answer = await api.http.get(EVENTS)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:corral:problem:too-many-streams")
        assert answer.headers["retry-after"]
    await eventually(lambda: len(streams) == 0, within=30)


async def test_a_reader_that_takes_nothing_is_cut_off(
    api: Service, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "SLOW_SECONDS", 0.5)
    monkeypatch.setattr(events_rows, "SHOWN_CHARS", 50_000)  # the kernel's buffers hold megabytes
    streams = api.app.litestar.state.management.streams
    host, port = api.url.removeprefix("http://").split(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
    _, writer = await asyncio.open_connection(sock=narrow, limit=1_000)
    request = (
        f"GET {EVENTS} HTTP/1.1\r\nHost: x\r\nAuthorization: {api.http.headers['authorization']}\r\n\r\n"
    )
    writer.write(request.encode())
    await writer.drain()
    await eventually(lambda: len(streams) == 1, within=30)
    stream = api.queues["reports"].keys().events
    long = json.dumps("x" * 40_000)

    async def burst_until_cut() -> bool:
        pipe = redis.pipeline(transaction=False)
        for number in range(100):
            pipe.xadd(stream, {"event": "completed", "jobId": str(number), "returnvalue": long}, maxlen=200)
        await pipe.execute()
        return len(streams) == 0

    try:
        await eventually(burst_until_cut, within=60)
    finally:
        writer.transport.abort()


async def test_it_ends_with_the_service(redis_url: str) -> None:
    async with serving(redis_url) as service, listening(service) as heard:
        await service.server.stop()
        await eventually(lambda: heard.ended, within=30)


@pytest.mark.parametrize("after", ["no", "reports:x:1", "reports:1-1:x", ":1-1:1"])
async def test_an_id_of_nobody_is_refused(api: Service, after: str) -> None:
    answer = await api.http.get(EVENTS, params={"after": after})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:corral:problem:invalid-input")
    assert (await api.http.get(RECENT, params={"before": after + "!"})).status_code in (200, 422)


async def test_redis_leaves_and_comes_back_and_nothing_is_missing(tmp_path: Any) -> None:
    server = RedisProcess("--appendonly", "yes", "--dir", str(tmp_path))
    server.start()
    try:
        async with serving(server.url) as service, listening(service) as heard:
            await run(service)
            await heard.until("completed")
            server.kill()
            await eventually(lambda: heard.batches[-1]["away"], within=60)
            server.start()
            client = aioredis.Redis.from_url(server.url)
            await client.xadd(service.queues["reports"].keys().events, {"event": "back", "jobId": "9"})
            await client.aclose()
            await heard.until("back")
            await eventually(lambda: not heard.batches[-1]["away"], within=60)
            ids = [event["id"] for event in heard.events]
            assert len(ids) == len(set(ids))
    finally:
        server.stop()
