"""The same for tests without an event loop (Django, Flask): `from corral.testing import sync as testing`.

Everything runs where `queue.sync` runs, in a thread of its own. So do the handlers that `drain` runs: they
do not see what a test has not committed. `corral.testing.inline` runs `def` handlers in the test's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Unpack

from corral.portal import run_sync
from corral.queue import Queue
from corral.testing import asserting, draining
from corral.testing.draining import Drained
from corral.testing.matching import Enqueued, Wanted

__all__ = ["assert_enqueued", "assert_not_enqueued", "drain", "enqueued"]


def drain(
    *queues: Queue,
    timeout: float = 30.0,
    with_delayed: bool = False,
    raises: bool = False,
    resources: Sequence[Callable[..., Any]] = (),
    concurrency: int = 20,
) -> Drained:
    """See `corral.testing.drain`."""
    return run_sync(
        draining.drain(
            *queues,
            timeout=timeout,
            with_delayed=with_delayed,
            raises=raises,
            resources=resources,
            concurrency=concurrency,
        )
    )


def enqueued(queue: Queue, name: str | None = None) -> list[Enqueued]:
    """See `corral.testing.enqueued`."""
    return run_sync(asserting.enqueued(queue, name))


def assert_enqueued(
    queue: Queue, name: str, *, count: int | None = None, within: float = 0.0, **wanted: Unpack[Wanted]
) -> list[Enqueued]:
    """See `corral.testing.assert_enqueued`."""
    return run_sync(asserting.assert_enqueued(queue, name, count=count, within=within, **wanted))


def assert_not_enqueued(queue: Queue, name: str | None = None, **wanted: Unpack[Wanted]) -> None:
    """See `corral.testing.assert_not_enqueued`."""
    run_sync(asserting.assert_not_enqueued(queue, name, **wanted))
