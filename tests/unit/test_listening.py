"""A port that cannot be listened on is named, and what to do, in place of a traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from corral.api.server import _listen
from corral.errors import ConfigurationError
from corral.observe.health import serve_health


async def probes(host: str, port: int, folder: Path) -> None:
    async with serve_health(port, folder, 1, host):
        pass


@pytest.mark.parametrize("port", [-1, 65536, 99999])
async def test_a_port_that_does_not_exist(port: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"Port {port} does not exist: choose one from 1 to 65535"):
        _listen("127.0.0.1", port)
    with pytest.raises(ConfigurationError, match=f"Port {port} does not exist"):
        await probes("127.0.0.1", port, tmp_path)


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 is taken by another program"):
            _listen("127.0.0.1", port)
        with pytest.raises(ConfigurationError, match=f"Port {port} of 127.0.0.1 is taken by another program"):
            await probes("127.0.0.1", port, tmp_path)


def test_an_address_of_another_machine() -> None:
    with pytest.raises(ConfigurationError, match=r"Cannot listen on port 0 of 192\.0\.2\.1: "):
        _listen("192.0.2.1", 0)
