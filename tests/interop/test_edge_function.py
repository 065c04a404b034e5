"""deploy/supabase/functions/verify-kyc against the real HTTP API; Supabase's sign-in is played here."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx2
import pytest
from node_process import HERE, PATIENCE

from corral.api.app import create_app
from corral.api.server import ApiServer
from corral.queues import built_in
from corral.settings import Settings

FUNCTION = HERE.parents[1] / "deploy" / "supabase" / "functions" / "verify-kyc" / "index.ts"
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


@pytest.fixture
async def edge(
    corral: ApiServer, supabase: str, node_binary: str, tmp_path: Path
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the function."""
    # It has no types in it, so that any Node runs it, too.
    module = shutil.copy(FUNCTION, tmp_path / "index.mjs")
    process = await asyncio.create_subprocess_exec(
        node_binary,
        str(HERE / "node" / "edge.mjs"),
        str(module),
        stdout=asyncio.subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "CORRAL_URL": corral.url,
            "CORRAL_KEY": KEY,
            "SUPABASE_URL": supabase,
            "SUPABASE_ANON_KEY": "anon",
        },
    )
    try:
        assert process.stdout is not None
        address = await asyncio.wait_for(process.stdout.readline(), PATIENCE)
        async with httpx2.AsyncClient(base_url=address.decode().strip(), timeout=PATIENCE) as client:
            yield client
    finally:
        process.kill()
        await process.communicate()


async def test_the_job_is_about_whoever_is_signed_in(edge: httpx2.AsyncClient) -> None:
    answer = await edge.post("/", json=BODY, headers=ANNA)
    assert answer.status_code == 202
    assert answer.headers["access-control-allow-origin"] == "*"
    queue = built_in("kyc-verification")["kyc-verification"]
    added = await queue.get(answer.json()["jobId"])
    assert added is not None
    assert (added.data.user_id, added.data.document_number) == ("anna", "P1")


async def test_a_repeated_request_is_one_job(edge: httpx2.AsyncClient) -> None:
    headers = ANNA | {"Idempotency-Key": "try-1"}
    answers = [await edge.post("/", json=BODY, headers=headers) for _ in range(2)]
    assert [a.status_code for a in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    other = await edge.post("/", json=BODY, headers=ANNA | {"Idempotency-Key": "try-2"})
    assert other.json()["jobId"] != answers[0].json()["jobId"]


async def test_what_is_wrong_is_said(edge: httpx2.AsyncClient) -> None:
    assert (await edge.post("/", json=BODY)).status_code == 401
    assert (await edge.post("/", json=BODY, headers={"Authorization": "Bearer eve"})).status_code == 401
    assert (await edge.post("/", content=b"no json", headers=ANNA)).status_code == 400
    wrong = await edge.post("/", json=BODY | {"provider": "nobody"}, headers=ANNA)
    assert (wrong.status_code, wrong.json()["errors"][0]["path"]) == (422, "$.provider")
    assert (await edge.get("/", headers=ANNA)).status_code == 405
    assert (await edge.options("/")).status_code == 200


async def test_a_service_that_is_away_is_tried_later(edge: httpx2.AsyncClient, corral: ApiServer) -> None:
    await corral.stop()
    answer = await edge.post("/", json=BODY, headers=ANNA)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
