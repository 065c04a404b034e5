"""/healthz and /readyz, both without a key: probes carry none, and they tell nothing but yes or no.

/healthz: the process serves requests; it does not look at Redis, because restarting this process would
not bring Redis back. /readyz: Redis answers as well, else 503 with the reason.
"""

from __future__ import annotations

from litestar import HttpMethod, route
from litestar.di import NamedDependency

from corral.api.service import Service


@route("/healthz", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@route("/readyz", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def readyz(service: NamedDependency[Service]) -> dict[str, str]:
    """Redis answers, so jobs can be taken. One round trip. Raises RedisUnavailable."""
    await service.lookup.ping(service.known)
    return {"status": "ready"}
