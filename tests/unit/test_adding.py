"""The options of an add: checked, merged with the queue's defaults, remembered, turned into what travels."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from corral import Priority, Queue, Retry
from corral.adding import CACHE, IDEMPOTENCY_SECONDS, MAX_DELAY_SECONDS, AddOptions, Templates, check_data
from corral.bullmq.codec import decode_options
from corral.bullmq.keys import QueueKeys
from corral.bullmq.producer import MAX_BATCH_BYTES, MAX_BATCH_JOBS, NewJobs, _parts
from corral.data import decode_json, decoder
from corral.errors import InvalidData, InvalidOptions, JobTooLarge
from corral.policy import MAX_PRIORITY

KEYS = QueueKeys("bull", "orders")
NOW = 1_750_000_000.0


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corral.adding.time.time", lambda: NOW)


def templates(**queue: Any) -> Templates:
    return Templates(Queue("orders", **queue), KEYS)


def made(queue: dict[str, Any] | None = None, **options: Any) -> NewJobs:
    return templates(**(queue or {})).make("build", AddOptions(**options))  # type: ignore[typeddict-item]  # by name


def opts(queue: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(made(queue, **options).options)
    return decoded


# What travels


def test_a_job_without_options_takes_its_queues_policy() -> None:
    jobs = made({"retry": Retry(attempts=4, delays=(1, 2)), "priority": Priority.HIGH})
    assert (jobs.id, jobs.name, jobs.delay_ms, jobs.priority, jobs.lifo) == ("", "build", 0, 1, False)
    assert (jobs.timestamp_ms, jobs.once_key, jobs.data) == (0, "", [])
    assert json.loads(jobs.options) == {
        "attempts": 4,
        "backoff": {"type": "fixed", "delay": 1000, "delays": [1000, 2000]},
        "priority": 1,
    }


def test_a_queue_that_leaves_the_policy_to_its_workers_writes_none() -> None:
    leaving = {"retry": None}
    assert opts(leaving) == {"attempts": 0}  # as stock BullMQ writes it: not said
    assert decode_options(json.dumps(opts(leaving)).encode()).retry is None
    assert opts(leaving, retry=Retry(attempts=1)) == {"attempts": 1}


def test_every_option_of_its_own_wins() -> None:
    own = made(
        {"priority": Priority.HIGH, "timeout": 60},
        delay=1.5,
        priority=Priority.LOW,
        lifo=True,
        retry=Retry(attempts=1),
        timeout=2,
        job_id="order-7",
        remove_on_complete=True,
        remove_on_fail=5,
    )
    assert (own.id, own.delay_ms, own.priority, own.lifo) == ("order-7", 1500, 10, True)
    assert json.loads(own.options) == {
        "attempts": 1,
        "delay": 1500,
        "priority": 10,
        "lifo": True,
        "jobId": "order-7",
        "timeout": 2000,
        "removeOnComplete": True,
        "removeOnFail": {"count": 5},
    }


def test_priority_zero_is_a_wish_of_its_own() -> None:
    """0 means none, which runs before every numbered one; it must not fall back to the queue's."""
    assert made({"priority": Priority.LOW}, priority=0).priority == 0
    assert made({"priority": Priority.LOW}, priority=None).priority == 10


def test_none_means_not_said_for_every_option() -> None:
    nothing_said = dict.fromkeys(
        ["delay", "at", "priority", "job_id", "idempotency_key", "retry", "timeout", "remove_on_complete",
         "remove_on_fail"]
    )  # fmt: skip
    assert made(**nothing_said) == made()


@pytest.mark.parametrize(
    ("value", "wire"),
    [(True, True), (0, True), (False, False), (1, {"count": 1}), (100, {"count": 100})],
    ids=repr,
)
@pytest.mark.parametrize("option", ["remove_on_complete", "remove_on_fail"])
def test_removal(option: str, value: Any, wire: Any) -> None:
    name = {"remove_on_complete": "removeOnComplete", "remove_on_fail": "removeOnFail"}[option]
    assert opts(**{option: value})[name] == wire


