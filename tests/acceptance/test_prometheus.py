"""A real Prometheus scrapes a real API and real workers, and answers what the board and the rules ask."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse
from service import PATIENCE, environment, until
from workers import counts

from prometheus_program import program
from promql import metrics_of
from redis_process import RedisProcess

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

ADMIN, READ = "admin-key-000000001", "read-key-0000000001"
KEYS = f"ops:{ADMIN}:admin,prometheus:{READ}:read"

SHOP = """
from corral import Queue, Retry, Unrecoverable

orders = Queue("orders", retry=Retry(attempts=2, delay=0.01))

@orders.job("ship")
async def ship(job, data: dict[str, str]) -> None:
    if data.get("end") == "fail":
        raise Unrecoverable("There is no such street.")
"""

#: Log lines with the port that was chosen.
API_LISTENS = r'(?=.*http_listening).*"url": "http://127\.0\.0\.1:(\d+)"'
HEALTH_LISTENS = r'(?=.*health_served).*"port": (\d+)'
PROMETHEUS_LISTENS = r'"Listening on" address=127\.0\.0\.1:(\d+)'

#: What has no sample while all is well, or before the first of its kind.
QUIET = {"corral_queue_held_jobs", "corral_breaker_open"}


@dataclass
class Program:
    """A process that logs; what it says is looked through for `pattern`, whose first group is its port."""

    process: subprocess.Popen[str]
    log: list[str]

    def port(self, pattern: str) -> int:
        def look() -> int:
            assert self.process.poll() is None, "".join(self.log[-20:])
            found = (re.search(pattern, line) for line in list(self.log))
            return next((int(match.group(1)) for match in found if match), 0)

        return until(look, bool)


@contextlib.contextmanager
def running(*command: str, cwd: Path, env: dict[str, str]) -> Iterator[Program]:
    process = subprocess.Popen(command, cwd=cwd, env=env, stderr=subprocess.PIPE, text=True)
    log: list[str] = []
    reader = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        yield Program(process, log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(5)
        assert process.stderr is not None
        process.stderr.close()


@dataclass
class Stack:
    """A worker of two processes, an API, their Redis."""

    redis: RedisProcess
    api: str
    worker: str
    supervisor: int

    def add(self, number: int, **data: str) -> None:
        bodies = [{"name": "ship", "data": data}] * number
        answer = httpx2.post(
            f"{self.api}/v1/queues/orders/jobs/bulk",
            json={"jobs": bodies},
            headers={"Authorization": f"Bearer {ADMIN}"},
            timeout=PATIENCE,
        )
        assert answer.status_code == 202, answer.text

    def metrics(self, url: str) -> dict[tuple[str, ...], float]:
        answer = httpx2.get(f"{url}/metrics", headers={"Authorization": f"Bearer {READ}"}, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return {
            (sample.name, *(sample.labels[label] for label in sorted(sample.labels))): sample.value
            for family in parse(answer.text)
            for sample in family.samples
        }

    def ended(self) -> float:
        """Attempts that the worker counts as completed or failed."""
        seen = self.metrics(self.worker)
        keys = [("corral_jobs_total", "ship", outcome, "orders") for outcome in ("completed", "failed")]
        return sum(seen.get(key, 0) for key in keys)

    def restarts(self) -> float:
        return self.metrics(self.worker)["corral_worker_restarts_total",]

    def processes(self) -> float:
        return self.metrics(self.worker)["corral_worker_processes",]

    def children(self) -> list[int]:
        return [child.pid for child in psutil.Process(self.supervisor).children()]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    (folder / "shop.py").write_text(SHOP)
    server = RedisProcess()
    server.start()
    env = environment(REDIS_URL=server.url, CORRAL_API_KEYS=KEYS)
    corral = (sys.executable, "-m", "corral")
    worker = ("worker", "shop:orders", "--processes", "2", "--health-port", "0", "--json")
    try:
        with (
            running(*corral, *worker, cwd=folder, env=env) as supervisor,
            running(*corral, "api", "--port", "0", "--json", cwd=folder, env=env) as api,
        ):
            stack = Stack(
                server,
                f"http://127.0.0.1:{api.port(API_LISTENS)}",
                f"http://127.0.0.1:{supervisor.port(HEALTH_LISTENS)}",
                supervisor.process.pid,
            )
            until(stack.processes, lambda processes: processes == 2)
            yield stack
    finally:
        server.stop()


@pytest.fixture(scope="module")
def ask(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """`ask("query", query="up")`: Prometheus's HTTP API. It runs with deploy's files, aimed at the stack."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    targets = {"corral-api": stack.api, "corral-worker": stack.worker}
    for scrape in config["scrape_configs"]:
        scrape.pop("dns_sd_configs", None)
        url = targets.pop(scrape["job_name"])
        scrape["static_configs"] = [{"targets": [url.removeprefix("http://")]}]
    assert not targets
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "rules.yml").write_text((DEPLOY / "prometheus/rules.yml").read_text())
    (folder / "corral_key").write_text(READ)
    command = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    command += ["--web.listen-address=127.0.0.1:0"]
    with running(*command, cwd=folder, env=dict(os.environ)) as prometheus:
        port = prometheus.port(PROMETHEUS_LISTENS)

        def ask(what: str, **parameters: str) -> Any:
            answer = httpx2.get(f"http://127.0.0.1:{port}/api/v1/{what}", params=parameters, timeout=PATIENCE)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

        yield ask


