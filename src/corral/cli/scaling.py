"""`corral scaling`: how worker processes were scaled, and why."""

from __future__ import annotations

import msgspec
from redis.exceptions import RedisError
from rich.table import Table

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.failures import as_corral_error
from corral.cli.jobs import run_command
from corral.cli.output import console, errors, moment, print_json
from corral.scaling import scaling_decisions
from corral.settings import Settings


def scaling(*, count: int = 20, json: bool = False) -> None:
    """Show the newest decisions of the autoscalers of all hosts, newest first.

    Parameters
    ----------
    count: at most so many
    json: print a JSON list, with what each decision saw
    """

    async def run() -> None:
        settings = Settings.load()
        client = shared_client(Address.resolve(settings=settings))
        try:
            found = await scaling_decisions(client, settings.prefix, count=max(1, count))
        except (RedisError, OSError) as error:
            raise as_corral_error(error, "the scaling decisions") from error
        if json:
            print_json([msgspec.to_builtins(decision) for decision in found])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("at", "host", "decision"):
            table.add_column(column, overflow="fold")
        for decision in found:
            table.add_row(moment(decision.at), decision.host, decision.reason)
        console.print(table)
        if not found:
            errors.print("No decision yet: they are made by corral worker --processes MIN..MAX.")

    run_command(run())
