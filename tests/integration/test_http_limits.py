"""What a hostile or broken client can send: bodies without end or announced too large, and half requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from http_service import ADMIN, KYC, Service, serving

MIB = 1_048_576
HEAD = f"Host: test\r\nAuthorization: Bearer {ADMIN}\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


class Wire:
    """A connection on which a test says exactly what is sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> str:
        """The status line and headers of the next answer."""
        async with asyncio.timeout(10):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(
            ConnectionError
        ):  # the service may have closed it in the middle of an upload
            await self.writer.wait_closed()


@pytest.fixture
async def wire(api: Service) -> AsyncIterator[Wire]:
    host, port = api.url.removeprefix("http://").split(":")
    connection = Wire(*await asyncio.open_connection(host, int(port)))
    yield connection
    await connection.close()


def big_job(size: int) -> bytes:
    """A whole request body of exactly `size` bytes."""
    frame = b'{"name": "x", "data": "%b"}'
    return frame % (b"x" * (size - len(frame) + 2))


async def test_a_body_of_exactly_one_mebibyte_is_taken(api: Service) -> None:
    body = big_job(MIB)
    assert len(body) == MIB
    assert (await api.http.post("/v1/queues/free/jobs", content=body)).status_code == 202


@pytest.mark.parametrize(
    "path", ["/verify-kyc", "/v1/queues/free/jobs", "/v1/queues/free/jobs/bulk", "/webhooks/onfido"]
)
async def test_one_byte_more_is_too_much_announced_or_not(api: Service, path: str) -> None:
    body = big_job(MIB + 1)

    async def in_pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100_000):
            yield body[start : start + 100_000]

    for content in (body, in_pieces()):
        answer = await api.http.post(path, content=content)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == 413
    # The service is none the worse for it.
    assert (await api.http.post("/verify-kyc", json=KYC)).status_code == 202


async def test_data_over_the_queues_own_limit_is_too_much(api: Service) -> None:
    answer = await api.http.post(
        "/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m" * 1_000}}
    )
    assert answer.status_code == 413
    assert answer.json()["type"] == "urn:corral:problem:job-too-large"
    assert "1,000" in answer.json()["detail"]


async def test_a_huge_announcement_is_refused_before_the_body_comes(wire: Wire) -> None:
    head = f"POST /verify-kyc HTTP/1.1\r\n{HEAD}Content-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
    await wire.say(head.encode())
    answer = await wire.head()
    assert answer.startswith("HTTP/1.1 413")
    assert "connection: close" in answer


async def test_a_client_that_asks_first_is_told_to_go_on(wire: Wire) -> None:
    body = json.dumps(KYC).encode()
    head = f"POST /verify-kyc HTTP/1.1\r\n{HEAD}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    await wire.say(head.encode())
    assert (await wire.head()).startswith("HTTP/1.1 100")
    await wire.say(body)
    assert (await wire.head()).startswith("HTTP/1.1 202")


async def test_an_endless_body_is_cut_off(wire: Wire) -> None:
    await wire.say(f"POST /verify-kyc HTTP/1.1\r\n{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    asking = asyncio.create_task(wire.head())
    sent = 0
    while not asking.done() and sent < 100 * MIB:
        try:
            await wire.say(chunk)
        except ConnectionError:
            break
        sent += len(chunk)
    assert (await asking).startswith("HTTP/1.1 413")
    assert sent < 100 * MIB


async def test_without_a_key_nothing_of_the_body_is_waited_for(wire: Wire) -> None:
    await wire.say(b"POST /verify-kyc HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n")
    assert (await wire.head()).startswith("HTTP/1.1 401")


async def test_a_client_that_leaves_in_the_middle_adds_nothing(api: Service, wire: Wire) -> None:
    body = json.dumps(KYC).encode()
    await wire.say(
        f"POST /verify-kyc HTTP/1.1\r\n{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1]
    )
    await wire.close()
    waiting = (await api.http.get("/metrics")).text
    assert 'bullmq_queue_waiting{queue="kyc-verification"} 0.0' in waiting


async def test_requests_in_a_row_on_one_connection(wire: Wire) -> None:
    body = json.dumps(KYC).encode()
    request = f"POST /verify-kyc HTTP/1.1\r\n{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    await wire.say(request * 3)
    for _ in range(3):
        head = await wire.head()
        assert head.startswith("HTTP/1.1 202")
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        assert json.loads(await wire.reader.readexactly(length))["status"] == "queued"
