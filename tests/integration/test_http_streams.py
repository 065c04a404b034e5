"""Live events over HTTP, as a caller meets them: a real server, a real stream, a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from http_service import ENQUEUE, READ, Service, serving

from corral import Worker
from corral.api import streams
from eventually import eventually
from redis_process import RedisProcess

QUEUE = "/v1/queues/reports"


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


@dataclass
class Message:
    id: str
    event: str
    data: dict[str, Any]


@contextlib.asynccontextmanager
async def listening(api: Service, path: str, **headers: str) -> AsyncIterator[AsyncIterator[Message]]:
    """The messages of a stream, once it has answered."""
    async with api.http.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield messages(answer)


async def messages(answer: httpx2.Response) -> AsyncIterator[Message]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(":")
        if line:
            fields[name] = value.strip()
        elif "event" in fields:
            yield Message(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
        else:
            yield Message("", "", dict(fields))  # a comment, or the time to come back
            fields = {}


async def add(api: Service, month: str = "m", **more: Any) -> str:
    answer = await api.http.post(f"{QUEUE}/jobs", json={"name": "build", "data": {"month": month}, **more})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


async def run(api: Service) -> None:
    async with asyncio.timeout(20):
        await Worker(api.queues["reports"]).run(until_empty=True)


async def all_of(seen: AsyncIterator[Message]) -> list[Message]:
    async with asyncio.timeout(20):
        return [message async for message in seen if message.event]


async def until(seen: AsyncIterator[Message], event: str) -> list[Message]:
    found = []
    async with asyncio.timeout(20):
        async for message in seen:
            found.append(message)
            if message.event == event:
                return found
    raise AssertionError(f"The stream ended without {event}: {found}")


async def test_a_jobs_stream_tells_its_life_and_ends_with_it(api: Service) -> None:
    job_id = await add(api)
    await add(api, "another")
    async with listening(api, f"{QUEUE}/jobs/{job_id}/events") as stream:
        await until(stream, "status")
        await run(api)
        told = await all_of(stream)
    assert [message.event for message in told] == ["active", "completed"]
    assert told[-1].data["result"] == 1
    assert told[-1].data["jobId"] == job_id
    assert told[-1].data["at"].endswith("Z")


async def test_it_begins_with_the_job_as_it_stands(api: Service) -> None:
    job_id = await add(api, delay=60)
    async with listening(api, f"{QUEUE}/jobs/{job_id}/events") as stream:
        (*_, status) = await until(stream, "status")
    assert status.data == (await api.http.get(f"{QUEUE}/jobs/{job_id}")).json()
    assert status.data["status"] == "delayed"


async def test_of_a_job_that_has_ended_it_tells_just_that(api: Service) -> None:
    job_id = await add(api)
    await run(api)
    async with listening(api, f"{QUEUE}/jobs/{job_id}/events") as stream:
        (status,) = await all_of(stream)
    assert (status.event, status.data["status"], status.data["result"]) == ("status", "completed", 1)


async def test_who_comes_back_gets_what_it_missed(api: Service) -> None:
    job_id = await add(api)
    path = f"{QUEUE}/jobs/{job_id}/events"
    async with listening(api, path) as stream:
        (*_, status) = await until(stream, "status")
    await run(api)
    async with listening(api, path, **{"Last-Event-ID": status.id}) as stream:
        told = await all_of(stream)
    assert [message.event for message in told] == ["active", "completed", "status"]

    again = await api.http.get(path, headers={"Last-Event-ID": told[-1].id})
    assert again.status_code == 204  # a browser stops coming back


async def test_a_job_that_was_removed_as_it_ended_is_told_all_the_same(api: Service) -> None:
    job_id = await add(api, removeOnComplete=True)
    async with listening(api, f"{QUEUE}/jobs/{job_id}/events") as stream:
        (*_, status) = await until(stream, "status")
    await run(api)
    path = f"{QUEUE}/jobs/{job_id}/events"
    assert (await api.http.get(path)).status_code == 404
    async with listening(api, path, **{"Last-Event-ID": status.id}) as stream:
        assert [message.event for message in await all_of(stream)] == ["active", "completed"]


async def test_a_removed_job_ends_its_stream(api: Service) -> None:
    job_id = await add(api)
    async with listening(api, f"{QUEUE}/jobs/{job_id}/events") as stream:
        await until(stream, "status")
        await api.queues["reports"].admin.remove(job_id)
        assert [message.event for message in await all_of(stream)] == ["removed"]


async def test_a_gap_is_told_and_the_job_looked_at_again(
    api: Service, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job ends while the stream's reader has no connection, and its events are trimmed."""
    job_id = await add(api)
    async with (
        listening(api, f"{QUEUE}/jobs/{job_id}/events") as stream,
        aioredis.Redis.from_url(redis_url) as store,
    ):
        await until(stream, "status")
        await eventually(lambda: _blocked(store))
        pipe = store.pipeline()
        key = "bull:reports:"
        pipe.zadd(f"{key}completed", {job_id: 1})
        pipe.lrem(f"{key}wait", 1, job_id)
        pipe.delete(f"{key}events")
        pipe.xadd(f"{key}events", {"event": "drained"})
        pipe.client_kill_filter(_type="normal", skipme=True)
        await pipe.execute()
        told = await all_of(stream)
    assert [message.event for message in told][-2:] == ["gap", "status"]
    assert told[-1].data["status"] == "completed"


