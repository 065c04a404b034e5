"""The bench runs, measures every peer and writes what it says it writes. Never whether it is fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PEERS = ["Corral", "BullMQ Node", "BullMQ Python"]
METRICS = {
    "process": {"jobs_per_second", "redis_us_per_job", "worker_us_per_job", "worker_mib"},
    "add": {"bulk_per_second", "bulk_redis_us", "single_per_second", "single_redis_us"},
}


@pytest.mark.timeout(600)
def test_a_tiny_run_measures_all_peers(tmp_path: Path) -> None:
    output = tmp_path / "numbers.json"
    command = [sys.executable, "-m", "bench", *METRICS, "--quick", "--rounds", "2", "--scale", "0.01"]
    done = subprocess.run(
        [*command, "--json", str(output)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]

    numbers = json.loads(output.read_text())
    assert numbers["format"] == 1
    assert numbers["options"] == {"rounds": 2, "quick": True, "scale": 0.01}
    assert {"processor", "cores", "server", "python", "node", "packages", "node_packages"} <= set(
        numbers["machine"]
    )
    assert numbers["machine"]["node_packages"]["bullmq"] == "6.7.0"
    assert list(numbers["scenarios"]) == list(METRICS)
    for name, scenario in numbers["scenarios"].items():
        assert scenario["failures"] == {}
        assert sorted(scenario["peers"]) == sorted(PEERS)
        for metrics in scenario["peers"].values():
            assert set(metrics) == METRICS[name]
            for spread in metrics.values():
                assert len(spread["rounds"]) == 2
                assert 0 <= spread["min"] <= spread["median"] <= spread["max"]
        for ratio in scenario["ratios"]:
            ours, theirs = (
                scenario["peers"][ratio[peer]][ratio["metric"]]["median"] for peer in ("ours", "theirs")
            )
            assert ratio["ratio"] == pytest.approx(ours / theirs)
            assert ratio["met"] is verdict(ratio["ratio"], ratio["target"])
        assert f"## {scenario['title']}" in done.stdout
    for peer in PEERS:
        assert f"| {peer} |" in done.stdout


def verdict(ratio: float, target: str) -> bool | None:
    """What a bound like "≥ 4" says of a ratio."""
    if not target:
        return None
    bound = float(target[2:])
    return ratio >= bound if target[0] == "≥" else ratio <= bound


def test_an_unknown_scenario_is_named() -> None:
    command = [sys.executable, "-m", "bench", "proces"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no scenario 'proces'" in done.stderr
