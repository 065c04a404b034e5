"""Options and job hashes on the wire: what any producer may send, and what survives a round trip."""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.bullmq.codec import (
    KEEP_ALL,
    NO_OPTIONS,
    REMOVE,
    STACKTRACE_LIMIT,
    JobOptions,
    append_stacktrace,
    decode_options,
    decode_record,
    decode_stacktrace,
    encode_options,
)
from corral.policy import Keep, Retry

DAY = 24 * 3600.0


def read(**opts: Any) -> JobOptions:
    return decode_options(json.dumps(opts).encode())


def written(**changes: Any) -> dict[str, Any]:
    """What encode_options writes for a plain job with these changes."""
    plain: dict[str, Any] = {
        "retry": None,
        "timeout": None,
        "delay_ms": 0,
        "priority": 0,
        "lifo": False,
        "job_id": "",
        "completed": None,
        "failed": None,
    }
    decoded: dict[str, Any] = json.loads(encode_options(**(plain | changes)))
    return decoded


# Reading what Node writes


@pytest.mark.parametrize("raw", [None, b"", b"{}", b'{"attempts":0}', b'{"attempts":0,"priority":3}'])
def test_a_job_that_says_nothing_leaves_all_to_its_queue(raw: bytes | None) -> None:
    assert decode_options(raw) == NO_OPTIONS


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ({"type": "exponential", "delay": 60_000}, [60, 120, 240]),
        ({"type": "fixed", "delay": 1_500}, [1.5, 1.5, 1.5]),
        (2_000, [2, 2, 2]),
        (0, [0, 0, 0]),
        (None, [0, 0, 0]),
        ({"type": "fixed"}, [0, 0, 0]),
        ({"type": "exponential", "delay": 1_000, "maxDelay": 1_500}, [1, 1.5, 1.5]),
        ({"type": "fixed", "delay": 1_000, "delays": [1_000, 5_000]}, [1, 5, 5]),
        ({"type": "my-own-strategy", "delay": 1_000}, [1, 2, 4]),
    ],
)
def test_a_backoff_of_a_producer_is_obeyed(backoff: Any, waits: list[float]) -> None:
    retry = read(attempts=4, backoff=backoff).retry
    assert retry is not None
    assert retry.attempts == 4
    assert [retry.wait_after(attempt) for attempt in (1, 2, 3)] == waits


def test_no_backoff_at_all_is_an_immediate_retry() -> None:
    retry = read(attempts=2).retry
    assert retry is not None
    assert retry.wait_after(1) == 0


@pytest.mark.parametrize(
    ("written_jitter", "jitter"), [(0.5, 0.5), (0, 0), (1, 1), (2, 0), (-1, 0), ("0.5", 0)]
)
def test_jitter_is_a_share_or_nothing(written_jitter: Any, jitter: float) -> None:
    retry = read(attempts=2, backoff={"type": "fixed", "delay": 1, "jitter": written_jitter}).retry
    assert retry is not None
    assert retry.jitter == jitter


@pytest.mark.parametrize(
    ("value", "keep"),
    [
        (True, REMOVE),
        (False, KEEP_ALL),
        (0, REMOVE),
        (1, Keep(count=1)),
        (100, Keep(count=100)),
        (100.0, Keep(count=100)),
        (-1, KEEP_ALL),
        ({"count": 0}, REMOVE),
        ({"count": 5}, Keep(count=5)),
        ({"age": 3600}, Keep(age=3600.0)),
        ({"age": 3600, "count": 10, "limit": 50}, Keep(count=10, age=3600.0)),
        ({"count": -1}, KEEP_ALL),
        ({}, KEEP_ALL),
        (None, None),
        ("yes", None),
        ([], None),
        ({"count": "5", "age": "6"}, KEEP_ALL),
    ],
)
@pytest.mark.parametrize("outcome", ["completed", "failed"])
def test_retention_in_all_its_forms(value: Any, keep: Keep | None, outcome: str) -> None:
    name = {"completed": "removeOnComplete", "failed": "removeOnFail"}[outcome]
    assert getattr(read(**{name: value}), outcome) == keep


