"""The HTTP service as its callers meet it: a real server, a real client, a real Redis."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import redis.asyncio as aioredis
from http_service import ADMIN, ENQUEUE, KYC, READ, Service, serving
from openapi_spec_validator import validate
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus
from structlog.testing import capture_logs

from corral import Worker
from corral.api.enqueue import MISSION_ROUTES


@pytest.fixture
async def api(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url) as service:
        yield service


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    async with aioredis.Redis.from_url(redis_url) as client:
        yield client


def problem(answer: httpx2.Response, status: int, slug: str) -> dict[str, Any]:
    """The problem in an answer, once it is of the right kind."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"] == f"urn:corral:problem:{slug}"
    assert body["title"]
    assert body["detail"]
    return body


def paths(body: dict[str, Any]) -> list[str]:
    return [e["path"] for e in body["errors"]]


# Adding


async def test_a_kyc_job_is_queued_and_found_by_its_id_alone(api: Service, store: aioredis.Redis) -> None:
    answer = await api.http.post("/verify-kyc", json=KYC)
    assert answer.status_code == 202
    body = answer.json()
    assert set(body) == {"jobId", "status", "message"}
    assert body["status"] == "queued"
    found = await api.http.get(f"/job-status/{body['jobId']}")
    assert found.json() == {
        "id": body["jobId"],
        "queue": "kyc-verification",
        "status": "waiting",
        "progress": 0,
        "result": None,
        "failedReason": None,
        "attemptsMade": 0,
    }
    assert (await api.http.get(answer.headers["location"])).json() == found.json()
    assert await store.hget(f"bull:kyc-verification:{body['jobId']}", "name") == b"verify"


async def test_the_data_is_stored_byte_for_byte(api: Service, store: aioredis.Redis) -> None:
    data = b'{"month" : "2026-01",\n "pages":1e1, "note": "\\u00e9\xc3\xa9" }'
    answer = await api.http.post("/v1/queues/free/jobs", content=b'{"name":"build","data":' + data + b"}")
    assert answer.status_code == 202
    assert answer.json() == {"jobId": answer.json()["jobId"], "queue": "free", "status": "queued"}
    assert await store.hget(f"bull:free:{answer.json()['jobId']}", "data") == data


async def test_options_reach_the_job(api: Service, store: aioredis.Redis) -> None:
    body = {
        "name": "build",
        "data": {"month": "m"},
        "delay": 60,
        "priority": "low",
        "attempts": 2,
        "jobId": "my-job",
    }
    answer = await api.http.post("/v1/queues/reports/jobs", json=body)
    assert answer.json()["jobId"] == "my-job"
    assert answer.headers["location"] == "/v1/queues/reports/jobs/my-job"
    raw = await store.hget("bull:reports:my-job", "opts")
    assert raw is not None
    opts = json.loads(raw)
    assert (opts["attempts"], opts["delay"], opts["priority"]) == (2, 60_000, 10)
    assert opts["backoff"]["delay"] == 60_000
    assert (await api.http.get("/job-status/my-job?queue=reports")).json()["status"] == "delayed"


async def test_an_id_with_odd_characters_can_be_looked_up(api: Service) -> None:
    answer = await api.http.post("/v1/queues/free/jobs", json={"name": "x", "data": 1, "jobId": "a b%#ü?"})
    assert answer.status_code == 202
    assert answer.json()["jobId"] == "a b%#ü?"
    assert answer.headers["location"] == "/v1/queues/free/jobs/a%20b%25%23%C3%BC%3F"
    assert (await api.http.get(answer.headers["location"])).json()["id"] == "a b%#ü?"


async def test_bulk_adds_all_in_order(api: Service, store: aioredis.Redis) -> None:
    jobs = [{"name": "build", "data": {"month": f"m{i}"}} for i in range(1_000)]
    answer = await api.http.post("/v1/queues/reports/jobs/bulk", json={"jobs": jobs})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["queue"], body["status"], len(set(body["jobIds"]))) == ("reports", "queued", 1_000)
    for index in (0, 500, 999):
        data = await store.hget(f"bull:reports:{body['jobIds'][index]}", "data")
        assert data is not None
        assert json.loads(data) == {"month": f"m{index}"}


