"""The live stream as a page meets it: a served dashboard, a real session, a real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from test_dashboard_sign_in import CHANGE, dashboard, sign_in

from corral import Queue
from corral.api import sse
from corral.api.server import HttpServer
from corral.bullmq.connection import close_shared_clients
from corral.dashboard.app import Dashboard
from corral.manage import live_ticker, streaming
from corral.manage.live_ticker import Live, live_of
from eventually import eventually
from redis_process import RedisProcess

LIVE = "/api/v1/live"
#: Longer than any of it takes on a machine that is busy.
PATIENCE = 30.0

#: Name and data of each.
Events = AsyncIterator[tuple[str, dict[str, Any]]]


class Site:
    """A served dashboard with somebody signed in."""

    def __init__(self, app: Dashboard, server: HttpServer, http: httpx2.AsyncClient, redis_url: str) -> None:
        self.app, self.server, self.http = app, server, http
        self.email = Queue("email", redis_url=redis_url, prefix="bull")

    @property
    def live(self) -> Live:
        return live_of(self.app.litestar, self.app.management)

    @contextlib.asynccontextmanager
    async def listening(self, **params: str) -> AsyncIterator[Events]:
        async with self.http.stream("GET", LIVE, params=params) as answer:
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield _events(answer)


@contextlib.asynccontextmanager
async def serving(redis_url: str) -> AsyncIterator[Site]:
    app = dashboard(redis_url)
    async with (
        HttpServer(app, name="dashboard", grace_seconds=5) as server,
        httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as http,
    ):
        assert (await sign_in(http)).status_code == 200
        started = Site(app, server, http, redis_url)
        await started.email.add("send", 0)  # before the first walk: the next one is in 15 s
        yield started
    await close_shared_clients()


@pytest.fixture
async def site(redis_url: str) -> AsyncIterator[Site]:
    async with serving(redis_url) as started:
        yield started


async def _events(answer: httpx2.Response) -> Events:
    """Events by name, and comments as ""."""
    name = ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
        elif line.startswith(": "):
            yield "", {}


async def until(
    events: AsyncIterator[tuple[str, dict[str, Any]]], name: str, topic: str = ""
) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        async for event, data in events:
            if event == name and (not topic or topic in data["topics"]):
                return data
    raise AssertionError(f"The stream ended without {name} {topic}.")


async def quiet(events: Events, site: Site) -> None:
    """What was there from the start has been told."""
    await until(events, "changed", "alerts")


async def test_it_says_hello_and_then_what_changed(site: Site) -> None:
    job = await site.email.add("send", 2)
    async with site.listening(job=f"email/{job.id}") as events:
        assert (await until(events, "hello"))["away"] is None
        await quiet(events, site)
        await site.email.add("send", 3)
        told = await until(events, "changed", "queue:email")
        assert not any(topic.startswith("job:") for topic in told["topics"])
        await site.email.admin.remove(job.id)
        await until(events, "changed", f"job:email/{job.id}")
        await site.email.schedules.upsert("nightly", "send", every=3_600)
        await until(events, "changed", "schedules")
    await eventually(lambda: not site.live._listeners)


async def test_waiting_jobs_grow_old_by_themselves(site: Site) -> None:
    async with site.listening() as events:
        await quiet(events, site)
        for _ in range(2):
            await until(events, "changed", "queue:email")


async def test_who_has_no_session_or_asks_wrongly_hears_nothing(site: Site) -> None:
    assert (await site.http.get(LIVE, params={"job": "email"})).status_code == 422
    assert (await site.http.get(LIVE, params={"job": "a b/1"})).status_code == 404
    site.http.cookies.clear()
    assert (await site.http.get(LIVE)).status_code == 401


async def test_the_stream_ends_when_its_session_does(site: Site) -> None:
    site.live.streams.recheck_seconds = 0.1
    async with site.listening() as events:
        await until(events, "hello")
        assert (await site.http.delete("/session", headers=CHANGE)).status_code == 204
        async with asyncio.timeout(PATIENCE):
            async for _ in events:
                pass


async def test_there_are_only_so_many(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.live.streams, "_most", 1)
    async with site.listening() as events:
        await until(events, "hello")
        refused = await site.http.get(LIVE)
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:corral:problem:too-many-streams")
    await eventually(lambda: len(site.live.streams) == 0)
    async with site.listening() as events:
        await until(events, "hello")


async def test_many_listeners_cost_one_look(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    look = Live._look

    async def counted(self: Live) -> Any:
        nonlocal looks
        looks += 1
        return await look(self)

    monkeypatch.setattr(Live, "_look", counted)
    async with contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(site.listening()) for _ in range(20)]
        began = asyncio.get_running_loop().time()
        for events in streams:
            await until(events, "hello")
        before = looks
        await site.email.add("send", 1)
        for events in streams:
            await until(events, "changed", "queue:email")
        took = asyncio.get_running_loop().time() - began
        assert looks - before <= took / live_ticker.EVERY_SECONDS + 2
    await eventually(lambda: not site.live._listeners)
    await eventually(lambda: site.live._looking is not None and site.live._looking.done())


async def test_redis_goes_away_and_comes_back() -> None:
    redis = RedisProcess()
    redis.start()
    try:
        async with serving(redis.url) as site, site.listening() as events:
            await quiet(events, site)
            redis.kill()
            assert (await until(events, "away"))["since"] > 0
            redis.start()
            await until(events, "back")
            await site.email.add("send", 1)
            await until(events, "changed", "queue:email")
    finally:
        redis.stop()


async def test_all_streams_end_when_the_service_stops(site: Site) -> None:
    async with site.listening() as events:
        await until(events, "hello")
        stopping = asyncio.create_task(site.server.stop())
        async with asyncio.timeout(PATIENCE):
            async for _ in events:
                pass  # a stream that the grace period cut would raise
            await stopping


async def test_a_reader_that_takes_nothing_is_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "SLOW_SECONDS", 0.2)
    monkeypatch.setattr(sse, "HEARTBEAT_SECONDS", 0.001)
    monkeypatch.setattr(sse, "HEARTBEAT", b": " + b"x" * 1_000_000 + b"\n\n")
    address = urlsplit(site.server.url)
    token = site.http.cookies["corral"]
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect((address.hostname, address.port))
        reader.sendall(f"GET {LIVE} HTTP/1.1\r\nHost: localhost\r\nCookie: corral={token}\r\n\r\n".encode())
        await eventually(lambda: len(site.live._listeners) == 1)
        await eventually(lambda: not site.live._listeners)
