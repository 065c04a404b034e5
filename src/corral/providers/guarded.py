"""Connections to a URL that a stranger chose: the rules for its form and address, the pool, a POST over both.

`fetch` downloads over the same pool. Guarantees:
- http and https only, ports 80 and 443, no user name in the URL.
- The host is resolved once, inside the connection; every address must be public (`addresses`), and the
  connection goes to the address that was judged, so a second, different DNS answer has no effect.
- No cookies, no proxy or certificate setting from the environment.
- `GuardedPoster` follows no redirect, keeps at most `max_answer` bytes of an answer, and sends nothing twice.
Limits: a name behind DNS64 resolves to NAT64 addresses, which are refused.

Options: CORRAL_FETCH_ALLOW lets hosts through the private-address and port rules. In sandbox mode hosts
under example.com are answered by the sandbox.

Emits the log event `post_blocked` (warning): somebody asked for a POST to an inside address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpcore2
import httpx2
import structlog

from corral.providers.addresses import Allowance, refusal
from corral.providers.errors import FetchBlocked, ProviderAmbiguous, ProviderRetryable
from corral.providers.http import USER_AGENT, tls
from corral.providers.tracing import answered, traced
from corral.providers.urls import PORTS, check_url, is_example
from corral.providers.verdict import Answer, parse_retry_after

log = structlog.get_logger(__name__)

#: Seconds to connect to one address, and seconds without a byte.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0

#: Seconds to wait for a free connection of the pool.
POOL_TIMEOUT = 20.0

#: Seconds that a POST takes at most, from resolving to the last byte that is kept.
POST_TIMEOUT = 15.0

#: Bytes of an answer to a POST that are kept; the rest is not read.
MAX_ANSWER = 1024

#: Nothing reached the server.
_NOT_SENT = (httpcore2.ConnectError, httpcore2.ConnectTimeout, httpcore2.PoolTimeout)

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer to a POST. Header names are lowercase; `body` is its beginning."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def answer(self) -> Answer:
        """Status and Retry-After (seconds), for a provider's `classify`."""
        return Answer(
            self.status, None, parse_retry_after(self.headers.get("retry-after"), datetime.now(UTC))
        )


class GuardedPools:
    """Connections to the outside world, and to the sandbox. One per process and loop.

    allow: entries of CORRAL_FETCH_ALLOW.
    sandbox_url: answers for hosts under example.com; empty outside sandbox mode.
    resolve: host and port to IP addresses; the system's resolver by default.
    backend: connects to an address that was judged; TCP by default.
    """

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        sandbox_url: str = "",
        resolve: Resolve | None = None,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self.allow = Allowance.of(allow)
        self._sandbox = httpx2.URL(sandbox_url) if sandbox_url else None
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls(trust_env=False),
            network_backend=_Guard(
                self.allow, resolve or resolve_by_system, backend or httpcore2.AnyIOBackend()
            ),
            max_connections=50,
            keepalive_expiry=5.0,
        )
        # The sandbox lives on loopback at a port of its own, so its connections are not the guard's business.
        self._sandbox_pool = httpcore2.AsyncConnectionPool(max_connections=50, keepalive_expiry=5.0)

    def route(self, url: httpx2.URL) -> tuple[httpcore2.AsyncConnectionPool, httpcore2.URL]:
        """The pool and the address for a URL that `check_url` let through."""
        if self._sandbox is not None and is_example(url.host):
            return self._sandbox_pool, _core_url(self._sandbox, url.raw_path)
        return self._pool, _core_url(url, url.raw_path)

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
        await self._sandbox_pool.aclose()