async def test_bulk_takes_names_and_options_of_each_job(api: Service, store: aioredis.Redis) -> None:
    jobs = [
        {"name": "build", "data": {"month": "a"}, "opts": {"delay": 5, "jobId": "first"}},
        {"name": "purge", "data": {"all": True}},
    ]
    answer = await api.http.post("/v1/queues/reports/jobs/bulk", json={"jobs": jobs})
    first, second = answer.json()["jobIds"]
    assert first == "first"
    assert await store.zcard("bull:reports:delayed") == 1
    assert await store.hget(f"bull:reports:{second}", "name") == b"purge"


async def test_bulk_with_wrong_jobs_adds_none_and_names_each(api: Service, store: aioredis.Redis) -> None:
    jobs = [
        {"name": "build", "data": {"month": "a"}},
        {"name": "build", "data": {"month": 7}},
        {"name": "bild", "data": {"month": "a"}},
        {"name": "build", "data": {"month": "a", "page": 1}},
        {"name": "build", "data": {"month": "a" * 2_000}},
        {"name": "build", "data": {"month": "a"}, "opts": {"jobId": "17"}},
        {"name": "build", "data": {"month": "a"}, "opts": {"delay": 1, "at": "2030-01-01T00:00:00Z"}},
    ]
    answer = await api.http.post("/v1/queues/reports/jobs/bulk", json={"jobs": jobs})
    assert paths(problem(answer, 422, "invalid-request")) == [
        "$.jobs[1].data.month",
        "$.jobs[2].name",
        "$.jobs[3].data.page",
        "$.jobs[4].data",
        "$.jobs[5].opts",
        "$.jobs[6].opts.at",
    ]
    assert await store.keys("bull:*") == []


async def test_sixty_four_callers_at_once(api: Service, store: aioredis.Redis) -> None:
    body = {"name": "build", "data": {"month": "m"}}
    answers = await asyncio.gather(*(api.http.post("/v1/queues/reports/jobs", json=body) for _ in range(64)))
    assert {a.status_code for a in answers} == {202}
    assert len({a.json()["jobId"] for a in answers}) == 64
    assert await store.llen("bull:reports:wait") == 64


# Idempotency


@pytest.mark.parametrize(
    ("path", "body", "other"),
    [
        ("/verify-kyc", KYC, {**KYC, "userId": "user-2"}),
        (
            "/v1/queues/free/jobs",
            {"name": "x", "data": {"a": 1}},
            {"name": "x", "data": {"a": 2}},
        ),
        (
            "/v1/queues/free/jobs/bulk",
            {"jobs": [{"name": "x", "data": 1}, {"name": "y", "data": 2}]},
            {"jobs": [{"name": "x", "data": 1}, {"name": "y", "data": 3}]},
        ),
    ],
)
async def test_the_same_key_gives_the_same_job(api: Service, path: str, body: Any, other: Any) -> None:
    headers = {"Idempotency-Key": "order 42"}
    first = await api.http.post(path, json=body, headers=headers)
    second = await api.http.post(path, json=body, headers=headers)
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    problem(await api.http.post(path, json=other, headers=headers), 409, "idempotency-conflict")
    assert (await api.http.post(path, json=other, headers={"Idempotency-Key": "other"})).status_code == 202


UNUSABLE_KEYS = [b"", b"x" * 256, b"\xff", b"a\tb"]


async def test_an_unusable_idempotency_key_is_refused(api: Service, subtests: pytest.Subtests) -> None:
    for key in UNUSABLE_KEYS:
        with subtests.test(key=key):
            headers = [(b"Idempotency-Key", key)]
            problem(await api.http.post("/verify-kyc", json=KYC, headers=headers), 400, "bad-idempotency-key")


