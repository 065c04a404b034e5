"""`corral stats [QUEUE…]` and `corral workers`: what queues did lately, and who works on them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from redis.exceptions import RedisError
from rich.table import Table

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.cli.jobs import all_queue_names, queue_named, run_command
from corral.cli.output import console, errors, moment, print_json, second
from corral.errors import InvalidInput
from corral.observe.stand import RECENT_MINUTES, read_standing, read_workers
from corral.observe.standing import QueueStanding, Recent, WorkerStanding
from corral.settings import Settings

_COLUMNS = (
    "queue", "in/s", "out/s", "failed", "wait p50", "wait p95", "wait p99", "run p50", "run p95", "run p99",
    "waiting", "oldest", "drained in", "",
)  # fmt: skip
#: What a terminal of 80 columns has no room for.
_ONLY_WIDE = ("wait p50", "wait p99", "run p50", "run p99", "drained in")
_WIDE = 120


def stats(*queues: str, minutes: int = RECENT_MINUTES, names: bool = False, json: bool = False) -> None:
    """Show what queues did in the last minutes. Without names of queues, all that Redis holds.

    Parameters
    ----------
    queues: names of queues
    minutes: so many, up to 1440
    names: a line for each job name, too
    json: print a JSON list
    """
    if not 1 <= minutes <= 1_440:
        raise InvalidInput(f"--minutes {minutes}: 1 to 1,440 are kept.")

    async def run() -> None:
        chosen = [queue_named(name) for name in queues or await all_queue_names()]
        standing = await read_standing(chosen, server=False, minutes=minutes)
        rows = sorted(standing.queues.values(), key=lambda one: one.queue)
        if json:
            print_json([_queue_json(one) for one in rows])
            return
        table = Table(box=None, pad_edge=False)
        shown = _shown(console.width)
        for number in shown:
            header, number_like = _COLUMNS[number].replace(" ", "\n"), 0 < number < 13
            justify: Literal["left", "right"] = "right" if number_like else "left"
            table.add_column(header, overflow="fold", justify=justify, no_wrap=number_like)
        for one in rows:
            cells = [one.queue, *_numbers(one.recent), *_now(one)]
            table.add_row(*(cells[number] for number in shown))
            for name, recent in sorted(one.names.items()) if names else ():
                cells = [f"  {name}", *_numbers(recent), "", "", "", ""]
                table.add_row(*(cells[number] for number in shown))
        console.print(table)
        if not rows:
            errors.print("Redis holds no queue under this prefix.")

    run_command(run())


def _shown(width: int) -> list[int]:
    """The numbers of the columns that a terminal of so many characters shows."""
    return [n for n, column in enumerate(_COLUMNS) if width >= _WIDE or column not in _ONLY_WIDE]


def _numbers(recent: Recent) -> list[str]:
    times = (
        recent.wait_p50,
        recent.wait_p95,
        recent.wait_p99,
        recent.run_p50,
        recent.run_p95,
        recent.run_p99,
    )
    return [
        f"{recent.arrived / recent.window_seconds:,.3g}",
        f"{recent.per_second:,.3g}",
        f"{recent.failure_rate:.1%}",
        *(duration(seconds) for seconds in times),
    ]


def _now(one: QueueStanding) -> list[str]:
    held = sum(one.held.values())
    notes = [
        "paused" if one.paused else "",
        f"{held:,} held" if held else "",
        f"unknown: {', '.join(one.unknown_names)}" if one.unknown_names else "",
        f"late: {', '.join(one.late_schedules)}" if one.late_schedules else "",
    ]
    return [
        f"{one.waiting:,}",
        duration(one.oldest_waiting_seconds),
        duration(one.drain_seconds) if one.waiting else "-",
        "; ".join(note for note in notes if note),
    ]


def _queue_json(one: QueueStanding) -> dict[str, Any]:
    return asdict(one) | {
        "waiting": one.waiting,
        "drain_seconds": one.drain_seconds,
        "recent": _recent_json(one.recent),
        "names": {name: _recent_json(recent) for name, recent in one.names.items()},
    }


def _recent_json(recent: Recent) -> dict[str, Any]:
    return asdict(recent) | {"failure_rate": recent.failure_rate, "per_second": recent.per_second}


def workers(*, json: bool = False) -> None:
    """Show the worker processes that live. One that was killed is gone within 30 seconds.

    Parameters
    ----------
    json: print a JSON list
    """

    async def run() -> None:
        settings = Settings.load()
        try:
            found = await read_workers(shared_client(Address.resolve(settings=settings)), settings.prefix)
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "its workers") from error
        if json:
            print_json([_worker_json(worker) for worker in found])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("worker", "version", "queues", "busy", "done", "memory", "cpu", "lag", "started", ""):
            table.add_column(column, overflow="fold")
        for worker in found:
            table.add_row(*_worker_cells(worker))
        console.print(table)
        if not found:
            errors.print("No worker runs.")

    run_command(run())


def _worker_cells(worker: WorkerStanding) -> list[str]:
    notes = ["takes no new jobs"] if worker.quiet else []
    notes += [f"in place of {worker.replaces}"] if worker.replaces else []
    return [
        worker.name,
        worker.version,
        ", ".join(worker.queues),
        f"{worker.busy:,}/{worker.slots:,}",
        "-" if worker.done_per_second is None else f"{worker.done_per_second:,.1f}/s",
        f"{worker.memory_bytes / 2**20:,.0f} MiB",
        f"{worker.cpu_percent:.0f} %",
        duration(worker.loop_lag_seconds),
        second(worker.started_at),
        "; ".join(notes),
    ]


def _worker_json(worker: WorkerStanding) -> dict[str, Any]:
    jobs = [asdict(job) | {"started_at": moment(job.started_at)} for job in worker.jobs]
    times = {"started_at": moment(worker.started_at), "beat_at": moment(worker.beat_at)}
    return asdict(worker) | times | {"jobs": jobs}


def duration(seconds: float | None) -> str:
    """As people read it, in three digits: 12.3 ms, 4.5 s, 3 min, 2 h."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((1.0, 0.001, "ms"), (120.0, 1.0, "s"), (7_200.0, 60.0, "min")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3_600:,.0f} h"
