"""The dashboard with 200 queues, one with a million jobs: how soon it answers, and what a browser waits.

Each question of the management API is asked 20 times, one after the other, of a process that has answered it
once; the median and the worst count. What the first one after a start takes is told apart. The first paint is
that of the overview in a local browser with nothing in its cache, if there is one.
"""

from __future__ import annotations

import gzip
import re
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
from playwright.sync_api import sync_playwright

from bench.dashboard_seed import BIG, Crowd, seed
from bench.programs import Program, ProgramFailed
from bench.scenario import Limit, Metric, Peer, Scale, Scenario
from bench.server import Server, free_port
from corral.dashboard.pages import FOLDER
from corral.dashboard.users import hash_password

TIMES = 20
PASSWORD = "a password of the bench"

PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"

#: Questions by metric.
ASKED = {
    "overview": "overview",
    "queues": "queues",
    "queue": f"queues/{BIG}",
    "jobs": f"queues/{BIG}/jobs?state=waiting",
    "filter": f"queues/{BIG}/jobs?state=waiting&name=send-3",
    "no_match": f"queues/{BIG}/jobs?state=waiting&name=nothing",
    "part_of_id": f"queues/{BIG}/jobs?id=77777x",
    "by_data": f"queues/{BIG}/jobs?state=waiting&where=" + quote('{"userId":77}'),
    "job": f"queues/{BIG}/jobs/5",
    "stats_1h": f"queues/{BIG}/stats?minutes=60",
    "stats_90d": f"queues/{BIG}/stats?hours=2160",
    "dead": "dead",
    "dead_jobs": f"queues/{BIG}/dead/jobs",
    "schedules": "schedules",
    "workers": "workers",
    "alerts": "alerts",
    "audit": "audit",
    "redis": "redis",
    "doctor": "doctor",
}

#: The other questions: asked as often, and told as one, by the slowest median.
#: Live streams, downloads and the outbox of the sandbox have no answer to be timed.
OTHERS = (
    "find?id=77", "changes?hours=1", f"depths?queue={BIG}&hours=2160", "events/recent", "flows", "breakers",
    "scaling/decisions", f"scaling/{BIG}", "alerts/rules", "alerts/history", "keys", "settings",
    "settings/users", "settings/about", "standing", "openapi.json", f"queues/{BIG}/schedule?id=nightly",
    f"queues/{BIG}/held",
    f"queues/{BIG}/settings", f"queues/{BIG}/schema", f"queues/{BIG}/groups", f"queues/{BIG}/dead",
    f"queues/{BIG}/dead/policy", f"queues/{BIG}/dead/operations", f"queues/{BIG}/jobs/operations",
    f"queues/{BIG}/jobs/5/why", f"queues/{BIG}/jobs/5/logs", f"queues/{BIG}/jobs/5/moments",
    f"queues/{BIG}/jobs/5/children", f"queues/{BIG}/jobs/5/flow", f"queues/{BIG}/stats?minutes=1440",
)  # fmt: skip


def measure(scale: Scale) -> dict[str, float]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    crowd = Crowd(jobs=scale.amount(1_000_000, 50_000), queues=scale.amount(200, 50), days=90)
    command = [sys.executable, "-m", "corral", "dashboard", "--port", str(port)]
    with Server(scale.rtt_ms) as server:
        seed(server.url, crowd)
        users = f"ada:{hash_password(PASSWORD)}:admin"
        env = {"REDIS_URL": server.peer_url, "CORRAL_DASHBOARD_USERS": users}
        with Program(command, env) as program, httpx2.Client(base_url=url, timeout=60) as http:
            wait_for(http, program)
            sign_in = {"user": "ada", "password": PASSWORD}
            http.post("/session", json=sign_in, headers={"x-corral-dashboard": "1"}).raise_for_status()
            numbers = {"first_ms": ask(http, ASKED["overview"])}
            worst = []
            for name, path in ASKED.items():
                ask(http, path)
                took = [ask(http, path) for _ in range(TIMES)]
                numbers[f"{name}_ms"] = statistics.median(took)
                worst.append(max(took))
            others = []
            for path in OTHERS:
                ask(http, path)
                took = [ask(http, path) for _ in range(TIMES)]
                others.append(statistics.median(took))
                worst.append(max(took))
            numbers["others_ms"] = max(others)
            numbers["worst_ms"] = max(worst)
            numbers |= first_paint(url, dict(http.cookies))
    numbers["script_kb"] = sum(len(gzip.compress(script.read_bytes())) for script in first_scripts()) / 1000
    return numbers


def first_scripts() -> list[Path]:
    """What the first page loads; other pages bring theirs when somebody points at them."""
    named = re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', (FOLDER / "index.html").read_text())
    return [FOLDER / name for name in named]


def ask(http: httpx2.Client, path: str) -> float:
    """Milliseconds that an answer took."""
    began = time.perf_counter()
    answer = http.get(f"/api/v1/{path}")
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise ProgramFailed(f"{answer.status_code} at {path}: {answer.text[:300]}")
    return took


def wait_for(http: httpx2.Client, program: Program) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            http.get("/healthz")
        except httpx2.TransportError:
            program.check()
            if time.monotonic() > deadline:
                raise ProgramFailed(f"the dashboard does not listen.\n{program.errors()}") from None
            time.sleep(0.05)
        else:
            return


def first_paint(url: str, cookies: dict[str, str]) -> dict[str, float]:
    """When the overview was first painted, in ms from the navigation; nothing without a browser."""
    program = browser()
    if program is None:
        return {}
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        context = launched.new_context(viewport={"width": 1440, "height": 900})
        context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies.items()])
        page = context.new_page()
        page.goto(url)
        page.locator("main table tbody tr").first.wait_for()
        rows: Any = page.evaluate("performance.now()")
        painted: Any = page.evaluate(PAINTED)
        launched.close()
    return {"paint_ms": float(painted), "rows_ms": float(rows)}


def browser() -> str | None:
    ours = Path(sys.prefix) / "chromium" / "bin"
    return shutil.which("chromium") or shutil.which("chromium", path=str(ours))


def notes() -> list[str]:
    if not (FOLDER / "index.html").is_file():
        return ["The pages are not built: no size, no paint. Run: make setup"]
    return [] if browser() else ["No chromium here: no first paint."]


SCENARIO = Scenario(
    name="dashboard",
    title="The dashboard: 200 queues, a million jobs in one of them",
    peers=(Peer("Corral", measure),),
    metrics=(
        *(Metric(f"{name}_ms", f"{name.replace('_', ' ')}, ms", digits=1) for name in ASKED),
        Metric("others_ms", "the slowest of the other questions, ms", digits=1),
        Metric("worst_ms", "the slowest of all, ms", digits=1),
        Metric("first_ms", "first after a start, ms"),
        Metric("paint_ms", "first paint, ms"),
        Metric("rows_ms", "rows of the overview, ms"),
        Metric("script_kb", "scripts of the first load, kB compressed"),
    ),
    targets=(),
    limits=(Limit("worst_ms", "Corral", below=100), Limit("script_kb", "Corral", below=250)),
    notes=notes,
)
