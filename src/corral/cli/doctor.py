"""`corral doctor`: the production checklist, with what to do about each point."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import Any

from cyclopts import App
from rich.markup import escape
from rich.table import Table

from corral.cli.jobs import run_command
from corral.cli.output import console, print_json
from corral.doctor import Finding, Report, Status, examine, gather
from corral.queues import built_in
from corral.settings import Settings
from corral.worker.target import load_queues

app = App(name="doctor", help="Check that everything is fit for production, and say what to do.")

_COLOURS = {
    Status.OK: "green",
    Status.NOTE: "blue",
    Status.UNKNOWN: "magenta",
    Status.WARNING: "yellow",
    Status.FAILURE: "bold red",
}


@app.default
def doctor(
    target: str | None = None,
    *,
    only: str = "",
    skip: str = "",
    strict: bool = False,
    quiet: bool = False,
    json: bool = False,
) -> int:
    """Check settings, this machine, Redis, queues and workers. Changes nothing.

    Run it where workers run, with their environment. Exit code 0: all well, or nothing worse than a warning;
    1: something failed.

    Parameters
    ----------
    target: your own queues, as package.module:name, beside the built-in ones
    only: only these checks or subjects, separated by commas
    skip: not these
    strict: exit with 1 for a warning too, and for what could not be looked at
    quiet: show nothing that is well
    json: print JSON
    """
    declared = dict(built_in()) | ({q.name: q for q in load_queues(target)} if target else {})
    reports: list[Report] = []

    async def run() -> None:
        facts = await gather(Settings.load(), declared)
        reports.append(examine(facts, only=_names(only), skip=_names(skip)))

    run_command(run())
    report = reports[0]
    code = report.exit_code(strict=strict)
    if json:
        print_json(as_json(report) | {"exitCode": code})
    else:
        _show(report, quiet=quiet)
    return code


def _names(text: str) -> set[str]:
    return {part.strip() for part in text.split(",") if part.strip()}


def as_json(report: Report) -> dict[str, Any]:
    """The report as programs get it."""
    return {
        "at": report.at,
        "counts": {status.value: count for status, count in report.counts.items()},
        "findings": [asdict(finding) for finding in report.findings],
    }


def _show(report: Report, *, quiet: bool) -> None:
    shown = [finding for finding in report.findings if not quiet or finding.status is not Status.OK]
    for subject, findings in groupby(shown, key=lambda finding: finding.subject):
        console.print(f"\n[bold]{subject.value.capitalize()}[/bold]")
        console.print(_table(list(findings)))
    counts = [
        f"{count} {_PLURAL[status] if count != 1 else status.value}"
        for status, count in report.counts.items()
        if count
    ]
    console.print(f"\n{', '.join(counts)}.")


_PLURAL = {
    Status.OK: "ok",
    Status.NOTE: "notes",
    Status.UNKNOWN: "unknown",
    Status.WARNING: "warnings",
    Status.FAILURE: "failures",
}


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(min_width=7)
    table.add_column(min_width=17, no_wrap=True)
    table.add_column(overflow="fold")
    for (status, found, remedy), same in groupby(findings, key=lambda f: (f.status, f.found, f.remedy)):
        colour = _COLOURS[status]
        do = "".join(f"\n[dim]→ {escape(line)}[/dim]" for line in remedy.splitlines())
        # What nobody could look at for one and the same reason takes one row.
        names = "\n".join(finding.check for finding in same)
        table.add_row(f"[{colour}]{status.value}[/{colour}]", names, escape(found) + do)
    return table
