"""The command line: `corral up | worker | api | jobs | dead | alerts | doctor | …`; `--json` on each.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 it did not work out,
2 wrong use, 78 a configuration error.
"""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from corral import __version__
from corral.cli import (
    alerts,
    api,
    breakers,
    dashboard,
    dead_operations,
    demo,
    doctor,
    encryption,
    jobs_manage,
    keys,
    mail,
    queues,
    scaling,
    stats,
    up,
    webhooks,
    worker,
    worker_control,
)
from corral.cli.output import errors
from corral.errors import ConfigurationError, CorralError
from corral.observe.logs import log_to_stderr
from corral.worker.restarts import EXIT_CONFIGURATION

EXIT_FAILED, EXIT_USAGE = 1, 2

app = App(
    name="corral",
    help="Background jobs for Python on Redis, wire-compatible with BullMQ.",
    version=__version__,
    exit_on_error=False,
    print_error=False,
    result_action="return_value",
)
app.command(up.up)
app.command(demo.demo)
app.command(worker.worker)
app.command(api.api)
app.command(jobs_manage.app)
app.command(dashboard.app)
app.command(queues.app)
app.command(stats.stats)
app.command(worker_control.app)
app.command(breakers.app)
app.command(doctor.app)
app.command(scaling.scaling)
app.command(dead_operations.app)
app.command(alerts.app)
app.command(keys.app)
app.command(encryption.app)
app.command(webhooks.app)
app.command(mail.app)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `corral` script."""
    log_to_stderr()
    try:
        result = app(arguments)
    except CycloptsError as error:
        errors.print(f"[red]{error}[/red]", highlight=False)
        errors.print("See corral --help.")
        sys.exit(EXIT_USAGE)
    except ConfigurationError as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(EXIT_CONFIGURATION)
    except (CorralError, OSError) as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)
