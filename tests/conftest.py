"""A private Redis server for the tests: loopback, ephemeral port, nothing on disk."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
import redis
import structlog
import xdist
from hypothesis import HealthCheck, settings

import economy
from dealing import Dealing, in_order
from redis_process import RedisProcess

# Tables of the command line are as wide as the terminal, which tests have none of.
os.environ["COLUMNS"] = "160"

# A loaded machine is slow at everything: no test judges speed, that is what bench/ is for.
settings.register_profile("corral", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("corral")

economy.cheap_passwords()
economy.certificates_once()
economy.applications_of_known_handlers()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Dealing | None:
    return Dealing(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    if xdist.is_xdist_worker(session):
        items[:] = in_order(items)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with economy.while_tests_are_read():
        return (yield)


@pytest.fixture(autouse=True)
def logs_of_its_own() -> Iterator[None]:
    """What a test sets up for its logs (a command of the command line does) ends with it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """URL of a server that lives as long as the test session."""
    server = RedisProcess()
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """URL of an empty server."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server
