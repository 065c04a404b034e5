"""TLS: the server's certificate is checked, a client's is shown, and what is wrong is said at once."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import certificates
import pytest
from broad_scenario import walk_through
from certificates import Certificates

from corral import Queue, Worker
from corral.bullmq.connection import close_shared_clients
from corral.errors import ConfigurationError, RedisRefused, RedisUnavailable
from eventually import eventually
from redis_process import RedisProcess, free_port
from server_farm import Farm
from tls_proxy import TlsProxy


@pytest.fixture(autouse=True)
async def short_locks(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    monkeypatch.setenv("CORRAL_LOCK_SECONDS", "5")
    monkeypatch.setenv("CORRAL_STALLED_SECONDS", "0.3")
    yield
    await close_shared_clients()


@pytest.fixture
def papers(tmp_path: Path) -> Certificates:
    return certificates.make(tmp_path / "papers")


class TlsFarm(Farm):
    """Servers, each behind a proxy that speaks TLS for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._proxies: list[TlsProxy] = []

    def veil(
        self, target_port: int, context: ssl.SSLContext, *, hosts: tuple[str, ...] = ("127.0.0.1",)
    ) -> int:
        """The port at which the server at `target_port` is reached by TLS."""
        self._proxies.append(TlsProxy(context, target_port, port=free_port(), hosts=hosts))
        return self._proxies[-1].port

    def stop(self) -> None:
        for proxy in self._proxies:
            proxy.stop()
        super().stop()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[TlsFarm]:
    (tmp_path / "farm").mkdir()
    farm = TlsFarm(tmp_path / "farm")
    yield farm
    farm.stop()


async def test_a_walk_with_the_authority_in_a_file(papers: Certificates, farm: TlsFarm) -> None:
    port = farm.veil(farm.start().port, papers.context())
    await walk_through(f"rediss://localhost:{port}?{papers.query()}", "bull", 50)


async def test_a_server_that_asks_for_the_clients_certificate(papers: Certificates, farm: TlsFarm) -> None:
    port = farm.veil(farm.start().port, papers.context(clients=True))
    await walk_through(f"rediss://localhost:{port}?{papers.query(client=True)}", "bull", 50)
    without = Queue("orders", redis_url=f"rediss://localhost:{port}?{papers.query()}", prefix="bull")
    with pytest.raises(RedisUnavailable):
        await without.add("build", 1)
    await without.close()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2"])
async def test_a_certificate_that_cannot_be_verified(papers: Certificates, farm: TlsFarm, host: str) -> None:
    """Of an authority that nobody named, or of another host."""
    port = farm.veil(farm.start().port, papers.context(), hosts=("127.0.0.1", "127.0.0.2"))
    query = "" if host == "localhost" else papers.query()
    queue = Queue("orders", redis_url=f"rediss://{host}:{port}?{query}", prefix="bull")
    with pytest.raises(RedisRefused, match="ssl_ca_certs"):
        await queue.add("build", 1)
    with pytest.raises(ConfigurationError, match="certificate"):
        await Worker(queue).run()
    await queue.close()


async def test_a_cluster(papers: Certificates, farm: TlsFarm) -> None:
    node = farm.start("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    port = farm.veil(node.port, papers.context())
    node.client.config_set("cluster-announce-port", port)
    node.client.execute_command("CLUSTER ADDSLOTS", *range(16384))
    await eventually(lambda: "cluster_state:ok" in _state(node))
    await walk_through(f"rediss+cluster://localhost:{port}?{papers.query()}", "{bull}", 50)


def _state(node: RedisProcess) -> str:
    reply = node.client.execute_command("CLUSTER INFO")
    return reply if isinstance(reply, str) else " ".join(f"{name}:{value}" for name, value in reply.items())


async def test_a_sentinel(papers: Certificates, farm: TlsFarm) -> None:
    master = farm.veil(farm.start().port, papers.context())
    file = farm.folder / "sentinel.conf"
    file.write_text(f"sentinel monitor mymaster 127.0.0.1 {master} 1\n")
    watcher = farm.start(configuration=str(file), sentinel=True)
    port = farm.veil(watcher.port, papers.context())
    await walk_through(f"rediss+sentinel://localhost:{port}/mymaster?{papers.query()}", "bull", 50)