class GuardedPoster:
    """POSTs to addresses that strangers chose. Safe to use from many tasks. Arguments as `GuardedPools`.

    name: what errors call it.
    """

    def __init__(
        self,
        name: str,
        *,
        allow: Iterable[str] = (),
        sandbox_url: str = "",
        resolve: Resolve | None = None,
        backend: httpcore2.AsyncNetworkBackend | None = None,
    ) -> None:
        self._name = name
        self._pools = GuardedPools(allow=allow, sandbox_url=sandbox_url, resolve=resolve, backend=backend)

    async def post(
        self,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        *,
        timeout: float = POST_TIMEOUT,  # noqa: ASYNC109 - it is the documented contract of this call
        max_answer: int = MAX_ANSWER,
    ) -> Posted:
        """Send `content`; return the answer, whatever its status.

        timeout: seconds for everything. max_answer: bytes of the answer that are kept.
        Raises FetchBlocked (inside address, odd port or scheme), FetchRefused (not a URL), ProviderRetryable
        (nothing was sent), ProviderAmbiguous (sent, no answer). No error names more of the URL than its host:
        its path may be a secret.
        """
        try:
            target = check_url(url, self._pools.allow)
            with traced(self._name, "POST", target.host, "/…") as span:
                async with asyncio.timeout(timeout):
                    posted = await self._post(target, content, headers, max_answer, timeout)
                answered(span, posted.status)
                return posted
        except FetchBlocked as error:
            log.warning("post_blocked", sender=self._name, reason=error.reason)
            raise
        except TimeoutError:
            raise ProviderAmbiguous(self._name, f"no answer within {timeout:g} s") from None

    async def close(self) -> None:
        """Close the connections."""
        await self._pools.close()

    async def _post(
        self,
        url: httpx2.URL,
        content: bytes,
        headers: Mapping[str, str],
        max_answer: int,
        timeout: float,  # noqa: ASYNC109 - seconds without a byte; the whole is bounded by the caller
    ) -> Posted:
        pool, destination = self._pools.route(url)
        timeouts = {**TIMEOUTS, "read": timeout, "write": timeout}
        sent = [
            ("Host", url.netloc.decode("ascii")),
            ("User-Agent", USER_AGENT),
            ("Content-Length", str(len(content))),
            *headers.items(),
        ]
        try:
            async with pool.stream(
                "POST", destination, headers=sent, content=content, extensions={"timeout": timeouts}
            ) as response:
                body = bytearray()
                if max_answer > 0:
                    async for chunk in response.aiter_stream():
                        body += chunk
                        if len(body) >= max_answer:
                            break
                found = {k.lower().decode("latin-1"): v.decode("latin-1") for k, v in response.headers}
                return Posted(response.status, found, bytes(body[:max_answer]))
        except _NOT_SENT as error:
            raise ProviderRetryable(
                self._name, f"{url.host}: no connection ({type(error).__name__})"
            ) from error
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise ProviderAmbiguous(self._name, f"{url.host}: no answer ({type(error).__name__})") from error


TIMEOUTS = {"connect": CONNECT_TIMEOUT, "read": READ_TIMEOUT, "write": READ_TIMEOUT, "pool": POOL_TIMEOUT}


async def resolve_by_system(host: str, port: int) -> list[str]:
    """The addresses of `host` in the resolver's order."""
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class _Guard(httpcore2.AsyncNetworkBackend):
    """Connects to an address that it has judged itself. TLS still checks the host name of the URL."""

    def __init__(self, allow: Allowance, resolve: Resolve, backend: httpcore2.AsyncNetworkBackend) -> None:
        self._allow = allow
        self._resolve = resolve
        self._backend = backend

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore2.ConnectError("the host name does not resolve") from error
        if not self._allow.covers(host, port):
            self._judge(host, port, addresses)
        last: Exception = httpcore2.ConnectError("the host name has no address")
        for address in addresses:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        raise last

    def _judge(self, host: str, port: int, addresses: list[str]) -> None:
        if port not in PORTS:
            raise FetchBlocked(f"{host} at port {port}; only ports 80 and 443 are fetched")
        # One bad address spoils the name: a mixed answer is how rebinding begins.
        for address in addresses:
            if reason := refusal(address):
                raise FetchBlocked(f"{host} is at an address that is not public ({reason})")

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the signature is httpcore2's
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - the same
        socket_options: Iterable[Any] | None = None,  # noqa: ARG002 - the same
    ) -> httpcore2.AsyncNetworkStream:
        raise FetchBlocked("Unix sockets are not fetched from")

    async def sleep(self, seconds: float) -> None:
        await self._backend.sleep(seconds)


def _core_url(origin: httpx2.URL, target: bytes) -> httpcore2.URL:
    return httpcore2.URL(scheme=origin.raw_scheme, host=origin.raw_host, port=origin.port, target=target)
