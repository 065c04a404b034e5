"""`corral stats` and `corral workers`, as somebody types them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from corral import Queue, Retry, Worker
from corral.bullmq.connection import close_shared_clients
from corral.cli import main
from corral.cli.stats import duration


@pytest.fixture
def ran(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A queue that did something, and whose worker is gone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "250")

    async def run() -> None:
        queue = Queue("reports", redis_url=redis_url, retry=Retry(attempts=1))

        @queue.job("build")
        async def build(job: Any, data: int) -> None:
            if data == 0:
                raise ValueError("no")

        await queue.add_many("build", [0, 1, 2, 3])
        await Worker(queue).run(until_empty=True)
        await queue.add("build", 5)
        await queue.close()
        await close_shared_clients()

    asyncio.run(run())
    return "reports"


def corral(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().out


def test_stats_tells_what_queues_did(ran: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = corral(capsys, "stats", "--names")
    assert code == 0
    assert "reports" in out
    assert "  build" in out
    code, out = corral(capsys, "stats", ran, "--minutes", "60", "--json")
    (row,) = msgspec.json.decode(out)
    recent = row["recent"]
    assert (row["queue"], row["waiting"]) == (ran, 1)
    assert (recent["completed"], recent["failed"], recent["failure_rate"]) == (3, 1, 0.25)
    assert recent["run_p99"] > 0
    assert row["names"].keys() == {"build"}
    assert corral(capsys, "stats", "--minutes", "0")[0] == 1


def test_workers_tells_who_lives(ran: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = corral(capsys, "workers", "--json")
    assert (code, msgspec.json.decode(out)) == (0, [])
    assert corral(capsys, "workers")[0] == 0


def test_durations_are_short() -> None:
    shown = [duration(seconds) for seconds in (None, 0.00123, 0.5, 45.67, 300, 10_000, 400_000)]
    assert shown == ["-", "1.23 ms", "500 ms", "45.7 s", "5 min", "3 h", "111 h"]
