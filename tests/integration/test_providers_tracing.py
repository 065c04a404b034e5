"""Requests to providers as spans: who was asked, what came of it, and nothing personal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from standins import running, script, talking_to

from corral.providers import tracing
from corral.providers.errors import ProviderAmbiguous, ProviderMisconfigured
from corral.providers.guarded import GuardedPoster


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("corral"))
    yield exporter
    provider.shutdown()


def one(spans: InMemorySpanExporter) -> ReadableSpan:
    (span,) = spans.get_finished_spans()
    return span


async def test_a_call_that_succeeds(spans: InMemorySpanExporter) -> None:
    with running() as sandbox:
        async with talking_to(sandbox) as outside:
            with trace.use_span(trace.INVALID_SPAN):
                await outside.onfido.create_applicant(first_name="Sample", last_name="Specimen")
    span = one(spans)
    assert (span.name, span.kind) == ("POST onfido", SpanKind.CLIENT)
    assert dict(span.attributes or {}) == {
        "corral.provider": "onfido",
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "url.path": "/applicants",
        "http.response.status_code": 201,
    }
    assert span.status.status_code is StatusCode.UNSET
    assert "Specimen" not in span.to_json()


async def test_a_refusal_is_an_error_with_its_kind(spans: InMemorySpanExporter) -> None:
    with running() as sandbox:
        await script(sandbox, provider="onfido", fault="401")
        async with talking_to(sandbox) as outside:
            with pytest.raises(ProviderMisconfigured):
                await outside.onfido.create_applicant(first_name="Sample", last_name="Specimen")
    span = one(spans)
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes or {})["http.response.status_code"] == 401
    assert (span.attributes or {})["error.type"] == "ProviderMisconfigured"
    assert span.events == ()
    assert "Specimen" not in span.to_json()


async def test_a_guarded_post_names_its_host_alone(spans: InMemorySpanExporter) -> None:
    """The path of such an address may be a secret."""
    with running() as sandbox:
        poster = GuardedPoster("webhooks", allow=[sandbox.url.removeprefix("http://")])
        assert (await poster.post(f"{sandbox.url}/secret-path", b"{}", {})).status == 404
        await poster.close()
    span = one(spans)
    assert (span.name, (span.attributes or {})["url.path"]) == ("POST webhooks", "/…")
    assert (span.attributes or {})["http.response.status_code"] == 404
    assert "secret-path" not in span.to_json()


async def test_so_is_an_answer_that_never_came(spans: InMemorySpanExporter) -> None:
    with running() as sandbox:
        await script(sandbox, provider="onfido", fault="drop")
        async with talking_to(sandbox) as outside:
            with pytest.raises(ProviderAmbiguous):
                await outside.onfido.create_applicant(first_name="Sample", last_name="Specimen")
    attributes = one(spans).attributes or {}
    assert attributes["error.type"] == "ProviderAmbiguous"
    assert "http.response.status_code" not in attributes
