"""Which URLs a guarded request takes, by their form alone. Pure; addresses are judged in `addresses`."""

from __future__ import annotations

import re
import socket

import httpx2

from corral.providers.addresses import Allowance, refusal
from corral.providers.errors import FetchBlocked, FetchRefused

MAX_URL_LENGTH = 2048
PORTS = (80, 443)

_HOST = re.compile(rb"[A-Za-z0-9._:-]+")


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


def literal_refusal(url: httpx2.URL, allow: Allowance) -> str | None:
    """Why a URL whose host is an IP address leads nowhere, in a word or two. A name is judged later.

    Every spelling that a resolver takes for an address counts: decimal, octal, hexadecimal, and `localhost`.
    """
    if allow.covers(url.host, _port(url)):
        return None
    host = url.host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return "loopback"
    if ":" in host:
        return refusal(host)
    try:
        return refusal(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        return None


def _port(url: httpx2.URL) -> int:
    return url.port if url.port is not None else (443 if url.scheme == "https" else 80)
