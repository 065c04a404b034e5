"""What takes a core for long and proves nothing where it happens, made cheap for every test of this process.

Each is dear in a process that is started, as it is for a user: only tests that look inside are spared.
"""

from __future__ import annotations

import gc
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy, deepcopy
from functools import cache
from typing import Any

import httpcore2
from argon2 import PasswordHasher, profiles
from litestar.handlers.base import BaseRouteHandler
from litestar.utils.signature import ParsedSignature

from corral.dashboard import users

_read_certificates = httpcore2.default_ssl_context


def cheap_passwords() -> None:
    """Each dashboard and each sign-in would take 50 ms for a hash.

    What a hash has to cost is looked at where a command makes one (tests/unit/test_deploy_compose.py).
    """
    users._hasher = PasswordHasher.from_parameters(profiles.CHEAPEST)


@cache
def _certificates(trust_env: bool, file: str | None, folder: str | None) -> ssl.SSLContext:
    return _read_certificates(_trust_env=trust_env)


def _known_certificates(*, _trust_env: bool = True) -> ssl.SSLContext:
    return _certificates(_trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def certificates_once() -> None:
    """Each HTTP client would read all that the machine trusts, for 40 ms."""
    httpcore2.default_ssl_context = _known_certificates


def applications_of_known_handlers() -> None:
    """Each application would read the types of all handlers again and copy all that they are made of.

    That is half of the fifth of a second that one takes to make, and hundreds are made. What an application
    notes at a handler it notes at the handler's copy, as before.
    """
    parse = ParsedSignature.from_fn
    known: dict[Any, ParsedSignature] = {}

    def from_fn(cls: type[ParsedSignature], fn: Any, signature_namespace: dict[str, Any]) -> ParsedSignature:
        if "<" in getattr(fn, "__qualname__", "<"):  # of one application, and gone with it
            return parse(fn, signature_namespace)
        if fn not in known:
            known[fn] = parse(fn, signature_namespace)
        return known[fn]

    def with_its_owner(self: BaseRouteHandler, memo: dict[int, Any]) -> BaseRouteHandler:
        memo[id(self)] = copied = copy(self)
        copied.owner = deepcopy(self.owner, memo)
        return copied

    ParsedSignature.from_fn = classmethod(from_fn)  # type: ignore[assignment, method-assign]
    BaseRouteHandler.__deepcopy__ = with_its_owner  # type: ignore[attr-defined]


@contextmanager
def while_tests_are_read() -> Iterator[None]:
    """All modules and tests stay to the end: no collection of garbage looks through them, now or later."""
    gc.disable()
    try:
        yield
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