def test_an_idempotency_key_is_hashed_and_lasts_a_day() -> None:
    jobs = made(idempotency_key="jane.doe@example.com")
    assert jobs.once_key == KEYS.once("jane.doe@example.com")
    assert jobs.once_ms == IDEMPOTENCY_SECONDS * 1000 == 86_400_000
    assert "jane" not in jobs.options


def test_the_empty_idempotency_key_is_one() -> None:
    """A caller that sends an empty header must not add twice in silence."""
    assert made(idempotency_key="").once_key == KEYS.once("")


# Time


@pytest.mark.parametrize(("delay", "ms"), [(0, 0), (0.0004, 0), (0.0006, 1), (1.5, 1500), (3600, 3_600_000)])
def test_delays_are_in_seconds(delay: float, ms: int) -> None:
    assert made(delay=delay).delay_ms == ms


@pytest.mark.parametrize(
    ("at", "ms"),
    [
        (datetime.fromtimestamp(NOW + 90, UTC), 90_000),
        (datetime.fromtimestamp(NOW + 90, timezone(timedelta(hours=5, minutes=30))), 90_000),
        (datetime.fromtimestamp(NOW - 90, UTC), 0),
        (datetime(1, 1, 1, tzinfo=UTC), 0),
    ],
)
def test_a_moment_instead_of_a_delay(at: datetime, ms: int) -> None:
    assert made(at=at).delay_ms == ms


def test_a_moment_needs_a_time_zone() -> None:
    with pytest.raises(InvalidOptions, match="time zone"):
        made(at=datetime(2030, 1, 1))  # noqa: DTZ001  # the point of the test


def test_a_moment_past_the_longest_delay_is_refused() -> None:
    with pytest.raises(InvalidOptions):
        made(at=datetime(9999, 1, 1, tzinfo=UTC))


# Bounds


@pytest.mark.parametrize(
    "options",
    [
        {"delay": -0.1},
        {"delay": MAX_DELAY_SECONDS + 1},
        {"delay": math.nan},
        {"delay": math.inf},
        {"delay": 1, "at": datetime.fromtimestamp(NOW, UTC)},
        {"priority": -1},
        {"priority": MAX_PRIORITY + 1},
        {"priority": 1.5},
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": math.nan},
        {"timeout": math.inf},
        {"remove_on_complete": -1},
        {"remove_on_fail": -1},
        {"remove_on_complete": {"age": 60}},
        {"remove_on_complete": "yes"},
        {"job_id": ""},
        {"job_id": "7"},
        {"job_id": "a:b"},
        {"job_id": "a\ud800"},
        {"idempotency_key": "a\ud800"},
        {"retry": 3},
        {"attempts": 3},
        {"removeOnComplete": True},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions):
        made(**options)


def test_a_misspelt_option_is_named_with_the_near_one() -> None:
    with pytest.raises(InvalidOptions, match=r"idempotence_key.*idempotency_key"):
        made(idempotence_key="x")


@pytest.mark.parametrize("name", ["", None, "a\ud800"])
def test_a_job_needs_a_name(name: Any) -> None:
    with pytest.raises(InvalidOptions, match="name"):
        templates().make(name, AddOptions())


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": math.nan},
        {"concurrency": 0},
        {"priority": -1},
        {"priority": MAX_PRIORITY + 1},
    ],
    ids=str,
)
def test_a_queue_is_checked_the_same_way(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidOptions):
        Queue("orders", **options)


def test_the_bounds_themselves_are_taken() -> None:
    assert made(delay=MAX_DELAY_SECONDS).delay_ms == MAX_DELAY_SECONDS * 1000
    assert made(priority=MAX_PRIORITY).priority == MAX_PRIORITY
    assert Queue("orders", timeout=0.001, concurrency=1, priority=0).timeout == 0.001


# Templates


