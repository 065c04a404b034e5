"""A private Redis server for the tests: loopback, ephemeral port, nothing on disk."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, settings

from redis_process import RedisProcess

# A loaded machine is slow at everything: no test judges speed, that is what bench/ is for.
settings.register_profile("corral", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("corral")


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
