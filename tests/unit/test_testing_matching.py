"""Which jobs an assertion means, and what it says when they are not there."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest.mock import ANY

import msgspec
import pydantic
import pytest

from corral.testing.matching import LISTED, SHOWN, Enqueued, Wanted, misses, missing, unwanted


class Report(msgspec.Struct, rename="camel"):
    user_id: int
    month: str = "july"


class Model(pydantic.BaseModel):
    user_id: int = pydantic.Field(alias="userId")
    month: str = "july"


def job(job_id: str = "1", name: str = "build", data: Any = None, **other: Any) -> Enqueued:
    fields: dict[str, Any] = {
        "status": "waiting",
        "delay": 0.0,
        "priority": 0,
        "group": None,
        "enqueued_at": 0.0,
    }
    return Enqueued(id=job_id, name=name, data=data, json=data, **(fields | other))


@pytest.mark.parametrize(
    "wanted",
    [
        {"a": 1},
        {"b": {"c": [1, {"d": 2}]}},
        {"b": {"c": [1, {}]}},
        {"b": ANY},
        {"b": {"c": ANY}},
        {"a": pytest.approx(1.0001, abs=0.1)},
        {},
    ],
)
def test_a_mapping_asks_for_what_it_names(wanted: dict[str, Any]) -> None:
    assert misses(job(data={"a": 1, "b": {"c": [1, {"d": 2, "e": 3}]}}), "build", {"data": wanted}) == []


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"a": 2}, "data.a is 1, not 2"),
        ({"x": 1}, "data.x is not there"),
        ({"b": {"c": [1]}}, "data.b.c is [1, {'d': 2}], not [1]"),
        ({"b": {"c": [1, {"d": 3}]}}, "data.b.c[1].d is 2, not 3"),
        ({"a": True}, "data.a is 1, not True"),
        ([1], "data is {'a': 1, 'b': {'c': [1, {'d': 2}]}}, not [1]"),
        (None, "data is {'a': 1, 'b': {'c': [1, {'d': 2}]}}, not None"),
    ],
)
def test_what_differs_is_named_by_its_path(wanted: Any, why: str) -> None:
    assert misses(job(data={"a": 1, "b": {"c": [1, {"d": 2}]}}), "build", {"data": wanted}) == [why]


@pytest.mark.parametrize("wanted", [Report(7), Model(userId=7), {"userId": 7}])
def test_models_are_compared_as_they_travel(wanted: Any) -> None:
    there = job(data={"userId": 7, "month": "july"})
    assert misses(there, "build", {"data": wanted}) == []
    assert misses(dataclasses.replace(there, json={"userId": 8, "month": "july"}), "build", {"data": wanted})


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (Wanted(delay=60), "delay is 61.0, not 60"),
        (Wanted(priority=1), "priority is 5, not 1"),
        (Wanted(group="b"), "group is 'a', not 'b'"),
    ],
)
def test_options_are_compared(wanted: Wanted, why: str) -> None:
    there = job(delay=61.0, priority=5, group="a")
    assert misses(there, "build", wanted) == [why]
    assert misses(there, "build", Wanted(delay=61, priority=5, group="a")) == []
    assert misses(there, "build", Wanted(delay=pytest.approx(60, abs=2))) == []


def test_the_message_lists_the_nearest_first() -> None:
    jobs = [
        job("1", "other", {"month": 7}),
        job("2", "build", {"month": 9}, priority=3),
        job("3", "build", {"month": 8}, status="delayed", delay=60.0, group="acme"),
    ]
    text = missing("reports", jobs, "build", Wanted(data={"month": 7}, priority=0), None)
    title, *rows = text.splitlines()
    assert title == (
        "No job 'build' with data {'month': 7}, priority 0 is enqueued in queue 'reports'. "
        "These are, the nearest first:"
    )
    assert rows == [
        "  job 3 'build', delayed, delay 60 s, group 'acme', data {'month': 8}",
        "      data.month is 8, not 7",
        "  job 2 'build', waiting, priority 3, data {'month': 9}",
        "      data.month is 9, not 7; priority is 3, not 0",
        "  job 1 'other', waiting, data {'month': 7}",
        "      its name is 'other'",
    ]


def test_an_empty_queue_and_a_wrong_count() -> None:
    assert missing("reports", [], "build", {}, None) == (
        "No job 'build' is enqueued in queue 'reports'. Nothing is."
    )
    assert missing("reports", [job()], "build", {}, 2).startswith(
        "1 of 2 wanted jobs 'build' are enqueued in queue 'reports'."
    )


def test_long_lists_and_long_data_are_cut() -> None:
    jobs = [job(str(n), data="x" * 1000) for n in range(LISTED + 3)]
    text = missing("reports", jobs, "other", {}, None)
    assert text.endswith("and 3 more")
    assert len(text) < LISTED * (SHOWN + 100) + 200


def test_what_should_not_be_there_is_listed() -> None:
    jobs = [job("1", data=1), job("2", data=2)]
    assert unwanted("reports", jobs, jobs[1:], "build", Wanted(data=2)).splitlines() == [
        "No job 'build' with data 2 should be enqueued in queue 'reports'; 1 of 2 are:",
        "  job 2 'build', waiting, data 2",
    ]
