"""The management API: who may call it, its description, and the audit log."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from http_service import ADMIN, ENQUEUE, READ, Service, serving
from openapi_spec_validator import validate

from corral import audit


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


@pytest.mark.parametrize(("key", "status"), [(None, 401), (ENQUEUE, 403), (READ, 200), (ADMIN, 200)])
async def test_reading_asks_for_the_role_read(service: Service, key: str | None, status: int) -> None:
    del service.http.headers["authorization"]
    answer = await service.http.get("/api/v1/audit", headers=service.as_(key))
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


async def test_its_description_is_valid_and_names_every_route(service: Service) -> None:
    document = (await service.http.get("/api/v1/openapi.json")).json()
    validate(json.loads(json.dumps(document)))
    served = {
        route.path_format
        for route in service.app.litestar.routes
        if route.path.startswith("/api/v1/") and not route.path.endswith("openapi.json")
    }
    assert set(document["paths"]) == served


async def test_the_audit_log_is_read_in_pages_from_the_newest(service: Service) -> None:
    client = service.queues["reports"].client()
    for number in range(5):
        await audit.record(client, "bull", "key:ops", "queue.pause", f"q{number}", {"jobs": number})
    first = (await service.http.get("/api/v1/audit", params={"count": 3})).json()
    assert [row["target"] for row in first["entries"]] == ["q4", "q3", "q2"]
    assert first["entries"][0]["facts"] == {"jobs": 4}
    rest = (await service.http.get("/api/v1/audit", params={"count": 3, "before": first["next"]})).json()
    assert [row["target"] for row in rest["entries"]] == ["q1", "q0"]
    assert rest["next"] is None


async def test_a_page_that_goes_on_from_nonsense_is_refused(service: Service) -> None:
    answer = await service.http.get("/api/v1/audit", params={"before": "nonsense"})
    assert answer.status_code == 422


async def test_the_audit_log_is_searched_by_words_and_area(service: Service) -> None:
    client = service.queues["reports"].client()
    await audit.record(client, "bull", "user:Mia", "dead.retry", "email:7", {"group": "SMTP"})
    for number in range(30):
        await audit.record(client, "bull", "key:ops", "queue.pause", f"q{number}")
    await audit.record(client, "bull", "user:mia", "queue.resume", "q3")

    async def found(**asked: str | int | list[str]) -> list[str]:
        answer = (await service.http.get("/api/v1/audit", params={**asked})).json()
        assert answer["next"] is None
        assert answer["searched"] == 32
        return [f"{row['action']} {row['target']}" for row in answer["entries"]]

    assert await found(text="MIA") == ["queue.resume q3", "dead.retry email:7"]
    assert await found(text="mia smtp") == ["dead.retry email:7"]
    assert await found(text="mia", about=["queue", "key"]) == ["queue.resume q3"]
    assert await found(text="nobody") == []
    # An area is a whole word: not "queues", and not part of another one.
    assert await found(about="que") == []


async def test_a_search_goes_on_where_it_stopped(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MOST_SEARCHED", 4)
    monkeypatch.setattr(audit, "STEP", 2)
    client = service.queues["reports"].client()
    await audit.record(client, "bull", "user:mia", "dead.retry", "oldest")
    for number in range(5):
        await audit.record(client, "bull", "key:ops", "queue.pause", f"q{number}")
    first = (await service.http.get("/api/v1/audit", params={"text": "mia"})).json()
    assert (first["entries"], first["searched"]) == ([], 4)
    rest = (await service.http.get("/api/v1/audit", params={"text": "mia", "before": first["next"]})).json()
    assert ([row["target"] for row in rest["entries"]], rest["searched"]) == (["oldest"], 2)
