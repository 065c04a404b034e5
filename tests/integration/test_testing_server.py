"""The private server of a test session."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from corral.embedded.datadir import pick_port
from corral.errors import ServerFailed
from corral.testing import PrivateServer
from corral.testing import server as module


def test_it_is_private_and_keeps_nothing() -> None:
    with PrivateServer() as server:
        stranger = redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0))
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis.from_url(server.url, decode_responses=True) as client:
            assert client.config_get("save")["save"] == ""
            assert client.config_get("appendonly")["appendonly"] == "no"
            client.set("key", "value")
            server.empty()
            assert client.keys("*") == []
        assert server.pid is not None
        process = psutil.Process(server.pid)
        assert server.password not in " ".join([*process.cmdline(), *process.environ().values()])
    assert not process.is_running()
    server.stop()
    with pytest.raises(ServerFailed, match="does not run"):
        server.empty()


def test_a_port_that_was_taken_meanwhile_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        ports = iter([other.getsockname()[1], pick_port(None)])
        monkeypatch.setattr(module, "pick_port", lambda _: next(ports))
        with PrivateServer() as server:
            assert server.port != other.getsockname()[1]


def test_a_server_that_does_not_start_shows_its_log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "valkey-server"
    program.write_text("#!/bin/sh\necho it has no legs\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(module, "find_server", lambda: program)
    with pytest.raises(ServerFailed, match=r"(?s)ended at its start.*it has no legs"):
        PrivateServer().start()
    program.chmod(0o600)
    with pytest.raises(ServerFailed, match="cannot be run"):
        PrivateServer().start()
