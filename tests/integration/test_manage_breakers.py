"""Breakers in the management API: seen, tried, resumed and held, by whom; and the jobs that they hold."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from held_jobs import Acme
from http_service import READ, Service, serving
from kyc_bench import KEYS
from running_worker import MakeQueue, StartWorker
from standins import forget_faults, running, script

from corral import Queue
from corral.breakers import Breakers
from corral.providers import close_providers, trying
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox
from eventually import eventually
from redis_process import RedisProcess


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def service(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Service]:
    monkeypatch.chdir(tmp_path)
    for name in (*KEYS, "CORRAL_SANDBOX", "CORRAL_SANDBOX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_BREAKER_PROBE_SECONDS", "3600")
    async with serving(redis_url) as made:
        yield made


@pytest.fixture
async def held(make_queue: MakeQueue, start_worker: StartWorker, service: Service) -> list[Queue]:
    """Two queues with five and three jobs that the breaker `acme` holds, and one with none."""
    queues = [make_queue("calls"), make_queue("others"), make_queue("idle")]
    for queue in queues:
        Acme().serve(queue)
    start_worker(*queues)
    await queues[0].add_many("call", [None] * 5)
    await queues[1].add_many("call", [None] * 3)
    breakers = Breakers(service_url(service), "bull")

    async def all_held() -> bool:
        return (await breakers.get("acme")).held == 8

    await eventually(all_held)
    return queues


def service_url(service: Service) -> str:
    return service.queues["reports"].address().url


async def trail(service: Service) -> list[tuple[str, str, str, Any]]:
    answer = await service.http.get("/api/v1/audit")
    return [(row["actor"], row["action"], row["target"], row["facts"]) for row in answer.json()["entries"]]


async def test_they_are_listed_and_shown_with_their_jobs(service: Service, held: list[Queue]) -> None:
    rows = (await service.http.get("/api/v1/breakers")).json()
    assert [(row["name"], row["state"], row["held"], row["cause"]) for row in rows] == [
        ("acme", "open", 8, "configuration")
    ]
    assert rows[0]["reason"] == "the key is wrong"
    assert rows[0]["nextProbe"] > rows[0]["since"]
    shown = (await service.http.get("/api/v1/breakers/acme", params={"count": 6})).json()
    assert shown["breaker"] == rows[0]
    rest = (await service.http.get("/api/v1/breakers/acme", params={"start": shown["next"]})).json()
    assert rest["next"] is None
    jobs = [(job["queue"], job["id"]) for job in shown["jobs"] + rest["jobs"]]
    assert len(set(jobs)) == 8
    assert {queue for queue, _ in jobs} == {"calls", "others"}


async def test_one_that_never_opened_is_closed(service: Service) -> None:
    shown = (await service.http.get("/api/v1/breakers/onfido")).json()
    assert (shown["breaker"]["state"], shown["breaker"]["since"], shown["jobs"]) == ("closed", None, [])
    assert (await service.http.get("/api/v1/breakers/a%20b")).status_code == 422


async def test_held_jobs_of_a_queue_come_in_pages(service: Service, held: list[Queue]) -> None:
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = (
            await service.http.get("/api/v1/queues/calls/held", params={"count": 2, "after": after})
        ).json()
        assert len(page["jobs"]) <= 2
        found += page["jobs"]
        after = page["next"]
    assert len({job["id"] for job in found}) == len(found) == 5
    assert {(job["breaker"], job["name"]) for job in found} == {("acme", "call")}
    assert all(job["until"] - job["since"] == 86_400 for job in found)
    others = (await service.http.get("/api/v1/queues/others/held")).json()
    assert (len(others["jobs"]), others["next"]) == (3, None)
    assert (await service.http.get("/api/v1/queues/idle/held")).json() == {"jobs": [], "next": None}


async def test_a_removed_job_is_held_no_longer(service: Service, held: list[Queue]) -> None:
    page = (await service.http.get("/api/v1/queues/others/held")).json()
    await held[1].admin.remove(page["jobs"][0]["id"])
    page = (await service.http.get("/api/v1/queues/others/held")).json()
    assert len(page["jobs"]) == 2


async def test_a_page_that_goes_on_from_nonsense_is_refused(service: Service) -> None:
    for after in ("acme", "acme:x", ":1", "acme:-1", "acme:1e3", "acme:" + "9" * 40):
        answer = await service.http.get("/api/v1/queues/calls/held", params={"after": after})
        assert answer.status_code == 422, after


async def test_a_page_looks_at_so_many_jobs_and_no_more(
    service: Service, held: list[Queue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corral.breakers.PAGE", 2)
    monkeypatch.setattr("corral.breakers.MOST_LOOKED_AT", 4)
    breakers = Breakers(service_url(service), "bull")
    first = await breakers.held_in("others")
    assert first.next == "acme:4"
    second = await breakers.held_in("others", after=first.next)
    assert len(first.jobs) + len(second.jobs) == 3


async def test_hold_and_resume_are_written_down_once(service: Service, held: list[Queue]) -> None:
    answer = await service.http.post("/api/v1/breakers/acme/hold", json={"reason": "contract  ends"})
    assert (answer.status_code, answer.json()["cause"]) == (200, "operator")
    assert answer.json()["nextProbe"] is None
    answer = await service.http.post("/api/v1/breakers/acme/resume", json={"rate": 0.001})
    assert (answer.json()["state"], answer.json()["rate"]) == ("closed", 0.001)
    again = await service.http.post("/api/v1/breakers/acme/resume", json={"rate": 0.001})
    assert again.json()["state"] == "closed"
    assert await trail(service) == [
        ("key:ops", "breaker.resume", "acme", {"rate": 0.001, "held": 8}),
        ("key:ops", "breaker.hold", "acme", {"reason": "contract ends", "held": 8}),
    ]


WRONG: list[tuple[str, Any]] = [
    ("acme/resume", {"rate": 0}),
    ("acme/resume", {"rate": "fast"}),
    ("acme/resume", {"rata": 5}),
    ("acme/hold", {"reason": "  "}),
    ("acme/hold", {}),
    ("a%20b/hold", {"reason": "x"}),
    ("nobody/test", None),
]


async def test_what_is_wrong_changes_nothing(service: Service) -> None:
    for path, body in WRONG:
        answer = await service.http.post(f"/api/v1/breakers/{path}", json=body)
        assert answer.status_code in (400, 422), (path, body)
        assert answer.headers["content-type"] == "application/problem+json"
    assert await trail(service) == []
    assert (await service.http.get("/api/v1/breakers")).json() == []


async def test_reading_is_for_read_and_changing_for_admin(service: Service) -> None:
    as_reader = service.as_(READ)
    assert (await service.http.get("/api/v1/breakers", headers=as_reader)).status_code == 200
    assert (await service.http.get("/api/v1/queues/calls/held", headers=as_reader)).status_code == 200
    for what in ("test", "resume", "hold"):
        answer = await service.http.post(f"/api/v1/breakers/acme/{what}", json={}, headers=as_reader)
        assert answer.status_code == 403


async def test_a_key_is_tried_with_the_settings_as_they_are_now(
    service: Service, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    await forget_faults(sandbox)

    async def tried() -> dict[str, Any]:
        answer = await service.http.post("/api/v1/breakers/supabase-storage/test")
        assert answer.status_code == 200
        assert "wrong-key" not in answer.text
        body: dict[str, Any] = answer.json()
        return body

    def write(key: str) -> None:
        (tmp_path / ".env").write_text(f"SUPABASE_URL={sandbox.url}/supabase\nSUPABASE_SERVICE_KEY={key}\n")

    none = await tried()
    assert (none["ok"], none["kind"]) == (False, "misconfigured")
    assert "SUPABASE_SERVICE_KEY" in none["reason"]
    write("wrong-key")
    assert (await tried())["kind"] == "misconfigured"
    write(keys.SUPABASE_SERVICE_KEY)
    well = await tried()
    assert (well["ok"], well["kind"], well["reason"]) == (True, "ok", None)
    await script(sandbox, provider="supabase", fault="500", times=2)
    assert (await tried())["kind"] == "unavailable"
    assert await trail(service) == []


async def test_a_provider_that_hangs_is_given_up(
    service: Service, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(
        f"SUPABASE_URL={sandbox.url}/supabase\nSUPABASE_SERVICE_KEY={keys.SUPABASE_SERVICE_KEY}\n"
    )
    await forget_faults(sandbox)
    await script(sandbox, provider="supabase", fault="hang")
    try:
        tried = await trying.try_key("supabase", seconds=0.2)
    finally:
        await forget_faults(sandbox)
        await close_providers()
    assert (tried.kind, tried.reason) == ("unavailable", "no answer within 0.2 s")


async def test_redis_away_is_a_503_at_once() -> None:
    server = RedisProcess()
    server.start()
    try:
        async with serving(server.url) as service:
            server.kill()
            for path in ("breakers", "breakers/acme", "queues/calls/held"):
                answer = await service.http.get(f"/api/v1/{path}")
                assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            answer = await service.http.post("/api/v1/breakers/acme/hold", json={"reason": "x"})
            assert answer.status_code == 503
    finally:
        server.stop()
