"""What of a job is shown to whom."""

from __future__ import annotations

import pytest

from corral.bullmq.codec import decode_record
from corral.manage.job_rows import DataField, Policy, error_type, job_row, options_in_words, preview
from corral.policy import Retry

PYTHON = """Traceback (most recent call last):
  File "queues/kyc.py", line 74, in verify
    check = await submit(applicant)
corral.errors.ProviderUnavailable: Onfido answered 503
secret: 4711
"""
NODE = "TypeError: cannot read 'secret'\n    at /app/worker.js:1:2\n    at run (/app/w.js:3:4)"


@pytest.mark.parametrize(
    ("trace", "name"),
    [
        (PYTHON, "corral.errors.ProviderUnavailable"),
        (NODE, "TypeError"),
        ("ValueError\n", "ValueError"),
        ("a message with: a colon", ""),
        ("", ""),
    ],
)
def test_the_class_of_an_error_is_named_and_nothing_of_its_message(trace: str, name: str) -> None:
    assert error_type(trace) == name


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b'{"userId":"u1","items":[1,2],"at":{"x":1},"ok":true}',
         [("userId", "u1"), ("items", "[2]"), ("at", "{1}"), ("ok", "true")]),
        (b"7", [("", "7")]),
        (b"null", []),
        (b"no json", [("", "no json")]),
        (b'"' + b"x" * 100_000 + b'"', []),
        (b'{"a":"' + b"x" * 100 + b'"}', [("a", "x" * 39 + "\N{HORIZONTAL ELLIPSIS}")]),
    ],
)  # fmt: skip
def test_a_preview_is_short(raw: bytes, fields: list[tuple[str, str]]) -> None:
    assert preview(raw) == [DataField(*field) for field in fields]


def test_a_row_for_who_may_not_see_payloads_holds_none() -> None:
    fields = {
        b"name": b"verify", b"timestamp": b"1000", b"data": b'{"user":"SECRET"}', b"failedReason": b"SECRET",
        b"stacktrace": b'["ValueError: SECRET"]', b"progress": b'{"at":"SECRET"}', b"opts": b'{"attempts":4}',
    }  # fmt: skip
    record = decode_record("7", fields)
    row = job_row(record, "failed", attempts=3, due=None, held=None, payloads=False)
    assert "SECRET" not in repr(row)
    assert (row.error_type, row.attempts, row.preview, row.data_bytes) == ("ValueError", 4, None, 17)
    shown = job_row(record, "failed", attempts=3, due=None, held=None, payloads=True)
    assert (shown.failed_reason, shown.preview) == ("SECRET", [DataField("user", "SECRET")])


def test_options_are_told_in_words() -> None:
    opts = (
        b'{"attempts":3,"backoff":{"type":"fixed","delays":[60000,300000]},"timeout":60000,"ttl":3600000,'
        b'"delay":5000,"lifo":true,"removeOnComplete":true,"removeOnFail":{"count":1000,"age":86400},"kl":10}'
    )
    record = decode_record("7", {b"opts": opts, b"timestamp": b"1", b"priority": b"5"})
    assert {row.name: row.says for row in options_in_words(record, None)} == {
        "Attempts": "3, waits 1 m, 5 m",
        "Time-out": "1 m an attempt",
        "Priority": "5",
        "Order": "before jobs that were added earlier",
        "Delay at first": "5 s",
        "Must start within": "1 h",
        "Kept when completed": "not",
        "Kept when failed": "1,000 jobs or 1 d",
        "Log rows kept": "10",
    }
    plain = decode_record("8", {b"opts": b"{}", b"timestamp": b"1"})
    rows = {row.name: row.says for row in options_in_words(plain, Policy(Retry(attempts=3), 30.0))}
    assert rows == {
        "Attempts": "3, waits from 1 s, doubling",
        "Time-out": "30 s an attempt",
        "Priority": "none",
    }
