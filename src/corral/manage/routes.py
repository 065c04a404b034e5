"""All routes of the management API as one router, and its description."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Router, get
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from corral.api.auth import Permission
from corral.manage.alerts import ALERT_HANDLERS
from corral.manage.audit import read_audit
from corral.manage.breakers import BREAKER_HANDLERS
from corral.manage.dead import DEAD_HANDLERS
from corral.manage.dead_operations import DEAD_OPERATION_HANDLERS
from corral.manage.doctor import read_doctor
from corral.manage.job_bulk import change_many
from corral.manage.job_changes import JOB_CHANGE_HANDLERS
from corral.manage.jobs import JOB_HANDLERS
from corral.manage.keys import KEYS
from corral.manage.live import read_live
from corral.manage.overview import read_overview
from corral.manage.queue_changes import QUEUE_CHANGE_HANDLERS
from corral.manage.queues import list_queues, read_queue, read_stats
from corral.manage.redis import read_redis
from corral.manage.scaling import read_decisions, read_scaling
from corral.manage.schedules import SCHEDULE_HANDLERS
from corral.manage.service import Management, actor_of, asks_for
from corral.manage.worker_control import quiet_workers, stop_workers
from corral.manage.workers import list_workers, read_surroundings

PATH = "/api/v1"


@get("/openapi.json", guards=[asks_for(Permission.READ_DESCRIPTION)], include_in_schema=False)
async def describe() -> dict[str, Any]:
    """The description of the management API, in OpenAPI 3.1."""
    return description()


#: One list a subject; each file of this package adds its own.
HANDLERS = [
    describe,
    read_audit,
    read_overview,
    read_live,
    read_decisions,
    read_scaling,
    quiet_workers,
    stop_workers,
    *ALERT_HANDLERS,
    list_queues,
    read_queue,
    read_stats,
    list_workers,
    read_surroundings,
    read_doctor,
    *BREAKER_HANDLERS,
    *JOB_HANDLERS,
    *JOB_CHANGE_HANDLERS,
    change_many,
    *QUEUE_CHANGE_HANDLERS,
    *SCHEDULE_HANDLERS,
    read_redis,
    *DEAD_HANDLERS,
    *DEAD_OPERATION_HANDLERS,
    *KEYS,
]


def management_router(management: Management) -> Router:
    """The router for an application whose state has `management` as well."""
    return Router(
        PATH,
        route_handlers=HANDLERS,
        dependencies={
            "management": Provide(lambda: management, sync_to_thread=False),
            "actor": Provide(actor_of, sync_to_thread=False),
        },
    )


@cache
def description() -> dict[str, Any]:
    """Generated from the handlers' types: what is served is what is described."""
    app = Litestar(
        [Router(PATH, route_handlers=HANDLERS, dependencies={
            "management": Provide(_nothing, sync_to_thread=False),
            "actor": Provide(actor_of, sync_to_thread=False),
        })],
        openapi_config=OpenAPIConfig(
            title="Corral management",
            version=version("corral"),
            description="How queues stand, and the changes that operators make. Durations are in seconds, "
            "times in epoch seconds. Errors are problem JSON (RFC 9457).",
        ),
    )  # fmt: skip
    return app.openapi_schema.to_schema()


def _nothing() -> Management:
    raise NotImplementedError  # the description is made of types; nobody calls this
