"""Log lines: their form, what is in each of them, and what never is."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext

from corral.errors import ConfigurationError
from corral.observe.logs import JobFilter, configure_logs, redact

SPAN = NonRecordingSpan(SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=True))


@pytest.fixture(autouse=True)
def root_is_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_a_line_is_one_json_object_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)
    with trace.use_span(SPAN):
        structlog.get_logger().info("fetched", rows=3)
    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "fetched",
        "rows": 3,
        "level": "info",
        "trace_id": f"{0xABC:032x}",
        "span_id": f"{0xDEF:016x}",
    }


def test_lines_of_other_libraries_have_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers.clear()  # pytest's own
    configure_logs(json=True)
    logging.getLogger("somebody").warning("slow: %s", "https://me:hidden@db.test/x")
    logging.getLogger("somebody").info("chatter")
    (line,) = lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == (
        "slow: https://[redacted]@db.test/x", "warning", "somebody"
    )  # fmt: skip


def test_a_traceback_is_one_field_without_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(json=True)
    try:
        raise ValueError("cannot send to sample.person@mail.test with Bearer abcdef123456")
    except ValueError:
        structlog.get_logger().exception("broke")
    (line,) = lines(capsys)
    assert "ValueError: cannot send to [redacted] with Bearer [redacted]" in line["exception"]
    assert "sample.person" not in json.dumps(line)


def test_a_terminal_gets_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOG_FORMAT", "text")
    configure_logs()
    try:
        raise ValueError("no luck with sample.person@mail.test")
    except ValueError:
        structlog.get_logger().exception("broke", api_key="k-123")
    text = capsys.readouterr().err
    assert "broke" in text
    assert "ValueError: no luck with [redacted]" in text
    assert "k-123" not in text


def test_the_settings_choose_form_and_level(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORRAL_LOG_FORMAT", "json")
    monkeypatch.setenv("CORRAL_LOG_LEVEL", "error")
    configure_logs()
    structlog.get_logger().warning("unimportant")
    structlog.get_logger().error("important")
    assert [line["event"] for line in lines(capsys)] == ["important"]


def test_an_unknown_level_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError, match="CORRAL_LOG_LEVEL"):
        configure_logs()


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        ("password", "hunter2", "[redacted]"),
        ("smtp_password", "hunter2", "[redacted]"),
        ("apiKey", "k", "[redacted]"),
        ("Authorization", "Basic abc", "[redacted]"),
        ("access_token", 12345, "[redacted]"),
        ("token", "", ""),
        ("url", "redis://:pw@host:6379/0", "redis://[redacted]@host:6379/0"),
        ("url", "redis://host:6379/0", "redis://host:6379/0"),
        ("note", "mailto:a.b@c.test, d@e.test", "mailto:[redacted], [redacted]"),
        ("note", "sent with Bearer abcdefgh", "sent with Bearer [redacted]"),
        ("headers", {"cookie": "c=1", "accept": "*/*"}, {"cookie": "[redacted]", "accept": "*/*"}),
        ("list", ["x@y.test", 7], ["[redacted]", 7]),
        ("rate", 10.0, 10.0),
        ("version", "corral@1", "corral@1"),
    ],
)
def test_redaction(field: str, value: Any, left: Any) -> None:
    assert redact(None, "info", {"event": "e", field: value}) == {"event": "e", field: left}


def test_the_filter_for_the_standard_module_adds_the_trace() -> None:
    def filtered() -> tuple[Any, Any]:
        record: Any = logging.LogRecord("app", logging.INFO, "", 1, "fetched", (), None)
        JobFilter().filter(record)
        return record.trace_id, record.span_id

    assert filtered() == (None, None)
    with trace.use_span(SPAN):
        assert filtered() == (f"{0xABC:032x}", f"{0xDEF:016x}")
