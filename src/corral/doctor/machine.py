"""This machine and the way to Redis, as facts. Reads limits, modes of files and names; changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import sys
import threading
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from corral.bullmq.connection import Address
from corral.doctor.facts import Machine, Place, Reach, SecretFile
from corral.settings import Settings

#: Seconds that a name server has.
NAME_SECONDS = 2.0


def look_at_machine() -> Machine:
    return Machine(
        open_files=_open_files(),
        terminal=sys.stderr.isatty(),
        orchestrator=_orchestrator(),
        secret_files=_secret_files(),
    )


async def place_of(address: Address) -> Place:
    """Where Redis is. Looks names up, for NAME_SECONDS at most."""
    targets = address.targets
    options = targets.options
    if "path" in options:
        return Place(shown="unix://" + str(options["path"]), password=_password(address))
    nodes = targets.nodes or ((str(options.get("host", "localhost")), int(options.get("port", 6379))),)
    scheme = address.url.partition("://")[0]
    reaches = await asyncio.gather(*(reach_of(host) for host, _ in nodes))
    order: list[Reach] = ["public", "unknown", "private", "local"]
    return Place(
        shown=f"{scheme}://{','.join(f'{host}:{port}' for host, port in nodes)}",
        tls=targets.tls,
        reach=min(reaches, key=order.index),
        named=any(reach != "unknown" for reach in reaches),
        password=_password(address),
    )


def _password(address: Address) -> SecretStr:
    return SecretStr(str(address.targets.options.get("password") or address.password or ""))


async def reach_of(host: str) -> Reach:
    """Who can reach a host: of several addresses the most open one counts. Unknown: it has none."""
    try:
        async with asyncio.timeout(NAME_SECONDS):
            addresses = await _addresses(host)
    except TimeoutError:
        return "unknown"
    if not addresses:
        return "unknown"
    if all(address.is_loopback for address in addresses):
        return "local"
    return "private" if all(address.is_private for address in addresses) else "public"


async def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Asked in a thread of its own: the end of a loop waits for those of its pool, however long."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[list[str]] = loop.create_future()

    def deliver(answer: list[str]) -> None:
        if not found.done():
            found.set_result(answer)

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            rows = []
        with contextlib.suppress(RuntimeError):  # nobody waits any more, and the loop is closed
            loop.call_soon_threadsafe(deliver, [str(row[4][0]).partition("%")[0] for row in rows])

    threading.Thread(target=ask, name="corral-doctor-names", daemon=True).start()
    return [ipaddress.ip_address(text) for text in await found]


def _open_files() -> int | None:
    try:
        import resource  # noqa: PLC0415  # Windows has none
    except ImportError:
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1_000_000 if soft == resource.RLIM_INFINITY else soft


def _orchestrator() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return "docker"
    return "systemd" if "INVOCATION_ID" in os.environ else ""


def _secret_files() -> tuple[SecretFile, ...]:
    """The `.env` that is read here, if it holds a secret, and the files that settings NAME_FILE name.

    Where modes mean nothing (Windows), none.
    """
    if os.name != "posix":
        return ()
    secrets = {str(field.alias) for field in Settings.model_fields.values() if field.annotation is SecretStr}
    env_file = Settings.model_config.get("env_file")
    given: dict[str, str | None] = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        given = dict(dotenv_values(env_file, interpolate=False)) if isinstance(env_file, str) else {}
    mounted = {str(env_file): False} if any(given[name] for name in given if name.upper() in secrets) else {}
    for name, value in {**given, **os.environ}.items():
        if value and name.upper().removesuffix("_FILE") in secrets and name.upper() not in secrets:
            mounted[value] = True
    found = []
    for path, by_setting in mounted.items():
        with contextlib.suppress(OSError, ValueError):  # settings say themselves that it cannot be read
            mode = Path(path).expanduser().stat().st_mode & 0o777
            found.append(SecretFile(path=path, mode=mode, mounted=by_setting))
    return tuple(found)
