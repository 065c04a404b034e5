"""Every Redis key by table, and which names may become part of one."""

from __future__ import annotations

import base64

import pytest

from corral.bullmq.keys import (
    MAX_QUEUE_NAME,
    QueueKeys,
    breaker_keys,
    breakers_known,
    breakers_live,
    check_job_id,
    check_queue_name,
    signal_key,
)
from corral.errors import InvalidOptions


@pytest.mark.parametrize(
    ("attribute", "key"),
    [
        ("base", "bull:orders:"),
        ("wait", "bull:orders:wait"),
        ("paused", "bull:orders:paused"),
        ("active", "bull:orders:active"),
        ("prioritized", "bull:orders:prioritized"),
        ("delayed", "bull:orders:delayed"),
        ("waiting_children", "bull:orders:waiting-children"),
        ("completed", "bull:orders:completed"),
        ("failed", "bull:orders:failed"),
        ("stalled", "bull:orders:stalled"),
        ("stalled_check", "bull:orders:stalled-check"),
        ("limiter", "bull:orders:limiter"),
        ("meta", "bull:orders:meta"),
        ("id", "bull:orders:id"),
        ("pc", "bull:orders:pc"),
        ("marker", "bull:orders:marker"),
        ("events", "bull:orders:events"),
        ("repeat", "bull:orders:repeat"),
    ],
)
def test_the_keys_that_bullmq_defines(attribute: str, key: str) -> None:
    assert getattr(QueueKeys("bull", "orders"), attribute) == key


def test_no_key_is_left_out_of_the_table_above() -> None:
    table = set(test_the_keys_that_bullmq_defines.pytestmark[0].args[1])  # type: ignore[attr-defined]  # pytest's
    assert {attribute for attribute, _ in table} | {"name", "prefix"} == set(QueueKeys.__slots__)


def test_the_keys_of_a_job() -> None:
    keys = QueueKeys("bull", "orders")
    assert keys.job("42") == "bull:orders:42"
    assert keys.logs("42") == "bull:orders:42:logs"
    assert keys.metrics("completed") == "bull:orders:metrics:completed"


def test_a_prefix_in_braces_keeps_all_keys_in_one_cluster_slot() -> None:
    keys = QueueKeys("{bull}", "orders")
    assert keys.wait == "{bull}:orders:wait"
    assert keys.once("k").startswith("corral:{bull}:orders:once:")
    assert signal_key("{bull}", "s") == "corral:{bull}:signal:s"


def test_our_own_keys_are_outside_the_space_that_bullmq_cleans() -> None:
    keys = QueueKeys("bull", "orders")
    assert not keys.once("order-7").startswith("bull:")
    assert signal_key("bull", "onfido:check-7") == "corral:bull:signal:onfido:check-7"


def test_an_idempotency_key_is_hashed() -> None:
    key = QueueKeys("bull", "orders").once("jane.doe@example.com")
    assert "jane" not in key
    assert key == QueueKeys("bull", "orders").once("jane.doe@example.com")
    others = {QueueKeys(p, q).once(k) for p in ("bull", "b") for q in ("orders", "o") for k in ("x", "y")}
    assert len(others) == 8
    assert len(QueueKeys("bull", "orders").once("x" * 1_000_000)) < 100


@pytest.mark.parametrize("queue", ["orders", "kyc-verification", "bestellungen-äöü", "注文"])
def test_the_client_name_is_what_getworkers_looks_for(queue: str) -> None:
    name = QueueKeys("bull", queue).client_name("host-1")
    prefix, encoded, kind, worker = name.split(":")
    assert (prefix, kind, worker) == ("bull", "w", "host-1")
    assert base64.b64decode(encoded).decode() == queue
    assert name.isascii()


@pytest.mark.parametrize("name", ["a", "kyc-verification", "a.b/c", "{orders}", "x" * MAX_QUEUE_NAME, "注文"])
def test_queue_names_that_are_taken(name: str) -> None:
    check_queue_name(name)
    assert QueueKeys("bull", name).name == name


@pytest.mark.parametrize(
    "name", ["", ":", "a:b", "a b", "a\nb", "a\tb", " a", "a\u00a0b", "x" * (MAX_QUEUE_NAME + 1)]
)
def test_queue_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidOptions, match="cannot name a queue"):
        check_queue_name(name)
    with pytest.raises(InvalidOptions):
        QueueKeys("bull", name)


@pytest.mark.parametrize("job_id", ["order-7", "a:b:c", "7a", "0x1", "00-1", "ünïcode", "x" * 500, "1.5"])
def test_job_ids_that_are_taken(job_id: str) -> None:
    check_job_id(job_id)


@pytest.mark.parametrize(
    "job_id", ["", "0", "0:1", "0:1:2", "1", "42", "007", "-5", "a:b", "a:b:c:d", ":", ":::"]
)
def test_job_ids_that_are_refused(job_id: str) -> None:
    with pytest.raises(InvalidOptions, match="cannot be a job id"):
        check_job_id(job_id)


@pytest.mark.parametrize(
    "job_id",
    [
        "wait", "paused", "active", "prioritized", "delayed", "waiting-children", "completed", "failed",
        "stalled", "stalled-check", "limiter", "meta", "id", "pc", "marker", "events", "repeat",
        "metrics:completed:data", "metrics:failed:data",
    ],
)  # fmt: skip
def test_a_job_id_cannot_be_a_key_of_the_queue_itself(job_id: str) -> None:
    """Its hash would be written over the queue's own `meta`, or be the list that `wait` must be."""
    with pytest.raises(InvalidOptions, match="cannot be a job id"):
        check_job_id(job_id)


def test_breakers_of_a_cluster_are_in_the_slot_of_its_queues_and_no_queue_has_their_keys() -> None:
    keys = [*breaker_keys("{bull}", "onfido"), breakers_known("{bull}"), breakers_live("{bull}")]
    assert all("{bull}" in key for key in keys)
    assert not any(key.startswith(QueueKeys("{bull}", "breaker").own()) for key in keys)
