"""The short way of an enqueue request through the server, beside the long one: the same answers, in order."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import pytest
from http_service import ADMIN, KYC, READ, Service, serving

from corral.api import server as api_server
from corral.api.app import HttpService
from corral.api.asgi import Receive, Scope, Send
from corral.api.enqueue import EnqueueLayer
from eventually import eventually

BODY = msgspec.json.encode(KYC)


def request(
    body: bytes = BODY,
    *,
    path: str = "/verify-kyc",
    method: str = "POST",
    key: str = ADMIN,
    version: str = "1.1",
    headers: Sequence[str] = (),
) -> bytes:
    lines = [
        f"{method} {path} HTTP/{version}",
        "Host: corral.example.com",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Caller:
    """A connection that shows what travels."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.02)  # so that each piece is a packet of its own

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status_line, *rows = head.decode().strip().split("\r\n")
            headers = dict(row.split(": ", 1) for row in rows)
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status_line.split()[1]), headers, body

    async def ended(self) -> bool:
        async with asyncio.timeout(10):
            return await self.reader.read(1) == b""


Connect = Callable[[Service], Awaitable[Caller]]


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


@pytest.fixture
async def caller() -> AsyncIterator[Connect]:
    opened: list[Caller] = []

    async def connect(service: Service) -> Caller:
        host, port = service.url.removeprefix("http://").split(":")
        opened.append(Caller(*await asyncio.open_connection(host, int(port))))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.writer.close()
        with contextlib.suppress(OSError):
            await connection.writer.wait_closed()


def plain(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """Without what differs between two requests: date, ids, the length that they make."""
    status, headers, body = answer
    headers = {
        k: v for k, v in headers.items() if k not in ("date", "x-request-id", "location", "content-length")
    }
    return status, headers, re.sub(rb"kyc-[0-9a-f]{20}", b"ID", body)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        ({}, 202),
        ({"key": "nobody-has-this-key"}, 401),
        ({"key": READ}, 403),
        ({"body": b"{"}, 400),
        ({"body": b'{"userId": 1, "documentType": "passport"}'}, 422),
        ({"body": b"\xff\xfe{}"}, 400),
        ({"headers": ["Content-Encoding: gzip"]}, 415),
        ({"headers": ["Idempotency-Key: " + "k" * 300]}, 400),
        ({"body": b"", "path": "/v1/queues/reports/jobs"}, 400),
        ({"body": b'{"name": "nope", "data": {}}', "path": "/v1/queues/reports/jobs"}, 422),
    ],
)
async def test_both_ways_give_the_same_answer(
    service: Service, caller: Connect, what: dict[str, object], status: int
) -> None:
    whole = request(**what)  # type: ignore[arg-type]  # of each its own type
    head, end, body = whole.partition(b"\r\n\r\n")
    connection = await caller(service)
    await connection.send(whole)
    short = await connection.answer()
    await connection.send(head + end, body) if body else await connection.send(head, end)
    long = await connection.answer()
    assert short[0] == status
    assert plain(short) == plain(long)
    assert short[1]["content-security-policy"]
    assert short[1]["x-request-id"] != long[1]["x-request-id"]


