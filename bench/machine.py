"""Where and with what the numbers were made."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from bench.environments import versions
from bench.programs import PEERS, node
from bench.server import Server

PACKAGES = ("corral", "bullmq", "redis", "hiredis", "msgspec", "uvloop", "litestar", "uvicorn", "httptools")
NODE_PACKAGES = ("bullmq", "ioredis", "fastify")


def facts() -> dict[str, Any]:
    """Machine, server and versions, as they are printed above the tables."""
    with Server() as server:
        info = server.info()
    redis_name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info["redis_version"]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "server": f"{redis_name} {version}, no persistence",
        "python": platform.python_version(),
        "node": _output([*node("")[:1], "--version"]).removeprefix("v"),
        "packages": {name: _version(name) for name in PACKAGES},
        "python_peers": versions(),
        "node_packages": {name: _node_version(name) for name in NODE_PACKAGES},
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _node_version(package: str) -> str:
    text = _output(
        [
            *node("")[:1],
            "-p",
            f"require({str(PEERS / 'node_modules' / package / 'package.json')!r}).version",
        ]
    )
    return text or "not installed"


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
