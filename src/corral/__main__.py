"""The command `corral`, and `python -m corral`: says what to install where the command line is not."""

from __future__ import annotations

import sys

from corral.errors import ConfigurationError
from corral.extras import told


def main() -> None:
    """Entry point of the `corral` script."""
    try:
        with told("The command line"):
            from corral.cli import main as command_line  # noqa: PLC0415  # the whole command line
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(78)
    command_line()


if __name__ == "__main__":
    main()