async def _blocked(store: Any) -> bool:
    return bool((await store.info("clients"))["blocked_clients"])


async def test_a_queues_stream_tells_of_all_its_jobs(api: Service) -> None:
    before = await add(api)
    async with listening(api, f"{QUEUE}/events") as stream:
        job_id = await add(api)
        added, waiting = (await until(stream, "waiting"))[-2:]
    assert (added.event, added.data["jobId"], added.data["name"]) == ("added", job_id, "build")
    assert waiting.data["queue"] == "reports"
    async with listening(api, f"{QUEUE}/events", **{"Last-Event-ID": "0"}) as stream:
        told = await until(stream, "waiting")
    assert told[-1].data["jobId"] == before
    async with listening(api, f"{QUEUE}/events", **{"Last-Event-ID": added.id}) as stream:
        assert (await until(stream, "waiting"))[-1].id == waiting.id


async def test_a_quiet_stream_gives_signs_of_life(api: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)
    async with listening(api, f"{QUEUE}/events") as stream, asyncio.timeout(20):
        seen = [await anext(stream) for _ in range(4)]
    assert "retry" in seen[0].data
    assert [message.data for message in seen[1:]] == [{"": "still here"}] * 3


async def test_streams_are_bounded_and_those_that_end_make_room(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 2)
    open_streams = api.app.service.streams
    async with listening(api, f"{QUEUE}/events") as first, listening(api, f"{QUEUE}/events") as second:
        await anext(first)
        await anext(second)
        await eventually(lambda: len(open_streams) == 2)
        for path in (f"{QUEUE}/events", f"{QUEUE}/jobs/1/events"):
            refused = await api.http.get(path)
            assert refused.status_code == 503
            assert refused.json()["type"] == "urn:corral:problem:too-many-streams"
            assert refused.headers["retry-after"] == "1"
    await eventually(lambda: not open_streams)
    async with listening(api, f"{QUEUE}/events") as stream:
        await anext(stream)


async def test_streams_end_when_the_service_stops(redis_url: str) -> None:
    async with serving(redis_url) as api, listening(api, f"{QUEUE}/events") as stream:
        await anext(stream)
        await eventually(lambda: api.app.service.streams)
        stopping = asyncio.create_task(api.server.stop())
        assert await all_of(stream) == []
        await stopping


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    process = RedisProcess()
    process.start()
    yield process
    process.stop()


async def test_a_stream_outlives_its_redis(server: RedisProcess) -> None:
    async with serving(server.url) as api, listening(api, f"{QUEUE}/events") as stream:
        await add(api)
        await until(stream, "waiting")
        server.kill()
        assert (await api.http.get(f"{QUEUE}/events")).status_code == 503
        server.start()
        job_id = await eventually(lambda: _try_add(api))
        told = [message.event for message in await until(stream, "waiting")]
        assert told[-3:] == ["gap", "added", "waiting"]
        async with listening(api, f"{QUEUE}/jobs/{job_id}/events") as another:
            await until(another, "status")


async def _try_add(api: Service) -> str | None:
    body = {"name": "build", "data": {"month": "m"}}
    answer = await api.http.post(f"{QUEUE}/jobs", json=body)
    return answer.json()["jobId"] if answer.status_code == 202 else None


@pytest.mark.parametrize("path", [f"{QUEUE}/events", f"{QUEUE}/jobs/1/events"])
async def test_what_is_refused(api: Service, path: str) -> None:
    anybody = await api.http.get(path, headers={"Authorization": ""})
    assert anybody.status_code == 401
    wrong = await api.http.get(path, headers={"Last-Event-ID": "yesterday"})
    assert wrong.status_code == 422
    assert "Last-Event-ID" in wrong.json()["detail"]
    assert (await api.http.get(path.replace("reports", "a b"))).status_code == 404


@pytest.mark.parametrize("key", [READ, ENQUEUE])
async def test_who_may_read_jobs_may_read_their_events(api: Service, key: str) -> None:
    job_id = await add(api)
    path = f"{QUEUE}/jobs/{job_id}/events"
    async with listening(api, path, **api.as_(key)) as stream:
        await until(stream, "status")
    assert (await api.http.get(f"{QUEUE}/jobs/none/events")).status_code == 404
