"""Starts a sandbox for a test and makes the providers that talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2

from corral import sandbox
from corral.providers import Providers
from corral.sandbox.server import RunningSandbox
from corral.settings import Settings


@contextmanager
def running(**options: Any) -> Iterator[RunningSandbox]:
    """A sandbox whose checks complete at once and whose webhooks lead nowhere, unless told otherwise."""
    with sandbox.serve(**{"delay": 0.0, "public_url": "http://127.0.0.1:1", **options}) as server:
        yield server


@asynccontextmanager
async def talking_to(server: RunningSandbox) -> AsyncIterator[Providers]:
    """The providers of sandbox mode."""
    made = Providers(Settings(_env_file=None, CORRAL_SANDBOX=True), server.url)
    yield made
    await made.close()


async def script(server: RunningSandbox, **fault: Any) -> None:
    """Have the sandbox misbehave."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        (await client.post(f"{server.url}/faults", json=fault)).raise_for_status()


async def forget_faults(server: RunningSandbox) -> None:
    """Have it behave."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        (await client.delete(f"{server.url}/faults")).raise_for_status()
