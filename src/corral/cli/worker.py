"""`corral worker`: worker processes under a supervisor that restarts what dies, scales and replaces them."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from corral.api.worker_metrics import metrics_page
from corral.bullmq.connection import close_shared_clients
from corral.cli.worker_control import give_order
from corral.errors import ConfigurationError
from corral.observe.alerts.watching import watching
from corral.observe.health import serve_health
from corral.observe.logs import configure_logs
from corral.observe.process_folder import ProcessFolder
from corral.settings import Settings
from corral.worker.autoscale import Bounds
from corral.worker.host import Host
from corral.worker.recycle import Limits


def worker(
    target: str | None = None,
    *,
    queues: str = "",
    processes: str = "1",
    concurrency: int = 20,
    until_empty: bool = False,
    max_jobs_per_process: int | None = None,
    max_memory_mb: float | None = None,
    health_port: int | None = None,
    quiet: str | None = None,
    json: bool | None = None,
) -> int:
    """Run workers until SIGTERM: for TARGET (package.module:name), or for the built-in queues.

    Parameters
    ----------
    target: a Queue, a list of Queues or a Worker, as package.module:name
    queues: only these queues, separated by commas
    processes: worker processes; MIN..MAX lets their number follow the load
    concurrency: slots for each queue in each process; a queue that declares fewer keeps to its own number
    until_empty: end when no job waits or runs
    max_jobs_per_process: replace a process after so many jobs, without a gap
    max_memory_mb: replace a process whose memory, with its children, has grown beyond this
    health_port: answer GET /healthz and /readyz here, on all addresses, and /metrics to who has a key
    quiet: run nothing; tell running workers (a name, a host, or all) to take no new jobs
    json: log lines as JSON (default: unless standard error is a terminal)
    """
    if quiet is not None:
        give_order(quiet, "quiet", json=bool(json))
        return 0
    configure_logs(json=json)
    settings = Settings.load()

    async def run() -> int:
        async with contextlib.AsyncExitStack() as around:
            around.push_async_callback(close_shared_clients)
            folder = Path(around.enter_context(tempfile.TemporaryDirectory(prefix="corral-health-")))
            host = Host(
                folder=folder,
                processes=Bounds.parse(processes),
                target=target,
                queues=[queue for queue in queues.split(",") if queue],
                concurrency=concurrency,
                until_empty=until_empty,
                limits=limits_of(max_jobs_per_process, max_memory_mb),
                options=["--json-logs"] if json else [],
            )
            supervisor = host.supervisor(settings)
            numbers = ProcessFolder(folder)
            await around.enter_async_context(numbers.tidied())
            if not until_empty:
                await around.enter_async_context(watching(settings, expects_redis=target is None))
            if health_port is not None:
                keys = settings.api_keys.get_secret_value()
                pages = {"/metrics": metrics_page(numbers, lambda: supervisor.restarts, keys)}
                health = serve_health(health_port, folder, lambda: supervisor.wanted, pages=pages)
                await around.enter_async_context(health)
            return await supervisor.run()

    return asyncio.run(run())


def limits_of(jobs: int | None, memory_mb: float | None) -> Limits:
    """When a process is replaced. Raises ConfigurationError."""
    if jobs is not None and jobs < 1:
        raise ConfigurationError(f"--max-jobs-per-process {jobs}: at least 1.")
    if memory_mb is not None and not memory_mb > 0:
        raise ConfigurationError(f"--max-memory-mb {memory_mb:g}: above zero.")
    return Limits(jobs=jobs, memory_mb=memory_mb)
