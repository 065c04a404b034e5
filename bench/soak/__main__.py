"""`python -m bench soak [--seconds 600] [--seed N] [--rate 60] [--world single|sentinel] [--report FILE]`.

Prints its seed first and its table last. Exits 1, with the command that replays it, if anything was lost,
done twice without a reason, left over, or if a worker ended by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

from bench.soak.conductor import Options, run
from bench.soak.picture import as_svg
from bench.soak.plan import World
from bench.soak.report import as_markdown


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench soak", description="Faults, and an exact ledger.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long jobs are added (default 600)")
    parser.add_argument("--seed", type=int, help="which faults come when (default: any)")
    parser.add_argument("--rate", type=float, default=60.0, help="jobs a second, of all producers")
    parser.add_argument("--world", type=World, default=World.SINGLE, choices=list(World), help="the servers")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write FILE and its plot FILE.svg")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep ledger and logs in this new folder")
    given = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    options = Options(seed, given.seconds, given.rate, given.world)
    print(f"seed {seed}", flush=True)

    folder = given.keep or Path(tempfile.mkdtemp(prefix="corral-soak-"))
    folder.mkdir(parents=True, exist_ok=True)
    outcome = asyncio.run(run(options, folder))
    plot = given.report.with_suffix(".svg") if given.report else None
    text = as_markdown(outcome, plot.name if plot else None)
    print(text)
    if given.report and plot:
        given.report.write_text(text)
        plot.write_text(as_svg(outcome))
    if outcome.good:
        if given.keep is None:
            shutil.rmtree(folder)
        return 0
    print(f"FAILED. Replay: {options.command}\nLedger and logs: {folder}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