async def test_only_the_long_way_leads_through_asgi(
    service: Service, caller: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []

    async def counting(app: HttpService, scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        await EnqueueLayer.__call__(app, scope, receive, send)

    monkeypatch.setattr(HttpService, "__call__", counting)
    connection = await caller(service)
    await connection.send(request())
    assert (await connection.answer())[0] == 202
    assert paths == []
    await connection.send(request()[:-10], request()[-10:])
    assert (await connection.answer())[0] == 202
    assert paths == ["/verify-kyc"]


async def test_a_body_in_three_pieces_is_read_whole(service: Service, caller: Connect) -> None:
    whole = request()
    connection = await caller(service)
    await connection.send(whole[:-30], whole[-30:-10], whole[-10:])
    assert (await connection.answer())[0] == 202
    assert (await service.queues["kyc-verification"].counts())["waiting"] == 1


async def test_requests_in_one_packet_are_answered_in_their_order(service: Service, caller: Connect) -> None:
    connection = await caller(service)
    await connection.send(
        request(headers=["X-Request-Id: first"])
        + request(b"{", headers=["X-Request-Id: second"])
        + request(headers=["X-Request-Id: third"])
        + b"GET /healthz HTTP/1.1\r\nHost: corral.example.com\r\nX-Request-Id: fourth\r\n\r\n"
    )
    answers = [await connection.answer() for _ in range(4)]
    assert [headers["x-request-id"] for _, headers, _ in answers] == ["first", "second", "third", "fourth"]
    assert [status for status, _, _ in answers] == [202, 400, 202, 200]
    # And the connection goes on.
    await connection.send(request())
    assert (await connection.answer())[0] == 202


async def test_who_expects_a_leave_to_send_gets_it(service: Service, caller: Connect) -> None:
    whole = request(headers=["Expect: 100-continue"])
    head, end, body = whole.partition(b"\r\n\r\n")
    connection = await caller(service)
    await connection.send(head + end)
    async with asyncio.timeout(10):
        assert (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    await connection.send(body)
    assert (await connection.answer())[0] == 202


@pytest.mark.parametrize("what", [{"headers": ["Connection: close"]}, {"version": "1.0"}])
async def test_a_connection_that_is_to_close_closes_after_the_answer(
    service: Service, caller: Connect, what: dict[str, object]
) -> None:
    connection = await caller(service)
    await connection.send(request(**what))  # type: ignore[arg-type]  # of each its own type
    assert (await connection.answer())[0] == 202
    assert await connection.ended()


async def test_a_get_of_the_path_is_told_to_post(service: Service, caller: Connect) -> None:
    connection = await caller(service)
    await connection.send(request(b"", method="GET"))
    status, headers, _ = await connection.answer()
    assert (status, headers["allow"]) == (405, "POST")


async def test_garbage_is_a_400_and_the_end(service: Service, caller: Connect) -> None:
    connection = await caller(service)
    await connection.send(request()[:-20] + b"\r\n" * 12 + b"not http at all\r\n\r\n")
    statuses = []
    async with asyncio.timeout(10):
        text = await connection.reader.read()
    statuses = re.findall(rb"HTTP/1.1 (\d+)", text)
    assert statuses[-1] == b"400"


async def test_a_caller_that_leaves_before_the_answer_disturbs_nobody(
    service: Service, caller: Connect
) -> None:
    for _ in range(20):
        connection = await caller(service)
        connection.writer.write(request())
        await connection.writer.drain()
        connection.writer.close()
    await eventually(lambda: _waiting(service, 20))
    connection = await caller(service)
    await connection.send(request())
    assert (await connection.answer())[0] == 202


async def _waiting(service: Service, jobs: int) -> bool:
    return (await service.queues["kyc-verification"].counts())["waiting"] == jobs


async def test_an_idle_connection_is_closed_and_a_busy_one_is_not(
    redis_url: str, caller: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_server, "KEEP_ALIVE_SECONDS", 1)
    async with serving(redis_url) as service:
        silent, once, busy = [await caller(service) for _ in range(3)]
        await once.send(request())
        assert (await once.answer())[0] == 202
        for _ in range(8):
            await busy.send(request())
            assert (await busy.answer())[0] == 202
            await asyncio.sleep(0.2)
        assert await silent.ended()
        assert await once.ended()
        await busy.send(request())
        assert (await busy.answer())[0] == 202


async def test_requests_are_counted_once(service: Service, caller: Connect) -> None:
    connection = await caller(service)
    for body in (BODY, BODY, b"{"):
        await connection.send(request(body))
        await connection.answer()
    metrics = (await service.http.get("/metrics")).text
    assert 'corral_http_requests_total{method="POST",route="/verify-kyc",status="202"} 2.0' in metrics
    assert 'corral_http_requests_total{method="POST",route="/verify-kyc",status="400"} 1.0' in metrics
