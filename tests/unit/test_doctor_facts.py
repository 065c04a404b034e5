"""From the words of servers, files and addresses to the doctor's facts."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from corral.bullmq.addresses import Address
from corral.bullmq.inspecting import Inspected, without_login, workers_of
from corral.doctor.machine import look_at_machine, place_of, reach_of
from corral.doctor.server_facts import product_of, server_of, snapshots_of


@pytest.mark.parametrize(
    ("info", "product"),
    [
        ({"redis_version": "7.0.15"}, ("redis", (7, 0, 15))),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.8"}, ("valkey", (8, 1, 8))),
        ({"redis_version": "7.4.0", "dragonfly_version": "df-v1.30.1"}, ("dragonfly", (1, 30, 1))),
        ({}, ("redis", None)),
    ],
)
def test_a_server_is_recognised(info: dict[str, str], product: tuple[str, tuple[int, ...] | None]) -> None:
    assert product_of(info) == product


@pytest.mark.parametrize(
    ("save", "snapshots"),
    [("3600 1 300 100", ((3600, 1), (300, 100))), ("", ()), ("nonsense", ()), ("60", ())],
)
def test_snapshots_are_read(save: str, snapshots: tuple[tuple[int, int], ...]) -> None:
    assert snapshots_of(save) == snapshots


def test_a_server_that_tells_nothing_is_all_unknown() -> None:
    server = server_of(Inspected(refused=("INFO",)), "bull")
    assert (server.version, server.append_only, server.used_bytes, server.role) == (None, None, None, None)
    assert server.worker_hosts is None


def test_a_managed_server_without_config_tells_by_info() -> None:
    info = {
        "redis_version": "7.1.0",
        "aof_enabled": 0,
        "maxmemory_policy": "volatile-lru",
        "role": "master",
        "slave0": {"ip": "10.0.0.2", "lag": 3},
    }
    server = server_of(Inspected(info=info, refused=("CONFIG GET",)), "bull")
    assert (server.append_only, server.eviction, server.snapshots) == (False, "volatile-lru", None)
    assert server.replicas == (3,)


def test_workers_are_known_by_the_names_of_their_connections() -> None:
    clients = (
        ("bull:ZW1haWw=:w:one", "10.0.0.1:5001"),
        ("bull:ZW1haWw=:w:two", "10.0.0.2:5001"),
        ("bull:ZW1haWw=", "[fd00::1]:5001"),  # a BullMQ worker without a name
        ("bull:ZW1haWw=:qe", "10.0.0.3:5001"),  # events
        ("bull:n o t:w:x", "10.0.0.3:5001"),
        ("other:ZW1haWw=:w:x", "10.0.0.3:5001"),
        ("", "10.0.0.3:5001"),
    )
    assert workers_of(clients, "bull") == {"email": ("10.0.0.1", "10.0.0.2", "[fd00::1]")}


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("redis://mia:pass@host:1/2?protocol=2", "redis://host:1/2?protocol=2"),
        ("redis://host:1?password=pass&protocol=2", "redis://host:1?protocol=2"),
        ("rediss://:pass@host:1", "rediss://host:1"),
    ],
)
def test_a_stranger_shows_no_login(url: str, bare: str) -> None:
    assert without_login(Address(url, "pass")) == Address(bare, None)


@pytest.mark.parametrize(
    ("host", "reach"),
    [("127.0.0.1", "local"), ("::1", "local"), ("10.1.2.3", "private"), ("8.8.8.8", "public")],
)
async def test_who_reaches_an_address(host: str, reach: str) -> None:
    assert await reach_of(host) == reach


async def test_the_most_open_node_of_a_cluster_counts_and_no_login_is_shown() -> None:
    place = await place_of(Address("rediss+cluster://mia:geheim@10.0.0.1:7000,8.8.8.8:7001", None, "{bull}"))
    assert (place.shown, place.tls) == ("rediss+cluster://10.0.0.1:7000,8.8.8.8:7001", True)
    assert place.reach == "public"
    assert place.password.get_secret_value() == "geheim"
    assert "geheim" not in repr(place)


async def test_a_name_without_an_address_is_no_place() -> None:
    place = await place_of(Address("redis://nowhere.invalid:6379", None))
    assert (place.reach, place.named) == ("unknown", False)


async def test_a_name_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr("corral.doctor.machine.NAME_SECONDS", 0.05)
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: over.wait(20) and [])
    assert await reach_of("redis.example.com") == "unknown"
    over.set()


async def test_a_socket_file_is_here() -> None:
    place = await place_of(Address("unix:///run/redis.sock", "secret"))
    assert (place.shown, place.reach) == ("unix:///run/redis.sock", "local")


@pytest.mark.parametrize(("text", "files"), [("ONFIDO_API_KEY=k\n", 1), ("CORRAL_PREFIX=bull\n", 0)])
def test_only_a_file_that_holds_a_secret_is_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, files: int
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / ".env"
    file.write_text(text)
    file.chmod(0o640)
    found = look_at_machine().secret_files
    assert len(found) == files
    assert all((each.path, each.mode) == (".env", 0o640) for each in found)


def test_files_of_secrets_are_looked_at_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "redis-password"
    secret.write_text("secret")
    secret.chmod(0o604)
    monkeypatch.setenv("REDIS_PASSWORD_FILE", str(secret))
    monkeypatch.setenv("ONFIDO_API_KEY_FILE", str(tmp_path / "missing"))
    monkeypatch.setenv("REDIS_URL_FILE", str(secret))  # no secret, and so no setting
    assert [(file.path, file.mode) for file in look_at_machine().secret_files] == [(str(secret), 0o604)]


@pytest.mark.parametrize(
    ("write", "rewrite", "failing"), [("ok", "ok", 0), ("err", "ok", 1), ("ok", "err", 1)]
)
def test_a_rewrite_of_the_append_only_file_that_failed_counts(write: str, rewrite: str, failing: int) -> None:
    info = {"aof_last_write_status": write, "aof_last_bgrewrite_status": rewrite}
    assert server_of(Inspected(info=info), "bull").append_failing is bool(failing)
