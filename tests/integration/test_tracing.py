"""A trace goes with the job: from who adds it, through Redis, to the attempt that runs it and on."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import process_jobs
import pytest
from http_service import serving
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from redis import Redis as Client
from running_worker import MakeQueue, Redis, drain

from corral import JobContext, NewJob, Queue, Retry, Snooze, tracing
from corral.bullmq.connection import close_shared_clients

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE_ID}-00f067aa0ba902b7-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A tracer as an application sets it up."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("corral"))
    yield exporter
    provider.shutdown()


def of_kind(spans: InMemorySpanExporter, kind: SpanKind) -> list[ReadableSpan]:
    return [span for span in spans.get_finished_spans() if span.kind is kind]


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_without_a_trace_a_job_carries_none(queue: Queue, redis: Redis) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> tuple[str, str] | None:
        return tracing.trace_ids()

    job = await queue.add("build")
    assert "tm" not in json.loads(await redis.hget(queue.keys().job(job.id), "opts"))
    await drain(queue)
    assert await job.result(timeout=15) is None


async def test_an_attempt_is_a_child_of_what_added_the_job(queue: Queue, spans: InMemorySpanExporter) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: dict[str, str]) -> None:
        await queue.add("next", {})

    @queue.job("next")
    async def following(job: JobContext, data: dict[str, str]) -> None: ...

    job = await queue.add("build", {"marker": "Specimen"})
    await drain(queue)
    (create, create_next), (first, second) = (
        of_kind(spans, SpanKind.PRODUCER),
        of_kind(spans, SpanKind.CONSUMER),
    )
    assert create.context is not None
    assert {span.context.trace_id for span in (create, create_next, first, second) if span.context} == {
        create.context.trace_id
    }
    assert first.parent is not None
    assert first.parent.span_id == create.context.span_id
    assert first.name == f"process {queue.name}"
    assert attributes(first) == {
        "messaging.system": "bullmq",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.destination.name": queue.name,
        "messaging.message.id": job.id,
        "corral.job.name": "build",
        "corral.job.attempt": 1,
        "corral.job.outcome": "completed",
    }
    assert "Specimen" not in first.to_json()


async def test_each_attempt_says_how_it_ended(make_queue: MakeQueue, spans: InMemorySpanExporter) -> None:
    queue = make_queue(retry=Retry(attempts=2, backoff="fixed", delay=0))
    runs = 0

    @queue.job("build")
    async def build(job: JobContext) -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise Snooze(0)
        raise ValueError("a text with a Specimen in it")

    await queue.add("build")
    await drain(queue)
    attempts = of_kind(spans, SpanKind.CONSUMER)
    assert [attributes(span)["corral.job.outcome"] for span in attempts] == ["put_back", "retried", "failed"]
    assert [attributes(span).get("error.type") for span in attempts] == [None, "ValueError", "ValueError"]
    assert [span.status.status_code for span in attempts] == [
        StatusCode.UNSET, StatusCode.ERROR, StatusCode.ERROR
    ]  # fmt: skip
    assert "Specimen" not in "".join(span.to_json() for span in attempts)


async def test_every_way_of_adding_carries_it(queue: Queue, spans: InMemorySpanExporter) -> None:
    @queue.job("build")
    async def build(job: JobContext, data: int) -> None: ...

    await queue.add("build", 1, delay=0.001, priority=2)
    await queue.add_many("build", [2, 3])
    await queue.add_batch([NewJob("build", 4), NewJob("build", 5, job_id="five")])
    await queue.add_json("build", b"6")
    await drain(queue)
    made = {span.context.span_id for span in of_kind(spans, SpanKind.PRODUCER) if span.context}
    attempts = of_kind(spans, SpanKind.CONSUMER)
    assert len(attempts) == 6
    assert {span.parent.span_id for span in attempts if span.parent} == made


def test_the_blocking_face_carries_it(redis_url: str, spans: InMemorySpanExporter) -> None:
    queue = Queue("blocking", redis_url=redis_url)
    outer = trace.get_tracer_provider().get_tracer("app")
    with outer.start_as_current_span("request") as request:
        job = queue.sync.add("build", 1)
    with Client.from_url(redis_url) as client:
        options = client.hget(queue.keys().job(job.id), "opts")
    assert f"{request.get_span_context().trace_id:032x}".encode() in options


async def test_what_comes_in_is_handed_on_without_a_tracer(redis_url: str, redis: Redis) -> None:
    """An edge function that traces calls the HTTP service; log lines of the job show its trace."""
    seen: list[Any] = []
    async with serving(redis_url) as service:
        queue = service.queues["reports"]

        @queue.middleware
        async def watch(job: JobContext, call_next: Any) -> Any:
            seen.append(tracing.trace_ids())
            return await call_next()

        answer = await service.http.post(
            "/v1/queues/reports/jobs",
            json={"name": "build", "data": {"month": "2026-01"}},
            headers={"traceparent": PARENT},
        )
        assert answer.status_code == 202
        stored = json.loads(await redis.hget(queue.keys().job(answer.json()["jobId"]), "opts"))
        assert json.loads(stored["tm"])["traceparent"].split("-")[1] == TRACE_ID
        await drain(queue)
    assert seen == [(TRACE_ID, PARENT.split("-")[2])]


@pytest.mark.parametrize(
    "carried", ["not JSON", "[]", '{"traceparent": 7}', '{"traceparent":"00-0-0-0"}', "x" * 10_000, 7, None]
)
async def test_a_job_that_carries_nonsense_runs(
    queue: Queue, redis: Redis, spans: InMemorySpanExporter, carried: Any
) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> str:
        return "ran"

    job = await queue.add("build")
    key = queue.keys().job(job.id)
    options = json.loads(await redis.hget(key, "opts"))
    await redis.hset(key, "opts", json.dumps({**options, "tm": carried}))
    await drain(queue)
    assert await job.result(timeout=15) == "ran"
    (attempt,) = of_kind(spans, SpanKind.CONSUMER)
    assert attempt.parent is None


async def test_a_producer_may_ask_for_a_trace_of_its_own(
    queue: Queue, redis: Redis, spans: InMemorySpanExporter
) -> None:
    @queue.job("build")
    async def build(job: JobContext) -> None: ...

    job = await queue.add("build")
    key = queue.keys().job(job.id)
    options = json.loads(await redis.hget(key, "opts"))
    await redis.hset(key, "opts", json.dumps({**options, "omc": True}))
    await drain(queue)
    (attempt,) = of_kind(spans, SpanKind.CONSUMER)
    assert attempt.parent is None


async def test_a_process_goes_on_with_it(redis_url: str, make_queue: MakeQueue) -> None:
    queue = make_queue()
    queue.job("trace", isolation="process")(process_jobs.trace_of)
    with tracing.continued({"traceparent": PARENT}):
        job = await queue.add("trace")
    await drain(queue)
    assert await job.result(timeout=15) == TRACE_ID


# The exporter


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A collector of OTLP over HTTP."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that http.server calls
            got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", got
        server.shutdown()
        thread.join()


async def test_a_worker_process_sends_its_spans(
    redis_url: str, collector: tuple[str, list[tuple[str, bytes]]]
) -> None:
    endpoint, got = collector
    queue = Queue("traced", redis_url=redis_url)
    await queue.add("build")
    await close_shared_clients()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "corral.worker.process", "traced:queue", "--until-empty",
        cwd=Path(__file__).parent / "children",
        env=os.environ | {"REDIS_URL": redis_url, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint},
    )  # fmt: skip
    assert await process.wait() == 0
    paths, bodies = zip(*got, strict=True)
    assert set(paths) == {"/v1/traces"}
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    resources = [resource for request in requests for resource in request.resource_spans]
    names = [span.name for of in resources for scope in of.scope_spans for span in scope.spans]
    assert names == ["process traced"]
    services = {
        a.value.string_value for of in resources for a in of.resource.attributes if a.key == "service.name"
    }
    assert services == {"corral-worker"}
