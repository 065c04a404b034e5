"""`python -m bench [scenario …] [--quick] [--rounds N] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from bench import add, http_enqueue, images, process, redis_limit
from bench.machine import facts
from bench.programs import ProgramFailed, install_peers
from bench.report import as_json, as_markdown
from bench.scenario import Result, Scale, Scenario, order

MODULES = (process, add, http_enqueue, redis_limit, images)
SCENARIOS = {module.SCENARIO.name: module.SCENARIO for module in MODULES}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Corral beside its peers.")
    parser.add_argument("scenario", nargs="*", help=f"{', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="little work, one round: a look in a minute")
    parser.add_argument("--rounds", type=int, help="measurements of each peer (default 5, quick 1)")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the jobs, to try the bench itself")
    parser.add_argument("--json", type=Path, help="write all numbers to this file")
    options = parser.parse_args()
    unknown = [name for name in options.scenario if name not in SCENARIOS]
    if unknown:
        parser.error(f"no scenario {unknown[0]!r}; there are {', '.join(SCENARIOS)}")
    rounds = options.rounds or (1 if options.quick else 5)
    scale = Scale(options.quick, options.scale)

    install_peers()
    machine = facts()
    wanted = [SCENARIOS[name] for name in options.scenario or SCENARIOS]
    results = [run(scenario, scale, rounds) for scenario in wanted]
    chosen = {"rounds": rounds, "quick": options.quick, "scale": options.scale}
    print(as_markdown(machine, chosen, results))
    if options.json:
        options.json.write_text(json.dumps(as_json(machine, chosen, results), indent=2) + "\n")
    return 1 if any(result.failures for result in results) else 0


def run(scenario: Scenario, scale: Scale, rounds: int) -> Result:
    """Measure every peer in every round. A peer that fails is left out of later rounds and reported."""
    result = Result(scenario)
    for number in range(rounds):
        for peer in order(scenario.peers, number):
            if peer.name in result.failures:
                continue
            started = time.monotonic()
            try:
                numbers = peer.measure(scale)
            except ProgramFailed as error:
                result.failures[peer.name] = str(error)
                print(f"{scenario.name} {number + 1}/{rounds} {peer.name}: {error}", file=sys.stderr)
                continue
            result.add(peer.name, numbers)
            text = ", ".join(f"{key} {value:,.4g}" for key, value in numbers.items())
            seconds = time.monotonic() - started
            print(
                f"{scenario.name} {number + 1}/{rounds} {peer.name}: {text} [{seconds:.0f} s]",
                file=sys.stderr,
            )
    result.notes = scenario.notes()
    return result


if __name__ == "__main__":
    sys.exit(main())
