"""Deduplication: what each mode says, and how it stands in a job's options."""

from __future__ import annotations

import json
from typing import Any

import pytest

from corral import Dedup, Queue
from corral.adding import AddOptions, Templates
from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import NewJobs
from corral.errors import InvalidOptions

KEYS = QueueKeys("bull", "orders")


def made(**options: Any) -> NewJobs:
    return Templates(Queue("orders"), KEYS).make("build", AddOptions(**options))  # type: ignore[typeddict-item]  # by name


@pytest.mark.parametrize(
    ("dedup", "wire"),
    [
        (Dedup.simple("a"), {"id": "a"}),
        (Dedup.throttle("a", 1.5), {"id": "a", "ttl": 1500}),
        (Dedup.debounce("a", 2), {"id": "a", "ttl": 2000, "extend": True, "replace": True}),
        (Dedup.keep_last("a"), {"id": "a", "keepLastIfActive": True}),
        (Dedup("a", ttl=3, replace=True), {"id": "a", "ttl": 3000, "replace": True}),
    ],
    ids=["simple", "throttle", "debounce", "keep last", "by field"],
)
def test_each_mode_in_bullmqs_words(dedup: Dedup, wire: dict[str, Any]) -> None:
    assert json.loads(made(dedup=dedup).options)["de"] == wire


def test_a_debounced_job_is_delayed_unless_the_add_says_for_how_long() -> None:
    assert made(dedup=Dedup.debounce("a", 2)).delay_ms == 2000
    assert made(dedup=Dedup.debounce("a", 2), delay=7).delay_ms == 7000
    assert made(dedup=Dedup.throttle("a", 2)).delay_ms == 0
    assert made(dedup=Dedup.simple("a"), delay=7).delay_ms == 7000


@pytest.mark.parametrize(
    "fields",
    [
        {"id": ""},
        {"id": None},
        {"id": 7},
        {"id": "a\ud800"},
        {"id": "a", "ttl": 0},
        {"id": "a", "ttl": -1},
        {"id": "a", "ttl": 0.0001},
        {"id": "a", "ttl": float("nan")},
        {"id": "a", "ttl": float("inf")},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions, match="Dedup"):
        Dedup(**fields)


def test_the_key_is_bullmqs() -> None:
    assert KEYS.dedup("a:b") == "bull:orders:de:a:b"


def test_a_plain_id_is_no_deduplication() -> None:
    with pytest.raises(InvalidOptions, match=r"Dedup\.simple"):
        made(dedup="a")


def test_only_one_of_both_can_pick_the_job_to_keep() -> None:
    with pytest.raises(InvalidOptions, match="not both"):
        made(dedup=Dedup.simple("a"), idempotency_key="k")


def test_options_with_a_deduplication_id_are_not_remembered() -> None:
    known = Templates(Queue("orders"), KEYS)
    for number in range(3):
        known.make("build", AddOptions(dedup=Dedup.simple(str(number))))
    assert known._known == {}
