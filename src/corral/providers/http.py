"""One HTTP client a provider: base URL, time-outs, the provider's own judgement of answers, redaction.

Guarantees: nothing is sent twice here (the queue owns retries); a failure leaves as one of the four
provider errors; a request that may have been carried out without an answer is `ProviderAmbiguous`, unless
the caller says that repeating it is harmless; no key and no personal datum is in an error or a log line.
Limits: answers are read whole, so it is for APIs, not for downloads (`fetch` is).

Emits the log events `provider_misconfigured` (error) and `provider_call_failed` (warning).
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog

from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderRetryable,
)
from corral.providers.guard import guarded
from corral.providers.redact import redact
from corral.providers.tracing import answered, traced
from corral.providers.verdict import (
    Answer,
    Classify,
    Verdict,
    parse_date,
    parse_reset,
    parse_retry_after,
    raise_for,
)

log = structlog.get_logger(__name__)

#: Seconds. A provider that is slower than this is down as far as a 60 s attempt is concerned.
TIMEOUT = httpx2.Timeout(connect=5.0, read=20.0, write=20.0, pool=10.0)

#: A browser's name makes Supabase refuse a secret key.
USER_AGENT = "corral"

T = TypeVar("T")

# The transport's own loggers write whole URLs and, at debug level, headers: keys and signed links among them.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)

#: Nothing reached the provider.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class ProviderClient:
    """Requests to one provider.

    name: what errors and logs call it.
    classify: judges an answer (pure).
    headers, auth: sent with every request.
    secrets: values that must never appear in a reason.
    missing: if set, every call raises `ProviderMisconfigured` with it; it says which setting to give.
    sandbox: the provider is the local stand-in; proxy variables of the environment are ignored.
    http2: speak HTTP/2 where TLS agrees on it.
    read: takes from an answer what `classify` judges; by default its JSON.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        classify: Classify,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        secrets: Collection[str] = (),
        missing: str = "",
        sandbox: bool = False,
        timeout: httpx2.Timeout = TIMEOUT,
        http2: bool = False,
        read: Callable[[httpx2.Response], Answer] | None = None,
    ) -> None:
        self.name = name
        self.sandbox = sandbox
        self.missing = missing
        self._classify = classify
        self._read = read or read_answer
        self._secrets = tuple(secrets)
        self._host = urlsplit(base_url).hostname or ""
        self._client = httpx2.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"User-Agent": USER_AGENT, "Accept": "application/json", **(headers or {})},
            auth=httpx2.BasicAuth(*auth) if auth else None,
            timeout=timeout,
            http2=http2,
            verify=tls(trust_env=not sandbox, http2=http2),
            trust_env=not sandbox,
            follow_redirects=False,
        )

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        repeatable: bool,
        private: Collection[str] = (),
        shown: str = "",
        **request: Any,
    ) -> T:
        """Send, judge, and decode the JSON answer as `answer`. Raises as `send` does.

        An answer that cannot be read is no answer: `ProviderAmbiguous`, or `ProviderRetryable` if repeatable.
        """
        response = await self.send(
            method, path, repeatable=repeatable, private=private, shown=shown, **request
        )
        try:
            return msgspec.json.decode(response.content, type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            what = f"{method} {shown or _head(path)}"
            self._unanswered(f"{what}: the answer is not the JSON it should be", repeatable)

    async def send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        private: Collection[str] = (),
        shown: str = "",
        **request: Any,
    ) -> httpx2.Response:
        """One request, one round trip. Returns an answer that `classify` finds good.

        repeatable: doing it twice does no harm (reads, upserts), so a lost answer is a plain retry.
        private: values in the request that must not come back in a reason.
        shown: what a reason calls the path, where the path itself holds something personal.
        request: as httpx2 takes it: json, content, files, data, params, headers, timeout.
        Raises ProviderRetryable, ProviderPermanent, ProviderAmbiguous, ProviderMisconfigured; in a worker
        ProviderHeld, without sending, while the provider's breaker is open.
        """
        async with guarded(self.name):
            return await self._send(
                method, path, repeatable=repeatable, private=private, shown=shown, **request
            )

    async def _send(
        self,
        method: str,
        path: str,
        *,
        repeatable: bool,
        private: Collection[str],
        shown: str,
        **request: Any,
    ) -> httpx2.Response:
        if self.missing:
            log.error("provider_misconfigured", provider=self.name, reason=self.missing)
            raise ProviderMisconfigured(self.name, self.missing)
        what = f"{method} {shown or _head(path)}"
        if "json" in request:
            request["content"] = msgspec.json.encode(request.pop("json"))
            request["headers"] = {"Content-Type": "application/json", **request.get("headers", {})}
        with traced(self.name, method, self._host, shown or _head(path)) as span:
            with self._transport_errors(what, repeatable):
                response = await self._client.request(method, path.lstrip("/"), **request)
            answered(span, response.status_code)
            self._act_on(self._classify(self._read(response)), what, private)
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # What went wrong

    @contextlib.contextmanager
    def _transport_errors(self, what: str, repeatable: bool) -> Iterator[None]:
        try:
            yield
        except _NOT_SENT as error:
            self._failed(ProviderRetryable(self.name, f"{what}: no connection ({type(error).__name__})"))
        except httpx2.HTTPError as error:
            self._unanswered(f"{what}: no answer ({type(error).__name__})", repeatable)
        except httpx2.InvalidURL:
            # From None: the cause's message has the whole URL in it.
            raise ProviderMisconfigured(self.name, f"{what}: the base URL is not a URL") from None

    def _unanswered(self, reason: str, repeatable: bool) -> NoReturn:
        if repeatable:
            self._failed(ProviderRetryable(self.name, reason))
        self._failed(ProviderAmbiguous(self.name, reason))

    def _act_on(self, verdict: Verdict, what: str, private: Collection[str]) -> None:
        detail = redact(verdict.detail, (*self._secrets, *private))
        reason = f"{what}: {verdict.code}" + (f" ({detail})" if detail else "")
        try:
            raise_for(self.name, verdict, reason)
        except ProviderError as error:
            self._failed(error)

    def _failed(self, error: ProviderError) -> NoReturn:
        try:
            fail(error)
        finally:
            del error  # as in `fail`