# Refusals


async def test_wrong_data_is_refused_with_the_field(api: Service, store: aioredis.Redis) -> None:
    answer = await api.http.post("/verify-kyc", json={**KYC, "documentType": "library_card"})
    assert paths(problem(answer, 422, "invalid-data")) == ["$.documentType"]
    answer = await api.http.post("/verify-kyc", json={"documentType": "passport"})
    assert paths(problem(answer, 422, "invalid-data")) == ["$.userId"]
    answer = await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": 7}})
    assert paths(problem(answer, 422, "invalid-data")) == ["$.data.month"]
    assert await store.keys("bull:*") == []


async def test_an_unknown_job_name_is_refused_with_the_known_ones(api: Service) -> None:
    body = problem(
        await api.http.post("/v1/queues/reports/jobs", json={"name": "bild", "data": {}}),
        422,
        "unknown-job-name",
    )
    assert paths(body) == ["$.name"]
    assert "build, purge" in body["detail"]


async def test_an_unknown_field_is_refused_with_the_near_one(api: Service) -> None:
    answer = await api.http.post("/v1/queues/free/jobs", json={"name": "x", "data": 1, "dellay": 5})
    body = problem(answer, 422, "invalid-request")
    assert "Did you mean `delay`?" in body["detail"]


async def test_options_that_the_layout_cannot_hold_are_refused(api: Service) -> None:
    answer = await api.http.post("/v1/queues/free/jobs", json={"name": "x", "data": 1, "jobId": "17"})
    assert "17" in problem(answer, 422, "invalid-options")["detail"]


NO_QUEUES = ["a:b", "x" * 101, "a%20b"]

ENDS = ["", "/bulk"]


async def test_a_name_that_no_queue_can_have_is_unknown(api: Service, subtests: pytest.Subtests) -> None:
    for name in NO_QUEUES:
        for end in ENDS:
            with subtests.test(name=name, end=end):
                problem(await api.http.post(f"/v1/queues/{name}/jobs{end}", json={}), 404, "unknown-queue")
                problem(await api.http.get(f"/v1/queues/{name}/jobs/1"), 404, "unknown-queue")


async def test_only_declared_queues_when_others_are_not_allowed(redis_url: str) -> None:
    async with serving(redis_url, allow_any_queue=False) as api:
        body = {"name": "build", "data": {"month": "m"}}
        answer = await api.http.post("/v1/queues/report/jobs", json=body)
        assert "Did you mean 'reports'?" in problem(answer, 404, "unknown-queue")["detail"]
        problem(await api.http.get("/job-status/1?queue=report"), 404, "unknown-queue")
        assert (await api.http.post("/v1/queues/reports/jobs", json=body)).status_code == 202


TAKEN_AT = ["/verify-kyc", "/v1/queues/free/jobs", "/v1/queues/free/jobs/bulk"]

NOT_JSON = [(b"", 0), (b"month=1", 0), (b'{"a": "\xff"}', 7)]


async def test_what_is_not_json_is_refused_with_the_position(api: Service, subtests: pytest.Subtests) -> None:
    for path in TAKEN_AT:
        for content, position in NOT_JSON:
            with subtests.test(path=path, content=content, position=position):
                body = problem(await api.http.post(path, content=content), 400, "malformed-json")
                assert body["position"] == position
                assert str(position) in body["detail"]


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("/verify-kyc", b'{"userId": '),
        ("/v1/queues/free/jobs", b'{"name": "x", "data": '),
        ("/v1/queues/free/jobs/bulk", b'{"jobs": [{"name": "x", "data": '),
    ],
)
async def test_json_that_breaks_or_has_no_bottom_is_refused(api: Service, path: str, before: bytes) -> None:
    body = problem(await api.http.post(path, content=before + b"tru}"), 400, "malformed-json")
    assert len(before) <= body["position"] <= len(before) + 4
    deep = b'{"extra":' * 100_000 if path == "/verify-kyc" else before + b"[" * 100_000
    problem(await api.http.post(path, content=deep), 400, "malformed-json")


