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
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase

import httpcore2
import httpx2
import structlog

from corral.providers.errors import FetchBlocked, FetchRefused, ProviderRetryable
from corral.providers.guarded import TIMEOUTS, GuardedPools, Resolve
from corral.providers.http import USER_AGENT
from corral.providers.sniff import sniff
from corral.providers.urls import check_url
from corral.providers.verdict import Answer, Kind, Verdict, by_status, parse_retry_after

log = structlog.get_logger(__name__)

#: Bytes. Above what a phone's camera makes, below what hurts.
MAX_BYTES = 15 * 1024 * 1024

#: Seconds for everything: resolving, connecting, redirects, the last byte.
TIMEOUT = 20.0

MAX_REDIRECTS = 3


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
        self._pools = GuardedPools(allow=allow, sandbox_url=sandbox_url, resolve=resolve, backend=backend)

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
        await self._pools.close()

    async def _follow(self, url: str, max_bytes: int, accept: list[str]) -> Fetched:
        target = check_url(url, self._pools.allow)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._get(target, max_bytes, accept)
            if isinstance(answer, Fetched):
                return answer
            target = check_url(answer, self._pools.allow, base=target)
        raise FetchRefused(f"{target.host} redirects more than {MAX_REDIRECTS} times")

    async def _get(self, url: httpx2.URL, max_bytes: int, accept: list[str]) -> Fetched | str:
        """One request. A file, or the Location that it redirects to."""
        try:
            pool, destination = self._pools.route(url)
            async with pool.stream(
                "GET", destination, headers=_headers(url, accept), extensions={"timeout": TIMEOUTS}
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