def fail(error: ProviderError) -> NoReturn:
    """Log what a provider did not do, and raise it. The reason is redacted already."""
    if isinstance(error, ProviderMisconfigured):
        log.error("provider_misconfigured", provider=error.provider, reason=error.reason)
    else:
        log.warning(
            "provider_call_failed",
            provider=error.provider,
            reason=error.reason,
            kind=type(error).__name__,
        )
    try:
        raise error
    finally:
        # The frame is in the error's own traceback: together they would hold on to what was sent
        # (photographs, say) until the next garbage collection.
        del error


@lru_cache(maxsize=4)
def tls(*, trust_env: bool, http2: bool = False) -> ssl.SSLContext:  # noqa: ARG001 - it tells two contexts apart
    """The process's TLS settings; made once, because reading the certificates takes tens of milliseconds.

    http2: for clients that speak it. The transport writes into a context what it offers the server, so that
    one context for both would have them offer each other's.
    """
    return httpx2.create_ssl_context(trust_env=trust_env)


def read_answer(response: httpx2.Response) -> Answer:
    """The parts of an answer that a judgement needs."""
    try:
        body = msgspec.json.decode(response.content) if response.content else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = None
    # The provider's own clock, since the moments that it names are by that one.
    now = parse_date(response.headers.get("Date")) or datetime.now(UTC)
    after = parse_retry_after(response.headers.get("Retry-After"), now)
    reset = parse_reset(response.headers.get("X-RateLimit-Reset"), now)
    return Answer(response.status_code, body, after, reset, response.headers)


def _head(path: str) -> str:
    """The path without its query: ids of people may be in there."""
    return "/" + path.lstrip("/").partition("?")[0]
