"""Corral's HTTP service, as `corral api` runs it, logging warnings only.

python -m bench.sides.corral_api <port>
"""

from __future__ import annotations

import logging
import sys

import structlog

from corral.api.server import run
from corral.queues import built_in
from corral.settings import Settings

if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    run(Settings.load(), "127.0.0.1", int(sys.argv[1]), built_in())
