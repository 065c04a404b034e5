"""Testing code that uses Corral: a private server, a drain, inline mode, assertions. docs/engine/testing.md.

The fixtures are in the pytest plugin (`pytest_corral`); all of this works without pytest too.
"""

from corral.testing.asserting import assert_enqueued, assert_not_enqueued, enqueued
from corral.testing.draining import Drained, Ended, drain
from corral.testing.inline import InlineRun, inline
from corral.testing.matching import Enqueued, Wanted
from corral.testing.redirecting import Pointed, pointed_at
from corral.testing.server import PrivateServer

__all__ = [
    "Drained",
    "Ended",
    "Enqueued",
    "InlineRun",
    "Pointed",
    "PrivateServer",
    "Wanted",
    "assert_enqueued",
    "assert_not_enqueued",
    "drain",
    "enqueued",
    "inline",
    "pointed_at",
]
