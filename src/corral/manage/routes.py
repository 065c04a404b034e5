"""All routes of the management API as one router, and its description."""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.metadata import version
from typing import Any, cast

import msgspec
from litestar import Litestar, Request, Router, get
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from corral.api import problems
from corral.api.auth import Permission
from corral.api.problems import Refused
from corral.manage.alerts import ALERT_HANDLERS
from corral.manage.audit import read_audit
from corral.manage.breakers import BREAKER_HANDLERS
from corral.manage.bulk_operations import BULK_HANDLERS
from corral.manage.changes import read_changes_lately
from corral.manage.dead import DEAD_HANDLERS
from corral.manage.dead_operations import DEAD_OPERATION_HANDLERS
from corral.manage.depths import read_depths
from corral.manage.doctor import read_doctor
from corral.manage.events import EVENT_HANDLERS
from corral.manage.find import find_jobs
from corral.manage.fleet import read_fleet
from corral.manage.flows import FLOW_HANDLERS
from corral.manage.groups import GROUP_HANDLERS
from corral.manage.job_bulk import change_many
from corral.manage.job_changes import JOB_CHANGE_HANDLERS
from corral.manage.job_export import EXPORT_HANDLERS
from corral.manage.jobs import JOB_HANDLERS
from corral.manage.keys import KEYS
from corral.manage.live import read_live
from corral.manage.outbox import OUTBOX_HANDLERS
from corral.manage.overview import read_overview
from corral.manage.queue_changes import QUEUE_CHANGE_HANDLERS
from corral.manage.queues import list_queues, read_queue, read_stats
from corral.manage.redis import read_redis
from corral.manage.scaling import read_decisions, read_scaling
from corral.manage.schedules import SCHEDULE_HANDLERS
from corral.manage.service import Management, actor_of, asks_for
from corral.manage.settings import SETTING_HANDLERS
from corral.manage.worker_control import quiet_workers, stop_workers
from corral.manage.workers import list_workers, read_surroundings

PATH = "/api/v1"


@get("/openapi.json", guards=[asks_for(Permission.READ_DESCRIPTION)], include_in_schema=False)
async def describe() -> dict[str, Any]:
    """The description of the management API, in OpenAPI 3.1."""
    # It is made once, in most of a second, while which nobody else should wait.
    return await asyncio.to_thread(description)


#: One list a subject; each file of this package adds its own.
HANDLERS = [
    describe,
    read_audit,
    read_overview,
    read_changes_lately,
    read_depths,
    read_fleet,
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
    find_jobs,
    *EXPORT_HANDLERS,
    *BULK_HANDLERS,
    *GROUP_HANDLERS,
    *JOB_CHANGE_HANDLERS,
    change_many,
    *QUEUE_CHANGE_HANDLERS,
    *SCHEDULE_HANDLERS,
    *FLOW_HANDLERS,
    read_redis,
    *DEAD_HANDLERS,
    *DEAD_OPERATION_HANDLERS,
    *KEYS,
    *OUTBOX_HANDLERS,
    *EVENT_HANDLERS,
    *SETTING_HANDLERS,
]


def management_router(management: Management | None = None) -> Router:
    """The router for an application whose state has `management` as well; without it, for a description."""
    return Router(
        PATH,
        route_handlers=HANDLERS,
        dependencies={
            # The type says what handlers ask for: a description calls none.
            "management": Provide(lambda: cast("Management", management), sync_to_thread=False),
            "actor": Provide(actor_of, sync_to_thread=False),
        },
        before_request=_refuse_strange_bodies,
    )


async def _refuse_strange_bodies(request: Request[Any, Any, Any]) -> None:
    """Two things that the decoder fails at in its own way, and only where the types let it look that far."""
    try:
        msgspec.json.decode(await request.body())
    except UnicodeDecodeError:
        raise Refused(problems.http(400, "The body is not UTF-8, as JSON has to be.")) from None
    except RecursionError:
        raise Refused(problems.http(400, "The body has too many levels.")) from None
    except msgspec.DecodeError:
        pass  # the handler's own decoder says what is wrong


@cache
def description() -> dict[str, Any]:
    """Generated from the handlers' types: what is served is what is described."""
    app = Litestar(
        [management_router()],
        openapi_config=OpenAPIConfig(
            title="Corral management",
            version=version("corral"),
            description="How queues stand, and the changes that operators make. Durations are in seconds, "
            "times in epoch seconds. Errors are problem JSON (RFC 9457).",
        ),
    )
    return app.openapi_schema.to_schema()
