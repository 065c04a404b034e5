"""What each sink makes of a refusal, as tables."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent, ProviderRetryable
from corral.providers.verdict import Answer, Kind
from corral.sinks import clickhouse, postgres, posthog, segment, sqlite, supabase

OK, RETRY, PERMANENT, CONFIG = Kind.OK, Kind.RETRY, Kind.PERMANENT, Kind.MISCONFIGURED


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (200, OK), (301, CONFIG), (400, PERMANENT), (401, CONFIG), (403, CONFIG), (404, CONFIG),
        (405, CONFIG),
        (408, RETRY), (413, PERMANENT), (422, PERMANENT), (429, RETRY), (500, RETRY), (501, CONFIG),
        (503, RETRY), (505, CONFIG),
    ],
)  # fmt: skip
@pytest.mark.parametrize("classify", [posthog.classify, segment.classify, clickhouse.classify])
def test_only_what_is_about_the_events_sends_them_to_the_dead_letters(
    classify: Any, status: int, kind: Kind
) -> None:
    assert classify(Answer(status)).kind is kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_project", CONFIG),
        (400, "invalid_api_key", CONFIG),
        (400, "invalid_payload", PERMANENT),
        (429, "throttled", RETRY),
    ],
)
def test_posthogs_code_tells_a_wrong_project_from_a_wrong_event(status: int, code: str, kind: Kind) -> None:
    verdict = posthog.classify(Answer(status, {"code": code, "detail": "user-42 is wrong"}, 3.0))
    assert (verdict.kind, verdict.code, verdict.detail) == (kind, code, "")
    assert verdict.after == (3.0 if kind is RETRY else 0.0)


@pytest.mark.parametrize("status", [410, 460])
def test_segment_has_two_statuses_more_that_pass(status: int) -> None:
    assert segment.classify(Answer(status)).kind is RETRY


@pytest.mark.parametrize(
    ("status", "number", "kind"),
    [
        (500, "252", RETRY), (400, "241", RETRY), (500, "202", RETRY), (403, "516", CONFIG),
        (500, "497", CONFIG), (404, "60", CONFIG), (500, "16", CONFIG), (400, "27", PERMANENT),
        (400, "117", PERMANENT), (500, "1", RETRY),
    ],
)  # fmt: skip
def test_clickhouses_exception_wins_over_the_status(status: int, number: str, kind: Kind) -> None:
    verdict = clickhouse.classify(Answer(status, headers={"x-clickhouse-exception-code": number}))
    assert (verdict.kind, verdict.code) == (kind, f"exception {number}")


@pytest.mark.parametrize(
    ("code", "about"),
    [
        ("22P05", True), ("23502", True), ("HTTP 413", True), ("HTTP 400", True), ("42P01", False),
        ("42P10", False), ("PGRST205", False), ("PGRST204", False), ("HTTP 404", False), ("", False),
    ],
)  # fmt: skip
def test_a_missing_table_of_supabase_is_not_the_rows_fault(code: str, about: bool) -> None:
    assert supabase.about_rows(code) is about


class ServerSays(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("user-42")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ServerSays("22P05"), ProviderPermanent),
        (ServerSays("23514"), ProviderPermanent),
        (ServerSays("42P01"), ProviderMisconfigured),
        (ServerSays("42501"), ProviderMisconfigured),
        (ServerSays("28P01"), ProviderMisconfigured),
        (ServerSays("3D000"), ProviderMisconfigured),
        (ServerSays("40001"), ProviderRetryable),
        (ServerSays("53300"), ProviderRetryable),
        (ServerSays("57P01"), ProviderRetryable),
        (ServerSays("25006"), ProviderRetryable),  # read only: a standby, before the fail-over has ended
        (ConnectionResetError("user-42"), ProviderRetryable),
        (TimeoutError(), ProviderRetryable),
        (ValueError("user-42"), ProviderMisconfigured),
    ],
)
def test_postgres_errors(error: Exception, kind: type[Exception]) -> None:
    made = postgres.as_provider_error(error)
    assert type(made) is kind
    assert "user-42" not in str(made)


def test_sqlite_errors() -> None:
    def kind(code: int) -> type[Exception]:
        error = sqlite3.OperationalError("database of user@example.com")
        error.sqlite_errorcode, error.sqlite_errorname = code, "NAME"
        made = sqlite.as_provider_error(error)
        assert "example.com" not in str(made)
        return type(made)

    assert kind(sqlite3.SQLITE_BUSY) is ProviderRetryable
    assert kind(sqlite3.SQLITE_FULL) is ProviderRetryable
    assert kind(sqlite3.SQLITE_IOERR) is ProviderRetryable
    assert kind(sqlite3.SQLITE_NOTADB) is ProviderMisconfigured
    assert kind(sqlite3.SQLITE_READONLY_DBMOVED) is ProviderMisconfigured
    assert type(sqlite.as_provider_error(PermissionError(13, "Permission denied"))) is ProviderMisconfigured
