"""The tests' own proxy does to bytes what it says; else tests that pass behind it would prove nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from fault_proxy import TO_CLIENT, TO_SERVER, FaultProxy

SHORT = 0.2


class Echo:
    """Answers each line with itself; remembers what reached it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.heard: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65_536):
                    self.heard.append(data)
                    connection.sendall(data)
            except OSError:
                return

    def close(self) -> None:
        self._listening.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def proxy(echo: Echo) -> Iterator[FaultProxy]:
    proxy = FaultProxy(echo.port).start()
    yield proxy
    proxy.stop()


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    with connect(proxy) as client:
        yield client


def connect(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def ask(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return client.recv(65_536)


def is_silent(client: socket.socket) -> bool:
    client.settimeout(SHORT)
    try:
        return client.recv(1) is None
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)


def test_bytes_pass_both_ways(client: socket.socket) -> None:
    assert ask(client, b"hello") == b"hello"


def test_a_partition_is_silent_and_its_connections_stay_dead(
    proxy: FaultProxy, client: socket.socket, echo: Echo
) -> None:
    proxy.drop()
    client.sendall(b"lost")
    with connect(proxy) as late:
        late.sendall(b"lost too")
        assert is_silent(client)
        assert is_silent(late)
    proxy.heal()
    client.sendall(b"still lost")
    assert is_silent(client)
    assert echo.heard == []
    with connect(proxy) as fresh:
        assert ask(fresh, b"hello") == b"hello"


def test_one_direction_is_lost(proxy: FaultProxy, client: socket.socket, echo: Echo) -> None:
    proxy.drop(TO_CLIENT)
    client.sendall(b"heard")
    assert is_silent(client)
    assert echo.heard == [b"heard"]
    proxy.heal()
    proxy.drop(TO_SERVER)
    with connect(proxy) as late:
        late.sendall(b"not heard")
        assert is_silent(late)
    assert echo.heard == [b"heard"]


def test_what_is_held_arrives_late(proxy: FaultProxy, client: socket.socket, echo: Echo) -> None:
    proxy.hold()
    client.sendall(b"late")
    assert is_silent(client)
    assert echo.heard == []
    proxy.heal()
    assert client.recv(10) == b"late"


def test_one_answer_is_lost(proxy: FaultProxy, client: socket.socket, echo: Echo) -> None:
    lost = proxy.lose_answer_to(b"pay")
    assert ask(client, b"look") == b"look"
    client.sendall(b"pay 5")
    with pytest.raises(ConnectionResetError):
        client.recv(10)
    assert lost.is_set()
    assert echo.heard[-1] == b"pay 5"
    with connect(proxy) as again:
        assert ask(again, b"pay 5") == b"pay 5"
        lost = proxy.lose_answer_with(b"7")
        again.sendall(b"pay 7")
        with pytest.raises(ConnectionResetError):
            again.recv(10)
    assert lost.is_set()


def test_a_reset(proxy: FaultProxy, client: socket.socket) -> None:
    assert ask(client, b"hello") == b"hello"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(10)


def test_a_slow_line_loses_nothing(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.delay, proxy.trickle = 0.02, 0.001
    text = bytes(range(256)) * 4
    client.sendall(text)
    got = b""
    while len(got) < len(text):
        got += client.recv(65_536)
    assert got == text
    assert len(text) > 64
