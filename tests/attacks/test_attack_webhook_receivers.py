"""Whoever calls a webhook without its provider's secret changes nothing, whatever he sends.

The receivers are those that the service serves: one without a case here fails the first test.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import redis.asyncio as aioredis
from http_service import KEYS, Service, serving
from structlog.testing import capture_logs
from webhook_receivers import ADDRESS, DATED, ENVIRONMENT, JOB, RECEIVERS, SECRET, Call

from corral import Queue
from corral.api.app import WEBHOOKS
from corral.api.reading import MAX_BODY_BYTES

#: Mailgun does not sign the event; its token counts once instead, see the replays.
SIGN_THE_BODY = [path for path, make in RECEIVERS.items() if make("", 0).proof]
SIGN_THE_QUERY = [path for path, make in RECEIVERS.items() if "?" in make("", 0).path]

pytestmark = pytest.mark.asyncio(loop_scope="module")
every = pytest.mark.parametrize("path", RECEIVERS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(redis_server: str) -> AsyncIterator[Service]:
    """One service for all attacks."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CORRAL_SANDBOX", "ONFIDO_API_KEY", "IDENFY_API_KEY", "IDENFY_API_SECRET"):
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        async with serving(redis_server, more=receiving(redis_server)) as service:
            yield service


def receiving(redis_url: str) -> dict[str, Queue]:
    return {name: Queue(name, redis_url=redis_url, prefix="bull") for name in ("email", "notification")}


@pytest_asyncio.fixture(loop_scope="module")
async def api(running: Service, redis_url: str) -> Service:
    """With an empty Redis, but for the job that a text message belongs to."""
    await running.queues["notification"].add("send", {"userId": "user-42"}, job_id=JOB)
    return running


def in_latin_1(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """As bytes: a header may hold any, and the client would refuse what is not ASCII."""
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


async def send(api: Service, call: Call) -> httpx2.Response:
    """As a provider calls: without a key of ours."""
    async with httpx2.AsyncClient(base_url=api.url, trust_env=False, timeout=30, verify=False) as bare:
        return await bare.post(call.path, content=call.body, headers=in_latin_1(call.headers))


async def stored(redis_url: str) -> dict[bytes, object]:
    """Everything in Redis, but what it says of the service itself."""
    async with aioredis.Redis.from_url(redis_url) as client:
        keys = [key async for key in client.scan_iter()]
        return {key: await client.dump(key) for key in keys if b"heartbeat" not in key}


async def changes_nothing(api: Service, redis_url: str, *calls: Call) -> None:
    before = await stored(redis_url)
    with capture_logs() as logs:
        for call in calls:
            answer = await send(api, call)
            assert answer.status_code in (400, 401, 413), (call, answer.status_code, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert SECRET not in answer.text
    assert await stored(redis_url) == before
    said = repr(logs)
    for private in (SECRET, ADDRESS, "check-7", "scan-7"):
        assert private not in said


async def test_every_receiver_that_is_served_is_attacked() -> None:
    served = {path for routes in WEBHOOKS.values() for route in routes for path in route.paths}
    assert served == set(RECEIVERS)


@every
async def test_the_genuine_call_is_taken_or_nothing_here_means_anything(
    api: Service, redis_url: str, path: str
) -> None:
    before = await stored(redis_url)
    assert (await send(api, RECEIVERS[path](SECRET, 0))).status_code in (200, 204)
    assert await stored(redis_url) != before


@every
async def test_a_forged_call_changes_nothing(api: Service, redis_url: str, path: str) -> None:
    make = RECEIVERS[path]
    good = make(SECRET, 0)
    forged = [make("guess", 0), make("", 0), make(SECRET + "x", 0)]
    if good.proof is not None:
        proofs = ("", "0" * 64, "==", "sha256=0", "\xe4" * 10, "null", "A" * 5_000)
        forged += [good.with_header(good.proof, proof) for proof in proofs]
    if good.proof is None:
        odd: tuple[Any, ...] = ("", "0" * 64, None, 7, [], {})
        for one in odd:
            body = json.loads(good.body)
            body["signature"]["signature"] = one
            forged.append(replace(good, body=json.dumps(body).encode()))
    await changes_nothing(api, redis_url, *forged)


@every
async def test_another_providers_proof_is_none(api: Service, redis_url: str, path: str) -> None:
    good = RECEIVERS[path]("another", 0)
    others = [make(SECRET, 0) for other, make in RECEIVERS.items() if other != path]
    calls = [replace(good, headers=good.headers | other.headers) for other in others]
    calls += [replace(other, path=good.path) for other in others]
    await changes_nothing(api, redis_url, *calls)


@pytest.mark.parametrize("path", SIGN_THE_BODY)
async def test_a_changed_body_is_not_believed(api: Service, redis_url: str, path: str) -> None:
    good = RECEIVERS[path](SECRET, 0)
    bodies = [good.body + b"&x=1", good.body[:-1], good.body * 2, b"\xef\xbb\xbf" + good.body, b"", b"{}"]
    await changes_nothing(api, redis_url, *(replace(good, body=body) for body in bodies))


@pytest.mark.parametrize("path", SIGN_THE_QUERY)
async def test_a_signed_query_cannot_be_changed(api: Service, redis_url: str, path: str) -> None:
    good = RECEIVERS[path](SECRET, 0)
    for other in (path, f"{path}?job=other", f"{path}?job={JOB}&job=other", f"{good.path}#x&job=other"):
        if other.partition("#")[0] != good.path:
            await changes_nothing(api, redis_url, replace(good, path=other))


@pytest.mark.parametrize("path", DATED)
async def test_a_late_call_is_refused_by_those_who_sign_the_moment(
    api: Service, redis_url: str, path: str
) -> None:
    oldest = DATED[path]
    await changes_nothing(
        api, redis_url, *(RECEIVERS[path](SECRET, age) for age in (oldest + 60, 10 * oldest, -3_600, -1e9))
    )


@every
async def test_a_replayed_call_changes_nothing_more(api: Service, redis_url: str, path: str) -> None:
    good = RECEIVERS[path](SECRET, 0)
    assert (await send(api, good)).status_code in (200, 204)

    async def meaning() -> dict[bytes, object]:
        """Without times: a suppressed address may be written anew, a signal kept anew."""
        return dict.fromkeys(await stored(redis_url), b"")

    once = await meaning()
    for _ in range(3):
        assert (await send(api, good)).status_code in (200, 204)
    assert await meaning() == once
    if path == "/webhooks/mailgun":  # with another event under the same proof
        body = json.loads(good.body)
        body["event-data"]["recipient"] = "victim@example.com"
        assert (await send(api, replace(good, body=json.dumps(body).encode()))).status_code == 200
        async with aioredis.Redis.from_url(redis_url) as client:
            assert b"victim" not in repr([await client.dump(k) async for k in client.scan_iter()]).encode()


@every
async def test_a_huge_body_is_refused_before_it_is_read(api: Service, redis_url: str, path: str) -> None:
    good = RECEIVERS[path](SECRET, 0)
    await changes_nothing(api, redis_url, replace(good, body=good.body + b" " * 2 * MAX_BODY_BYTES))
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"POST {good.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n".encode())
    assert (await asyncio.wait_for(reader.readline(), 30)).split()[1] == b"413"
    writer.close()


@every
async def test_a_body_that_breaks_off_changes_nothing(api: Service, redis_url: str, path: str) -> None:
    good = RECEIVERS[path](SECRET, 0)
    before = await stored(redis_url)
    host, port = api.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    lines = "".join(f"{name}: {value}\r\n" for name, value in good.headers.items())
    head = f"POST {good.path} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(good.body)}\r\n\r\n"
    writer.write(head.encode() + good.body[:-1])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await send(api, RECEIVERS[path]("guess", 0))).status_code == 401
    assert await stored(redis_url) == before


