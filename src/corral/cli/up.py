"""`corral up`: the whole service on this machine, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import uvloop

from corral.cli.output import errors, print_json
from corral.cli.stack import Stack
from corral.observe.logs import configure_logs
from corral.observe.traces import configure_traces


def up(
    *,
    api_port: int = 3000,
    dashboard_port: int | None = None,
    host: str = "127.0.0.1",
    data_dir: Path = Path(".corral"),
    processes: int = 1,
    sandbox: bool = True,
    json: bool = False,
) -> int:
    """Start Redis, the HTTP API and the workers, and stay up until Ctrl-C.

    Parameters
    ----------
    api_port: port of the HTTP API; 0 takes a free one
    dashboard_port: kept for the dashboard, which this version does not have yet
    host: address the HTTP API listens on
    data_dir: where the embedded server, images and keys are kept
    processes: worker processes
    sandbox: providers without a key talk to the local sandbox instead
    json: print where the service listens as JSON, and log lines as JSON
    """
    configure_logs(json=json or None)
    configure_traces("corral")
    if dashboard_port is not None:
        errors.print("This version has no dashboard yet; --dashboard-port has no effect.")

    async def run() -> int:
        stack = Stack(data_dir=data_dir, host=host, api_port=api_port, processes=processes, sandbox=sandbox)
        async with stack:
            _announce(stack, json=json)
            return await stack.workers.run()

    return uvloop.run(run())


def _announce(stack: Stack, *, json: bool) -> None:
    if json:
        print_json({"api": stack.api.url, "key": stack.key or None, "sandbox": stack.sandbox_url})
        return
    for line in greeting(stack.api.url, stack.key, stack.data_dir, stack.sandbox_url):
        errors.print(line)


def greeting(api_url: str, key: str, data_dir: Path, sandbox_url: str | None) -> list[str]:
    """What somebody at a terminal reads when everything runs."""
    lines = [f"[bold]Corral is up.[/bold] API: {api_url}"]
    if key:
        lines.append(f"Key: {key}  (kept in {data_dir}/api-key)")
    if sandbox_url:
        lines.append(
            "[yellow]Sandbox mode:[/yellow] providers without a key are local stand-ins; nothing is real."
        )
        lines.append(f"Outbox, what they received: {sandbox_url}/outbox")
    return lines
