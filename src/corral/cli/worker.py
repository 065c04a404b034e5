"""`corral worker`: worker processes under a supervisor that restarts what dies."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError
from corral.observe.alerts.watching import watching
from corral.observe.health import serve_health
from corral.observe.logs import configure_logs
from corral.settings import Settings
from corral.worker.supervise import Supervisor

#: More processes than this on one host belong on more hosts.
MAX_PROCESSES = 64


def worker(
    target: str | None = None,
    *,
    queues: str = "",
    processes: int = 1,
    concurrency: int = 20,
    until_empty: bool = False,
    health_port: int | None = None,
    json: bool | None = None,
) -> int:
    """Run workers until SIGTERM: for TARGET (package.module:name), or for the built-in queues.

    Parameters
    ----------
    target: a Queue, a list of Queues or a Worker, as package.module:name
    queues: only these queues, separated by commas
    processes: worker processes
    concurrency: slots for each queue in each process; a queue that declares fewer keeps to its own number
    until_empty: end when no job waits or runs
    health_port: answer GET /healthz here, on all addresses; red while a process or Redis is away
    json: log lines as JSON (default: unless standard error is a terminal)
    """
    configure_logs(json=json)
    if not 1 <= processes <= MAX_PROCESSES:
        raise ConfigurationError(f"--processes {processes}: choose 1 to {MAX_PROCESSES}.")
    settings = Settings.load()

    async def run() -> int:
        async with contextlib.AsyncExitStack() as around:
            around.push_async_callback(close_shared_clients)
            folder = around.enter_context(tempfile.TemporaryDirectory(prefix="corral-health-"))
            command = [sys.executable, "-m", "corral.worker.process"]
            command += [target] if target else []
            command += ["--queues", queues, "--concurrency", str(concurrency), "--health-dir", folder]
            command += ["--until-empty"] if until_empty else []
            command += ["--json-logs"] if json else []
            supervisor = Supervisor(command, processes, settings.grace_seconds, until_empty=until_empty)
            if not until_empty:
                await around.enter_async_context(watching(settings, expects_redis=target is None))
            if health_port is None:
                return await supervisor.run()
            async with serve_health(health_port, Path(folder), processes):
                return await supervisor.run()

    return asyncio.run(run())