async def test_trailing_garbage_is_refused(api: Service) -> None:
    for path, content in (
        ("/verify-kyc", json.dumps(KYC)),
        ("/v1/queues/free/jobs", '{"name": "x", "data": 1}'),
        ("/v1/queues/free/jobs/bulk", '{"jobs": [{"name": "x", "data": 1}]}'),
    ):
        problem(await api.http.post(path, content=content + " {}"), 400, "malformed-json")


OTHER_MEDIA = [
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "text/plain"},
    {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": "application/json", "Content-Encoding": "gzip"},
]


async def test_another_media_type_is_refused(api: Service, subtests: pytest.Subtests) -> None:
    for headers in OTHER_MEDIA:
        with subtests.test(headers=headers):
            answer = await api.http.post("/verify-kyc", content=json.dumps(KYC), headers=headers)
            problem(answer, 415, "unsupported-media-type")


WRONG_METHODS = [
    ("GET", "/verify-kyc", "POST"),
    ("DELETE", "/v1/queues/free/jobs", "POST"),
    ("PUT", "/v1/queues/reports/jobs", "POST"),
    ("POST", "/healthz", "GET"),
    ("POST", "/job-status/1", "GET"),
    ("PUT", "/v1/queues/free/jobs/bulk", "GET"),
    ("GET", "/webhooks/onfido", "POST"),
]


async def test_a_wrong_method_is_told_the_right_one(api: Service, subtests: pytest.Subtests) -> None:
    for method, path, allowed in WRONG_METHODS:
        with subtests.test(method=method, path=path, allowed=allowed):
            answer = await api.http.request(method, path)
            assert allowed in problem(answer, 405, "method-not-allowed")["detail"]
            assert allowed in answer.headers["allow"]


UNKNOWN_PATHS = ["/", "/nope", "/v1/queues", "/v1/queues/a/b/jobs", "/v1/queues//jobs/1/2"]


async def test_an_unknown_path_is_a_problem_too(api: Service, subtests: pytest.Subtests) -> None:
    for path in UNKNOWN_PATHS:
        with subtests.test(path=path):
            problem(await api.http.get(path), 404, "not-found")


# Access

ROUTES = [
    ("POST", "/verify-kyc", {ENQUEUE, ADMIN}),
    ("POST", "/v1/queues/free/jobs", {ENQUEUE, ADMIN}),
    ("POST", "/v1/queues/free/jobs/bulk", {ENQUEUE, ADMIN}),
    ("GET", "/job-status/1", {ENQUEUE, READ, ADMIN}),
    ("GET", "/v1/queues/free/jobs/1", {ENQUEUE, READ, ADMIN}),
    ("GET", "/metrics", {READ, ADMIN}),
    ("GET", "/openapi.json", {ENQUEUE, READ, ADMIN}),
]


async def test_each_route_asks_for_a_key_of_the_right_role(api: Service, subtests: pytest.Subtests) -> None:
    for method, path, allowed in ROUTES:
        with subtests.test(method=method, path=path, allowed=allowed):
            async with httpx2.AsyncClient(base_url=api.url) as bare:
                answer = await bare.request(method, path)
                problem(answer, 401, "missing-key")
                assert answer.headers["www-authenticate"].startswith("Bearer")
                wrong = await bare.request(method, path, headers=api.as_("nobody-knows-this-1"))
                problem(wrong, 401, "unknown-key")
                for key in (ENQUEUE, READ, ADMIN):
                    answer = await bare.request(method, path, headers=api.as_(key))
                    if key in allowed:
                        assert answer.status_code not in (401, 403)
                    else:
                        problem(answer, 403, "wrong-role")


async def test_health_needs_no_key(api: Service) -> None:
    async with httpx2.AsyncClient(base_url=api.url) as bare:
        for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
            answer = await bare.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": status})
            assert (await bare.head(path)).status_code == 200