@every
async def test_a_second_proof_beside_a_forged_one_helps_nobody(
    api: Service, redis_url: str, path: str
) -> None:
    """Two headers of one name: whichever is read, the body is believed only if that one is genuine."""
    good = RECEIVERS[path](SECRET, 0)
    if good.proof is None:
        body = b'{"signature":{"timestamp":"1","token":"t","signature":"0"},' + good.body[1:-1]
        double = replace(good, body=body + b',"signature":{"timestamp":"1","token":"t","signature":"0"}}')
        await changes_nothing(api, redis_url, double)
        return
    before = await stored(redis_url)
    forged = replace(good, body=good.body.replace(b"7", b"8").replace(b"delivered", b"failed!!!"))
    if forged.body == good.body:
        forged = replace(good, body=good.body.replace(ADDRESS.encode(), b"x" + ADDRESS.encode()))
    async with httpx2.AsyncClient(base_url=api.url, trust_env=False) as bare:
        for pair in ((good.headers[good.proof], "0" * 64), ("0" * 64, good.headers[good.proof])):
            rest = [(k, v) for k, v in good.headers.items() if k != good.proof]
            both = [*rest, *((good.proof, value) for value in pair)]
            answer = await bare.post(good.path, content=forged.body, headers=both)
            assert answer.status_code == 401
    assert await stored(redis_url) == before


@every
async def test_a_wrong_content_type_neither_helps_nor_hinders(
    api: Service, redis_url: str, path: str
) -> None:
    for kind in ("text/html", "multipart/form-data; boundary=x", "", "application/json\t;x"):
        good = RECEIVERS[path](SECRET, 0).with_header("Content-Type", kind)
        forged = RECEIVERS[path]("guess", 0).with_header("Content-Type", kind)
        await changes_nothing(api, redis_url, forged)
        assert (await send(api, good)).status_code in (200, 204)


@every
async def test_signed_nonsense_is_refused_and_not_an_error_of_ours(
    api: Service, redis_url: str, path: str
) -> None:
    """A body from somebody with the secret that is not what the provider documents."""
    deep = [b"[" * 100_000, b'{"a":' * 50_000, b'{"signature":' * 50_000]
    for body in [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"1e999", b'"\\ud800"', *deep]:
        answer = await send(api, replace(RECEIVERS[path](SECRET, 0), body=body))
        assert answer.status_code in (400, 401), (body[:20], answer.status_code)


@every
async def test_without_its_secret_a_receiver_believes_nobody(
    api: Service, redis_url: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        if name != "CORRAL_PUBLIC_URL":
            monkeypatch.delenv(name)
    async with serving(redis_url, more=receiving(redis_url)) as bare:
        await changes_nothing(bare, redis_url, RECEIVERS[path](SECRET, 0), RECEIVERS[path]("", 0))


async def test_a_key_of_ours_opens_no_receiver(api: Service, redis_url: str) -> None:
    secrets = [part.split(":")[1] for part in KEYS.split(",")]
    for make in RECEIVERS.values():
        for secret in secrets:
            bearer = make("guess", 0).with_header("Authorization", f"Bearer {secret}")
            await changes_nothing(api, redis_url, bearer)
