"""`corral queues [list] | pause | resume | drain | clean | obliterate`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from cyclopts import App
from rich.table import Table

from corral.admin import Cleanable
from corral.cli.jobs import all_queue_names, queue_named, run_command
from corral.cli.output import console, errors, print_json
from corral.errors import InvalidInput
from corral.queue import Queue

app = App(name="queues", help="List queues, pause, resume, empty and remove them.")

_COLUMNS = ("waiting", "active", "delayed", "failed", "completed", "waiting-children")


@app.default
@app.command(name="list")
def list_queues(*queues: str, json: bool = False) -> None:
    """Show queues with their jobs by state. Without names, all that Redis holds under CORRAL_PREFIX.

    Parameters
    ----------
    queues: names of queues
    json: print a JSON list
    """

    async def run() -> None:
        chosen = [queue_named(name) for name in queues or await all_queue_names()]
        rows = list(await asyncio.gather(*(_row(queue) for queue in chosen)))
        if json:
            print_json(rows)
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("queue", overflow="fold")
        for column in _COLUMNS:
            table.add_column(column.replace("-", "-\n"), justify="right")
        table.add_column("")
        for row in rows:
            counts = row["counts"]
            waiting = counts["waiting"] + counts["prioritized"]
            numbers = [waiting, *(counts[column] for column in _COLUMNS[1:])]
            table.add_row(row["queue"], *[f"{n:,}" for n in numbers], "paused" if row["paused"] else "")
        console.print(table)
        if not rows:
            errors.print("Redis holds no queue under this prefix.")

    run_command(run())


async def _row(queue: Queue) -> dict[str, Any]:
    counts, paused = await asyncio.gather(queue.counts(), queue.admin.is_paused())
    return {"queue": queue.name, "paused": paused, "counts": counts}


@app.command
def pause(queue: str, *, json: bool = False) -> None:
    """Let no worker start another job of a queue; running ones end.

    Parameters
    ----------
    queue: its name
    json: print JSON
    """
    _change(queue, lambda target: target.admin.pause(), "paused", json=json)


@app.command
def resume(queue: str, *, json: bool = False) -> None:
    """Let workers go on with a paused queue.

    Parameters
    ----------
    queue: its name
    json: print JSON
    """
    _change(queue, lambda target: target.admin.resume(), "resumed", json=json)


@app.command
def drain(queue: str, *, delayed: bool = False, yes: bool = False, json: bool = False) -> None:
    """Remove all jobs that wait. Running and finished ones stay.

    Parameters
    ----------
    queue: its name
    delayed: remove delayed jobs too
    yes: do not ask
    json: print JSON
    """
    what = "waiting and delayed" if delayed else "waiting"
    confirm(queue, f"All {what} jobs of {queue} will be removed.", yes=yes)
    _change(queue, lambda target: target.admin.drain(delayed=delayed), "removed", json=json)


@app.command
def clean(
    queue: str,
    state: Cleanable,
    *,
    older_than: float = 0,
    limit: int | None = None,
    yes: bool = False,
    json: bool = False,
) -> None:
    """Remove jobs of one state.

    Parameters
    ----------
    queue: its name
    state: which jobs
    older_than: only those that finished, or were last started or added, more than so many seconds ago
    limit: remove at most so many
    yes: do not ask
    json: print JSON
    """
    age = f" older than {older_than:g} s" if older_than else ""
    confirm(queue, f"The {state} jobs of {queue}{age} will be removed.", yes=yes)
    _change(
        queue,
        lambda target: target.admin.clean(state, older_than=older_than, limit=limit),
        "removed",
        json=json,
    )


@app.command
def obliterate(queue: str, *, force: bool = False, yes: bool = False, json: bool = False) -> None:
    """Remove a queue with all its jobs, schedules, events and settings.

    Parameters
    ----------
    queue: its name
    force: also if jobs run
    yes: do not ask
    json: print JSON
    """
    confirm(queue, f"The queue {queue} and everything in it will be removed.", yes=yes)
    _change(queue, lambda target: target.admin.obliterate(force=force), "obliterated", json=json)


def confirm(queue: str, warning: str, *, yes: bool) -> None:
    """Have the queue's name typed before something is destroyed. Raises InvalidInput if it is not."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{warning} Nobody can be asked here: say --yes if that is wanted.")
    errors.print(f"{warning} Type its name to go on: ", end="", markup=False)
    if sys.stdin.readline().strip() != queue:
        raise InvalidInput("That is not its name. Nothing was changed.")


def _change(
    name: str, change: Callable[[Queue], Coroutine[Any, Any, int | None]], done: str, *, json: bool
) -> None:
    async def run() -> None:
        count = await change(queue_named(name))
        if json:
            print_json({"queue": name, done: True if count is None else count})
        elif count is None:
            console.print(f"{name}: {done}.", markup=False)
        else:
            console.print(f"{name}: {count:,} jobs {done}.", markup=False)

    run_command(run())
