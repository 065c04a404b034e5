"""The pytest plugin of Corral: a private server, the queues of the program pointed at it, inline mode.

Fixtures, all for async and sync tests alike (docs/engine/testing.md):

    corral_redis_url   URL of a private server, empty at the start of the test
    corral_queues      points every queue without a `redis_url` at it, under a prefix of the test's own
    corral_inline      runs every job at once where it is added; no server

It stands beside the package, not in it: pytest loads plugins in every suite of an environment, also in those
that never heard of Corral. Nothing but pytest is imported until a fixture is used; no hook, no option, no
warning filter.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from corral.testing import InlineRun, Pointed
    from corral.testing.server import PrivateServer


@pytest.fixture(scope="session")
def _corral_server() -> Iterator[PrivateServer]:
    """One for each session; with pytest-xdist, one for each of its workers."""
    from corral.testing.server import PrivateServer  # noqa: PLC0415  # see above

    with PrivateServer() as server:
        yield server


@pytest.fixture
def corral_redis_url(_corral_server: PrivateServer) -> str:
    """URL, with the password, of a private server that is empty at the start of the test."""
    _corral_server.empty()
    return _corral_server.url


@pytest.fixture
def corral_queues(corral_redis_url: str) -> Iterator[Pointed]:
    """Every queue declared without a `redis_url` uses the private server during the test.

    `corral_queues.also(queue)` points one that has a `redis_url`.
    """
    from corral.testing import pointed_at  # noqa: PLC0415  # only in suites that ask for it

    with pointed_at(corral_redis_url, prefix=f"test-{uuid.uuid4().hex[:12]}") as pointed:
        yield pointed


@pytest.fixture
def corral_inline() -> Iterator[InlineRun]:
    """Every job of every queue runs at once where it is added: see `corral.testing.inline`."""
    from corral.testing import inline  # noqa: PLC0415  # only in suites that ask for it

    with inline() as run:
        yield run
