"""The management API on jobs: search, one job whole, why it waits, and every change, audited."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from http_service import ENQUEUE, READ, Service, serving

from corral import Dedup, Flow, JobContext, Queue, Retry
from corral.breakers import Breakers
from corral.testing import drain
from eventually import eventually

SECRET = "user-4711"
AT = "/api/v1/queues/reports"


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as running:
        yield running


@pytest.fixture
def reports(service: Service) -> Queue:
    return service.queues["reports"]


async def get(service: Service, path: str, key: str | None = None, **query: Any) -> Any:
    answer = await service.http.get(f"{AT}{path}", params=query, headers=service.as_(key))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(
    service: Service, path: str, body: Any = None, status: int = 204, key: str | None = None
) -> Any:
    answer = await service.http.post(f"{AT}{path}", json=body, headers=service.as_(key))
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def audited(service: Service) -> list[tuple[str, str]]:
    entries = (await service.http.get("/api/v1/audit")).json()["entries"]
    assert {entry["actor"] for entry in entries} <= {"key:ops"}
    return [(entry["action"], entry["target"]) for entry in entries][::-1]


async def end(queue: Queue, name: str, data: Any) -> str:
    """A job that has completed."""
    job = await queue.add(name, data)
    await drain(queue)
    return job.id


async def test_jobs_are_searched_by_what_they_are_like(service: Service, reports: Queue) -> None:
    for month in ("may", "june", "july"):
        await reports.add("build", {"month": month})
    later = await reports.add("purge", {"of": "may"}, delay=600, priority=3)
    page = await get(service, "/jobs")
    assert (len(page["jobs"]), page["searched"], page["total"], page["cursor"]) == (4, 4, 4, None)
    (row,) = (await get(service, "/jobs", state="delayed"))["jobs"]
    assert (row["id"], row["priority"], row["status"]) == (later.id, 3, "delayed")
    assert 590 < row["due"] - page["at"] <= 600
    assert row["preview"] == [{"name": "of", "value": "may"}]
    found = await get(service, "/jobs", where='{"month": "june"}', name="build")
    assert [row["preview"][0]["value"] for row in found["jobs"]] == ["june"]
    first = await get(service, "/jobs", state="waiting", limit=2, oldest=True)
    rest = await get(service, "/jobs", state="waiting", limit=2, oldest=True, cursor=first["cursor"])
    months = [row["preview"][0]["value"] for row in first["jobs"] + rest["jobs"]]
    assert months == ["may", "june", "july"]
    (by_id,) = (await get(service, "/jobs", id=later.id))["jobs"]
    assert by_id["id"] == later.id
    for wrong in ({"state": "asleep"}, {"where": "[1]"}, {"cursor": "?"}, {"limit": 0}):
        answer = await service.http.get(f"{AT}/jobs", params=wrong)
        assert answer.status_code in (400, 422), answer.text


async def test_a_job_is_shown_whole_and_why_it_waits(service: Service, reports: Queue) -> None:
    job = await reports.add("build", {"month": SECRET})
    shown = await get(service, f"/jobs/{job.id}")
    assert (shown["data"], shown["status"], shown["redacted"]) == ({"month": SECRET}, "waiting", False)
    assert {"name": "Attempts", "says": "4, waits 1 m, 5 m"} in shown["options"]
    assert shown["why"]["cause"] == "no-worker"
    await reports.admin.pause()
    assert (await get(service, f"/jobs/{job.id}/why"))["cause"] == "paused"
    await reports.admin.resume()
    assert (await service.http.get(f"{AT}/jobs/none")).status_code == 404


async def test_a_family_is_shown_from_both_sides(service: Service, reports: Queue) -> None:
    parent = await Flow(reports, "purge", {}, children=[Flow(reports, "build", {"month": "may"})]).add()
    shown = await get(service, f"/jobs/{parent.id}")
    (child,) = shown["children"]["some"]
    assert (shown["status"], shown["children"]["pending"], child["status"]) == (
        "waiting-children",
        1,
        "waiting",
    )
    assert shown["why"]["says"] == "Waiting for 1 child."
    below = await get(service, f"/jobs/{child['id']}")
    assert below["parent"] == {"queue": "reports", "id": parent.id}


async def test_a_held_job_names_its_breaker(service: Service, reports: Queue, redis: Any) -> None:
    job = await reports.add("build", {"month": "may"}, delay=600)
    await Breakers(reports.address().url).hold("onfido", "the key is wrong")
    await redis.hset(f"bull:reports:{job.id}", "corral:held", "onfido 1 1000")
    shown = await get(service, f"/jobs/{job.id}")
    assert (shown["held"], shown["heldSince"], shown["why"]["breaker"]) == ("onfido", 1.0, "onfido")
    assert "the key is wrong" in shown["why"]["says"]
    (row,) = (await get(service, "/jobs", state="delayed"))["jobs"]
    assert row["held"] == "onfido"


async def test_a_checkpoint_is_shown_with_when_it_was_written(
    service: Service, reports: Queue, redis: Any
) -> None:
    @reports.job("steps")
    async def steps(job: JobContext, data: Any) -> None:
        await job.checkpoint({"paid": True})

    before = await redis.time()
    job_id = await end(reports, "steps", {})
    shown = await get(service, f"/jobs/{job_id}")
    assert shown["checkpoint"] == {"paid": True}
    assert before[0] <= shown["checkpointAt"] <= shown["at"]
    await redis.hdel(f"bull:reports:{job_id}", "corral:checkpointed")  # as an earlier version left it
    shown = await get(service, f"/jobs/{job_id}")
    assert (shown["checkpoint"], shown["checkpointAt"]) == ({"paid": True}, None)


async def test_who_may_not_see_payloads_sees_none(service: Service, reports: Queue, redis: Any) -> None:
    job_id = await end(reports, "purge", {"user": SECRET})
    await reports.admin.retry(job_id)
    await redis.hset(
        f"bull:reports:{job_id}",
        mapping={
            "failedReason": SECRET, "stacktrace": f'["ValueError: {SECRET}"]', "returnvalue": f'"{SECRET}"',
            "corral:checkpoint": f'{{"a":"{SECRET}"}}', "progress": f'"{SECRET}"',
        },
    )  # fmt: skip
    await redis.rpush(f"bull:reports:{job_id}:logs", SECRET)
    for path in ("/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/logs", f"/jobs/{job_id}/why"):
        answer = await service.http.get(f"{AT}{path}", headers=service.as_(READ))
        assert answer.status_code == 200
        assert SECRET not in answer.text, path
        if not path.endswith("why"):
            assert answer.json()["redacted"] is True
            assert SECRET in (await service.http.get(f"{AT}{path}")).text, path
    shown = await get(service, f"/jobs/{job_id}", key=READ)
    (run,) = shown["runs"]
    assert (run["errorType"], run["message"], run["trace"]) == ("ValueError", None, None)
    assert shown["hasResult"] is True
    for query in ({"error": "user"}, {"where": f'{{"user": "{SECRET}"}}'}):
        answer = await service.http.get(f"{AT}/jobs", params=query, headers=service.as_(READ))
        assert answer.status_code == 403


async def test_logs_come_in_pages(service: Service, reports: Queue, redis: Any) -> None:
    job = await reports.add("purge", {})
    await redis.rpush(f"bull:reports:{job.id}:logs", *[f"row {n}" for n in range(5)])
    page = await get(service, f"/jobs/{job.id}/logs", start=-2)
    assert (page["rows"], page["start"], page["total"]) == (["row 3", "row 4"], 3, 5)


async def test_what_an_operator_does_to_a_job(service: Service, reports: Queue) -> None:
    body = {"name": "build", "data": {"month": "may"}, "delay": 60, "priority": 2, "attempts": 7}
    added = await post(service, "/jobs", body, 201)
    job_id = added["id"]
    shown = await get(service, f"/jobs/{job_id}")
    assert (shown["status"], shown["attempts"], shown["priority"]) == ("delayed", 7, 2)
    change = {"priority": 9, "delay": 1_000, "data": {"month": "june"}}
    assert (await service.http.patch(f"{AT}/jobs/{job_id}", json=change)).status_code == 204
    shown = await get(service, f"/jobs/{job_id}")
    assert (shown["priority"], shown["data"]) == (9, {"month": "june"})
    assert 990 < shown["due"] - shown["at"] <= 1_000
    await post(service, f"/jobs/{job_id}/promote")
    await post(service, f"/jobs/{job_id}/promote", status=409)
    twin = (await post(service, f"/jobs/{job_id}/duplicate", status=201))["id"]
    copy = await get(service, f"/jobs/{twin}")
    assert (copy["data"], copy["attempts"], copy["priority"]) == ({"month": "june"}, 7, 9)
    await post(service, f"/jobs/{twin}/remove")
    assert (await post(service, f"/jobs/{job_id}/cancel", {}, 200)) == {"outcome": "removed"}
    await post(service, f"/jobs/{job_id}/cancel", {}, 404)
    wrong = await service.http.post(f"{AT}/jobs", json={"name": "build", "data": {"month": 7}})
    assert wrong.status_code == 422
    assert await audited(service) == [
        ("job.add", f"reports:{job_id}"), ("job.change", f"reports:{job_id}"),
        ("job.promote", f"reports:{job_id}"), ("job.duplicate", f"reports:{job_id}"),
        ("job.remove", f"reports:{twin}"), ("job.cancel", f"reports:{job_id}"),
    ]  # fmt: skip


async def test_many_jobs_at_once(service: Service, reports: Queue) -> None:
    ended = await end(reports, "purge", {})
    told = await post(service, "/jobs/bulk", {"action": "retry", "ids": [ended]}, 200)
    assert (told["done"], (await reports.counts())["waiting"]) == (1, 1)
    await reports.admin.drain()
    jobs = [await reports.add("build", {"month": "may"}, delay=600) for _ in range(3)]
    ids = [job.id for job in jobs]
    body = {"action": "promote", "ids": [*ids, "none"]}
    told = await post(service, "/jobs/bulk", body, 200)
    assert (told["done"], told["failed"], told["some"][0]["id"]) == (3, 1, "none")
    assert (await reports.counts())["waiting"] == 3
    told = await post(service, "/jobs/bulk", {"action": "priority", "ids": ids, "priority": 4}, 200)
    assert (told["done"], (await reports.counts())["prioritized"]) == (3, 3)
    told = await post(service, "/jobs/bulk", {"action": "cancel", "ids": ids}, 200)
    assert (told["done"], (await reports.counts())["prioritized"]) == (3, 0)
    await post(service, "/jobs/bulk", {"action": "retry", "ids": ["1"] * 1_001}, 422)
    actions = [action for action, _ in await audited(service)]
    assert actions == ["job.retry", "job.promote", "job.priority", "job.cancel"]


OPERATIONS = ["/jobs", "/jobs/1/retry", "/jobs/bulk", "/pause", "/drain", "/obliterate"]

NO_OPERATORS = [READ, ENQUEUE]


async def test_who_may_not_operate_changes_nothing(service: Service, subtests: pytest.Subtests) -> None:
    for path in OPERATIONS:
        for key in NO_OPERATORS:
            with subtests.test(path=path, key=key):
                await post(service, path, {}, 403, key)


async def test_what_an_operator_does_to_a_queue(service: Service, reports: Queue) -> None:
    assert await post(service, "/pause", status=200) == {"queue": "reports", "paused": True}
    limits = {"concurrency": 4, "rate": {"jobs": 10, "per": 1.0}}
    assert (await service.http.put(f"{AT}/limits", json=limits)).status_code == 200
    settings = await get(service, "/settings")
    assert (settings["paused"], settings["concurrency"], settings["rate"]) == (True, 4, limits["rate"])
    assert (settings["attempts"], settings["declared"]) == (4, True)
    await service.http.put(f"{AT}/limits", json={})
    assert (await get(service, "/settings"))["concurrency"] is None
    assert await post(service, "/resume", status=200) == {"queue": "reports", "paused": False}
    for delay in (None, None, 600):
        await reports.add("build", {"month": "may"}, delay=delay)
    assert await post(service, "/drain", {}, 200) == {"removed": 2, "more": False}
    assert await post(service, "/clean", {"state": "delayed"}, 200) == {"removed": 1, "more": False}
    await post(service, "/obliterate", {"confirm": "report"}, 422)
    await reports.add("build", {"month": "may"})
    await post(service, "/obliterate", {"confirm": "reports"})
    assert sum((await reports.counts()).values()) == 0
    assert [action for action, _ in await audited(service)] == [
        "queue.pause", "queue.limits", "queue.limits", "queue.resume", "queue.drain", "queue.clean",
        "queue.obliterate",
    ]  # fmt: skip


async def test_what_jobs_of_a_queue_take(service: Service) -> None:
    told = await get(service, "/schema")
    assert told["names"] == ["build", "purge"]
    build = told["jobs"][0]["schema"]
    assert set(next(iter(build["$defs"].values()))["properties"]) == {"month", "pages"}
    other = await service.http.get("/api/v1/queues/elsewhere/schema")
    assert other.json() == {"queue": "elsewhere", "names": [], "jobs": []}


async def test_all_that_fit_are_counted_changed_in_the_background_and_audited(
    service: Service, reports: Queue
) -> None:
    await reports.add_many("build", [{"month": "may", "pages": n} for n in range(1, 31)], delay=3_600)
    await reports.add_many("purge", [{"of": "may"}] * 5, delay=3_600)
    chosen = {"state": "delayed", "filter": {"name": "build", "where": {"month": "may"}}}
    found = await post(service, "/jobs/operations/preview", chosen, 200)
    assert (found["count"], found["searched"], found["total"], found["cursor"]) == (30, 35, 35, None)
    assert len(found["sample"]) == 5
    begun = await post(service, "/jobs/operations", {**chosen, "kind": "promote"}, 202)

    async def over() -> Any:
        seen = await get(service, f"/jobs/operations/{begun['id']}")
        return seen if seen["state"] == "done" else None

    done = await eventually(over)
    assert (done["moved"], done["gone"], done["why"], done["by"]) == (30, 0, {}, "key:ops")
    (listed,) = await get(service, "/jobs/operations")
    assert listed["id"] == begun["id"]
    assert (await get(service, "/jobs", state="delayed"))["total"] == 5
    assert [action for action, _ in await audited(service)] == ["jobs.promote", "jobs.promote.done"]
    await post(service, f"/jobs/operations/{begun['id']}/stop", None, 409)
    await post(service, "/jobs/operations", {"state": "failed", "kind": "promote"}, 422)
    await post(service, "/jobs/operations/preview", chosen, 403, READ)
    await post(service, "/jobs/operations", {**chosen, "kind": "cancel"}, 403, READ)


async def test_failed_jobs_are_taken_by_the_desk_which_has_a_bin(service: Service, reports: Queue) -> None:
    for _ in range(3):
        await reports.add("build", {"month": "never"}, retry=Retry(attempts=1))
    await drain(reports)
    begun = await post(service, "/jobs/operations", {"state": "failed", "kind": "remove"}, 202)

    async def over() -> Any:
        seen = await get(service, f"/jobs/operations/{begun['id']}")
        return seen if seen["state"] == "done" else None

    done = await eventually(over)
    assert (done["moved"], done["source"]) == (3, "failed")
    assert done["undoUntil"] > done["ended"]
    await post(service, f"/dead/operations/{begun['id']}/undo", None, 202)

    async def back() -> bool:
        return bool((await get(service, "/jobs", state="failed"))["total"] == 3)

    assert await eventually(back)


async def test_more_to_search_by_and_a_file_of_what_fits(service: Service, reports: Queue) -> None:
    await reports.add("build", {"month": "may"}, priority=3, group="acme")
    await reports.add("build", {"month": "june"}, priority=9)
    await reports.add("build", {"month": "july"}, dedup=Dedup("one"))
    by = [row["preview"][0]["value"] for row in (await get(service, "/jobs", priorityMin=4))["jobs"]]
    assert by == ["june"]
    (row,) = (await get(service, "/jobs", group="acme"))["jobs"]
    assert (row["group"], row["lock"], row["starts"], row["stalls"]) == ("acme", None, 0, 0)
    (row,) = (await get(service, "/jobs", priorityMax=0))["jobs"]
    assert (row["dedup"], row["preview"][0]["value"]) == ("one", "july")
    assert (await get(service, "/jobs", attemptsMin=1))["jobs"] == []
    answer = await service.http.get(
        f"{AT}/jobs/export", params={"state": "waiting", "filter": '{"priorityMin": 4}'}
    )
    assert [json.loads(line)["data"] for line in answer.text.splitlines()] == [{"month": "june"}]
    answer = await service.http.get(f"{AT}/jobs/export", params={"state": "waiting", "filter": "["})
    assert answer.status_code == 422
    answer = await service.http.get(
        f"{AT}/jobs/export", params={"state": "waiting"}, headers=service.as_(ENQUEUE)
    )
    assert answer.status_code == 403


async def test_every_run_of_a_job_is_told(service: Service, reports: Queue, redis: Any) -> None:
    job = await reports.add("build", {"month": "never"})
    await drain(reports)
    shown = await get(service, f"/jobs/{job.id}")
    (run,) = shown["runs"]
    assert (run["number"], run["spent"], run["wait"], run["errorType"]) == (1, True, 60, "ValueError")
    assert run["startedAt"] <= run["endedAt"] <= shown["at"]
    assert run["worker"] == shown["processedBy"]
    assert run["message"] == "there is no such month"
    assert run["trace"]
    (redacted,) = (await get(service, f"/jobs/{job.id}", key=READ))["runs"]
    assert redacted == run | {"message": None, "trace": None}


async def test_what_is_named_like_a_secret_is_hidden_until_it_is_revealed(
    service: Service, reports: Queue
) -> None:
    data = {"user": "u", "documentNumber": SECRET, "deep": [{"apiKey": SECRET, "token": None}]}
    job = await reports.add("purge", data)
    shown = await get(service, f"/jobs/{job.id}")
    mark = {"$corral:hidden": True}
    assert shown["data"] == {"user": "u", "documentNumber": mark, "deep": [{"apiKey": mark, "token": None}]}
    assert shown["hidden"] is True
    assert SECRET not in (await service.http.get(f"{AT}/jobs")).text
    refused = await service.http.post(f"{AT}/jobs/{job.id}/reveal", headers=service.as_(READ))
    assert refused.status_code == 403
    assert (await post(service, f"/jobs/{job.id}/reveal", status=200))["data"] == data
    assert await audited(service) == [("job.reveal", f"reports:{job.id}")]
    # A mask is never written back over what it hides.
    for path, method in ((f"/jobs/{job.id}", "PATCH"), (f"/jobs/{job.id}/duplicate", "POST")):
        answer = await service.http.request(method, f"{AT}{path}", json={"data": shown["data"]})
        assert answer.status_code == 422, answer.text
    assert (await post(service, f"/jobs/{job.id}/reveal", status=200))["data"] == data


async def test_a_duplicate_may_have_other_data(service: Service, reports: Queue) -> None:
    job = await reports.add("build", {"month": "may"}, priority=3)
    added = await post(service, f"/jobs/{job.id}/duplicate", {"data": {"month": "june"}}, status=201)
    shown = await get(service, f"/jobs/{added['id']}")
    assert (shown["data"], shown["priority"]) == ({"month": "june"}, 3)
    assert (await get(service, f"/jobs/{job.id}"))["data"] == {"month": "may"}


async def test_the_moments_of_a_job_outlive_it(service: Service, reports: Queue) -> None:
    job = await reports.add("build", {"month": "may"})
    other = await reports.add("build", {"month": "june"})
    await service.http.patch(f"{AT}/jobs/{job.id}", json={"priority": 2})
    seen = await get(service, f"/jobs/{job.id}/moments")
    assert seen["events"][0]["name"] == "added"
    assert [(change["action"], change["facts"]) for change in seen["changes"]] == [
        ("job.change", {"priority": 2})
    ]
    await post(service, f"/jobs/{job.id}/remove")
    assert (await service.http.get(f"{AT}/jobs/{job.id}")).status_code == 404
    seen = await get(service, f"/jobs/{job.id}/moments")
    assert [change["action"] for change in seen["changes"]] == ["job.change", "job.remove"]
    assert (await get(service, f"/jobs/{other.id}/moments"))["changes"] == []
    assert (await get(service, f"/jobs/{other.id}/moments", after=seen["at"] + 60))["events"] == []


async def test_progress_is_told_but_not_what_it_holds_to_who_may_not_see_it(
    service: Service, reports: Queue
) -> None:
    await reports.add("purge", {})
    client, keys = reports.client(), reports.keys()
    for value in ("10", f'{{"of": "{SECRET}"}}'):
        await client.xadd(keys.events, {"event": "progress", "jobId": "7", "data": value})
    values = [event["progress"] for event in (await get(service, "/jobs/7/moments"))["events"]]
    assert values == [10, {"of": SECRET}]
    values = [event["progress"] for event in (await get(service, "/jobs/7/moments", key=READ))["events"]]
    assert values == [10, None]
