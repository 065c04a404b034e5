"""A tracer for Corral's own processes, where the environment asks for one with OpenTelemetry's own names.

With OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) set, spans go there by OTLP over HTTP, in batches,
from a thread of their own; OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and the rest mean
what they mean everywhere. Needs the extra `otel`. A tracer that is set up already (by
`opentelemetry-instrument`) stays. The library itself sets up nothing.

Emits: tracing_to (info; host), tracing_not_installed (warning).
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import structlog
from opentelemetry import trace

from corral.tracing import is_recording

log = structlog.get_logger(__name__)

#: An end that a collector delays is worse than spans that are lost.
FLUSH_SECONDS = 2.0

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def configure_traces(service: str) -> None:
    """Set up a tracer if the environment names an endpoint.

    service: its name, unless OTEL_SERVICE_NAME gives one. What is still to be sent goes out when the process
    ends in order; one that ends at once calls `flush_traces` first.
    """
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if not endpoint or disabled or os.environ.get("OTEL_TRACES_EXPORTER") == "none" or is_recording():
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  # of the extra `otel`
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  # as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  # as above
    except ImportError:
        log.warning("tracing_not_installed", install="pip install 'corral[otel]'")
        return
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": service}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    log.info("tracing_to", host=urlsplit(endpoint).hostname)


def flush_traces() -> None:
    """Send what waits to be sent. Takes FLUSH_SECONDS at most."""
    if is_recording():
        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush(round(FLUSH_SECONDS * 1000))
