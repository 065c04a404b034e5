"""The service as a process: it starts only with keys, says where it listens, and ends gracefully."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest
from http_service import ADMIN, KEYS

from corral import Settings
from corral.api.loopback import is_loopback
from corral.api.server import ApiServer, _listen, check_bind, run
from corral.errors import ConfigurationError

PROGRAM = """
import logging
from corral import Queue, Settings
from corral.api.loopback import is_loopback
from corral.api.server import run
run(Settings.load(), "127.0.0.1", 0, {"kyc-verification": Queue("kyc-verification")})
print("ended", flush=True)
"""


@pytest.fixture
def process(redis_url: str) -> Iterator[subprocess.Popen[str]]:
    environ = {**os.environ, "REDIS_URL": redis_url, "CORRAL_API_KEYS": KEYS, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=environ, stdout=subprocess.PIPE, text=True
    ) as child:
        yield child
        if child.poll() is None:
            child.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    """Read its log until it says where it listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if "http_listening" in line:
            return str(re.findall(r"http://127\.0\.0\.1:\d+", line)[0])
    raise AssertionError("the service ended before it listened")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_gracefully(process: subprocess.Popen[str], number: int) -> None:
    url = url_of(process)
    request = urllib.request.Request(
        f"{url}/v1/queues/x/jobs",
        data=b'{"name": "x", "data": 1}',
        headers={"Authorization": f"Bearer {ADMIN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 202
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert rest.rstrip().endswith("ended")


def test_it_does_not_start_without_keys() -> None:
    settings = Settings(_env_file=None)
    with pytest.raises(ConfigurationError, match="CORRAL_API_KEYS is empty, so nobody could call"):
        run(settings, "127.0.0.1", 0, {})
    with pytest.raises(ConfigurationError, match=r"listen on 0\.0\.0\.0, where others can reach it"):
        run(settings, "0.0.0.0", 0, {})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_a_public_address_needs_keys(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(ConfigurationError):
        check_bind(Settings(_env_file=None), host)
    check_bind(Settings(_env_file=None, api_keys=KEYS), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_private_address_is_told_apart(host: str) -> None:
    assert is_loopback(host)
    check_bind(Settings(_env_file=None), host)


async def test_a_port_that_is_taken_is_an_error() -> None:
    from corral.api.app import create_app

    app = create_app(Settings(_env_file=None, api_keys=KEYS), {})
    async with ApiServer(app) as first:
        port = int(first.url.rsplit(":", 1)[1])
        with pytest.raises(ConfigurationError, match=f"Port {port} of .* is taken"):
            await ApiServer(app, port=port).start()


def test_small_answers_leave_at_once() -> None:
    """asyncio sets TCP_NODELAY on connections of a listener that names its protocol, and on no others."""
    with _listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
