"""/metrics: the queues as they stand and the requests so far, as Prometheus text.

Behind a key with the role read or admin. What comes from Redis is read in a few round trips for all queues
of a server, within a time limit; with Redis away the answer is `corral_redis_up 0` at once, and the queues
are left out rather than made up. Emits what docs/operate/metrics.md lists for the API: see
`observe/standing_metrics.py`, `scraping.py` and `traffic.py`, and `process_*` of this process.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from corral.api.auth import OWN_QUEUES, Permission
from corral.api.service import Service, caller_of, permits
from corral.observe.prometheus import Families


@get("/metrics", guards=[permits(Permission.READ_METRICS, OWN_QUEUES)])
async def metrics(request: Request[Any, Any, Any], service: NamedDependency[Service]) -> Response[bytes]:
    """Prometheus or OpenMetrics text, as the scraper asks for. A key for certain queues gets those alone."""
    registry = CollectorRegistry()
    registry.register(Families(await service.scraper.families(sees=caller_of(request).sees)))
    registry.register(service.traffic)
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    # Litestar adds the charset to text types itself.
    return Response(encode(registry), media_type=content_type.removesuffix("; charset=utf-8"))
