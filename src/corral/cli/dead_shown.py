"""How `corral dead` shows things, and how it follows an operation to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from corral.cli.output import console, errors, moment, print_fields, print_json, second
from corral.dead import Group, Letter, Operation, Preview, Standing
from corral.job import Job

_TIMES = ("first_seen", "last_seen", "state_since", "ignored_until", "enqueued_at", "started_at",
"finished_at",
          "created", "ended", "undo_until", "oldest", "at")  # fmt: skip


def plain(thing: Any) -> dict[str, Any]:
    """A dataclass as JSON: names in camelCase, times as ISO."""
    return {_camel(n): moment(v) if n in _TIMES else v for n, v in asdict(thing).items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


def _safe(text: str) -> str:
    """Whatever a producer or an error said: no markup."""
    return text.replace("[", "\\[")


def show_groups(groups: list[Group], standings: dict[str, Standing], *, json: bool) -> None:
    if json:
        print_json({"groups": [plain(g) | {"title": g.title} for g in groups],
                    "queues": {name: plain(standing) for name, standing in standings.items()}})  # fmt: skip
        return
    table = Table(box=None, pad_edge=False)
    for column in ("queue", "group", "job", "count", "last seen", "state", "what"):
        table.add_column(column, overflow="fold", justify="right" if column == "count" else "left")
    for group in groups:
        state = f"{group.state} (was {group.reopened})" if group.reopened else group.state
        row = [group.queue, group.id, group.name, f"{group.count:,}", second(group.last_seen), state]
        table.add_row(*map(_safe, row), _safe(f"{group.title}: {group.reason[:120]}"))
    console.print(table)
    for queue, standing in standings.items():
        if not standing.complete:
            errors.print(
                f"{queue}: {standing.indexed:,} of {standing.failed:,} dead letters are indexed so far.",
                markup=False,
            )
    if not groups:
        errors.print("There are no such groups.")


def show_jobs(jobs: list[Job], *, json: bool) -> None:
    """Without their data, which may be personal."""
    rows = [
        {
            "id": job.id,
            "name": job.name,
            "attemptsMade": job.attempts_made,
            "finishedAt": moment(job.finished_at),
            "failedReason": job.failed_reason,
        }
        for job in jobs
    ]
    if json:
        print_json(rows)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "name", "attempts", "failed", "reason"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        cells: list[str] = [
            job.id,
            job.name,
            str(job.attempts_made),
            second(job.finished_at),
            (job.failed_reason or "")[:160],
        ]
        table.add_row(*map(_safe, cells))
    console.print(table)


def show_letter(letter: Letter, *, data: bool, json: bool) -> None:
    fields = plain(letter)
    if not data:
        fields |= {"data": None, "checkpoint": None, "hasData": False}
    if json:
        print_json(fields)
        return
    for name in ("attempts", "logs"):
        fields.pop(name)
    print_fields(
        f"{letter.queue} {letter.id}", {n: v for n, v in fields.items() if v not in (None, "", False)}
    )
    for attempt in letter.attempts:
        console.print(f"\nattempt {attempt.number}: {attempt.error or '?'}", style="bold", markup=False)
        console.print(attempt.trace.rstrip(), markup=False)
    if letter.logs:
        console.print(f"\nlog, the last {len(letter.logs):,} of {letter.log_rows:,} rows", style="bold")
        for row in letter.logs:
            console.print(row, markup=False)


def show_operations(operations: list[Operation], *, json: bool) -> None:
    if json:
        print_json([operation_fields(operation) for operation in operations])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("id", "kind", "state", "about", "done", "of", "by", "began"):
        table.add_column(column, overflow="fold", justify="right" if column in ("done", "of") else "left")
    for operation in operations:
        cells = [operation.id, operation.kind, operation.state, operation.about, f"{operation.moved:,}",
                 f"{operation.total:,}", operation.by, second(operation.created)]  # fmt: skip
        table.add_row(*map(_safe, cells))
    console.print(table)


def operation_fields(operation: Operation) -> dict[str, Any]:
    return plain(operation) | {"final": operation.final, "undoUntil": moment(operation.undo_until)}


def show_preview(preview: Preview, kind: str) -> None:
    """The dry run, for people."""
    console.print(f"{kind}: {preview.count:,} dead letters ({preview.about}).", markup=False)
    if preview.sample:
        console.print(f"Some of them: {' '.join(preview.sample)}", markup=False)
    if kind == "discard" and preview.count > preview.bin_jobs:
        lost = preview.count - preview.bin_jobs
        errors.print(f"The bin has room for {preview.bin_jobs:,} jobs: {lost:,} would be gone for good.")


async def follow(steps: AsyncIterator[Operation], *, json: bool) -> Operation:
    """Carry an operation to its end with a progress bar. Ctrl-C leaves it to the workers."""
    last: Operation | None = None
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=json or not errors.is_terminal) as progress:
        bar = progress.add_task("…", total=None)
        async for last in steps:
            waits = f"waits for {last.breaker}" if last.state == "waiting" and last.breaker else last.state
            progress.update(bar, description=f"{last.kind} {waits}", total=last.total or None,
                            completed=last.moved + last.gone)  # fmt: skip
    assert last is not None  # noqa: S101  # for the type checker: the last step is the end
    if json:
        print_json(operation_fields(last))
        return last
    told = f"Operation {last.id} is {last.state}: {last.moved:,} of {last.total:,} jobs"
    console.print(told + (f", {last.gone:,} were not there any more." if last.gone else "."), markup=False)
    if last.binned:
        console.print(
            f"Until {moment(last.undo_until)}: corral dead undo {last.queue} {last.id}", markup=False
        )
    if last.final:
        errors.print(f"{last.final:,} jobs are gone for good: the bin was full.")
    return last
