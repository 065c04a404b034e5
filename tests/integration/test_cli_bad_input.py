"""What somebody reads who typed something wrong, or whose Redis is away: what it is, and what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AWAY = "redis://somebody:secret-word@127.0.0.1:1/0"


def corral(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "CORRAL_"))}
    return subprocess.run(
        [sys.executable, "-m", "corral", *arguments],
        cwd=folder,
        env=kept | {"PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200"} | settings,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("queues",), ("dead",), ("webhooks",), ("jobs", "add", "reports", "build"), ("demo",),
        ("worker", "app:reports", "--until-empty"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_redis_that_is_away_is_named_without_its_password(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "app.py").write_text(
        "from corral import Queue\nreports = Queue('reports')\n"
        "@reports.job('build')\nasync def build(job, data: int) -> None: ...\n"
    )
    done = corral(tmp_path, *arguments, REDIS_URL=AWAY)
    assert done.returncode == 1
    assert "redis://127.0.0.1:1/0" in done.stderr
    assert "is it running" in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert "secret-word" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("api", "--port", "99999"), ("worker", "app:reports", "--health-port", "99999")],
    ids=" ".join,
)
def test_a_port_that_does_not_exist_is_named(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    (tmp_path / "app.py").write_text("from corral import Queue\nreports = Queue('reports')\n")
    done = corral(tmp_path, *arguments, CORRAL_API_KEYS=f"a:{'k' * 32}:admin", REDIS_URL=AWAY)
    assert "Port 99999 does not exist" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 78


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = corral(tmp_path, "api", "--port", port, CORRAL_API_KEYS=f"a:{'k' * 32}:admin", REDIS_URL=AWAY)
    assert done.returncode == 78
    assert f"Port {port} of 127.0.0.1 is taken" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "texts"),
    [
        (("api",), {}, 78, ("CORRAL_API_KEYS", "name:secret:role")),
        (("queues",), {"CORRAL_GRACE_SECOND": "3"}, 78, ("CORRAL_GRACE_SECONDS",)),
        (("queues",), {"REDIS_URL": "localhost:6379"}, 78, ("REDIS_URL must start with redis://",)),
        (("worker", "nowhere:reports"), {}, 78, ("no module 'nowhere'", "PYTHONPATH")),
        (("scaling", "log"), {}, 2, ("'log'", "corral --help")),
        (("jbos",), {}, 2, ("jobs",)),
    ],
)
def test_what_is_wrong_and_what_to_do(
    tmp_path: Path, arguments: tuple[str, ...], settings: dict[str, str], code: int, texts: tuple[str, ...]
) -> None:
    done = corral(tmp_path, *arguments, **({"REDIS_URL": AWAY} | settings))
    assert done.returncode == code, done.stderr
    assert [text for text in texts if text not in done.stderr] == []
