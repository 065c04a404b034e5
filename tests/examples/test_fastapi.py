"""examples/fastapi under uvicorn, with real workers and a real webhook."""

from __future__ import annotations

import base64
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from eventually import eventually
from programs import EXAMPLES, PATIENCE, Start, environment, worker
from redis_process import free_port

FOLDER = EXAMPLES / "fastapi"


@pytest.fixture
async def shop(redis_url: str, start: Start) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application; the worker of its queue and that of webhooks run beside it."""
    port = free_port()
    given = environment(redis_url, {
        "HOOK_URL": f"http://127.0.0.1:{port}/hooks/corral",
        "CORRAL_WEBHOOK_SECRET": "whsec_" + base64.b64encode(b"k" * 32).decode(),
        "CORRAL_FETCH_ALLOW": f"127.0.0.1:{port}",
    })  # fmt: skip
    serve = start([sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)], FOLDER, given)
    start(worker("jobs:reports"), FOLDER, given)
    start([*worker("")[:-1], "--queues", "webhooks"], FOLDER, given)
    url = serve.says(r"running on (http://\S+)")
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        yield client


async def test_a_report_is_ordered_followed_and_told_of(shop: httpx2.AsyncClient) -> None:
    ordered = await shop.post("/reports", json={"month": "2026-10", "rows": 4})
    assert ordered.status_code == 202, ordered.text
    job_id = ordered.json()["jobId"]

    async def done() -> dict[str, object] | None:
        answer = (await shop.get(ordered.headers["location"])).json()
        return answer if answer["status"] in {"completed", "failed"} else None

    seen = await eventually(done, PATIENCE)
    report = {"file": "report-2026-10.csv", "rows": 4}
    assert seen == {"status": "completed", "progress": 100, "report": report}

    async def heard() -> Any:
        return (await shop.get("/hooks/corral")).json()

    (told,) = await eventually(heard, PATIENCE)
    assert (told["id"], told["status"], told["result"]) == (job_id, "completed", report)


async def test_a_repeated_order_is_one_report_and_what_is_wrong_is_said(shop: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "click-1"}
    first, again = [await shop.post("/reports", json={"month": "2026-10"}, headers=key) for _ in range(2)]
    assert first.json() == again.json()
    other = await shop.post("/reports", json={"month": "2026-11"}, headers=key)
    assert other.status_code == 409
    assert (await shop.post("/reports", json={"month": "October"})).status_code == 422
    assert (await shop.get("/reports/no-such")).status_code == 404
    assert (await shop.post("/hooks/corral", json={"data": {}})).status_code == 401
