"""Log lines of Corral's own processes: readable on a terminal, JSON elsewhere, one line each.

The library itself configures nothing.
Every line has a short event name and fields; no line holds job data, keys or personal data. What libraries
write through the standard module comes out in the same form. Standard output belongs to results, so all log
lines go to standard error.

A line written while a job runs names it: queue, job, attempt; and the trace it belongs to: trace_id, span_id.
`add_job` and `add_trace` do that for structlog, and `JobFilter` for the standard module; put them into your
own configuration for your own lines. `redact` takes out what must not be there: values of fields that are
named like a secret, credentials in URLs and headers, mail addresses, also in tracebacks.

Options: CORRAL_LOG_FORMAT (auto, json, text), CORRAL_LOG_LEVEL.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any

import structlog

from corral.current import current_job
from corral.environment import read_settings
from corral.tracing import trace_ids

REDACTED = "[redacted]"

#: Names of fields whose values nobody must read in a log.
_SECRET_NAME = re.compile(r"(?i)passw|secret|token|authorization|cookie|credential|api.?key|private.?key")

#: What is secret or personal by its shape, with what is left of it.
_SHAPES = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=:-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"(\w+://)[^\s/@:]*:[^\s/@]+@"), rf"\1{REDACTED}@"),
    (re.compile(r"[^\s@<>\"'():,;=\[\]]+@[\w-]+(?:\.[\w-]+)+"), REDACTED),
)

#: Of texts within lists and mappings; a log line is no place for deeper ones.
_DEPTH = 3


def configure_logs(*, json: bool | None = None, level: int | None = None) -> None:
    """Set up logging for a process. Raises ConfigurationError for settings that cannot be read.

    json: None leaves it to CORRAL_LOG_FORMAT; `auto` there chooses by whether standard error is a terminal.
    level: None leaves it to CORRAL_LOG_LEVEL.
    """
    settings = read_settings()
    if json is None and settings.log_format != "auto":
        json = settings.log_format == "json"
    as_json = not sys.stderr.isatty() if json is None else json
    level = logging.getLevelNamesMapping()[settings.log_level.upper()] if level is None else level
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_job,
        add_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
        if as_json
        # It writes tracebacks by itself; as text before, they can be redacted.
        else [
            structlog.processors.format_exc_info,
            redact,
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _configure_standard(shared, last)


def _configure_standard(
    shared: list[structlog.typing.Processor], last: list[structlog.typing.Processor]
) -> None:
    """Libraries that use the standard module: their warnings matter, their chatter does not."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def log_to_stderr() -> None:
    """For a command that is over in a moment: what it logs must not mix with what it prints."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def add_job(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A structlog processor: adds `queue`, `job`, `attempt` of the running job, if the line has none."""
    job = current_job()
    if job is not None:
        event.setdefault("queue", job.queue)
        event.setdefault("job", job.id)
        event.setdefault("attempt", job.attempt)
    return event


def add_trace(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A structlog processor: adds `trace_id` and `span_id` (hex) of where the line is written."""
    found = trace_ids()
    if found is not None:
        event["trace_id"], event["span_id"] = found
    return event


def redact(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A structlog processor: takes out secrets and mail addresses. Last before the renderer."""
    for name, value in event.items():
        if value and _SECRET_NAME.search(name):
            event[name] = REDACTED
        elif not isinstance(value, (int, float)):
            event[name] = _without_secrets(value, _DEPTH)
    return event


def _without_secrets(value: Any, depth: int) -> Any:
    match value:
        case str():
            for shape, left in _SHAPES:
                value = shape.sub(left, value)
            return value
        case list() | tuple() if depth:
            return [_without_secrets(item, depth - 1) for item in value]
        case dict() if depth:
            return {
                key: REDACTED
                if item and isinstance(key, str) and _SECRET_NAME.search(key)
                else _without_secrets(item, depth - 1)
                for key, item in value.items()
            }
    return value


class JobFilter(logging.Filter):
    """For a handler of the standard module: records get `queue`, `job`, `attempt`, `trace_id`, `span_id`;
    None outside of a job or a trace.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        job = current_job()
        record.queue = job.queue if job else None
        record.job = job.id if job else None
        record.attempt = job.attempt if job else None
        record.trace_id, record.span_id = trace_ids() or (None, None)
        return True