# Looking


async def test_an_unknown_job_is_not_found_in_the_contracts_words(api: Service) -> None:
    for path in ("/job-status/nope", "/job-status/nope?queue=reports", "/job-status/meta?queue=reports"):
        answer = await api.http.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == "not_found"
    problem(await api.http.get("/v1/queues/reports/jobs/nope"), 404, "job-not-found")


OTHER_KEYS = ["meta", "wait", "events", "id", "1:logs", "metrics:completed:data"]


async def test_other_keys_of_a_queue_are_no_jobs(
    api: Service, store: aioredis.Redis, subtests: pytest.Subtests
) -> None:
    await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m"}})
    await store.rpush("bull:reports:1:logs", "row")
    await store.rpush("bull:reports:metrics:completed:data", "1")
    for job_id in OTHER_KEYS:
        with subtests.test(job_id=job_id):
            problem(await api.http.get(f"/v1/queues/reports/jobs/{job_id}"), 404, "job-not-found")
            assert (await api.http.get(f"/job-status/{job_id}")).json()["status"] == "not_found"


async def test_an_id_that_collides_is_found_in_each_queue(api: Service) -> None:
    await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m"}})
    await api.http.post("/v1/queues/kyc-verification/jobs", json={"name": "verify", "data": KYC})
    answer = await api.http.get("/job-status/1")
    assert answer.json()["queue"] == "kyc-verification"
    assert answer.headers["corral-also-in"] == "reports"
    answer = await api.http.get("/job-status/1?queue=reports")
    assert answer.json()["queue"] == "reports"
    assert "corral-also-in" not in answer.headers


async def test_prioritized_counts_as_waiting(api: Service) -> None:
    await api.http.post("/v1/queues/free/jobs", json={"name": "x", "data": 1, "priority": 3})
    assert (await api.http.get("/job-status/1?queue=free")).json()["status"] == "waiting"


async def test_a_finished_job_shows_its_result_or_its_reason(api: Service) -> None:
    bodies = [
        {"name": "build", "data": {"month": "m", "pages": 3}},
        {"name": "build", "data": {"month": "never"}, "attempts": 1},
    ]
    for body in bodies:
        await api.http.post("/v1/queues/reports/jobs", json=body)
    await Worker(api.queues["reports"]).run(until_empty=True)
    good = (await api.http.get("/job-status/1?queue=reports")).json()
    assert (good["status"], good["result"], good["failedReason"], good["attemptsMade"]) == (
        "completed",
        3,
        None,
        1,
    )
    bad = (await api.http.get("/v1/queues/reports/jobs/2")).json()
    assert (bad["status"], bad["result"], bad["attemptsMade"]) == ("failed", None, 1)
    assert "there is no such month" in bad["failedReason"]
    assert bad["name"] == "build"
    assert bad["enqueuedAt"].endswith("Z")
    assert bad["finishedAt"] >= bad["startedAt"] >= bad["enqueuedAt"]
    assert bad["processedBy"]
    assert "data" not in bad


async def test_a_result_that_is_no_json_is_shown_as_text(api: Service, store: aioredis.Redis) -> None:
    await api.http.post("/v1/queues/free/jobs", json={"name": "x", "data": 1})
    await store.hset("bull:free:1", "returnvalue", "plain {text")
    assert (await api.http.get("/job-status/1?queue=free")).json()["result"] == "plain {text"


async def test_a_long_poll_answers_when_the_job_has_ended(api: Service) -> None:
    answer = await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m"}})
    polls = [
        asyncio.create_task(api.http.get(answer.headers["location"], params={"wait": 15})) for _ in range(3)
    ]
    async with asyncio.timeout(10):
        while len(api.app.service.waiting) < 3:
            await asyncio.sleep(0.01)
        await Worker(api.queues["reports"]).run(until_empty=True)
        for poll in polls:
            assert (await poll).json()["status"] == "completed"


