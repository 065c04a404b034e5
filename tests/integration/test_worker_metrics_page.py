"""The health port of `corral worker`: probes for everybody, /metrics for who has a key."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prometheus_client.core import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus
from running_worker import MakeQueue, StartWorker

from corral import Queue, Retry, Unrecoverable, Worker
from corral.api.worker_metrics import metrics_page
from corral.errors import ConfigurationError
from corral.observe.counting import numbers_of
from corral.observe.health import MAX_HEAD_BYTES, Page, serve_health
from corral.observe.process_folder import NumbersFile, ProcessFolder
from corral.observe.prometheus import WorkerCollector
from eventually import eventually

READ, ENQUEUE = "read-key-0000000001", "enqueue-key-0000001"
KEYS = f"grafana:{READ}:read,shop:{ENQUEUE}:enqueue"

Ask = Callable[..., Awaitable[httpx2.Response]]


class Port:
    """A served health port with the folder behind it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.wanted = 1
        self.restarts = 0

    def page(self, keys: str = KEYS) -> Page:
        return metrics_page(ProcessFolder(self.folder), lambda: self.restarts, keys)

    def report(self, name: str = "w-1", **report: Any) -> None:
        (self.folder / f"{name}.json").write_text(
            json.dumps({"ok": True, "written_at": time.time()} | report)
        )


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path)


@pytest.fixture
async def http(port: Port) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serve_health(
            0, port.folder, lambda: port.wanted, "127.0.0.1", pages={"/metrics": port.page()}
        ) as number,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{number}", timeout=20) as client,
    ):
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in parse_prometheus(text)
        for sample in family.samples
    }


# Health


async def test_alive_and_ready(port: Port, http: httpx2.AsyncClient) -> None:
    port.report()
    for path in ("/healthz", "/readyz"):
        assert (await http.get(path)).status_code == 200
        assert (await http.head(path)).content == b""
    port.wanted = 2
    for path in ("/healthz", "/readyz"):
        assert (await http.get(path)).status_code == 503
    port.report("w-2")
    assert (await http.get("/healthz")).json()["well"] == 2
    assert (await http.get("/readyz")).json()["ready"] == 2


@pytest.mark.parametrize("reason", ["stopping", "quiet", "draining"])
async def test_a_process_that_takes_no_jobs_is_alive_and_not_ready(
    port: Port, http: httpx2.AsyncClient, reason: str
) -> None:
    told: dict[str, Any] = {reason: True}
    port.report(**told)
    port.wanted = 0 if reason == "draining" else 1  # one that is drained is not among those wanted
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 503


@pytest.mark.parametrize("report", [{"ok": False}, {"written_at": 1.0}])
async def test_a_process_that_is_unwell_or_stands_still_is_neither(
    port: Port, http: httpx2.AsyncClient, report: dict[str, Any]
) -> None:
    port.report(**report)
    for path in ("/healthz", "/readyz"):
        assert (await http.get(path)).status_code == 503


async def test_other_paths_and_methods(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/")).status_code == 404
    assert (await http.get("/healthz?verbose")).status_code == 503  # the query is nobody's business
    assert (await http.post("/healthz")).status_code == 405
    assert (await http.post("/metrics")).status_code == 405


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEAD_BYTES + b"\r\n\r\n",
        b"\xff\x00\r\n\r\n",
        b"\r\n\r\n",
        b"GET",
    ],
)
async def test_nonsense_is_answered_or_cut_off(http: httpx2.AsyncClient, sent: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http.base_url.port)
    writer.write(sent)
    writer.write_eof()
    try:
        answer = await reader.read()
    except ConnectionResetError:
        answer = b""
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404") or not answer
    assert (await http.get("/healthz")).status_code == 503


# Who may read metrics


async def test_metrics_ask_for_a_key_that_may_read_them(http: httpx2.AsyncClient) -> None:
    for headers, status in (({}, 401), (bearer("nobody-knows-this-1"), 401), (bearer(ENQUEUE), 403)):
        answer = await http.get("/metrics", headers=headers)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert "corral_jobs" not in answer.text
    assert "www-authenticate" in (await http.get("/metrics")).headers
    assert (await http.get("/metrics", headers=bearer(READ))).status_code == 200
    assert (await http.head("/metrics", headers=bearer(READ))).content == b""


async def test_without_keys_nobody_reads_metrics_and_the_answer_says_what_to_set(port: Port) -> None:
    answer = port.page("")({"authorization": f"Bearer {READ}"})
    assert answer.status == 403
    assert "CORRAL_API_KEYS" in json.loads(answer.body)["detail"]


def test_malformed_keys_stop_the_worker(port: Port) -> None:
    with pytest.raises(ConfigurationError, match="CORRAL_API_KEYS"):
        port.page("no-colons-here")


# What they say


