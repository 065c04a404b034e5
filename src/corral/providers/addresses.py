"""Which IP addresses a guarded fetch may connect to. Pure.

The *resolved* address is judged, so every spelling of a host (decimal, octal, hexadecimal, a name that
points inside) ends up here in one form. IPv4: everything that is not globally routed is refused. IPv6: only
global unicast (2000::/3) is let through, less the blocks in it that are special or wrap an IPv4 address, so
IPv4-mapped, NAT64, 6to4 and Teredo forms cannot smuggle one in.

The lists are ours rather than `ipaddress.is_global`, which changes between Python releases and calls
64:ff9b::7f00:1 and 2002:7f00:1:: global.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

_V4 = tuple(
    (ipaddress.IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this host"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud platform"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_V6 = tuple(
    (ipaddress.IPv6Network(network), reason)
    for network, reason in (
        ("::1/128", "loopback"),
        ("::/128", "this host"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
    )
)

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


def refusal(address: str) -> str | None:
    """Why a fetch must not connect to this IP address, in a word or two; None if it may."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    if isinstance(ip, ipaddress.IPv4Address):
        return next((reason for network, reason in _V4 if ip in network), None)
    for network, reason in _V6:
        if ip in network:
            return reason
    return None if ip in _GLOBAL_UNICAST else "reserved"


@dataclass(frozen=True, slots=True)
class Allowance:
    """Hosts that an operator lets through the block (CORRAL_FETCH_ALLOW): `host`, or `host:port`.

    A bare host is let through at every port. IPv6 is written `[::1]:8080` or `::1`.
    """

    hosts: frozenset[str] = field(default=frozenset())
    pairs: frozenset[tuple[str, int]] = field(default=frozenset())

    @classmethod
    def of(cls, entries: Iterable[str]) -> Allowance:
        """Read the entries of the setting."""
        hosts, pairs = set(), set()
        for entry in entries:
            host, port = _split(entry.strip().lower())
            if port is None:
                hosts.add(host)
            else:
                pairs.add((host, port))
        return cls(frozenset(hosts), frozenset(pairs))

    def covers(self, host: str, port: int) -> bool:
        """Whether the operator vouches for this host at this port."""
        host = host.lower().rstrip(".")
        return host in self.hosts or (host, port) in self.pairs


def _split(entry: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        port = rest.removeprefix(":")
    elif entry.count(":") == 1:
        host, _, port = entry.partition(":")
    else:
        host, port = entry, ""
    return host.rstrip("."), int(port) if port.isdigit() else None
