"""The command line: `corral up | worker | api | jobs | dead | alerts | doctor | …`; `--json` on each.

Results go to standard output, everything else to standard error. Exit codes: 0 done, 1 it did not work out,
2 wrong use, 78 a configuration error.
"""

from __future__ import annotations

import sys

from cyclopts import App, CycloptsError, UnusedCliTokensError

from corral import __version__
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
        errors.print(_misuse(error), style="red", markup=False, highlight=False)
        errors.print("See corral --help.")
        sys.exit(EXIT_USAGE)
    except ConfigurationError as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(EXIT_CONFIGURATION)
    except (CorralError, OSError) as error:
        errors.print(str(error), style="red", markup=False, highlight=False)
        if isinstance(error, RedisUnavailable):
            errors.print(_where(), markup=False, highlight=False)
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        said = _unreached(error)
        if said is None:
            raise
        errors.print(said, style="red", markup=False, highlight=False)
        errors.print(_where(), markup=False, highlight=False)
        sys.exit(EXIT_FAILED)
    sys.exit(result if isinstance(result, int) else 0)


def _misuse(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError):
        return f"This command takes nothing like {' '.join(error.unused_tokens or ())!r}."
    return str(error)


# redis-py is imported only where something went wrong: it costs more than all that `corral --help` needs.


def _unreached(error: Exception) -> str | None:
    """What is said about an error of redis-py that a command let through; None: it is another error."""
    from redis.exceptions import RedisError  # noqa: PLC0415  # as above

    from corral.bullmq.failures import as_corral_error  # noqa: PLC0415  # as above

    return str(as_corral_error(error, "this command")) if isinstance(error, RedisError) else None


def _where() -> str:
    from corral.bullmq.addresses import Address  # noqa: PLC0415  # as above

    return f"REDIS_URL is {Address.resolve().place} here."
