"""Log lines of Corral's own processes: readable on a terminal, JSON elsewhere.

The library itself configures nothing.
Every line has a short event name and fields; no line holds job data, keys or personal data.
Standard output belongs to results, so all log lines go to standard error.

A line written while a job runs names it: queue, job, attempt. `add_job` does that for structlog, and
`JobFilter` for the standard module; put them into your own configuration for your own lines.
"""

from __future__ import annotations

import logging
import sys

import structlog

from corral.current import current_job


def configure_logs(*, json: bool | None = None, level: int = logging.INFO) -> None:
    """Set up logging for a process.

    json: None chooses by whether standard error is a terminal.
    """
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_job,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard module: their warnings matter, their chatter does not.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


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


class JobFilter(logging.Filter):
    """For a handler of the standard module: records get `queue`, `job`, `attempt`; None outside a job."""

    def filter(self, record: logging.LogRecord) -> bool:
        job = current_job()
        record.queue = job.queue if job else None
        record.job = job.id if job else None
        record.attempt = job.attempt if job else None
        return True
