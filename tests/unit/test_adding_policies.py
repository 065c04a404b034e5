"""A queue's defaults for its jobs, and what a job brings instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from corral import Keep, Queue, Retry
from corral.adding import AddOptions, JobDefaults, Templates, check_data
from corral.bullmq.batch_add import parts
from corral.bullmq.codec import decode_options
from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import MAX_BATCH_BYTES, MAX_BATCH_JOBS, NewJobs
from corral.data import decode_json
from corral.errors import InvalidOptions, JobTooLarge
from corral.policy import Retention
from corral.worker.outcome import plan

KEYS = QueueKeys("bull", "orders")


def made(queue: dict[str, Any] | None = None, **options: Any) -> NewJobs:
    return Templates(Queue("orders", **(queue or {})), KEYS).make("build", AddOptions(**options))  # type: ignore[typeddict-item]  # by name


def opts(queue: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(made(queue, **options).options)
    return decoded


# Defaults

DEFAULTS: JobDefaults = {
    "lifo": True,
    "remove_on_complete": Keep(age=60),
    "remove_on_fail": 5,
    "keep_logs": 20,
}
ON_THE_WIRE = {"lifo": True, "removeOnComplete": {"age": 60}, "removeOnFail": {"count": 5}, "kl": 20}


def test_a_queues_defaults_are_in_every_job() -> None:
    one_attempt = {"defaults": DEFAULTS, "retry": Retry(attempts=1)}
    assert opts(one_attempt) == {"attempts": 1, **ON_THE_WIRE}
    assert made(one_attempt).lifo
    assert opts(one_attempt, delay=1)["kl"] == 20


def test_a_job_wins_over_each_default() -> None:
    own: dict[str, Any] = {
        "lifo": False,
        "remove_on_complete": True,
        "remove_on_fail": Keep(count=2, age=9),
        "keep_logs": 3,
    }
    jobs = made({"defaults": DEFAULTS, "retry": Retry(attempts=1)}, **own)
    assert not jobs.lifo
    assert json.loads(jobs.options) == {
        "attempts": 1,
        "removeOnComplete": True,
        "removeOnFail": {"count": 2, "age": 9},
        "kl": 3,
    }


def test_none_leaves_the_default() -> None:
    assert opts({"defaults": DEFAULTS}, keep_logs=None, remove_on_fail=None)["kl"] == 20


def test_defaults_are_the_queues_own_copy() -> None:
    given: JobDefaults = {"keep_logs": 3}
    queue = Queue("orders", defaults=given)
    given["keep_logs"] = 4
    assert queue.defaults == {"keep_logs": 3}


@pytest.mark.parametrize(
    "defaults",
    [{"keep_logs": 0}, {"remove_on_complete": -1}, {"remove_on_fail": "all"}, {"delay": 5}, {"job_id": "a"}],
    ids=str,
)
def test_defaults_are_checked_when_the_queue_is_declared(defaults: Any) -> None:
    with pytest.raises(InvalidOptions):
        Queue("orders", defaults=defaults)


# Time to live, logs, size


def test_a_time_to_live_travels_only_if_the_job_brings_it() -> None:
    """The worker's queue knows its own; a job that brings none follows whatever is declared there by then."""
    assert opts(ttl=1.5)["ttl"] == 1500
    assert "ttl" not in opts({"ttl": 60})
    ours = decode_options(made(ttl=1.5, delay=4).options.encode())
    assert (ours.ttl, ours.delay) == (1.5, 4.0)
    assert plan(ours, Retry(), None, Retention(), 60).ttl == 1.5
    assert plan(decode_options(b'{"attempts":1}'), Retry(), None, Retention(), 60).ttl == 60


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": float("nan")},
        {"ttl": float("inf")},
        {"keep_logs": 0},
        {"max_data_bytes": 0},
    ],
    ids=str,
)
def test_numbers_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match=next(iter(options))):
        made(**options)


def test_a_queues_time_to_live_is_checked() -> None:
    with pytest.raises(InvalidOptions, match="ttl"):
        Queue("orders", ttl=0)


def test_a_job_may_be_larger_or_smaller_than_its_queue_says() -> None:
    queue = Queue("orders", max_data_bytes=8)
    assert check_data(queue, b'"1234567"', decode_json, 9, name="build") == '"1234567"'
    with pytest.raises(JobTooLarge, match="takes 5"):
        check_data(queue, b'"1234"', decode_json, 5, name="build")
    assert opts(max_data_bytes=9)["sizeLimit"] == 9


# Ids


def test_a_custom_id_and_an_idempotency_key_travel_together() -> None:
    jobs = made(job_id="order-7", idempotency_key="k")
    assert (jobs.id, jobs.once_key) == ("order-7", KEYS.once("k"))
    assert json.loads(jobs.options)["jobId"] == "order-7"


# Batches


def group(*sizes: int) -> NewJobs:
    return made()._replace(data=["x" * size for size in sizes])


def test_a_batch_is_one_call_up_to_its_bounds() -> None:
    assert [len(p) for p in parts([group(1)] * MAX_BATCH_JOBS)] == [MAX_BATCH_JOBS]
    assert [len(p) for p in parts([group(1)] * (MAX_BATCH_JOBS + 1))] == [MAX_BATCH_JOBS, 1]
    half = MAX_BATCH_BYTES // 2
    assert [len(p) for p in parts([group(half), group(half), group(1)])] == [2, 1]
    assert [len(p) for p in parts([group(1), group(MAX_BATCH_BYTES + 1), group(1)])] == [1, 1, 1]
    assert parts([]) == []
