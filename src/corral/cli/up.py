"""`corral up`: the whole service on this machine, until Ctrl-C."""

from __future__ import annotations

import os
from pathlib import Path

import uvloop

from corral.api.lookup import answering
from corral.bullmq.connection import Address, shared_client
from corral.cli.output import errors, print_json
from corral.cli.stack import FIRST_USER, Stack
from corral.errors import RedisRefused, RedisUnavailable
from corral.observe.logs import configure_logs
from corral.observe.traces import configure_traces
from corral.settings import Settings
from corral.worker.autoscale import Bounds


def up(
    *,
    api_port: int = 3000,
    dashboard_port: int = 3002,
    host: str = "127.0.0.1",
    data_dir: Path = Path(".corral"),
    processes: str = "1",
    sandbox: bool = True,
    json: bool = False,
) -> int:
    """Start Redis, the HTTP API, the dashboard and the workers, and stay up until Ctrl-C.

    Parameters
    ----------
    api_port: port of the HTTP API; 0 takes a free one
    dashboard_port: port of the dashboard; 0 takes a free one
    host: address that both listen on
    data_dir: where the embedded server, images and keys are kept
    processes: worker processes; MIN..MAX lets their number follow the load
    sandbox: providers without a key talk to the local sandbox instead
    json: print where the service listens as JSON, and log lines as JSON
    """
    configure_logs(json=json or None)
    configure_traces("corral")
    if "environment" not in Settings.load().model_fields_set:  # the name that the dashboard shows
        os.environ["CORRAL_ENVIRONMENT"] = "local"
    bounds = Bounds.parse(processes)

    async def run() -> int:
        stack = Stack(
            data_dir=data_dir,
            host=host,
            api_port=api_port,
            dashboard_port=dashboard_port,
            processes=bounds,
            sandbox=sandbox,
        )
        async with stack:
            announce(stack, json=json)
            if warning := await missing_redis(Address.resolve(settings=Settings.load())):
                errors.print(f"[red]{warning}[/red]", soft_wrap=True)
            return await stack.workers.run()

    return uvloop.run(run())


async def missing_redis(address: Address) -> str | None:
    """What to know if Redis does not answer at the start; None if it does. One round trip.

    Nothing ends for it: a service may well start before its Redis.
    """
    try:
        async with answering():
            await shared_client(address).ping()
    except RedisRefused as error:
        return str(error)
    except RedisUnavailable:
        return (
            f"Redis does not answer at {address.place}. Is it running, and is REDIS_URL its address? "
            "Until it does, the API answers 503 and workers go on trying."
        )
    return None


def announce(stack: Stack, *, json: bool) -> None:
    """Say where it listens, and with what one gets in."""
    dashboard = stack.dashboard.url if stack.dashboard else None
    if json:
        print_json({
            "api": stack.api.url,
            "key": stack.key or None,
            "dashboard": dashboard,
            "password": stack.password or None,
            "sandbox": stack.sandbox_url,
        })  # fmt: skip
        return
    lines = greeting(
        stack.api.url,
        stack.key,
        stack.data_dir,
        stack.sandbox_url,
        dashboard=dashboard,
        password=stack.password,
        own_user=stack.own_user,
    )
    for line in lines:
        errors.print(line, soft_wrap=True)


def greeting(
    api_url: str,
    key: str,
    data_dir: Path,
    sandbox_url: str | None,
    *,
    dashboard: str | None = None,
    password: str = "",
    own_user: bool = False,
) -> list[str]:
    """What somebody at a terminal reads when everything runs.

    own_user: the dashboard's user is the one made here, at this start or at one before.
    """
    lines = [f"[bold]Corral is up.[/bold] API: {api_url}"]
    if key:
        lines.append(f"Key: {key}  (kept in {data_dir}/api-key)")
    if dashboard:
        lines.append(f"Dashboard: {dashboard}")
    if password:
        lines.append(
            f"Sign in as {FIRST_USER} with {password}  (shown this once; remove {data_dir}/dashboard-users "
            "to have another made)"
        )
    elif own_user:
        lines.append(
            f"Sign in as {FIRST_USER} with the password of the first start  (lost? Remove "
            f"{data_dir}/dashboard-users and start again)"
        )
    if sandbox_url:
        lines.append(
            "[yellow]Sandbox mode:[/yellow] providers without a key are local stand-ins; nothing is real."
        )
        lines.append(f"Outbox, what they received: {sandbox_url}/outbox")
    return lines