async def test_a_long_poll_sees_a_job_that_is_removed_as_it_ends(api: Service) -> None:
    body = {"name": "build", "data": {"month": "m", "pages": 9}, "removeOnComplete": True}
    answer = await api.http.post("/v1/queues/reports/jobs", json=body)
    poll = asyncio.create_task(api.http.get(answer.headers["location"], params={"wait": 15}))
    async with asyncio.timeout(10):
        while not api.app.service.waiting:
            await asyncio.sleep(0.01)
        await Worker(api.queues["reports"]).run(until_empty=True)
        found = (await poll).json()
    assert (found["status"], found["result"]) == ("completed", 9)
    problem(await api.http.get(answer.headers["location"]), 404, "job-not-found")


async def test_a_long_poll_in_vain_gets_the_job_as_it_stands(api: Service) -> None:
    answer = await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m"}})
    found = await api.http.get(answer.headers["location"], params={"wait": 0.05})
    assert found.json()["status"] == "waiting"


async def test_a_long_poll_ends_when_its_caller_leaves(api: Service) -> None:
    answer = await api.http.post("/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m"}})
    waiting = api.app.service.waiting
    with pytest.raises(httpx2.ReadTimeout):
        await api.http.get(answer.headers["location"], params={"wait": 60}, timeout=0.3)
    async with asyncio.timeout(10):
        while waiting:
            await asyncio.sleep(0.01)


async def test_a_long_poll_ends_when_the_service_stops(redis_url: str) -> None:
    async with serving(redis_url) as api:
        answer = await api.http.post(
            "/v1/queues/reports/jobs", json={"name": "build", "data": {"month": "m"}}
        )
        poll = asyncio.create_task(api.http.get(answer.headers["location"], params={"wait": 60}))
        async with asyncio.timeout(10):
            while not api.app.service.waiting:
                await asyncio.sleep(0.01)
            await api.server.stop()
            assert (await poll).json()["status"] == "waiting"


@pytest.mark.parametrize("wait", ["soon", "-1", "61"])
async def test_a_wrong_wait_is_named(api: Service, wait: str) -> None:
    answer = await api.http.get("/v1/queues/reports/jobs/1", params={"wait": wait})
    assert paths(problem(answer, 422, "invalid-request")) == ["?wait"]


# What operators read


async def test_metrics_parse_and_count(api: Service) -> None:
    for priority in (None, 3):
        body = {"name": "build", "data": {"month": "m"}}
        await api.http.post(
            "/v1/queues/reports/jobs", json=body if priority is None else {**body, "priority": priority}
        )
    await api.http.post("/v1/queues/reports/jobs", content=b"{")
    answer = await api.http.get("/metrics", headers=api.as_(READ))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {
        (s.name, *sorted(s.labels.values())): s.value
        for f in parse_prometheus(answer.text)
        for s in f.samples
    }
    assert samples["bullmq_queue_waiting", "reports"] == 2
    assert samples["bullmq_queue_waiting", "kyc-verification"] == 0
    assert samples["corral_queue_jobs", "reports", "waiting"] == 1
    assert samples["corral_queue_jobs", "prioritized", "reports"] == 1
    assert samples["corral_redis_up",] == 1
    route = "/v1/queues/{queue}/jobs"
    assert samples["corral_http_requests_total", route, "202", "POST"] == 2
    assert samples["corral_http_requests_total", route, "400", "POST"] == 1
    assert samples["corral_http_request_duration_seconds_count", route, "POST"] == 3
    assert ("process_cpu_seconds_total",) in samples