@pytest.mark.parametrize(
    ("opts", "rows"),
    [
        ({"kl": 7}, 7),
        ({"keepLogs": 7}, 7),
        ({"kl": 3, "keepLogs": 7}, 3),
        ({"kl": 0}, 0),
        ({"kl": "7"}, None),
    ],
)
def test_log_rows_by_long_and_short_name(opts: dict[str, Any], rows: int | None) -> None:
    assert read(**opts).keep_logs == rows


@pytest.mark.parametrize(
    ("value", "lifo"), [(True, True), (False, False), (1, False), ("true", False), (None, False)]
)
def test_only_true_is_lifo(value: Any, lifo: bool) -> None:
    assert read(lifo=value).lifo is lifo


@pytest.mark.parametrize(
    ("value", "seconds"), [(1500, 1.5), (0, 0), (None, None), (-1, None), ("5", None), (True, None)]
)
def test_a_time_limit_is_in_milliseconds(value: Any, seconds: float | None) -> None:
    assert read(timeout=value).timeout == seconds


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense",
        b"[]",
        b"null",
        b"7",
        b'"text"',
        b"{",
        b'{"attempts":3',
        b'"\xff"',
        b'{"a":"\xff"}',
        b"[" * 9_999,
    ],
    ids=lambda raw: raw[:12].decode(errors="replace"),
)
def test_unreadable_options_count_as_none(raw: bytes) -> None:
    assert decode_options(raw) == NO_OPTIONS


@pytest.mark.parametrize("attempts", [True, False, -3, "3", None, [], {}, 0.5])
def test_odd_attempts_count_as_not_said(attempts: Any) -> None:
    assert read(attempts=attempts).retry is None


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
#: Far beyond what Lua or msgpack can hold as a whole number.
numbers = st.integers(-(10**40), 10**40) | st.floats(allow_nan=False, allow_infinity=False)
backoffs = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["fixed", "exponential", "other"]) | json_values,
        "delay": numbers | json_values,
        "delays": st.lists(numbers, max_size=3) | json_values,
        "maxDelay": numbers | json_values,
        "jitter": st.floats(-1, 2) | json_values,
    },
)
any_options = st.fixed_dictionaries(
    {},
    optional={
        "attempts": numbers | json_values,
        "backoff": backoffs | numbers | json_values,
        "timeout": numbers | json_values,
        "removeOnComplete": numbers | st.fixed_dictionaries({"count": numbers, "age": numbers}) | json_values,
        "removeOnFail": numbers | st.fixed_dictionaries({"count": numbers, "age": numbers}) | json_values,
        "kl": numbers | json_values,
        "lifo": json_values,
    },
)


@given(any_options, st.integers(1, 200))
def test_no_options_can_produce_a_number_that_the_wire_cannot_carry(
    opts: dict[str, Any], attempt: int
) -> None:
    """Else one hostile job would stop the worker that settles it."""
    read_back = decode_options(json.dumps(opts).encode())
    retry = read_back.retry or Retry()
    wait = retry.wait_after(attempt)
    assert 0 <= wait < float("inf")
    numbers = [
        retry.attempts,
        round(wait * 1000),
        read_back.keep_logs,
        *(n for keep in (read_back.completed, read_back.failed) if keep for n in (keep.count, keep.age)),
    ]
    for number in msgspec.msgpack.decode(msgspec.msgpack.encode(numbers)):
        assert number is None or abs(number) < 2**63


# Writing


def test_a_plain_job_writes_only_its_attempts() -> None:
    assert written() == {"attempts": 0}
    assert written(retry=Retry(attempts=1)) == {"attempts": 1}


