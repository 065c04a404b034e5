"""A span of OpenTelemetry for each request to a provider, for those who have set a tracer up.

Without an SDK in the process a span costs a microsecond and goes nowhere. A span names the provider, the
method, the host, the path as reasons show it, the status and the kind of error; no query, no header, no body:
what is personal or secret stays out, as it does of logs.

Names follow OpenTelemetry's conventions for HTTP clients (stable since 2023).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from corral.providers.errors import ProviderError

_tracer = trace.get_tracer("corral")


@contextmanager
def traced(provider: str, method: str, host: str, path: str) -> Iterator[Span]:
    """The span of one request. An error that leaves is its status."""
    attributes = {
        "corral.provider": provider,
        "http.request.method": method,
        "server.address": host,
        "url.path": path,
    }
    # Not recorded with its trace: what a foreign error says may quote the request.
    with _tracer.start_as_current_span(
        f"{method} {provider}",
        kind=SpanKind.CLIENT,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except BaseException as error:
            span.set_attribute("error.type", type(error).__name__)
            said = error.reason if isinstance(error, ProviderError) else None
            span.set_status(Status(StatusCode.ERROR, said))
            raise


def answered(span: Span, status: int) -> None:
    """Note the status of the answer."""
    span.set_attribute("http.response.status_code", status)
