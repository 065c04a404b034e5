"""Enqueueing over HTTP: `POST /verify-kyc` on 64 keep-alive connections, one server process each.

Both sides check the bearer key and the job's data, add it with the KYC policy, and answer 202 once Redis has
it. The load comes from `wrk` if it is installed, else from the bench's own client (two processes); which one
it was is said with the result, since on few cores the client takes time from the server.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from bench.programs import Program, ProgramFailed, node, python
from bench.scenario import Limit, Measure, Metric, Peer, Scale, Scenario, Target
from bench.server import Server, free_port

CONNECTIONS = 64
KEY = "bench-key-0123456789abcdef"
QUEUE_KEY = "bull:kyc-verification"
BODY = (
    '{"userId":"user-1","documentType":"passport","documentNumber":"X1234567",'
    '"frontImageUrl":"https://images.example.com/front.jpg","provider":"onfido"}'
)
HEADERS = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}


def measure(command: Callable[[str, int], list[str]]) -> Measure:
    """A measurement of the server that `command(redis_url, port)` starts."""

    def run(scale: Scale) -> dict[str, float]:
        seconds = max(1, round((3 if scale.quick else 10) * min(1, scale.factor)))
        port = free_port()
        url = f"http://127.0.0.1:{port}/verify-kyc"
        with Server(scale.rtt_ms) as server:
            env = {
                "REDIS_URL": server.peer_url,
                "CORRAL_API_KEYS": f"bench:{KEY}:enqueue",
                "CORRAL_SANDBOX": "1",
            }
            with Program(command(server.peer_url, port), env) as program:
                wait_for(url, program)
                load(url, 1)
                redis_before, held_before = server.cpu_seconds(), jobs_in(server)
                numbers = load(url, seconds)
                redis_seconds, held = server.cpu_seconds() - redis_before, jobs_in(server) - held_before
        requests, errors = numbers.pop("requests"), numbers.pop("errors")
        if errors or held < requests:
            raise ProgramFailed(f"{errors:.0f} errors; {held:,} jobs for {requests:,.0f} answers")
        numbers["redis_us_per_request"] = redis_seconds / held * 1e6
        return numbers

    return run


def wait_for(url: str, program: Program) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            answer = httpx2.post(url, content=BODY, headers=HEADERS)
        except httpx2.TransportError:
            program.check()
            if time.monotonic() > deadline:
                raise ProgramFailed(f"no answer at {url}.\n{program.errors()}") from None
            time.sleep(0.05)
            continue
        if answer.status_code != 202:
            raise ProgramFailed(f"{answer.status_code} at {url}: {answer.text[:300]}")
        return


def jobs_in(server: Server) -> int:
    pipe = server.client.pipeline(transaction=False)
    pipe.llen(f"{QUEUE_KEY}:wait")
    pipe.zcard(f"{QUEUE_KEY}:prioritized")
    return sum(pipe.execute())


def load(url: str, seconds: int) -> dict[str, float]:
    return load_with_wrk(url, seconds) if shutil.which("wrk") else load_with_client(url, seconds)


def load_with_wrk(url: str, seconds: int) -> dict[str, float]:
    script = Path(__file__).with_name("http_load.lua")
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url, "--", KEY, BODY]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(
        r"^bench requests=(\d+) errors=(\d+) us=(\d+) p50_us=(\d+) p99_us=(\d+)$", done.stdout, re.MULTILINE
    )
    if found is None:
        raise ProgramFailed(f"wrk: {done.stdout}{done.stderr}")
    requests, errors, micros, p50, p99 = map(int, found.groups())
    return {
        "requests_per_second": requests / micros * 1e6,
        "p50_ms": p50 / 1000,
        "p99_ms": p99 / 1000,
        "requests": requests,
        "errors": errors,
    }


def load_with_client(url: str, seconds: int) -> dict[str, float]:
    with Program(python("http_client", url, KEY, BODY, CONNECTIONS, seconds)) as client:
        return client.line()


def notes() -> list[str]:
    client = "wrk, one thread" if shutil.which("wrk") else "the bench's own client, two processes"
    return [f"Load: {client}."]


SCENARIO = Scenario(
    name="http",
    title=f"HTTP enqueue: POST /verify-kyc, {CONNECTIONS} connections, one server process",
    peers=(
        Peer("Corral", measure(lambda _, port: python("corral_api", port))),
        Peer("Fastify + BullMQ", measure(lambda url, port: node("server.mjs", url, port, KEY))),
    ),
    metrics=(
        Metric("requests_per_second", "requests/s"),
        Metric("p50_ms", "p50, ms", digits=1),
        Metric("p99_ms", "p99, ms", digits=1),
        Metric("redis_us_per_request", "Redis µs/request", digits=1),
    ),
    targets=(
        Target("requests_per_second", "Corral", "Fastify + BullMQ", at_least=1.5),
        Target("p99_ms", "Corral", "Fastify + BullMQ"),
    ),
    limits=(Limit("p99_ms", "Corral", below=10),),
    notes=notes,
)