def test_options_that_repeat_are_built_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built = 0
    build = Templates._build

    def counting(self: Templates, name: str, options: AddOptions) -> NewJobs:
        nonlocal built
        built += 1
        return build(self, name, options)

    monkeypatch.setattr(Templates, "_build", counting)
    known = templates()
    for _ in range(5):
        known.make("build", AddOptions(priority=1, timeout=5))
        known.make("build", AddOptions(timeout=5, priority=1))
        known.make("build", AddOptions())
    assert built == 2
    known.make("other", AddOptions())
    known.make("build", AddOptions(priority=2, timeout=5))
    assert built == 4


@pytest.mark.parametrize("option", ["remove_on_complete", "remove_on_fail"])
def test_what_python_holds_for_equal_is_not_confused(option: str) -> None:
    """True == 1 and False == 0, but one removes the job and the other keeps one; keeps all and removes it."""
    known = templates()

    def wire(value: Any) -> Any:
        text = known.make("build", AddOptions(**{option: value})).options  # type: ignore[misc]  # by name
        return next(v for name, v in json.loads(text).items() if name.startswith("remove"))

    assert [wire(True), wire(1), wire(True)] == [True, {"count": 1}, True]
    assert [wire(False), wire(0), wire(False)] == [False, True, False]


def test_a_moment_is_never_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    known, at = templates(), datetime.fromtimestamp(NOW + 90, UTC)
    assert known.make("build", AddOptions(at=at)).delay_ms == 90_000
    monkeypatch.setattr("corral.adding.time.time", lambda: NOW + 30)
    assert known.make("build", AddOptions(at=at)).delay_ms == 60_000


def test_what_is_remembered_is_bounded() -> None:
    known = templates()
    for number in range(3 * CACHE):
        known.make(f"name-{number}", AddOptions())
    assert len(known._known) <= CACHE
    assert known.make("name-0", AddOptions()).name == "name-0"


def test_a_template_is_not_spoilt_by_its_use() -> None:
    known = templates()
    first = known.make("build", AddOptions())._replace(data=["1"])
    assert first.data == ["1"]
    assert known.make("build", AddOptions()).data == []


# Data


class Order(msgspec.Struct):
    number: int


def test_data_is_checked_and_kept_as_it_came() -> None:
    raw = b'{ "number": 7,  "note": "\xc3\xa4" }'
    assert check_data(Queue("orders"), raw, decoder(Order), name="build").encode() == raw


def test_data_over_the_limit_is_refused_before_it_is_read() -> None:
    queue = Queue("orders", max_data_bytes=10)

    def never(raw: bytes) -> None:
        raise AssertionError("read")

    with pytest.raises(JobTooLarge, match=r"11 bytes.*'orders' takes 10"):
        check_data(queue, b'"123456789"', never, name="build")
    assert check_data(queue, b'"12345678"', decode_json, name="build") == '"12345678"'


@pytest.mark.parametrize("raw", [b'{"number":"7"}', b"{", b"", b'{"number":7,"note":"\xff"}'], ids=repr)
def test_wrong_data_is_refused(raw: bytes) -> None:
    """The last one: a type skips fields it does not know, but what is stored must be text all the same."""
    with pytest.raises(InvalidData):
        check_data(Queue("orders"), raw, decoder(Order), name="build")


# Cutting a long list into calls


def test_parts_keep_the_order_and_the_bounds() -> None:
    rand = random.Random(7)
    texts = [str(n).ljust(rand.choice([1, 50, 100_000, 2_000_000])) for n in range(3_000)]
    parts = _parts(texts)
    assert [text for part in parts for text in part] == texts
    assert all(1 <= len(part) <= MAX_BATCH_JOBS for part in parts)
    assert all(sum(map(len, part)) <= MAX_BATCH_BYTES for part in parts)


def test_a_job_larger_than_a_call_travels_alone() -> None:
    large = "x" * (MAX_BATCH_BYTES + 1)
    assert _parts(["a", large, "b"]) == [["a"], [large], ["b"]]