def test_every_option_in_the_words_of_bullmq() -> None:
    assert written(
        retry=Retry(attempts=5, backoff="exponential", delay=1.5, jitter=0.25),
        timeout=2.5,
        delay_ms=7_000,
        priority=5,
        lifo=True,
        job_id="order-7",
        completed=Keep(count=10, age=60),
        failed=Keep(count=0),
    ) == {
        "attempts": 5,
        "backoff": {"type": "exponential", "delay": 1500, "jitter": 0.25},
        "timeout": 2500,
        "delay": 7000,
        "priority": 5,
        "lifo": True,
        "jobId": "order-7",
        "removeOnComplete": {"count": 10, "age": 60},
        "removeOnFail": True,
    }


def test_explicit_delays_are_a_fixed_backoff_for_a_node_worker() -> None:
    assert written(retry=Retry(attempts=4, delays=(60, 300, 900)))["backoff"] == {
        "type": "fixed",
        "delay": 60_000,
        "delays": [60_000, 300_000, 900_000],
    }


@pytest.mark.parametrize(
    ("keep", "value"),
    [
        (KEEP_ALL, False),
        (REMOVE, True),
        (Keep(count=0, age=5), True),
        (Keep(count=3), {"count": 3}),
        (Keep(age=0.5), {"age": 0.5}),
    ],
)
def test_retention_as_bullmq_reads_it(keep: Keep, value: Any) -> None:
    assert written(completed=keep)["removeOnComplete"] == value


# Round trips

kinds: st.SearchStrategy[Literal["fixed", "exponential"]] = st.sampled_from(("fixed", "exponential"))
#: Whole milliseconds: the wire knows nothing finer.
waits = st.integers(0, 10**10).map(lambda ms: ms / 1000)
retries = st.builds(
    Retry,
    attempts=st.integers(1, 50),
    delays=st.lists(waits, max_size=4),
    backoff=kinds,
    delay=waits,
    max_delay=st.just(DAY) | waits,
    jitter=st.floats(0, 1),
)
keeps = st.none() | st.builds(
    Keep, count=st.none() | st.integers(0, 10**9), age=st.none() | st.floats(0, 1e9, allow_subnormal=False)
)


@given(
    retry=st.none() | retries,
    timeout=st.none() | st.integers(1, 10**9).map(lambda ms: ms / 1000),
    delay_ms=st.integers(0, 10**12),
    priority=st.integers(0, 2**21 - 1),
    lifo=st.booleans(),
    completed=keeps,
    failed=keeps,
)
def test_what_is_written_means_the_same_when_read(
    retry: Retry | None,
    timeout: float | None,
    delay_ms: int,
    priority: int,
    lifo: bool,
    completed: Keep | None,
    failed: Keep | None,
) -> None:
    text = encode_options(
        retry=retry,
        timeout=timeout,
        delay_ms=delay_ms,
        priority=priority,
        lifo=lifo,
        job_id="",
        completed=completed,
        failed=failed,
    )
    options = decode_options(text.encode())
    assert options.timeout == timeout
    assert options.lifo == lifo
    for back, sent in ((options.completed, completed), (options.failed, failed)):
        assert back == (REMOVE if sent is not None and sent.count == 0 else sent)
    if retry is None:
        assert options.retry is None
        return
    assert options.retry is not None
    assert options.retry.attempts == retry.attempts
    for rand in (0.0, 0.5):
        for attempt in range(1, retry.attempts):
            sent_wait = retry.wait_after(attempt, rand=lambda r=rand: r)  # type: ignore[misc]  # bound now
            read_wait = options.retry.wait_after(attempt, rand=lambda r=rand: r)  # type: ignore[misc]  # bound now
            assert read_wait == pytest.approx(sent_wait)


# Job hashes


