"""`corral dashboard`: the page for operators; `corral dashboard password` makes a hash for a user of it."""

from __future__ import annotations

import gc
import getpass
import sys

import uvloop
from cyclopts import App

from corral.api.loopback import is_loopback
from corral.api.server import HttpServer
from corral.bullmq.connection import close_shared_clients
from corral.cli.output import console, errors, print_json
from corral.dashboard.app import Dashboard
from corral.dashboard.serving import NOT_BUILT
from corral.dashboard.users import LONGEST_PASSWORD_CHARS, SHORTEST_PASSWORD_CHARS, Users, hash_password
from corral.errors import InvalidInput
from corral.observe.depth_watch import keeping_depths
from corral.observe.logs import configure_logs
from corral.queues import built_in
from corral.settings import Settings

app = App(name="dashboard", help="Serve the page for operators; make a password for it.")


@app.default
def serve(*, port: int = 3002, host: str = "127.0.0.1", json: bool | None = None) -> None:
    """Serve the dashboard until SIGTERM.

    Parameters
    ----------
    port: where to listen; 0 takes a free one
    host: the address to listen on
    json: log lines as JSON (default: unless standard error is a terminal)
    """
    configure_logs(json=json)
    settings = Settings.load()
    users = Users.of(settings)
    if not is_loopback(host) and not settings.dashboard_url.startswith("https://"):
        errors.print(
            "The dashboard listens where others can reach it, and CORRAL_DASHBOARD_URL is not https: "
            "passwords travel in the open unless something in front of it speaks TLS.",
            style="yellow",
        )

    dashboard = Dashboard(settings, users, built_in())
    if "index.html" not in dashboard.site.pages:
        errors.print(NOT_BUILT.detail, style="yellow")
    # What was made so far stays: without this each full collection would walk it, between two answers.
    gc.collect()
    gc.freeze()

    async def run() -> None:
        server = HttpServer(dashboard, name="dashboard", host=host, port=port, signals=True)
        try:
            await server.start()
            async with keeping_depths(settings):
                await server.wait()
        finally:
            await close_shared_clients()

    uvloop.run(run())


@app.command
def password(*, json: bool = False) -> None:
    """Print the hash of a password, for CORRAL_DASHBOARD_USERS. Asks for it, or reads it from standard input.

    Parameters
    ----------
    json: print JSON
    """
    given = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not SHORTEST_PASSWORD_CHARS <= len(given) <= LONGEST_PASSWORD_CHARS:
        raise InvalidInput(
            f"A password has {SHORTEST_PASSWORD_CHARS} to {LONGEST_PASSWORD_CHARS:,} characters."
        )
    made = hash_password(given)
    if json:
        print_json({"hash": made})
    else:
        console.print(made, markup=False, soft_wrap=True)