async def test_what_became_of_jobs(
    port: Port, http: httpx2.AsyncClient, make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    queue = make_queue("shop", retry=Retry(attempts=2, delay=0.001))
    gate = asyncio.Event()

    @queue.job("send")
    async def send(job: Any, data: str) -> None:
        if data == "fail":
            raise Unrecoverable("no")
        if data == "retry" and job.attempt == 1:
            raise ValueError("again")
        if data == "hold":
            await gate.wait()

    @queue.job("idle")
    async def idle(job: Any) -> None:
        return None

    running = await start_worker(queue, concurrency=7).ready()
    for data in ("ok", "ok", "fail", "retry"):
        await queue.add("send", data)
    await queue.add("send", "hold")
    file = NumbersFile(port.folder)

    async def metrics() -> dict[tuple[str, ...], float]:
        file.write(numbers_of(running.worker))
        return samples((await http.get("/metrics", headers=bearer(READ))).text)

    async def settled() -> bool:
        return (await metrics())["corral_jobs_total", "completed", "send", "shop"] == 3

    await eventually(settled)
    seen = await metrics()
    assert seen["corral_jobs_total", "failed", "send", "shop"] == 1
    assert seen["corral_jobs_total", "retried", "send", "shop"] == 1
    assert seen["corral_jobs_total", "put_back", "send", "shop"] == 0
    assert seen["corral_jobs_total", "failed", "idle", "shop"] == 0
    assert seen["corral_job_wait_seconds_count", "send", "shop"] == 5
    assert seen["corral_job_duration_seconds_count", "send", "shop"] == 5
    assert seen["corral_job_duration_seconds_bucket", "+Inf", "send", "shop"] == 5
    assert 0 < seen["corral_job_duration_seconds_sum", "send", "shop"] < 60
    assert (seen["corral_worker_slots", "shop"], seen["corral_worker_busy", "shop"]) == (7, 1)
    assert seen["corral_worker_processes",] == 1
    assert seen["corral_jobs_stalled_total", "shop"] == 0
    assert seen["corral_worker_memory_bytes",] > 1_000_000
    assert seen["corral_worker_cpu_seconds_total",] > 0
    gate.set()


async def test_openmetrics_when_asked(port: Port, http: httpx2.AsyncClient, make_queue: MakeQueue) -> None:
    queue = make_queue("shop")

    @queue.job("send")
    async def send(job: Any) -> None:
        return None

    NumbersFile(port.folder).write(numbers_of(Worker(queue)))
    port.restarts = 2
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = await http.get("/metrics", headers=bearer(READ) | accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(answer.text)}  # type: ignore[no-untyped-call]  # prometheus-client's
    assert families["corral_worker_restarts"].samples[0].value == 2
    assert {s.labels["outcome"] for s in families["corral_jobs"].samples} == {
        "completed", "failed", "cancelled", "retried", "put_back"
    }  # fmt: skip
    plain = await http.get("/metrics", headers=bearer(READ))
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


HOSTILE = ['x"} 1\nevil_metric{a="b', "back\\slash", "\n", "…" * 500, "\x00", "other", "{}", ""]


async def test_names_of_producers_make_no_series_and_break_no_line(
    port: Port, http: httpx2.AsyncClient, make_queue: MakeQueue, start_worker: StartWorker
) -> None:
    """A queue whose name needs escaping, and jobs with names that no handler has, a thousand of them."""
    name = 'a"b\\c{}'
    producer, queue = make_queue(name), make_queue(name)

    @queue.job('say "hi"\\')
    async def say(job: Any) -> None:
        return None

    running = await start_worker(queue, concurrency=50).ready()
    for hostile in HOSTILE[:-1]:
        await producer.add(hostile)
    for number in range(200):
        await producer.add(f"made-up-{number}")
    await queue.add('say "hi"\\')
    file = NumbersFile(port.folder)

    async def metrics() -> dict[tuple[str, ...], float]:
        file.write(numbers_of(running.worker))
        return samples((await http.get("/metrics", headers=bearer(READ))).text)

    async def all_seen() -> bool:
        seen = await metrics()
        put_back = seen.get(("corral_jobs_total", name, "other", "put_back"), 0)
        return (
            put_back >= 200 + len(HOSTILE) - 1
            and seen["corral_jobs_total", name, "completed", 'say "hi"\\'] == 1
        )

    await eventually(all_seen)
    seen = await metrics()
    assert {key[2] for key in seen if key[0] == "corral_job_duration_seconds_count"} == {
        "other",
        'say "hi"\\',
    }
    assert not [key for key in seen if not key[0].startswith("corral_")]


# In a program of one's own


async def test_a_worker_in_the_users_own_registry(make_queue: MakeQueue, start_worker: StartWorker) -> None:
    queue = make_queue("shop")
    before, after = CollectorRegistry(auto_describe=True), CollectorRegistry(auto_describe=True)

    @queue.job("send")
    async def send(job: Any) -> None:
        return None

    worker = Worker(queue)
    before.register(WorkerCollector(worker))
    assert before.get_sample_value("corral_worker_slots", {"queue": "shop"}) is None
    running = await start_worker(queue, concurrency=3).ready()
    after.register(WorkerCollector(running.worker))
    await queue.add("send")
    labels = {"queue": "shop", "name": "send", "outcome": "completed"}
    await eventually(lambda: after.get_sample_value("corral_jobs_total", labels) == 1)
    assert after.get_sample_value("corral_worker_slots", {"queue": "shop"}) == 3
    assert after.get_sample_value("corral_loop_lag_seconds") is not None
    with pytest.raises(ValueError, match="Duplicated"):
        after.register(WorkerCollector(worker))


def test_the_numbers_of_a_worker_that_never_ran(tmp_path: Path) -> None:
    queue = Queue("shop", redis_url="redis://127.0.0.1:1", prefix="bull")
    numbers = numbers_of(Worker(queue))
    assert numbers.pid == os.getpid()
    assert numbers.counted.queues["shop"].names == {}
