"""Runs `corral …` as a user does: a real process, its output, its exit."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")

#: Bound for anything that a loaded machine may be slow at.
PATIENCE = 60.0


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what would lead the service elsewhere."""
    ours = re.compile(
        r"^(REDIS_|CORRAL_|SUPABASE_|ONFIDO_|IDENFY_|S3_|CLOUDFLARE_|SENDGRID_|MAILGUN_|SMTP_|POSTHOG_|SEGMENT_"
        r"|CLICKHOUSE_|POSTGRES_)"
    )
    return {name: value for name, value in os.environ.items() if not ours.match(name)} | more


def corral(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "corral", *arguments],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )


class Service:
    """A running `corral up`."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any], log: list[str]) -> None:
        self.process = process
        self.url: str = said["api"]
        self.key: str = said["key"]
        self.sandbox: str = said["sandbox"] or ""
        self.log = log
        self.client = httpx2.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.key}"})

    def post(self, path: str, body: object) -> httpx2.Response:
        return self.client.post(path, json=body, timeout=PATIENCE)

    def status(self, job_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get(f"/job-status/{job_id}", timeout=PATIENCE).json()
        return answer

    def until_ended(self, job_id: str) -> dict[str, Any]:
        """The job's status once it is completed or failed."""
        return until(lambda: self.status(job_id), lambda seen: seen["status"] in ("completed", "failed"))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def running_service(data_dir: Path, *arguments: str, **env: str) -> Iterator[Service]:
    """`corral up` on a free port, stopped at the end however the test goes."""
    command = [sys.executable, "-m", "corral", "up", "--api-port", "0", "--dashboard-port", "0"]
    command += ["--data-dir", str(data_dir), "--json"]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=data_dir.parent,
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log: list[str] = []
    assert process.stderr is not None
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: log.extend(process.stderr or ()), daemon=True)
    reader.start()
    try:
        first = process.stdout.readline()
        if not first:
            process.wait(PATIENCE)
            reader.join(5)
            raise AssertionError("corral up did not start:\n" + "".join(log[-30:]))
        service = Service(process, json.loads(first), log)
        yield service
        service.client.close()
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(5)
        process.stdout.close()
        process.stderr.close()


def until(look: Callable[[], T], is_right: Callable[[T], bool], within: float = PATIENCE) -> T:
    """Look until what is seen is right. Raises AssertionError with the last sight."""
    limit = time.monotonic() + within
    while True:
        seen = look()
        if is_right(seen):
            return seen
        if time.monotonic() > limit:
            raise AssertionError(f"Not within {within:g} s; last seen: {seen!r}")
        time.sleep(0.05)
