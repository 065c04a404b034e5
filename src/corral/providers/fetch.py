"""Downloads a file from a URL that a stranger chose, without becoming the stranger's hand inside the network.

Guarantees:
- http and https only, ports 80 and 443, no user name in the URL, at most three redirects, each checked anew.
- The host is resolved once, inside the connection; every address must be public (`addresses`), and the
  connection goes to the address that was judged, so a second, different DNS answer has no effect.
- No cookies, no proxy or certificate setting from the environment, no compressed bodies.
- Bytes are counted while they stream (`max_bytes`), the whole takes at most `timeout` seconds.
- The type is what the first bytes say; the server's Content-Type is not asked.
Limits: a name behind DNS64 resolves to NAT64 addresses, which are refused. Nothing is cached.

Options: CORRAL_FETCH_ALLOW lets hosts through the private-address and port rules. In sandbox mode hosts
under example.com are answered by the sandbox.

Emits the log event `fetch_blocked` (warning): somebody asked for an inside address.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import httpcore2
import httpx2
import structlog

from corral.providers.addresses import Allowance, refusal
from corral.providers.errors import FetchBlocked, FetchRefused, ProviderRetryable
from corral.providers.http import USER_AGENT, tls
from corral.providers.sniff import sniff
from corral.providers.verdict import Answer, Kind, Verdict, by_status, parse_retry_after

log = structlog.get_logger(__name__)

#: Bytes. Above what a phone's camera makes, below what hurts.
MAX_BYTES = 15 * 1024 * 1024

#: Seconds for everything: resolving, connecting, redirects, the last byte.
TIMEOUT = 20.0

#: Seconds to connect to one address, and seconds without a byte.
CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 10.0

MAX_REDIRECTS = 3
MAX_URL_LENGTH = 2048
PORTS = (80, 443)

_HOST = re.compile(rb"[A-Za-z0-9._:-]+")

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """A downloaded file. `content_type` is told from its bytes; `url` is where the redirects ended."""

    content: bytes
    content_type: str
    url: str


class Fetcher:
    """Guarded downloads. One per process and loop; safe to use from many tasks.

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
        self._allow = Allowance.of(allow)
        self._sandbox = httpx2.URL(sandbox_url) if sandbox_url else None
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls(trust_env=False),
            network_backend=_Guard(
                self._allow, resolve or resolve_by_system, backend or httpcore2.AnyIOBackend()
            ),
            max_connections=50,
            keepalive_expiry=5.0,
        )
        # The sandbox lives on loopback at a port of its own, so its connections are not the guard's business.
        self._sandbox_pool = httpcore2.AsyncConnectionPool(max_connections=50, keepalive_expiry=5.0)

    async def fetch(
        self,
        url: str,
        *,
        max_bytes: int = MAX_BYTES,
        accept: str | Collection[str] = "image/*",
        timeout: float = TIMEOUT,  # noqa: ASYNC109 - it is the documented contract of this call
    ) -> Fetched:
        """Download `url`.

        accept: media types, as in the Accept header (`"image/*"`, or a collection); the bytes must be of one.
        timeout: seconds for everything.
        Raises FetchBlocked (inside address, odd port or scheme), FetchRefused (gone, too large, wrong type),
        ProviderRetryable (no answer, server error, too slow).
        """
        patterns = accept.replace(" ", "").split(",") if isinstance(accept, str) else list(accept)
        try:
            async with asyncio.timeout(timeout):
                return await self._follow(url, max_bytes, patterns)
        except TimeoutError:
            raise ProviderRetryable("fetch", f"the file took longer than {timeout:g} s") from None
        except FetchBlocked as error:
            log.warning("fetch_blocked", reason=error.reason)
            raise

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()
        await self._sandbox_pool.aclose()

    async def _follow(self, url: str, max_bytes: int, accept: list[str]) -> Fetched:
        target = check_url(url, self._allow)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._get(target, max_bytes, accept)
            if isinstance(answer, Fetched):
                return answer
            target = check_url(answer, self._allow, base=target)
        raise FetchRefused(f"{target.host} redirects more than {MAX_REDIRECTS} times")

    async def _get(self, url: httpx2.URL, max_bytes: int, accept: list[str]) -> Fetched | str:
        """One request. A file, or the Location that it redirects to."""
        try:
            pool, destination = self._route(url)
            async with pool.stream(
                "GET", destination, headers=_headers(url, accept), extensions={"timeout": _TIMEOUTS}
            ) as response:
                headers = {k.lower(): v.decode("latin-1") for k, v in response.headers}
                if response.status in (301, 302, 303, 307, 308) and headers.get(b"location"):
                    return headers[b"location"]
                _judge(url.host, response.status, headers)
                content = await _read(url.host, response, headers, max_bytes)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError) as error:
            raise ProviderRetryable("fetch", f"{url.host}: {type(error).__name__}") from error
        content_type = sniff(content)
        if not any(fnmatchcase(content_type, pattern) for pattern in accept):
            raise FetchRefused(f"{url.host} sent {content_type}, wanted {', '.join(accept)}")
        return Fetched(content, content_type, str(url))

    def _route(self, url: httpx2.URL) -> tuple[httpcore2.AsyncConnectionPool, httpcore2.URL]:
        if self._sandbox is not None and is_example(url.host):
            return self._sandbox_pool, _core_url(self._sandbox, url.raw_path)
        return self._pool, _core_url(url, url.raw_path)


