"""examples/edge-function in a real Deno: real requests, and the jobs run by a real worker.

Supabase's sign-in is played here.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2
import pytest

from corral import Queue, Worker
from corral.api.app import create_app
from corral.api.server import ApiServer
from corral.bullmq.connection import close_shared_clients
from corral.queues import built_in
from corral.settings import Settings
from programs import EXAMPLES, PATIENCE, Start, environment

FOLDER = EXAMPLES / "edge-function"
KEY = "enqueue-key-0000001"
ANNA = {"Authorization": "Bearer annas-token"}
#: It says that it is about somebody else.
BODY = {
    "userId": "bert",
    "documentType": "passport",
    "documentNumber": "P1",
    "frontImageUrl": "https://images.example.com/front.jpg",
    "provider": "onfido",
}


class SignedIn(BaseHTTPRequestHandler):
    """GET /auth/v1/user: whom the token belongs to."""

    def do_GET(self) -> None:  # the library's name for it
        known = self.headers["Authorization"] == ANNA["Authorization"] and self.headers["apikey"] == "anon"
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(b'{"id": "anna"}' if known else b'{"msg": "invalid JWT"}')

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def supabase() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), SignedIn) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def corral(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ApiServer]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_API_KEYS", f"edge:{KEY}:enqueue")
    async with ApiServer(create_app(Settings.load(), built_in("kyc-verification"))) as server:
        yield server
    await close_shared_clients()


@pytest.fixture
def listening(corral: ApiServer, redis_url: str, supabase: str, deno: str, start: Start) -> dict[str, str]:
    """The address of each version."""
    given = {
        "CORRAL_URL": corral.url,
        "CORRAL_KEY": KEY,
        "SUPABASE_URL": supabase,
        "SUPABASE_ANON_KEY": "anon",
        "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0",
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
    }
    run = [deno, "run", "--no-prompt", "--no-remote", "--cached-only", "--allow-env", "--allow-net=127.0.0.1",
           "--allow-read=."]  # fmt: skip
    return {
        version: start([*run, f"{version}/index.ts"], FOLDER, environment(redis_url, given)).says(
            r"(http://127\.0\.0\.1:\d+)"
        )
        for version in ("verify-kyc", "verify-kyc-bullmq")
    }


@pytest.fixture(params=["verify-kyc", "verify-kyc-bullmq"])
async def edge(
    request: pytest.FixtureRequest, listening: dict[str, str]
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of each version."""
    async with httpx2.AsyncClient(base_url=listening[request.param], timeout=PATIENCE) as client:
        yield client


async def test_the_job_is_about_whoever_is_signed_in_and_a_worker_runs_it(
    edge: httpx2.AsyncClient, redis_url: str
) -> None:
    answer = await edge.post("/", json=BODY, headers=ANNA)
    assert answer.status_code == 202, answer.text
    assert answer.headers["access-control-allow-origin"] == "*"
    checked: list[tuple[str, str]] = []
    queue = Queue("kyc-verification", redis_url=redis_url)

    @queue.job("verify")
    async def verify(job: object, data: dict[str, str]) -> str:
        checked.append((data["userId"], data["documentNumber"]))
        return "approved"

    await Worker(queue).run(until_empty=True)
    job = await queue.get(answer.json()["jobId"])
    assert job is not None
    assert (job.status, checked) == ("completed", [("anna", "P1")])


async def test_a_repeated_request_is_one_job(edge: httpx2.AsyncClient, redis_url: str) -> None:
    headers = ANNA | {"Idempotency-Key": "try:1"}
    answers = [await edge.post("/", json=BODY, headers=headers) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].json()["jobId"] == answers[1].json()["jobId"]
    await edge.post("/", json=BODY, headers=ANNA | {"Idempotency-Key": "try:2"})
    counts = await Queue("kyc-verification", redis_url=redis_url).counts()
    assert sum(counts.values()) == 2


async def test_what_is_wrong_is_said(edge: httpx2.AsyncClient) -> None:
    assert (await edge.post("/", json=BODY)).status_code == 401
    assert (await edge.post("/", json=BODY, headers={"Authorization": "Bearer eve"})).status_code == 401
    assert (await edge.post("/", content=b"no json", headers=ANNA)).status_code == 400
    wrong = await edge.post("/", json=BODY | {"provider": "nobody"}, headers=ANNA)
    assert wrong.status_code == 422
    assert "provider" in wrong.text
    assert (await edge.get("/", headers=ANNA)).status_code == 405
    assert (await edge.options("/")).status_code == 200


async def test_a_service_that_is_away_is_tried_later(
    listening: dict[str, str], corral: ApiServer, redis_url: str
) -> None:
    await corral.stop()
    async with httpx2.AsyncClient(timeout=PATIENCE) as client:
        answer = await client.post(listening["verify-kyc"], json=BODY, headers=ANNA)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_the_types_of_both_versions_fit(deno: str, start: Start, redis_url: str) -> None:
    check = [
        deno,
        "check",
        "--no-remote",
        "--cached-only",
        "verify-kyc/index.ts",
        "verify-kyc-bullmq/index.ts",
    ]
    checking = start(check, FOLDER, environment(redis_url, {"NO_COLOR": "1"}))
    assert checking.process.wait(PATIENCE) == 0, checking.log.read_text()
