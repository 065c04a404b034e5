"""`corral keys [list] | create | revoke | rotate`: the managed keys of the HTTP service."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from cyclopts import App
from rich.markup import escape
from rich.table import Table

from corral.audit import local_actor
from corral.bullmq.connection import Address, shared_client
from corral.cli.jobs import run_command
from corral.cli.output import console, errors, moment, print_fields, print_json
from corral.credentials.grants import Role
from corral.credentials.managed import OVERLAP_SECONDS, ManagedKeys, NewKey
from corral.credentials.records import ManagedKey, read_expiry
from corral.settings import Settings

app = App(name="keys", help="Create, list, revoke and rotate keys of the HTTP service.")

_TIMES = ("created", "expires", "last_used", "revoked")


@app.default
@app.command(name="list")
def list_keys(*, json: bool = False) -> None:
    """Show the managed keys. Those of CORRAL_API_KEYS are not among them.

    Parameters
    ----------
    json: print a JSON list
    """

    async def run() -> None:
        rows = await _keys().list()
        if json:
            print_json([_json(row) for row in rows])
            return
        table = Table(box=None, pad_edge=False)
        for column in ("id", "name", "role", "state", "queues", "rate", "expires", "last used", "note"):
            table.add_column(column, overflow="fold")
        for row in rows:
            queues = "all" if row.queues is None else " ".join(row.queues)
            times = (moment(row.expires) or "never", moment(row.last_used) or "-")
            table.add_row(
                row.id, row.name, row.role, row.state, queues, row.rate or "-", *times, escape(row.note)
            )
        console.print(table)
        if not rows:
            errors.print("There is no managed key.")

    run_command(run())


@app.command
def create(
    name: str,
    *,
    role: Role,
    queues: str = "",
    expires: str = "",
    rate: str = "",
    note: str = "",
    json: bool = False,
) -> None:
    """Make a key. Its secret is shown this once.

    Parameters
    ----------
    name: what logs and the audit log call it
    role: enqueue, read or admin
    queues: the only queues it is for, with commas between (default: all)
    expires: the last day it is taken, as 2027-01-31 (UTC), or 90d, or 12h (default: never)
    rate: requests to each process of the service, as 100/s, 1000/m (default: any number)
    note: for those who see the list
    json: print JSON
    """
    ends = read_expiry(expires, time.time()) if expires else None
    chosen = [queue.strip() for queue in queues.split(",") if queue.strip()] or None

    async def run() -> None:
        made = await _keys().create(
            name, role, actor=local_actor(), queues=chosen, expires=ends, rate=rate or None, note=note
        )
        _show(made, json=json)

    run_command(run())


@app.command
def revoke(key: str, *, json: bool = False) -> None:
    """Take a key no longer: on every process of the service within five seconds.

    Parameters
    ----------
    key: its id or name
    json: print JSON
    """

    async def run() -> None:
        row = await _keys().revoke(key, actor=local_actor())
        if json:
            print_json(_json(row))
        else:
            console.print(f"{row.name} ({row.id}): revoked.", markup=False)

    run_command(run())


@app.command
def rotate(key: str, *, overlap: float = OVERLAP_SECONDS, json: bool = False) -> None:
    """Make a key's successor, and show its secret this once. Both are taken until the overlap is over.

    Parameters
    ----------
    key: its id or name
    overlap: seconds that the old key is still taken
    json: print JSON
    """

    async def run() -> None:
        _show(await _keys().rotate(key, actor=local_actor(), overlap=overlap), json=json)

    run_command(run())


def _keys() -> ManagedKeys:
    settings = Settings.load()
    return ManagedKeys(shared_client(Address.resolve(settings=settings)), settings.prefix)


def _show(made: NewKey, *, json: bool) -> None:
    if json:
        print_json({"key": _json(made.key), "secret": made.secret})
        return
    print_fields(made.key.name, _json(made.key))
    errors.print("Its secret, which nobody can show again:")
    console.print(made.secret, markup=False, soft_wrap=True)


def _json(row: ManagedKey) -> dict[str, Any]:
    fields = asdict(row)
    return fields | {name: moment(fields[name]) for name in _TIMES}
