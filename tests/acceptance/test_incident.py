"""`corral demo --incident`: what it shows is real, and what it says repairs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from service import PATIENCE, environment, until

#: What the dashboard's own pages send with every request.
OWN = {"x-corral-dashboard": "1"}

KYC = "kyc-verification"


class Incident:
    """The running demo, and an operator who is signed in."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any]) -> None:
        self.process = process
        self.sandbox = httpx2.Client(base_url=said["sandbox"], trust_env=False, timeout=PATIENCE)
        self.page = httpx2.Client(base_url=said["dashboard"], headers=OWN, trust_env=False, timeout=PATIENCE)
        answer = self.page.post("/session", json={"user": "operator", "password": said["password"]})
        assert answer.status_code == 200

    def read(self, path: str) -> Any:
        # Six processes on a small machine: Redis may need longer than the second that a page waits.
        answer = until(lambda: self.page.get(f"/api/v1{path}"), lambda answer: answer.status_code != 503)
        return answer.raise_for_status().json()

    def queue(self, name: str) -> dict[str, Any]:
        rows = {row["row"]["queue"]: row for row in self.read("/overview")["queues"]}
        row: dict[str, Any] = rows[name]
        return row

    def held(self) -> int:
        return int(self.queue(KYC)["row"]["states"].get("held", 0))

    def firing(self) -> list[str]:
        return [alert["rule"] for alert in self.read("/alerts")["alerts"] if alert["state"] == "firing"]


@pytest.fixture
def incident(tmp_path: Path) -> Iterator[Incident]:
    process = subprocess.Popen(
        [sys.executable, "-m", "corral", "demo", "--incident", "--dashboard-port", "0", "--json"],
        cwd=tmp_path,
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        with process.stdout:
            found = Incident(process, json.loads(process.stdout.readline()))
        with closing(found.sandbox), closing(found.page):
            yield found
    finally:
        process.kill()
        process.wait()


def test_the_incident_is_real_and_ends_when_the_key_is_back(incident: Incident, tmp_path: Path) -> None:
    assert sum(incident.queue(KYC)["ended"]) > 1_000  # the hour before

    until(incident.held, lambda held: held > 20)
    until(incident.firing, lambda rules: "breaker-open" in rules)
    until(lambda: incident.queue("email")["row"]["states"].get("failed", 0), lambda dead: dead > 0)

    incident.sandbox.delete("/faults").raise_for_status()
    tested = until(
        lambda: incident.page.post("/api/v1/breakers/onfido/test"), lambda answer: answer.status_code != 503
    )
    tested.raise_for_status()
    until(incident.held, lambda held: held == 0)

    incident.process.send_signal(signal.SIGINT)
    assert incident.process.wait(PATIENCE) == 0
    assert list(tmp_path.iterdir()) == []  # it kept its data elsewhere, and has taken it away
