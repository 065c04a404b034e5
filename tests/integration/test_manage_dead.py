"""The dead letter desk over the management API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from dead_letters import declare, fail
from http_service import ENQUEUE, READ, Service, serving

from corral import Queue, Retry, audit
from eventually import eventually
from redis_process import RedisProcess


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    parcels = declare(Queue("parcels", redis_url=redis_url, prefix="bull", retry=Retry(attempts=1)))
    async with serving(redis_url, more={"parcels": parcels}) as running:
        yield running


@pytest.fixture
def queue(service: Service) -> Queue:
    return service.queues["parcels"]


async def get(service: Service, path: str, **params: Any) -> Any:
    answer = await service.http.get(f"/api/v1{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(service: Service, path: str, body: object = None, status: int = 200) -> Any:
    answer = await service.http.post(f"/api/v1{path}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def ended(service: Service, operation: dict[str, Any]) -> dict[str, Any]:
    async def look() -> Any:
        found = await get(service, f"/queues/{operation['queue']}/dead/operations/{operation['id']}")
        return found if found["state"] in ("done", "stopped") else None

    return dict(await eventually(look))


async def test_groups_of_one_queue_and_of_all(service: Service, queue: Queue) -> None:
    await fail(queue, *({"n": n} for n in range(3)))
    await fail(queue, {"n": 1, "how": "value"})
    page = await get(service, "/queues/parcels/dead")
    assert [(group["error"], group["count"]) for group in page["groups"]] == [
        ("ValueError", 1),
        ("dead_letters.OutOfStock", 3),
    ]
    assert page["standing"] == {
        "failed": 4, "indexed": 4, "stale": 0, "complete": True, "binJobs": 0, "binBytes": 0,
    }  # fmt: skip
    others = declare(
        Queue("undeclared", redis_url=service.queues["parcels"]._redis_url, retry=Retry(attempts=1))
    )
    await fail(others, {"n": 1})
    await get(service, "/queues/undeclared/dead")
    await others.close()
    every = await get(service, "/dead")
    assert [group["queue"] for group in every["groups"]] == ["undeclared", "parcels", "parcels"]
    assert every["queues"]["parcels"]["failed"] == 4
    assert "kyc-verification" in every["queues"]
    assert [every["hours"]["parcels"][group["id"]][-1] for group in page["groups"]] == [1, 3]
    assert (len(every["hours"]["undeclared"]), every["operations"]) == (1, [])


async def test_looking_at_all_queues_indexes_them_and_shows_their_operations(
    service: Service, queue: Queue
) -> None:
    await fail(queue, {"n": 1}, {"n": 2})

    async def indexed() -> Any:
        page = await get(service, "/dead")
        return page if page["queues"]["parcels"]["complete"] and page["groups"] else None

    page = await eventually(indexed)
    first = await post(service, "/queues/parcels/dead/retry", {"filter": {}, "rate": 0.001}, 202)
    second = await post(service, "/queues/parcels/dead/discard", {"group": page["groups"][0]["id"]}, 202)
    operations = (await get(service, "/dead"))["operations"]
    assert [operation["id"] for operation in operations] == [second["id"], first["id"]]
    await post(service, f"/queues/parcels/dead/operations/{first['id']}/stop")


async def test_what_is_said_of_a_group(service: Service, queue: Queue) -> None:
    await fail(queue, {"n": 1})
    (group,) = (await get(service, "/queues/parcels/dead"))["groups"]
    path = f"/queues/parcels/dead/groups/{group['id']}"
    assert (await post(service, f"{path}/resolve"))["group"]["state"] == "resolved"
    assert (await get(service, "/queues/parcels/dead", state="open"))["groups"] == []
    assert (await post(service, f"{path}/ignore", {"failures": 2}))["group"]["ignoredFailures"] == 2
    assert (await post(service, f"{path}/reopen"))["group"]["state"] == "open"
    noted = await post(service, f"{path}/notes", {"text": "ordered"}, 201)
    assert [(note["by"], note["text"]) for note in noted["notes"]] == [("key:ops", "ordered")]
    assert await get(service, path) == noted
    entries = (await get(service, "/audit"))["entries"]
    assert [entry["action"] for entry in entries] == [
        "dead.note",
        "dead.reopen",
        "dead.ignore",
        "dead.resolve",
    ]
    assert {entry["actor"] for entry in entries} == {"key:ops"}


async def test_letters_and_who_sees_their_data(service: Service, queue: Queue) -> None:
    ids = await fail(queue, *({"n": n, "card": "4111"} for n in range(3)))
    page = await get(service, "/queues/parcels/dead/jobs", count=2)
    assert len(page["jobs"]) == 2
    (group,) = (await get(service, "/queues/parcels/dead"))["groups"]
    rows = (await get(service, "/queues/parcels/dead/jobs", group=group["id"]))["jobs"]
    assert {row["id"] for row in rows} == set(ids)
    with_data = (await get(service, "/queues/parcels/dead/jobs", group=group["id"], data=True))["jobs"]
    assert json.loads(with_data[0]["data"])["card"] == "4111"
    found = await post(service, "/queues/parcels/dead/search", {"where": {"n": 1}})
    assert [row["id"] for row in found["jobs"]] == [ids[1]]

    letter = await get(service, f"/queues/parcels/dead/jobs/{ids[0]}")
    assert (letter["data"], letter["hasData"], letter["logs"]) == (None, False, ["ships 0"])
    assert letter["attempts"][0]["error"] == "dead_letters.OutOfStock"
    assert "4111" not in json.dumps([page, rows, found, letter])
    assert (await get(service, f"/queues/parcels/dead/jobs/{ids[0]}", data=True))["data"]["card"] == "4111"
    path = f"/api/v1/queues/parcels/dead/jobs/{ids[0]}"
    reader = service.as_(READ)
    assert (await service.http.get(path, headers=reader)).status_code == 200
    assert (await service.http.get(path, params={"data": True}, headers=reader)).status_code == 403
    path = "/api/v1/queues/parcels/dead/jobs"
    assert (await service.http.get(path, params={"data": True}, headers=reader)).status_code == 403


async def test_one_is_retried_edited_and_discarded(service: Service, queue: Queue) -> None:
    ids = await fail(queue, *({"n": n} for n in range(3)))
    path = "/queues/parcels/dead/jobs"
    await post(service, f"{path}/{ids[0]}/retry", status=204)
    answer = await service.http.put(f"/api/v1{path}/{ids[1]}/data", json={"data": {"ok": True}})
    assert answer.status_code == 204
    assert (await queue.counts())["waiting"] == 2
    operation = await post(service, f"{path}/{ids[2]}/discard")
    assert (operation["state"], operation["binned"]) == ("done", 1)
    undo = await post(service, f"/queues/parcels/dead/operations/{operation['id']}/undo", status=202)
    assert (await ended(service, undo))["moved"] == 1
    answer = await service.http.post(f"/api/v1{path}/{ids[0]}/retry")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/problem+json")
    assert (await service.http.post(f"/api/v1{path}/nobody/retry")).status_code == 404


async def test_a_group_is_retried_by_the_service_itself(service: Service, queue: Queue) -> None:
    await fail(queue, *({"n": n} for n in range(30)))
    (group,) = (await get(service, "/queues/parcels/dead"))["groups"]
    preview = await post(service, "/queues/parcels/dead/preview", {"group": group["id"]})
    assert (preview["count"], preview["complete"], len(preview["sample"])) == (30, True, 10)
    begun = await post(service, "/queues/parcels/dead/retry", {"group": group["id"], "rate": 1_000}, 202)
    assert begun["state"] == "waiting"
    done = await ended(service, begun)
    assert (done["state"], done["moved"], done["by"], done["rate"]) == ("done", 30, "key:ops", 1_000)
    assert (await queue.counts())["waiting"] == 30
    assert [o["id"] for o in await get(service, "/queues/parcels/dead/operations")] == [begun["id"]]


async def test_an_operation_is_stopped_and_one_by_filter_discards(service: Service, queue: Queue) -> None:
    await fail(queue, *({"n": n} for n in range(30)))
    begun = await post(service, "/queues/parcels/dead/retry", {"filter": {}, "rate": 0.001}, 202)
    await post(service, f"/queues/parcels/dead/operations/{begun['id']}/stop")
    assert (await ended(service, begun))["state"] == "stopped"
    begun = await post(service, "/queues/parcels/dead/discard", {"filter": {"error": "NO 2"}}, 202)
    done = await ended(service, begun)
    assert done["moved"] == 11  # 2 and 20 to 29
    assert done["undoUntil"] > done["ended"]


async def test_old_ones_are_counted_and_purged(service: Service, queue: Queue) -> None:
    await fail(queue, *({"n": n} for n in range(3)))
    assert await post(service, "/queues/parcels/dead/purge", {"olderThan": 0}) == {
        "removed": 3, "dryRun": True, "left": 0,
    }  # fmt: skip
    body = {"olderThan": 0, "dryRun": False, "limit": 2}
    assert await post(service, "/queues/parcels/dead/purge", body) == {
        "removed": 2,
        "dryRun": False,
        "left": 1,
    }
    assert (await get(service, "/queues/parcels/dead/policy"))["failed"] == 1


async def test_export_streams_json_lines(service: Service, queue: Queue) -> None:
    ids = await fail(queue, *({"n": n, "card": "4111"} for n in range(60)))
    (group,) = (await get(service, "/queues/parcels/dead"))["groups"]
    answer = await service.http.get("/api/v1/queues/parcels/dead/export", params={"group": group["id"]})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert {row["id"] for row in rows} == set(ids)
    assert "4111" not in answer.text
    params: dict[str, str | bool] = {"error": "no 7 ", "redact": False}
    answer = await service.http.get("/api/v1/queues/parcels/dead/export", params=params)
    assert [json.loads(line)["data"] for line in answer.text.splitlines()] == [{"n": 7, "card": "4111"}]
    refused = await service.http.get(
        "/api/v1/queues/parcels/dead/export", params=params, headers=service.as_(READ)
    )
    assert refused.status_code == 403
    missing = await service.http.get("/api/v1/queues/parcels/dead/export", params={"group": "nonsense"})
    assert missing.status_code == 404
    entries = await audit.entries(queue.client(), "bull")
    assert [entry.action for entry in entries] == ["dead.export", "dead.export"]


WRONG: list[tuple[str, object, int]] = [
    ("retry", {}, 422),
    ("retry", {"group": "x", "filter": {}}, 422),
    ("retry", {"group": "nonsense"}, 404),
    ("retry", {"filter": {}, "rate": -1}, 422),
    ("retry", {"filter": {}, "breaker": "onfdo"}, 422),
    ("retry", {"fliter": {}}, 422),
    ("discard", {"ids": 7}, 422),
    ("purge", {"olderThan": -1}, 422),
    ("purge", {}, 422),
    ("preview", {"filter": {"name": "x"}, "cursor": "nonsense"}, 422),
    ("groups/nonsense/resolve", None, 404),
    ("operations/nonsense/stop", None, 404),
    ("operations/nonsense/undo", None, 404),
]


async def test_wrong_requests_are_told_so(service: Service) -> None:
    for path, body, status in WRONG:
        answer = await service.http.post(f"/api/v1/queues/parcels/dead/{path}", json=body)
        assert (path, body, answer.status_code) == (path, body, status)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_changing_asks_for_the_role_admin(service: Service) -> None:
    for path in ("retry", "discard", "purge", "operations/x/stop", "groups/x/resolve", "jobs/1/retry"):
        for key in (READ, ENQUEUE):
            answer = await service.http.post(
                f"/api/v1/queues/parcels/dead/{path}", json={"filter": {}}, headers=service.as_(key)
            )
            assert (path, answer.status_code) == (path, 403)


async def test_redis_away_is_503() -> None:
    server = RedisProcess()
    server.start()
    try:
        async with serving(server.url) as service:
            server.stop()
            for path in ("/dead", "/queues/reports/dead", "/queues/reports/dead/operations"):
                assert (await service.http.get(f"/api/v1{path}")).status_code == 503
    finally:
        server.stop()


async def test_a_queue_that_nobody_declared_and_nobody_looked_at_is_there_too(service: Service) -> None:
    """Its jobs failed before anything of Corral's made groups of them."""
    redis_url = service.queues["parcels"].address().url
    others = declare(Queue("of-others", redis_url=redis_url, prefix="bull", retry=Retry(attempts=1)))
    await fail(others, {"n": 1})
    await others.close()

    async def shown() -> Any:
        page = await get(service, "/dead")
        return page if any(group["queue"] == "of-others" for group in page["groups"]) else None

    assert (await eventually(shown))["queues"]["of-others"]["failed"] == 1