async def test_metrics_speak_openmetrics_when_asked(api: Service) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await api.http.get("/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "bullmq_queue_waiting" in {f.name for f in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]  # prometheus-client's


async def test_the_description_is_valid_and_complete(api: Service) -> None:
    answer = await api.http.get("/openapi.json")
    document = answer.json()
    validate(document)
    described = {
        (method.upper(), path.replace("{jobId}", "{job_id}"))
        for path, item in document["paths"].items()
        for method in item
    }
    litestar = api.app.litestar
    served = {
        (method, route.path_format)
        for route in litestar.routes
        for method in route.methods
        # What operators' tools use has a description of its own.
        if method != "OPTIONS" and not route.path.startswith("/api/v1/")
    }
    raw = {("POST", p) for p in api.app.paths()}
    assert described == served | raw
    declared = {path for path, row in MISSION_ROUTES.items() if row[0] in api.queues}
    assert declared <= {path for _, path in raw}


async def test_the_description_has_the_types_of_the_jobs(api: Service) -> None:
    document = (await api.http.get("/openapi.json")).json()
    body = document["paths"]["/verify-kyc"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/Kyc"}
    assert body["example"]["documentType"] == "passport"
    kyc = document["components"]["schemas"]["Kyc"]
    assert kyc["required"] == ["userId", "documentType"]
    one = document["paths"]["/v1/queues/reports/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert [s["properties"]["name"] for s in one["schema"]["oneOf"]] == [
        {"const": "build"},
        {"const": "purge"},
    ]
    assert one["schema"]["oneOf"][0]["properties"]["data"] == {"$ref": "#/components/schemas/Report"}


# What every answer carries


ANSWERS = [("POST", "/verify-kyc"), ("POST", "/v1/queues/free/jobs"), ("GET", "/healthz"), ("GET", "/no")]


async def test_every_answer_is_hardened_and_has_an_id(api: Service, subtests: pytest.Subtests) -> None:
    for method, path in ANSWERS:
        with subtests.test(method=method, path=path):
            content = json.dumps(KYC) if path == "/verify-kyc" else "{"
            answer = await api.http.request(
                method, path, content=content, headers={"Origin": "https://evil.example.com"}
            )
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert answer.headers["x-request-id"]
            again = await api.http.request(method, path, content=content)
            assert again.headers["x-request-id"] != answer.headers["x-request-id"]
            mine = await api.http.request(method, path, content=content, headers={"X-Request-Id": "mine-1"})
            assert mine.headers["x-request-id"] == "mine-1"
            forged = await api.http.request(method, path, content=content, headers={"X-Request-Id": "a b {}"})
            assert forged.headers["x-request-id"] != "a b {}"


async def test_logs_name_the_request_and_nothing_personal(api: Service) -> None:
    with capture_logs() as logs:
        body = {"userId": "private-person", "documentType": "private-card"}
        headers = {"X-Request-Id": "trace-1", "Idempotency-Key": "private-key"}
        await api.http.post("/verify-kyc", json=body, headers=headers)
        await api.http.get("/job-status/private-id", headers={"X-Request-Id": "trace-2"})
        await api.http.get("/private-path")
    assert [(e["event"], e["request_id"], e["route"], e["status"]) for e in logs[:2]] == [
        ("http_request_refused", "trace-1", "/verify-kyc", 422),
        ("http_request_refused", "trace-2", "/job-status/{job_id}", 404),
    ]
    assert [e["problem"] for e in logs] == ["invalid-data", "job-not-found", "not-found"]
    text = repr(logs)
    assert "private" not in text
    assert ADMIN not in text


async def test_a_mistake_of_ours_tells_and_logs_nothing_of_the_data(
    api: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise KeyError("private-person")

    monkeypatch.setattr(api.queues["kyc-verification"], "add_json", broken)
    monkeypatch.setattr(api.app.service.lookup, "find", broken, raising=False)
    with capture_logs() as logs:
        for answer in (await api.http.post("/verify-kyc", json=KYC), await api.http.get("/job-status/1")):
            body = problem(answer, 500, "internal-error")
            assert "private" not in json.dumps(body)
    crashes = [e for e in logs if e["event"] == "http_request_crashed"]
    assert [e["error"] for e in crashes] == ["KeyError", "KeyError"]
    assert "broken" in crashes[0]["trace"][-1]
    assert "private" not in repr(logs)
