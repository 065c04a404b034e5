"""The command line: `corral up | worker | api | jobs | dead | alerts | doctor | …`; `--json` on each.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 it did not work out,
2 wrong use, 78 a configuration error.
"""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError

from corral import __version__
from corral.bullmq.addresses import Address
from corral.cli.commands import COMMANDS
from corral.cli.output import errors
from corral.errors import ConfigurationError, CorralError, RedisUnavailable
from corral.extras import told
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
for _command in COMMANDS:
    app.command(f"{__name__}.{_command.place}", name=_command.name, help=_command.help)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the `corral` script."""
    log_to_stderr()
    try:
        with told("This command"):
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
        if isinstance(error, RedisUnavailable):
            errors.print(f"REDIS_URL is {Address.resolve().place} here.", markup=False, highlight=False)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)
