"""REDIS_URL in all its forms, and what is said of one that cannot work."""

from __future__ import annotations

from typing import Any

import pytest

from corral import Settings
from corral.bullmq.addresses import Address, targets_of
from corral.errors import ConfigurationError


def settings(**values: Any) -> Settings:
    return Settings(**values)


def test_one_server() -> None:
    targets = targets_of("redis://worker:p%40ss@example.com:6380/2?health_check_interval=5")
    assert (targets.kind, targets.tls, targets.nodes) == ("single", False, ())
    assert targets.options == {
        "host": "example.com", "port": 6380, "db": 2, "username": "worker", "password": "p@ss",
        "health_check_interval": 5,
    }  # fmt: skip
    assert targets_of("unix:///run/redis.sock").options == {"path": "/run/redis.sock"}
    assert targets_of("rediss://example.com").tls


def test_sentinels() -> None:
    url = "redis+sentinel://worker:p%40ss@one,[::1]:5000,two:26380/main/3?sentinel_password=w&sentinel_username=s"
    targets = targets_of(url)
    assert (targets.kind, targets.service) == ("sentinel", "main")
    assert targets.nodes == (("one", 26379), ("::1", 5000), ("two", 26380))
    assert targets.options == {"username": "worker", "password": "p@ss", "db": 3}
    assert targets.sentinel_login == {"username": "s", "password": "w"}


def test_a_cluster() -> None:
    targets = targets_of("rediss+cluster://one:7000,two?ssl_check_hostname=false")
    assert (targets.kind, targets.tls) == ("cluster", True)
    assert targets.nodes == (("one", 7000), ("two", 6379))
    assert targets.options == {"ssl_check_hostname": False}


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://example.com", "must start with redis://"),
        ("redis+cloud://example.com", "must start with redis://"),
        ("redis+sentinel://one,two", "lacks the master's name"),
        ("redis+sentinel://one:x,two/main", "no host:port"),
        ("redis+sentinel://one,,two/main", "no host:port"),
        ("redis+cluster://one:7000/2", "database 0"),
        ("redis://example.com:port", "cannot be read"),
        ("redis://example.com?db=one", "cannot be read"),
        ("redis://example.com?socket_timout=5", "no option 'socket_timout'"),
        ("rediss://example.com?ssl_ca_certs=/not/there.pem", "ssl_ca_certs names a file"),
        ("redis+sentinel://one/main?sentinel_pasword=w", "no option 'sentinel_pasword'"),
    ],
)
def test_what_cannot_work(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Address.resolve(url, settings(), prefix="{bull}")


@pytest.mark.parametrize(
    ("prefix", "fits"),
    [
        ("{bull}", True), ("eu{bull}", True), ("{bull}:x", True),
        ("bull", False), ("{}", False), ("{}{bull}", False), ("{bull", False), ("bull}", False),
    ],
)  # fmt: skip
def test_a_cluster_needs_a_prefix_that_binds_its_keys_to_one_slot(prefix: str, fits: bool) -> None:
    def resolve() -> Address:
        return Address.resolve("redis+cluster://one", settings(), prefix=prefix)

    if fits:
        assert resolve().prefix == prefix
        return
    with pytest.raises(ConfigurationError, match=r"CORRAL_PREFIX=\{"):
        resolve()


def test_the_prefix_of_the_environment_counts_too() -> None:
    assert Address.resolve("redis+cluster://one", settings(prefix="{shop}")).prefix == "{shop}"
    assert (
        Address.resolve("redis://one", settings(prefix="{shop}")).prefix == ""
    )  # prefixes share connections


@pytest.mark.parametrize(
    "url",
    [
        "redis://worker:s3cret@example.com:6379/2",
        "redis+sentinel://worker:s3cret@one,two/main?sentinel_password=s3cret",
        "rediss+cluster://worker:s3cret@one,two",
    ],
)
def test_no_password_is_shown(url: str) -> None:
    address = Address.resolve(url, settings(redis_password="other"), prefix="{bull}")
    assert address.password is None  # the one in the URL wins
    assert "s3cret" not in f"{address!r} {address.targets!r}"
    assert "one" in repr(address) or "example.com" in repr(address)