def value(ask: Callable[..., Any], query: str) -> float:
    """Of a query with one answer; -1 without one."""
    result = ask("query", query=query)["result"]
    assert len(result) <= 1
    return float(result[0]["value"][1]) if result else -1


def test_prometheus_answers_what_the_board_and_the_rules_ask(stack: Stack, ask: Callable[..., Any]) -> None:
    stack.add(40)
    stack.add(10, end="fail")
    ended = 'sum by (outcome) (corral_jobs_total{queue="orders", outcome=~"completed|failed"})'
    right = {"completed": 40.0, "failed": 10.0}

    def outcomes() -> dict[str, float]:
        result = ask("query", query=ended)["result"]
        return {row["metric"]["outcome"]: float(row["value"][1]) for row in result}

    until(outcomes, right.__eq__)
    assert value(ask, 'min(up{job=~"corral-.*"})') == 1
    until(lambda: value(ask, 'corral_dead_letters{queue="orders"}'), lambda dead: dead == 10)
    assert value(ask, 'bullmq_queue_waiting{queue="orders"}') == 0
    until(lambda: value(ask, 'corral_queue_workers{queue="orders"}'), lambda workers: workers == 2)
    assert value(ask, 'corral_queue_slots{queue="orders"}') == 40
    assert value(ask, 'sum(corral_job_duration_seconds_count{queue="orders"})') == 50
    assert value(ask, "corral_worker_processes") == 2

    board = json.loads((DEPLOY / "grafana/corral.json").read_text())
    expressions = [
        target["expr"].replace("$queue", ".*").replace("$__rate_interval", "1m")
        for panel in board["panels"]
        for target in panel.get("targets", ())
    ]
    groups = ask("rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for expression in expressions:
        ask("query", query=expression)  # a fault is a status
    expressions += [rule["query"] for rule in rules]
    named = set().union(*map(metrics_of, expressions)) - {"ALERTS"}
    recorded = {rule["name"] for rule in rules if rule["type"] == "recording"}
    stored = set(ask("label/__name__/values"))
    assert named - stored - recorded == QUIET

    def evaluated() -> set[str]:
        return {rule["health"] for group in ask("rules")["groups"] for rule in group["rules"]}

    until(evaluated, {"ok"}.__eq__)
    until(
        lambda: {alert["labels"]["alertname"] for alert in ask("alerts")["alerts"]},
        lambda names: "CorralDeadLetters" in names,
    )


def test_counters_survive_a_killed_and_a_recycled_process(stack: Stack) -> None:
    before, restarts = stack.ended(), stack.restarts()
    seen = [before]

    def grown() -> float:
        seen.append(stack.ended())
        assert seen[-1] >= seen[-2], "the sum fell"
        return seen[-1]

    def restarted(times: int) -> None:
        """Watch the sum until so many processes were started anew and all turn."""
        wanted = (restarts + times, 2)
        until(lambda: (grown(), (stack.restarts(), stack.processes()))[1], lambda have: have == wanted)

    stack.add(30)
    until(grown, lambda ended: ended == before + 30)
    (killed, _) = stack.children()
    os.kill(killed, signal.SIGKILL)
    restarted(1)
    assert stack.ended() == before + 30
    assert killed not in stack.children()

    # Ended in order, at once after the last job: not even that second is lost.
    stack.add(30)
    until(lambda: sum(counts(stack.redis, "orders")[s] for s in ("wait", "active")), lambda left: left == 0)
    for child in stack.children():
        os.kill(child, signal.SIGTERM)
    until(grown, lambda ended: ended == before + 60)
    restarted(3)
    assert stack.ended() == before + 60
    until(
        lambda: httpx2.get(f"{stack.worker}/readyz", timeout=PATIENCE).status_code, lambda code: code == 200
    )
