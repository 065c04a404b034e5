"""The HTTP service as one ASGI application: the raw enqueue layer, and behind it Litestar for the rest.

`create_app` reads no environment and connects to nothing: a service whose Redis is away starts, says so at
/readyz, and answers 503 until Redis is back. Without a key in CORRAL_API_KEYS it does not start
(ConfigurationError): a service that anybody may fill with jobs is never the effect of a forgotten setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from litestar import Litestar, Request, Response
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException

from corral.api import problems
from corral.api.asgi import App
from corral.api.auth import OWN_QUEUES, Keyring, Permission
from corral.api.cancelling import cancel
from corral.api.discovery import Discovery
from corral.api.edge import Edge, write_down_crash
from corral.api.enqueue import EnqueueLayer
from corral.api.health import healthz, readyz
from corral.api.jobs import job, job_status
from corral.api.key_refresh import KeyRefresh
from corral.api.known import KnownQueues
from corral.api.lookup import Lookup
from corral.api.mail_webhooks import MAIL_QUEUE, mailgun, sendgrid
from corral.api.metrics import metrics
from corral.api.openapi import openapi
from corral.api.pictures import picture
from corral.api.problems import FieldError, Problem
from corral.api.reading import MAX_BODY_BYTES
from corral.api.scraping import Scraper
from corral.api.service import Service, key_of
from corral.api.sms_webhooks import SMS_QUEUE, twilio
from corral.api.streams import job_events, queue_events
from corral.api.traffic import Traffic
from corral.api.webhooks import WEBHOOK_QUEUE, idenfy, onfido
from corral.bullmq.connection import Address
from corral.manage.live_ticker import end_live
from corral.manage.routes import management_router
from corral.manage.service import Actor, Management
from corral.providers import close_providers
from corral.providers.images import image_folder
from corral.queue import Queue
from corral.queues.mail_webhooks import MailWebhooks
from corral.settings import Settings

HANDLERS = [healthz, readyz, metrics, openapi, job_status, job, cancel, picture, job_events, queue_events]
WEBHOOKS = {WEBHOOK_QUEUE: [onfido, idenfy], MAIL_QUEUE: [sendgrid, mailgun], SMS_QUEUE: [twilio]}


class HttpService(EnqueueLayer):
    """The ASGI application. Its lifespan closes what the queues hold in the event loop."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.litestar = _litestar(service, settings)
        super().__init__(service, Edge(cast("App", self.litestar), service.traffic))

    def begin_shutdown(self) -> None:
        """Let long polls answer now. For the server, before it waits for open requests."""
        self.service.stopping.set()
        self.litestar.state.management.streams.stopping.set()
        end_live(self.litestar)


def create_app(
    settings: Settings, queues: Mapping[str, Queue], *, allow_any_queue: bool = True
) -> HttpService:
    """The service for these queues. Raises ConfigurationError without a usable CORRAL_API_KEYS.

    queues: by name; their jobs are checked against the declared types.
    allow_any_queue: take jobs for queues of any other name too, unchecked, as stock BullMQ producers do.
    """
    address = Address.resolve(settings.redis_url, settings)
    known, lookup = KnownQueues(settings, queues, allow_any=allow_any_queue), Lookup(address)
    return HttpService(
        Service(
            known=known,
            keyring=Keyring.parse(settings.api_keys.get_secret_value()),
            lookup=lookup,
            traffic=Traffic(),
            scraper=Scraper(known, lookup, Discovery(address, settings.prefix)),
            mail=MailWebhooks(settings),
            pictures=image_folder(settings) if settings.image_target == "folder" else None,
        ),
        settings,
    )


def _litestar(service: Service, settings: Settings) -> Litestar:
    declared = service.known.declared
    refresh = KeyRefresh(service.keyring, Address.resolve(settings.redis_url, settings), settings.prefix)
    management = Management(settings, service.known, _by_key)
    app = Litestar(
        route_handlers=[
            *HANDLERS,
            *(route for name in WEBHOOKS if name in declared for route in WEBHOOKS[name]),
            management_router(management),
        ],
        dependencies={"service": Provide(lambda: service, sync_to_thread=False)},
        exception_handlers={HTTPException: on_http_error, Exception: on_error},
        on_startup=[refresh.start],
        on_shutdown=[refresh.close, service.known.close, service.scraper.close, close_providers],
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    app.state.service = service
    app.state.management = management
    return app


async def _by_key(connection: ASGIConnection[Any, Any, Any, Any], permission: Permission) -> Actor:
    """Who calls the management API: the name of the key."""
    one_for_all = permission is Permission.READ_DESCRIPTION
    key = key_of(connection, permission, OWN_QUEUES if one_for_all else None)
    return Actor(f"key:{key.name}", key.grants, key.queues)


def on_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar itself refuses: no such route, wrong method, a body too large, a wrong parameter."""
    detail = error.detail
    if error.status_code == 404:
        detail = "There is nothing here. The routes are listed in /openapi.json."
    elif error.status_code == 405:
        detail = f"This route takes {(error.headers or {}).get('allow', 'another method')}."
    problem = problems.http(error.status_code, detail, headers=error.headers)
    if isinstance(error.extra, list):
        wrong = tuple(
            FieldError(_place(item.get("key", "")), str(item.get("message", "")))
            for item in error.extra
            if isinstance(item, dict)
        )
        problem = problems.invalid("A parameter is not valid", wrong) if wrong else problem
    return _answer(request, problem)


def _place(key: str) -> str:
    """Where a wrong value is: `data` is what Litestar calls the body."""
    return "$" if key == "data" else f"?{key}"


def on_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    problem = problems.of(error)
    if problem.slug == "internal-error":
        write_down_crash(request.scope["state"]["request_id"], error)
    return _answer(request, problem)


def _answer(request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    request.scope["state"]["problem"] = problem.slug
    return Response(
        problem.to_json(),
        status_code=problem.status,
        media_type=problems.MEDIA_TYPE,
        headers=dict(problem.headers),
    )
