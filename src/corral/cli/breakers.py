"""`corral breakers [list] | show | test | resume | hold`: see why a provider's jobs are held, and end it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cyclopts import App
from rich.table import Table

from corral.breakers import Breakers, BreakerStatus
from corral.cli.jobs import run_command
from corral.cli.output import console, errors, moment, print_fields, print_json
from corral.errors import InvalidInput

if TYPE_CHECKING:
    from corral.providers.trying import Tried

app = App(name="breakers", help="See which providers' jobs are held, test a key, let the jobs go.")


@app.default
@app.command(name="list")
def list_breakers(*, json: bool = False) -> None:
    """Show the breakers of all providers that ever had one open.

    Parameters
    ----------
    json: print a JSON list
    """

    async def run() -> None:
        rows = await Breakers().all()
        if json:
            print_json([_json(row) for row in rows])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("provider", "state", "since", "held", "reason"):
            table.add_column(column, overflow="fold", justify="right" if column == "held" else "left")
        for row in rows:
            reason = row.reason if row.state != "closed" else ""
            table.add_row(row.name, row.state, moment(row.since) or "-", f"{row.held:,}", reason)
        console.print(table)
        if not rows:
            errors.print("No breaker has opened yet.")

    run_command(run())


@app.command
def show(provider: str, *, jobs: int = 10, json: bool = False) -> None:
    """Show one breaker, and jobs that it holds.

    Parameters
    ----------
    provider: its name
    jobs: show at most so many of the held jobs
    json: print JSON
    """

    async def run() -> None:
        status = await Breakers().get(provider)
        held = [f"{job.queue}:{job.id}" for job in await Breakers().held(provider, count=max(0, jobs))]
        if json:
            print_json(_json(status) | {"jobs": held})
        else:
            print_fields(provider, _json(status) | {"jobs": " ".join(held) or None})

    run_command(run())


@app.command
def resume(provider: str, *, rate: str = "", json: bool = False) -> None:
    """Close a breaker now: its held jobs run again.

    Parameters
    ----------
    provider: its name
    rate: held jobs a second over all workers, as 5 or 5/s (default: CORRAL_BREAKER_RATE)
    json: print JSON
    """
    pace = read_rate(rate) if rate else None

    async def run() -> None:
        status = await Breakers().resume(provider, rate=pace)
        if json:
            print_json(_json(status))
        else:
            told = f"{provider}: closed; {status.held:,} held jobs run again, {status.rate:g} a second."
            console.print(told, markup=False)

    run_command(run())


@app.command
def hold(provider: str, *, reason: str, json: bool = False) -> None:
    """Open a breaker by hand: jobs that need the provider are held until resume, nobody tries it meanwhile.

    Parameters
    ----------
    provider: its name
    reason: why, for those who see it
    json: print JSON
    """

    async def run() -> None:
        status = await Breakers().hold(provider, reason)
        if json:
            print_json(_json(status))
        else:
            console.print(f"{provider}: its jobs are held from now on.", markup=False)

    run_command(run())


@app.command(name="test")
def test_key(provider: str, *, json: bool = False) -> int:  # noqa: PT028  # a command, no test
    """Ask a provider whether it takes our key, with the settings as they are now. Changes nothing.

    Exit code 0: it does; 1: it does not, or nobody can say.

    Parameters
    ----------
    provider: its name
    json: print JSON
    """
    # HTTP clients of providers: for this one command (decision 7).
    from corral.providers import close_providers  # noqa: PLC0415  # as above
    from corral.providers.trying import try_key  # noqa: PLC0415  # as above

    tried: list[Tried] = []

    async def run() -> None:
        try:
            tried.append(await try_key(provider))
        finally:
            await close_providers()

    run_command(run())
    found = tried[0]
    milliseconds = round(found.seconds * 1000)
    if json:
        told = {"provider": provider, "ok": found.ok, "kind": found.kind, "reason": found.reason}
        print_json(told | {"milliseconds": milliseconds})
    elif found.ok:
        console.print(f"{provider}: the key works ({milliseconds} ms).", markup=False)
    else:
        console.print(f"{provider}: {found.kind}: {found.reason}", markup=False)
    return 0 if found.ok else 1


def read_rate(text: str) -> float:
    """Jobs a second from `5` or `5/s`. Raises InvalidInput."""
    try:
        return float(text.removesuffix("/s"))
    except ValueError:
        raise InvalidInput(f"--rate {text}: jobs a second, as 5 or 5/s.") from None


def _json(status: BreakerStatus) -> dict[str, Any]:
    times = {"since": moment(status.since), "next_probe": moment(status.next_probe)}
    return asdict(status) | times
