"""examples/django under Django's own server, with a real worker."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator

import httpx2
import pytest

from eventually import eventually
from programs import EXAMPLES, PATIENCE, Start, environment, worker

FOLDER = EXAMPLES / "django"


@pytest.fixture
async def shop(redis_url: str, start: Start) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the application; the worker of its queue runs beside it."""
    given = environment(redis_url)
    serve = start([sys.executable, "manage.py", "runserver", "--noreload", "127.0.0.1:0"], FOLDER, given)
    start(worker("shop.worker:queues"), FOLDER, given)
    url = serve.says(r"server at (http://\S+)")
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        yield client


@pytest.mark.parametrize("view", ["/reports", "/async/reports"])
async def test_a_report_is_ordered_made_and_shown(shop: httpx2.AsyncClient, view: str) -> None:
    ordered = await shop.post(view, json={"month": "2026-10"})
    assert ordered.status_code == 202, ordered.text
    page = f"/reports/{ordered.json()['jobId']}"

    async def done() -> bool:
        return bool((await shop.get(page)).json()["status"] == "completed")

    await eventually(done, PATIENCE)
    shown = await shop.get(f"{page}/page")
    assert "<h1>Report of 2026-10</h1>" in shown.text
    assert "Made at attempt 1." in shown.text


async def test_a_repeated_order_is_one_report_and_what_is_wrong_is_said(shop: httpx2.AsyncClient) -> None:
    key = {"Idempotency-Key": "click-1"}
    first, again = [await shop.post("/reports", json={"month": "2026-10"}, headers=key) for _ in range(2)]
    assert first.json() == again.json()
    assert (await shop.post("/reports", json={})).status_code == 400
    assert (await shop.get("/reports")).status_code == 405
    assert (await shop.get("/reports/no-such")).status_code == 404
    assert (await shop.get("/reports/no-such/page")).status_code == 404
