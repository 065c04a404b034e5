"""A real HTTP service for tests: uvicorn on an ephemeral loopback port, in the test's own event loop."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
import msgspec

from corral import JobContext, Queue, Retry, Settings
from corral.api.app import HttpService, create_app
from corral.api.server import ApiServer
from corral.bullmq.connection import close_shared_clients

ENQUEUE, READ, ADMIN = "enqueue-key-0000001", "read-key-0000000001", "admin-key-000000001"
KEYS = f"shop:{ENQUEUE}:enqueue,grafana:{READ}:read,ops:{ADMIN}:admin"

#: The bare minimum of the mission's KYC job.
KYC = {"userId": "user-1", "documentType": "passport"}


class Kyc(msgspec.Struct, rename="camel"):
    user_id: str
    document_type: Literal["passport", "id_card", "driving_license"]


class Report(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    month: str
    pages: int = 1


def queues(redis_url: str) -> dict[str, Queue]:
    """A KYC queue with the mission's name, and one with two jobs and a retry policy of its own."""
    kyc = Queue("kyc-verification", redis_url=redis_url, prefix="bull")
    reports = Queue(
        "reports",
        redis_url=redis_url,
        prefix="bull",
        retry=Retry(attempts=4, delays=(60, 300)),
        max_data_bytes=1_000,
    )

    @kyc.job("verify")
    async def verify(job: JobContext, data: Kyc) -> dict[str, str]:
        return {"user": data.user_id}

    @reports.job("build")
    async def build(job: JobContext, data: Report) -> int:
        if data.month == "never":
            raise ValueError("there is no such month")
        return data.pages

    @reports.job("purge")
    async def purge(job: JobContext, data: dict[str, Any]) -> None:
        return None

    return {"kyc-verification": kyc, "reports": reports}


@dataclass
class Service:
    """A running service and what tests need of it."""

    url: str
    http: httpx2.AsyncClient
    queues: dict[str, Queue]
    server: ApiServer
    app: HttpService

    def as_(self, key: str | None) -> dict[str, str]:
        return {} if key is None else {"Authorization": f"Bearer {key}"}


#: Services that run in this loop.
_open: list[ApiServer] = []


@contextlib.asynccontextmanager
async def serving(
    redis_url: str,
    *,
    allow_any_queue: bool = True,
    more: Mapping[str, Queue] | None = None,
    keys: str = "",
) -> AsyncIterator[Service]:
    """Serve, with a client that carries the admin key. `more`: further queues; `keys`: further keys."""
    all_keys = ",".join(filter(None, (KEYS, keys)))
    settings = Settings(_env_file=None, redis_url=redis_url, api_keys=all_keys)
    declared = {**queues(redis_url), **(more or {})}
    app = create_app(settings, declared, allow_any_queue=allow_any_queue)
    server = ApiServer(app, grace_seconds=1)
    _open.append(server)
    async with server:
        limits = httpx2.Limits(max_connections=100)
        headers = {"Authorization": f"Bearer {ADMIN}"}
        async with httpx2.AsyncClient(
            base_url=server.url, headers=headers, limits=limits, timeout=20
        ) as http:
            yield Service(server.url, http, declared, server, app)
    _open.remove(server)
    if not _open:  # another that runs on in this loop would open them again, and nobody would close them
        await close_shared_clients()
