"""The bench runs, measures every peer and writes what it says it writes. Never whether it is fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
#: The copy of Corral beside the bench, wherever an installed one lies.
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}

PEERS = ["Corral", "BullMQ Node", "BullMQ Python"]
WORK = {"jobs_per_second", "redis_us_per_job", "worker_us_per_job", "worker_mib", "redis_mib"}
COUNTED = {"commands_per_job", "script_calls_per_job", "reads_per_job"}
#: By scenario. One runs twice, to see that rounds add up.
METRICS = {
    "process": WORK | COUNTED,
    "processes": WORK | COUNTED,
    "add": {"bulk_per_second", "bulk_redis_us", "single_per_second", "single_redis_us"},
    "failing": {"success_per_second", "failing_per_second", "share", "runs_share"},
    "latency": {"p50_ms", "p99_ms"},
    "half_load": {"p50_ms", "p99_ms", "rate"},
    "delayed": {"p50_ms", "p99_ms"},
    "in_flight": {"kb_per_job", "lag_p99_ms", "locks_lost", "seconds"},
}
#: Scenarios that only two of the three take part in.
WITHOUT_OFFICIAL = {"processes", "failing", "in_flight"}


TWICE = ["process"]
ONCE = [name for name in METRICS if name not in TWICE]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("names", "rounds"), [(TWICE, 2), (ONCE, 1)])
def test_a_tiny_run_measures_all_peers(names: list[str], rounds: int, tmp_path: Path) -> None:
    output, plot, tables = (tmp_path / name for name in ("numbers.json", "plot.svg", "tables.md"))
    command = [sys.executable, "-m", "bench", *names, "--quick", "--rounds", str(rounds), "--scale", "0.01"]
    command += ["--only", *PEERS, "--plot", str(plot), "--markdown", str(tables)]
    done = subprocess.run(
        [*command, "--json", str(output)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]

    numbers = json.loads(output.read_text())
    assert numbers["format"] == 1
    assert numbers["options"].pop("minutes") >= 0
    assert numbers["options"] == {"rounds": rounds, "quick": True, "scale": 0.01}
    assert {"processor", "cores", "server", "python", "node", "packages", "node_packages"} <= set(
        numbers["machine"]
    )
    assert numbers["machine"]["node_packages"]["bullmq"] == "6.7.0"
    assert list(numbers["scenarios"]) == names
    for name, scenario in numbers["scenarios"].items():
        assert scenario["failures"] == {}
        assert sorted(scenario["peers"]) == sorted(PEERS[:2] if name in WITHOUT_OFFICIAL else PEERS)
        for metrics in scenario["peers"].values():
            assert set(metrics) == METRICS[name]
            for spread in metrics.values():
                assert len(spread["rounds"]) == rounds
                assert -1 <= spread["min"] <= spread["median"] <= spread["max"]
        for ratio in scenario["ratios"]:
            ours, theirs = (
                scenario["peers"][ratio[peer]][ratio["metric"]]["median"] for peer in ("ours", "theirs")
            )
            assert ratio["ratio"] == pytest.approx(ours / theirs)
            assert ratio["met"] is verdict(ratio["ratio"], ratio["target"])
        assert f"## {scenario['title']}" in done.stdout
    for peer in PEERS:
        assert f"| {peer} |" in done.stdout
    assert tables.read_text() in done.stdout
    drawn = ElementTree.fromstring(plot.read_text())
    texts = {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {scenario["title"] for scenario in numbers["scenarios"].values()} <= texts


@pytest.mark.timeout(200)
def test_added_round_trip_time_is_a_run_of_its_own(tmp_path: Path) -> None:
    output = tmp_path / "numbers.json"
    command = [sys.executable, "-m", "bench", "delayed", "--quick", "--scale", "0.01", "--rtt", "0", "2"]
    done = subprocess.run(
        [*command, "--only", "Corral", "--json", str(output)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert list(json.loads(output.read_text())["scenarios"]) == ["delayed", "delayed+2ms"]
    assert "2 ms of round trip added" in done.stdout


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


@pytest.mark.timeout(200)
def test_analytics_are_measured_from_the_request_to_the_rows(tmp_path: Path) -> None:
    output = tmp_path / "numbers.json"
    command = [sys.executable, "-m", "bench", "analytics", "analytics_drain", "--quick", "--scale", "0.05"]
    done = subprocess.run(
        [*command, "--only", "Corral", "100 a request", "--json", str(output)],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    scenarios = json.loads(output.read_text())["scenarios"]
    assert scenarios["analytics"]["peers"]["100 a request"]["events_per_second"]["median"] > 0
    assert scenarios["analytics_drain"]["peers"]["Corral"]["events_per_second"]["median"] > 0
