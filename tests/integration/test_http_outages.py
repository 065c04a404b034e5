"""Redis goes away, hangs, or is full: callers get a 503 that says so, and the service recovers by itself."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import redis
from http_service import KYC, Service, serving

from corral.embedded.datadir import pick_port
from corral.embedded.locate import find_server


class OwnRedis:
    """A server that this test may kill, stop and start again on the same port."""

    def __init__(self) -> None:
        self.port = pick_port(None)
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([find_server(), *options], stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)


@pytest.fixture
def own() -> Iterator[OwnRedis]:
    server = OwnRedis()
    server.start()
    yield server
    server.signal(signal.SIGCONT)
    server.kill()


@pytest.fixture
async def api(own: OwnRedis) -> AsyncIterator[Service]:
    async with serving(own.url) as service:
        await until_taken(service)
        yield service


async def until_taken(api: Service) -> None:
    """Return when a job is taken; every answer before that is a proper 503."""
    async with asyncio.timeout(20):
        while True:
            answer = await api.http.post("/verify-kyc", json=KYC)
            if answer.status_code == 202:
                return
            unavailable(answer)
            await asyncio.sleep(0.05)


def unavailable(answer: httpx2.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:corral:problem:redis-unavailable"
    assert "try again" in answer.json()["detail"].lower() or "repeat" in answer.json()["detail"]


async def ask_everything(api: Service) -> None:
    """Every route that needs Redis says that it is away; those that do not, do not. Nothing hangs."""
    async with asyncio.timeout(15):
        one = {"name": "x", "data": 1}
        answers = await asyncio.gather(
            api.http.post("/verify-kyc", json=KYC),
            api.http.post("/v1/queues/free/jobs", json=one),
            api.http.post("/v1/queues/free/jobs/bulk", json={"jobs": [one] * 3}),
            api.http.post("/v1/queues/free/jobs/bulk", json={"jobs": [one, {"name": "y", "data": 2}]}),
            api.http.get("/job-status/1"),
            api.http.get("/v1/queues/free/jobs/1?wait=30"),
            api.http.get("/readyz"),
        )
        for answer in answers:
            unavailable(answer)
        assert (await api.http.get("/healthz")).status_code == 200
        metrics = (await api.http.get("/metrics")).text
        assert "corral_redis_up 0.0" in metrics
        assert "bullmq_queue_waiting" not in metrics
        # What is wrong with the request itself is said all the same.
        assert (await api.http.post("/verify-kyc", json={})).status_code == 422


async def test_redis_is_killed_and_comes_back(own: OwnRedis, api: Service) -> None:
    own.kill()
    await ask_everything(api)
    own.start()
    await until_taken(api)
    assert (await api.http.get("/readyz")).status_code == 200


async def test_redis_hangs_and_goes_on(own: OwnRedis, api: Service) -> None:
    own.signal(signal.SIGSTOP)
    await ask_everything(api)
    # The service's own limit, not the one of the connection, which is a multiple of it.
    for answer in (await api.http.post("/verify-kyc", json=KYC), await api.http.get("/job-status/1")):
        assert "did not answer within 1 s" in answer.json()["detail"]
    own.signal(signal.SIGCONT)
    await until_taken(api)
    assert (await api.http.get("/readyz")).status_code == 200


async def test_callers_that_waited_for_a_hanging_redis_can_repeat_safely(own: OwnRedis, api: Service) -> None:
    headers = {"Idempotency-Key": "once"}
    own.signal(signal.SIGSTOP)
    unavailable(await api.http.post("/verify-kyc", json=KYC, headers=headers))
    own.signal(signal.SIGCONT)
    async with asyncio.timeout(20):
        answers: list[httpx2.Response] = []
        while len(answers) < 2:
            answer = await api.http.post("/verify-kyc", json=KYC, headers=headers)
            if answer.status_code == 202:
                answers.append(answer)
            else:
                unavailable(answer)
    assert answers[0].json()["jobId"] == answers[1].json()["jobId"]


async def test_redis_is_full(own: OwnRedis, api: Service) -> None:
    with redis.Redis(port=own.port) as client:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        unavailable(await api.http.post("/verify-kyc", json=KYC))
        # Reading needs no memory.
        assert (await api.http.get("/job-status/nope")).status_code == 404
        client.config_set("maxmemory", "0")
    await until_taken(api)


async def test_the_service_starts_without_redis(own: OwnRedis) -> None:
    own.kill()
    async with serving(own.url) as api:
        await ask_everything(api)
        own.start()
        await until_taken(api)


async def test_a_wave_of_callers_during_an_outage_is_answered(own: OwnRedis, api: Service) -> None:
    own.signal(signal.SIGSTOP)
    async with asyncio.timeout(20):
        answers = await asyncio.gather(*(api.http.post("/verify-kyc", json=KYC) for _ in range(64)))
    for answer in answers:
        unavailable(answer)
    own.signal(signal.SIGCONT)
    await until_taken(api)
