"""Where Redis is: one server, a master that Sentinel names, or the node of a cluster that owns a prefix.

    redis://[user:password@]host[:port][/db]         rediss:// with TLS         unix://path
    redis+sentinel://[user:password@]host:26379,host:26379/master-name[/db]     rediss+sentinel://
    redis+cluster://[user:password@]host:7000,host:7001                         rediss+cluster://

The query is redis-py's (`ssl_ca_certs`, `ssl_certfile`, `ssl_keyfile`, `ssl_check_hostname`, …); Sentinel's
own login is `sentinel_username` and `sentinel_password` there. In a cluster all keys of a prefix live in one
slot, so that scripts may touch several of them: the prefix has to have braces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from redis.asyncio.connection import parse_url

from corral.environment import read_settings
from corral.errors import ConfigurationError

if TYPE_CHECKING:
    from corral.settings import Settings

SCHEMES = (
    "redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster",
)  # fmt: skip

SENTINEL_PORT = 26379
CLUSTER_PORT = 6379

_HASH_TAG = re.compile(r"^[^{]*\{[^{}]+\}")
_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")

Node = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is, and as whom to enter. The password never appears in the repr."""

    url: str
    password: str | None
    #: Of a cluster's keys; "" elsewhere, where the queues of all prefixes share connections.
    prefix: str = ""

    @classmethod
    def resolve(
        cls, url: str | None = None, settings: Settings | None = None, *, prefix: str | None = None
    ) -> Address:
        """The given URL, or the environment's REDIS_URL. A password in the URL wins over REDIS_PASSWORD.

        Raises ConfigurationError for an address that cannot work. No round trip.
        """
        settings = settings or read_settings()
        url = url or settings.redis_url
        targets = targets_of(url)
        password = None if "password" in targets.options else settings.redis_password.get_secret_value()
        if targets.kind != "cluster":
            return cls(url, password or None)
        prefix = prefix or settings.prefix
        if not _HASH_TAG.match(prefix):
            raise ConfigurationError(
                f"Redis Cluster needs a prefix in braces, so that all keys share a slot. "
                f"Set CORRAL_PREFIX={{{prefix.strip('{}') or 'bull'}}} in every process, Node's too."
            )
        return cls(url, password or None, prefix)

    @property
    def targets(self) -> Targets:
        return targets_of(self.url)

    @property
    def place(self) -> str:
        """The URL without user, password and options: what an operator may read."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def __repr__(self) -> str:
        return f"Address({self.place})"


@dataclass(frozen=True, slots=True)
class Targets:
    """A URL taken apart. `options` go to redis-py's connections as they are."""

    kind: str  # "single", "sentinel", "cluster"
    tls: bool
    nodes: tuple[Node, ...]
    #: Sentinel's name of the master.
    service: str
    options: dict[str, Any]
    #: Who enters at a Sentinel.
    sentinel_login: dict[str, str]

    def __repr__(self) -> str:  # the options hold the password
        return f"Targets({self.kind}, {self.nodes})"


@lru_cache(maxsize=64)
def targets_of(url: str) -> Targets:
    """Take a URL apart. Raises ConfigurationError, which names what is wrong and no secret."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigurationError(f"REDIS_URL must start with {', '.join(s + '://' for s in SCHEMES)}.")
    scheme, _, kind = parts.scheme.partition("+")
    login, _, hosts = parts.netloc.rpartition("@")
    nodes: tuple[Node, ...] = ()
    service, path = "", parts.path
    if kind:
        nodes = tuple(
            _node(host, SENTINEL_PORT if kind == "sentinel" else CLUSTER_PORT) for host in hosts.split(",")
        )
        if kind == "sentinel":
            service, _, db = path.lstrip("/").partition("/")
            if not service:
                raise ConfigurationError(
                    "REDIS_URL: redis+sentinel://host:26379/NAME lacks the master's name."
                )
            path = f"/{db}"
        elif path.strip("/") not in ("", "0"):
            raise ConfigurationError("REDIS_URL: Redis Cluster has database 0 alone; leave the path out.")
        hosts = "node"
    try:
        options = dict(parse_url(f"{scheme}://{login + '@' if login else ''}{hosts}{path}?{parts.query}"))
    except ValueError as error:
        raise ConfigurationError("REDIS_URL cannot be read: a port or an option is no number.") from error
    options.pop("connection_class", None)
    if kind:
        options.pop("host", None)
        options.pop("port", None)
    login_of_sentinel = {
        name: str(options.pop(f"sentinel_{name}"))
        for name in ("username", "password")
        if f"sentinel_{name}" in options
    }
    _check_options(options, tls=scheme == "rediss")
    return Targets(kind or "single", scheme == "rediss", nodes, service, options, login_of_sentinel)


def _node(text: str, default_port: int) -> Node:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port or default_port
    except ValueError:
        host, port = None, 0
    if not host:
        raise ConfigurationError(f"REDIS_URL: {text!r} is no host:port.")
    return host, port


def _check_options(options: dict[str, Any], *, tls: bool) -> None:
    """A misspelt option, or a file that is not there, must not look like a server that is away."""
    for name in _FILES:
        if name in options and not Path(options[name]).is_file():
            raise ConfigurationError(f"REDIS_URL: {name} names a file that is not there.")
    of_pools = {"max_connections", "timeout"}
    kind: Any = (
        redis.SSLConnection
        if tls
        else redis.UnixDomainSocketConnection
        if "path" in options
        else redis.Connection
    )
    try:
        kind(**{name: value for name, value in options.items() if name not in of_pools})
    except TypeError as error:
        unknown = str(error).rpartition("argument ")[2].strip("'")
        raise ConfigurationError(f"REDIS_URL: there is no option {unknown!r}.") from None
    except redis.RedisError as error:
        raise ConfigurationError(f"REDIS_URL: {error}") from None
