"""`corral api`: the HTTP service on its own."""

from __future__ import annotations

from corral.api.server import run
from corral.observe.logs import configure_logs
from corral.observe.traces import configure_traces
from corral.queues import built_in
from corral.settings import Settings


def api(*, host: str = "127.0.0.1", port: int = 3000, json: bool | None = None) -> None:
    """Serve the HTTP API until SIGTERM. Needs CORRAL_API_KEYS.

    Parameters
    ----------
    host: address to listen on
    port: port to listen on; 0 takes a free one
    json: log lines as JSON (default: unless standard error is a terminal)
    """
    configure_logs(json=json)
    configure_traces("corral-api")
    run(Settings.load(), host, port, built_in())