_TIMEOUTS = {"connect": CONNECT_TIMEOUT, "read": READ_TIMEOUT, "write": READ_TIMEOUT, "pool": TIMEOUT}


def is_example(host: str) -> bool:
    """Whether this is a name under example.com, which is reserved and never real."""
    host = host.lower().rstrip(".")
    return host == "example.com" or host.endswith(".example.com")


def check_url(url: str, allow: Allowance, base: httpx2.URL | None = None) -> httpx2.URL:
    """Judge the form of a URL: scheme, port, user name, length. The address is judged when connecting.

    base: what a redirect's Location is relative to. Raises FetchRefused or FetchBlocked.
    """
    if len(url) > MAX_URL_LENGTH:
        raise FetchRefused(f"the URL is longer than {MAX_URL_LENGTH} characters")
    try:
        parsed = httpx2.URL(url) if base is None else base.join(url)
    except (httpx2.InvalidURL, ValueError, UnicodeError):
        raise FetchRefused("this is not a URL") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise FetchBlocked(f"the scheme is {parsed.scheme or 'missing'}; only http and https are fetched")
    if not _HOST.fullmatch(parsed.raw_host):
        raise FetchRefused("the URL's host has characters that no host has")
    if parsed.userinfo:
        raise FetchBlocked(f"the URL for {parsed.host} has a user name in it")
    port = _port(parsed)
    if port not in PORTS and not allow.covers(parsed.host, port):
        raise FetchBlocked(f"{parsed.host} at port {port}; only ports 80 and 443 are fetched")
    return parsed.copy_with(fragment=None)


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


def _judge(host: str, status: int, headers: dict[bytes, str]) -> None:
    """Raise unless the answer is a plain 200 with a body as it is."""
    if status == 200:
        encoding = headers.get(b"content-encoding", "identity").lower()
        if encoding not in ("", "identity"):
            raise FetchRefused(f"{host} sent a compressed body ({encoding[:20]}) though asked not to")
        return
    verdict = classify(Answer(status, None, _retry_after(headers)))
    if verdict.kind is Kind.RETRY:
        raise ProviderRetryable("fetch", f"{host} answered {status}", after=verdict.after)
    raise FetchRefused(f"{host} answered {status}")


def classify(answer: Answer) -> Verdict:
    """No key of ours is wrong at a stranger's server: its 401 and 403 mean that the file is not for us."""
    if answer.status == 200:
        return by_status(answer)
    if answer.status in (401, 403) or answer.status < 400:
        return Verdict(Kind.PERMANENT, f"HTTP {answer.status}")
    return by_status(answer)


async def _read(host: str, response: httpcore2.Response, headers: dict[bytes, str], max_bytes: int) -> bytes:
    too_large = FetchRefused(f"{host} sent more than {max_bytes} bytes")
    declared = headers.get(b"content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > max_bytes):
        raise too_large
    content = bytearray()
    async for chunk in response.aiter_stream():
        content += chunk
        if len(content) > max_bytes:
            raise too_large
    return bytes(content)


def _headers(url: httpx2.URL, accept: list[str]) -> list[tuple[str, str]]:
    return [
        ("Host", url.netloc.decode("ascii")),
        ("User-Agent", USER_AGENT),
        ("Accept", ", ".join(accept)),
        ("Accept-Encoding", "identity"),
    ]


def _retry_after(headers: dict[bytes, str]) -> float:
    return parse_retry_after(headers.get(b"retry-after"), datetime.now(UTC))


def _port(url: httpx2.URL) -> int:
    return url.port if url.port is not None else (443 if url.scheme == "https" else 80)


def _core_url(origin: httpx2.URL, target: bytes) -> httpcore2.URL:
    return httpcore2.URL(scheme=origin.raw_scheme, host=origin.raw_host, port=origin.port, target=target)
