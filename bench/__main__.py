"""`python -m bench [scenario …] [options]`; `--help` lists them. `soak` is a program of its own."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from bench import (
    add,
    analytics,
    backlog,
    dashboard,
    delayed,
    failing,
    http_enqueue,
    images,
    in_flight,
    latency,
    process,
    processes,
    redis_limit,
)
from bench.machine import facts
from bench.plot import as_svg
from bench.programs import ProgramFailed, install_peers
from bench.report import as_json, as_markdown
from bench.scenario import Result, Scale, Scenario, order

ALL = (
    process.SCENARIO,
    processes.SCENARIO,
    add.SCENARIO,
    failing.SCENARIO,
    latency.LATENCY,
    latency.HALF_LOAD,
    delayed.SCENARIO,
    in_flight.SCENARIO,
    backlog.SCENARIO,
    http_enqueue.SCENARIO,
    analytics.ACCEPT,
    analytics.DRAIN,
    redis_limit.SCENARIO,
    images.SCENARIO,
    dashboard.SCENARIO,
)
SCENARIOS = {scenario.name: scenario for scenario in ALL}


def main() -> int:
    if sys.argv[1:2] == ["soak"]:
        from bench.soak.__main__ import main as soak  # noqa: PLC0415  # it needs the tests' folder, nobody else does

        return soak(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m bench", description="Corral beside its peers.")
    parser.add_argument("scenario", nargs="*", help=f"{', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="little work, one round: a look in a minute")
    parser.add_argument("--rounds", type=int, help="measurements of each peer (default 5, quick 1)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the jobs, to try the bench itself")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    parser.add_argument(
        "--rtt",
        type=float,
        nargs="+",
        default=[0.0],
        metavar="MS",
        help="round-trip times to add, each a run of its own",
    )
    parser.add_argument("--only", nargs="+", metavar="PEER", help="leave out the other peers")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables to this file too")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write the ratios as an SVG to this file")
    options = parser.parse_args()
    unknown = [name for name in options.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    rounds = options.rounds or (1 if options.quick else 5)

    install_peers()
    machine = facts()
    wanted = [SCENARIOS[name] for name in options.scenario or SCENARIOS]
    if options.only:
        wanted = [
            replace(one, peers=[peer for peer in one.peers if peer.name in options.only]) for one in wanted
        ]
    started = time.monotonic()
    results = [
        run(scenario, Scale(options.quick, options.scale, rtt_ms), rounds)
        for rtt_ms in options.rtt
        for scenario in wanted
        if scenario.peers and (scenario.over_network or not rtt_ms)
    ]
    chosen = {
        "rounds": rounds,
        "quick": options.quick,
        "scale": options.scale,
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    text = as_markdown(machine, chosen, results)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.plot:
        options.plot.write_text(as_svg(machine, results))
    if options.json:
        options.json.write_text(json.dumps(as_json(machine, chosen, results), indent=2) + "\n")
    return 1 if any(result.failures for result in results) else 0


def run(scenario: Scenario, scale: Scale, rounds: int) -> Result:
    """Measure every peer in every round. A peer that fails is left out of later rounds and reported."""
    result = Result(scenario, scale.rtt_ms)
    for number in range(rounds):
        for peer in order(scenario.peers, number):
            if peer.name in result.failures:
                continue
            started = time.monotonic()
            try:
                numbers = peer.measure(scale)
            except ProgramFailed as error:
                result.failures[peer.name] = str(error)
                print(f"{result.name} {number + 1}/{rounds} {peer.name}: {error}", file=sys.stderr)
                continue
            result.add(peer.name, numbers)
            text = ", ".join(f"{key} {value:,.4g}" for key, value in numbers.items())
            seconds = time.monotonic() - started
            print(
                f"{result.name} {number + 1}/{rounds} {peer.name}: {text} [{seconds:.0f} s]",
                file=sys.stderr,
            )
    result.notes = scenario.notes()
    return result


if __name__ == "__main__":
    sys.exit(main())