def test_a_whole_record() -> None:
    record = decode_record(
        "7",
        {
            b"name": b"build",
            b"data": b'{"a":1}',
            b"opts": b'{"attempts":3}',
            b"timestamp": b"1750000000123",
            b"processedOn": b"1750000001000",
            b"finishedOn": b"1750000002500",
            b"progress": b'{"page":2}',
            b"returnvalue": b'"done"',
            b"failedReason": b"boom",
            b"stacktrace": b'["first","second"]',
            b"atm": b"2",
            b"ats": b"3",
            b"stc": b"1",
            b"priority": b"5",
            b"delay": b"1500",
            b"pb": b"worker-1",
        },
    )
    assert (record.id, record.name, record.data, record.options) == (
        "7",
        "build",
        b'{"a":1}',
        b'{"attempts":3}',
    )
    assert (record.enqueued_at, record.started_at, record.finished_at) == (
        1750000000.123,
        1750000001,
        1750000002.5,
    )
    assert (record.progress, record.returnvalue, record.failed_reason) == ({"page": 2}, b'"done"', "boom")
    assert record.stacktrace == ["first", "second"]
    assert (record.attempts_made, record.attempts_started, record.stalled_count) == (2, 3, 1)
    assert (record.priority, record.delay, record.processed_by) == (5, 1.5, "worker-1")


def test_an_empty_hash_is_a_record_all_the_same() -> None:
    record = decode_record("7", {})
    assert (record.name, record.data, record.options) == ("", b"null", b"{}")
    assert (record.enqueued_at, record.progress, record.returnvalue, record.failed_reason) == (
        None,
        0,
        None,
        None,
    )
    assert (record.stacktrace, record.attempts_made, record.priority, record.delay) == ([], 0, 0, 0)


def test_attempts_of_old_clients_are_found() -> None:
    assert decode_record("7", {b"attemptsMade": b"4"}).attempts_made == 4
    assert decode_record("7", {b"attemptsMade": b"4", b"atm": b"5"}).attempts_made == 5


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (b"plain", "plain"),
        (b'"quoted by an old port"', "quoted by an old port"),
        (b'"with \\"quotes\\" inside"', 'with "quotes" inside'),
        (b'"a" and "b"', '"a" and "b"'),
        (b'"', '"'),
        (b'""', ""),
        (b"", ""),
        (b"caf\xc3\xa9", "café"),
        (b"\xff", "\ufffd"),
        (b'"\xff"', '"\ufffd"'),
    ],
)
def test_the_reason_of_any_port(stored: bytes, reason: str) -> None:
    assert decode_record("7", {b"failedReason": stored}).failed_reason == reason


FIELDS = [
    b"name", b"data", b"opts", b"timestamp", b"processedOn", b"finishedOn", b"progress", b"returnvalue",
    b"failedReason", b"stacktrace", b"atm", b"attemptsMade", b"ats", b"stc", b"priority", b"delay", b"pb",
]  # fmt: skip
odd = st.binary(max_size=8) | st.sampled_from(
    [b"nan", b"inf", b"-1", b"1e9", b"1.5", b"[", b'"', b"{}", b"null"]
)


@given(st.dictionaries(st.sampled_from(FIELDS), odd))
def test_no_hash_of_a_foreign_client_breaks_reading(stored: dict[bytes, bytes]) -> None:
    record = decode_record("7", stored)
    assert all(isinstance(row, str) for row in record.stacktrace)
    assert all(isinstance(n, int) for n in (record.attempts_made, record.attempts_started, record.priority))


# Stack traces


def test_stack_traces_keep_the_last_rows() -> None:
    raw: bytes | None = None
    for number in range(STACKTRACE_LIMIT + 3):
        raw = append_stacktrace(raw, f"row {number}").encode()
    rows = decode_stacktrace(raw)
    assert rows == [f"row {number}" for number in range(3, STACKTRACE_LIMIT + 3)]


@pytest.mark.parametrize("raw", [None, b"", b"nonsense", b"{}", b"null", b'["\xff"]'])
def test_an_unreadable_stack_trace_is_started_anew(raw: bytes | None) -> None:
    assert decode_stacktrace(append_stacktrace(raw, "row").encode()) == ["row"]
