"""`corral workers [list] | quiet | stop`, and `corral worker --quiet`: what running workers are told."""

from __future__ import annotations

from cyclopts import App

from corral.audit import local_actor
from corral.bullmq.connection import Address, shared_client
from corral.bullmq.ordering import Wish
from corral.cli.jobs import run_command
from corral.cli.output import console, print_json
from corral.cli.stats import workers
from corral.settings import Settings
from corral.worker_orders import tell_workers

app = App(name="workers", help="See the workers that run; let them take no new jobs, or stop them.")
app.default(workers)
app.command(workers, name="list")


@app.command
def quiet(worker: str, *, json: bool = False) -> None:
    """Let workers take no new jobs; they end those they have and stay until they are stopped.

    Parameters
    ----------
    worker: name of a worker or of a host, or all
    json: print JSON
    """
    give_order(worker, "quiet", json=json)


@app.command
def stop(worker: str, *, json: bool = False) -> None:
    """Stop workers as SIGTERM does. A supervisor then starts a fresh one in its place.

    Parameters
    ----------
    worker: name of a worker or of a host, or all
    json: print JSON
    """
    give_order(worker, "stop", json=json)


def give_order(who: str, wish: Wish, *, json: bool) -> None:
    """Give it and say to whom. Raises UnknownWorker, RedisUnavailable."""

    async def run() -> None:
        settings = Settings.load()
        client = shared_client(Address.resolve(settings=settings))
        told = await tell_workers(client, settings.prefix, who, wish, local_actor())
        if json:
            print_json({"order": wish, "workers": [worker.name for worker in told]})
            return
        for worker in told:
            console.print(f"{worker.name}: told to {_DOES[wish]} ({worker.busy:,} jobs run).", markup=False)

    run_command(run())


_DOES: dict[Wish, str] = {"quiet": "take no new jobs", "stop": "stop"}
