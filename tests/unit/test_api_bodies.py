"""The bodies of the enqueue routes: what they accept, what they mean, and where they say a mistake is."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from corral.api import bodies
from corral.api.problems import Refused
from corral.policy import Priority, Retry

POLICY = Retry(attempts=5, delays=(60, 300), jitter=0.1)


def job(**members: Any) -> bytes:
    return json.dumps({"name": "build", "data": {"a": 1}, **members}).encode()


def refused(call: Any, body: bytes) -> Any:
    with pytest.raises(Refused) as caught:
        call(body)
    return caught.value.problem


def test_the_data_stays_as_it_came() -> None:
    request = bodies.job_request(b'{"name":"build", "data": {"b" : 1.50,  "a":"\\u00e9"} }')
    assert bytes(request.data) == b'{"b" : 1.50,  "a":"\\u00e9"}'


def test_no_options_mean_no_arguments() -> None:
    assert bodies.options(bodies.job_request(job()), POLICY) == {}


def test_every_option_has_its_argument() -> None:
    request = bodies.job_request(
        job(
            delay=1.5,
            priority=3,
            lifo=True,
            attempts=2,
            jobId="j-1",
            timeout=30,
            removeOnComplete=True,
            removeOnFail=100,
        )
    )
    assert bodies.options(request, POLICY) == {
        "delay": 1.5,
        "priority": 3,
        "lifo": True,
        "retry": Retry(attempts=2, delays=(60, 300), jitter=0.1),
        "job_id": "j-1",
        "timeout": 30,
        "remove_on_complete": True,
        "remove_on_fail": 100,
    }


@pytest.mark.parametrize(
    ("name", "priority"), [("high", Priority.HIGH), ("medium", Priority.MEDIUM), ("low", Priority.LOW)]
)
def test_priorities_have_names(name: str, priority: Priority) -> None:
    assert bodies.options(bodies.job_request(job(priority=name)), POLICY) == {"priority": priority}


def test_a_moment_needs_its_zone() -> None:
    request = bodies.job_request(job(at="2030-01-01T00:00:00Z"))
    assert bodies.options(request, POLICY) == {"at": datetime(2030, 1, 1, tzinfo=UTC)}
    assert refused(bodies.job_request, job(at="2030-01-01T00:00:00")).errors[0].path == "$.at"


def test_delay_and_at_exclude_one_another() -> None:
    request = bodies.job_request(job(delay=1, at="2030-01-01T00:00:00Z"))
    with pytest.raises(Refused) as caught:
        bodies.options(request, POLICY)
    assert caught.value.problem.errors[0].path == "$.at"


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        ({"attempts": 1}, Retry(attempts=1, delays=(60, 300), jitter=0.1)),
        ({"retry": {"delays": [5]}}, Retry(attempts=5, delays=(5,), jitter=0.1)),
        # A back-off that is asked for must not be shadowed by the queue's explicit delays.
        (
            {"retry": {"backoff": "fixed", "delay": 7}},
            Retry(attempts=5, backoff="fixed", delay=7, jitter=0.1),
        ),
        (
            {"attempts": 2, "retry": {"attempts": 9, "maxDelay": 60, "jitter": 0}},
            Retry(2, (60, 300), max_delay=60),
        ),
    ],
)
def test_a_partial_retry_changes_the_queues_policy(options: dict[str, Any], policy: Retry) -> None:
    assert bodies.options(bodies.job_request(job(**options)), POLICY) == {"retry": policy}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"[]", "$"),
        (b"{}", "$.name"),
        (b'{"name": "a"}', "$.data"),
        (job(name=""), "$.name"),
        (job(name=7), "$.name"),
        (job(name="n" * 256), "$.name"),
        (job(delay=-1), "$.delay"),
        (job(delay="1"), "$.delay"),
        (job(delay=60_000_000), "$.delay"),
        (job(priority=0), "$.priority"),
        (job(priority=2**21), "$.priority"),
        (job(priority="urgent"), "$.priority"),
        (job(attempts=0), "$.attempts"),
        (job(attempts=1.5), "$.attempts"),
        (job(jobId=""), "$.jobId"),
        (job(jobId="a/b"), "$.jobId"),
        (job(jobId=".."), "$.jobId"),
        (job(timeout=0), "$.timeout"),
        (job(removeOnComplete=-1), "$.removeOnComplete"),
        (job(retry={"jitter": 2}), "$.retry.jitter"),
        (job(retry={"tries": 2}), "$.retry.tries"),
    ],
)
def test_a_wrong_field_is_named(body: bytes, path: str) -> None:
    problem = refused(bodies.job_request, body)
    assert (problem.status, problem.slug) == (422, "invalid-request")
    assert [e.path for e in problem.errors] == [path]


@pytest.mark.parametrize(
    ("wrong", "near"), [("dely", "delay"), ("jobid", "jobId"), ("remove_on_complete", "removeOnComplete")]
)
def test_an_unknown_field_is_named_with_the_near_one(wrong: str, near: str) -> None:
    problem = refused(bodies.job_request, job(**{wrong: 1}))
    assert problem.errors[0].path == f"$.{wrong}"
    assert f"Did you mean `{near}`?" in problem.errors[0].detail


@pytest.mark.parametrize(
    ("body", "position"),
    [
        (b"", 0),
        (b"hello", 0),
        (b'{"name": "a", "data": {}', 24),
        (b'{"name": "a", "data": {}} trailing', 27),
        (b'{"name": "a", "data": {"b": tru}}', 29),
        (b'{"name": "a", "data": "\xff"}', 23),
        (b'\xef\xbb\xbf{"name": "a", "data": 1}', 0),
    ],
)
def test_what_is_not_json_is_refused_with_the_position(body: bytes, position: int) -> None:
    problem = refused(bodies.job_request, body)
    assert (problem.status, problem.slug) == (400, "malformed-json")
    assert problem.extra["position"] == position


@pytest.mark.parametrize("body", [b"", b"hello", b'{"jobs": [', b'{"jobs": [{"name": "a", "data": "\xff"}]}'])
def test_bulk_that_is_not_json_is_refused(body: bytes) -> None:
    assert refused(bodies.bulk_request, body).slug == "malformed-json"


def test_deep_nesting_is_refused_not_fatal() -> None:
    body = b'{"name": "a", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert refused(bodies.job_request, body).status == 400
    assert refused(bodies.bulk_request, b'{"jobs": [' + body + b"]}").status == 400


def test_bulk_takes_names_data_and_options() -> None:
    jobs = bodies.bulk_request(
        b'{"jobs": [{"name": "a", "data": 1}, {"name": "b", "data": {}, "opts": {"delay": 2}}]}'
    )
    assert [(j.name, bytes(j.data), j.opts) for j in jobs] == [
        ("a", b"1", None),
        ("b", b"{}", bodies.Options(delay=2)),
    ]


def test_bulk_names_every_wrong_job() -> None:
    body = json.dumps(
        {
            "jobs": [
                {"name": "a", "data": 1},
                {"name": 7, "data": 1},
                {"name": "c"},
                {"name": "d", "data": 1, "opts": {"dely": 1}},
                {"name": "e", "data": 1, "delay": 1},
            ]
        }
    ).encode()
    problem = refused(bodies.bulk_request, body)
    assert problem.status == 422
    assert [e.path for e in problem.errors] == [
        "$.jobs[1].name",
        "$.jobs[2].data",
        "$.jobs[3].opts.dely",
        "$.jobs[4].delay",
    ]
    assert "3 more" in problem.detail


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"jobs": []}', "$.jobs"),
        (b'{"jobs": {}}', "$.jobs"),
        (b"{}", "$.jobs"),
        (b'{"job": []}', "$.job"),
        (b'{"jobs": [' + b",".join([b"1"] * 1_001) + b"]}", "$.jobs"),
    ],
)
def test_bulk_takes_one_to_a_thousand_jobs(body: bytes, path: str) -> None:
    assert [e.path for e in refused(bodies.bulk_request, body).errors] == [path]


def test_the_list_of_errors_is_bounded() -> None:
    body = b'{"jobs": [' + b",".join([b"{}"] * 1_000) + b"]}"
    assert len(refused(bodies.bulk_request, body).errors) == bodies.MAX_ERRORS
