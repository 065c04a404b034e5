"""`corral webhooks list | enable | test`."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cyclopts import App
from rich.table import Table

from corral.bullmq.connection import Address, shared_client
from corral.bullmq.endpoints import Endpoints, EndpointState, digest
from corral.cli.jobs import run_command
from corral.cli.output import console, errors, moment, print_json
from corral.data import encode
from corral.errors import InvalidInput
from corral.hook_settings import HookSettings
from corral.providers import close_providers, providers
from corral.providers.errors import ProviderError
from corral.settings import Settings

app = App(name="webhooks", help="Endpoints that are told when jobs end.")


@app.default
@app.command(name="list")
def list_endpoints(*, json: bool = False) -> None:
    """Show the endpoints of CORRAL_WEBHOOKS, and all others that are disabled or failed last.

    Parameters
    ----------
    json: print a JSON list
    """

    async def run() -> None:
        settings = Settings.load()
        configured = {digest(each.url): each.url for each in HookSettings.of(settings).endpoints}
        known = {name: EndpointState(name, url) for name, url in configured.items()}
        known |= {state.id: state for state in await _endpoints(settings).all()}
        rows = [_row(state) for state in known.values()]
        if json:
            print_json(rows)
            return
        table = Table(box=None, pad_edge=False)
        table.add_column("id", no_wrap=True)  # to be copied
        for column in ("url", "state", "failures", "since", "reason"):
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(str(row[c] if row[c] is not None else "") for c in _COLUMNS))
        console.print(table)
        if not rows:
            errors.print("No endpoint is configured, disabled or failing.")

    run_command(run())


_COLUMNS = ("id", "url", "state", "failures", "disabledAt", "reason")


@app.command
def enable(endpoint: str, *, json: bool = False) -> None:
    """Send to a disabled endpoint again.

    Parameters
    ----------
    endpoint: its id, or its whole URL
    json: print JSON
    """

    async def run() -> None:
        if not await _endpoints(Settings.load()).forget(endpoint):
            raise InvalidInput("No such endpoint is disabled or failing. See corral webhooks list.")
        if json:
            print_json({"endpoint": endpoint, "enabled": True})
        else:
            console.print("Enabled. What was for it meanwhile is not sent.", markup=False)

    run_command(run())


@app.command(name="test")
def send_test(url: str, *, json: bool = False) -> int:
    """Send a signed message of the type webhook.test to URL, and say what came of it.

    Parameters
    ----------
    url: where to
    json: print JSON
    """
    result: dict[str, Any] = {}

    async def run() -> None:
        HookSettings.load().checked(url)
        message_id = f"msg_{secrets.token_hex(16)}"
        at = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
        body = {"type": "webhook.test", "timestamp": at.replace("+00:00", "Z"), "data": {}}
        result.update(webhookId=message_id, delivered=False)
        try:
            result["status"] = await (await providers()).webhooks.send(url, message_id, encode(body))
            result["delivered"] = True
        except ProviderError as error:
            result["reason"] = error.reason
        finally:
            await close_providers()

    asyncio.run(run())
    if json:
        print_json(result)
    elif result["delivered"]:
        console.print(f"Delivered: the endpoint answered {result['status']}.", markup=False)
    else:
        errors.print(f"Not delivered: {result['reason']}.", style="red", markup=False)
    return 0 if result["delivered"] else 1


def _endpoints(settings: Settings) -> Endpoints:
    return Endpoints(shared_client(Address.resolve(settings=settings)), settings.prefix)


def _row(state: EndpointState) -> dict[str, Any]:
    disabled = state.disabled_at is not None
    return {
        "id": state.id,
        "url": _shown(state.url),
        "state": "disabled" if disabled else "failing" if state.failures else "enabled",
        "failures": state.failures,
        "disabledAt": moment(state.disabled_at),
        "reason": state.reason or None,
    }


def _shown(url: str) -> str:
    """The URL without its query, where keys are."""
    parts = urlsplit(url)
    return parts._replace(query="…" if parts.query else "", fragment="").geturl()
