"""The sandbox's ASGI application: finds the stand-in, plays scripted faults, keeps the outbox."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from corral.sandbox import cloudflare, outbox_list, outbox_page, s3, wire
from corral.sandbox.apns import ApnsStandIn
from corral.sandbox.clickhouse import ClickhouseStandIn
from corral.sandbox.faults import Fault, Faults
from corral.sandbox.fcm import FcmStandIn
from corral.sandbox.hooks import HOST, HookReceiver
from corral.sandbox.idenfy import IdenfyStandIn
from corral.sandbox.mailgun import MailgunStandIn
from corral.sandbox.onfido import OnfidoStandIn
from corral.sandbox.outbox import Outbox
from corral.sandbox.outcomes import Outcome
from corral.sandbox.pictures import Pictures
from corral.sandbox.postgrest import PostgrestStandIn
from corral.sandbox.posthog import PosthogStandIn
from corral.sandbox.segment import SegmentStandIn
from corral.sandbox.sendgrid import SendGridStandIn
from corral.sandbox.standin import SoftStandIn, StandIn
from corral.sandbox.storage import StorageStandIn
from corral.sandbox.twilio import TwilioStandIn
from corral.sandbox.webhooks import Webhooks
from corral.sandbox.webpush import HOST as PUSH_HOST
from corral.sandbox.webpush import WebPushStandIn
from corral.sandbox.wire import Malformed, Receive, Reply, Request, Scope, Send

log = structlog.get_logger(__name__)

#: Seconds from the creation of a check to its completion.
DELAY = 2.0


class SandboxApp:
    """All stand-ins behind one address.

    public_url: where the API listens; webhooks go to `/webhooks/<provider>` there.
    delay: seconds from a check's creation to its completion and webhook, and from a mail to its events.
    kyc_table: the name of the verifications' table (CORRAL_KYC_TABLE).
    buckets: the public buckets of Storage.
    devices, profiles: a table and its columns (CORRAL_DEVICES_…, CORRAL_PHONES_…).
    analytics_table, clickhouse_table: the tables of events (CORRAL_ANALYTICS_TABLE, CLICKHOUSE_TABLE).
    """

    def __init__(
        self,
        *,
        public_url: str = "http://127.0.0.1:3000",
        delay: float = DELAY,
        kyc_table: str = "kyc_verifications",
        buckets: tuple[str, ...] = ("images",),
        analytics_table: str = "analytics_events",
        clickhouse_table: str = "analytics_events",
        devices: tuple[str, str] = ("device_tokens", "user_id,kind,token"),
        profiles: tuple[str, str] = ("profiles", "id,phone,time_zone"),
    ) -> None:
        self.outbox = Outbox()
        self.webhooks = Webhooks(public_url, self.outbox)
        self.postgrest = PostgrestStandIn(
            self.outbox, kyc_table, analytics_table, devices=devices, profiles=profiles
        )
        self.onfido = OnfidoStandIn(self.outbox, self.webhooks, delay)
        self.idenfy = IdenfyStandIn(self.outbox, self.webhooks, delay)
        self.pictures = Pictures(self.outbox)
        self.posthog = PosthogStandIn(self.outbox)
        self.segment = SegmentStandIn(self.outbox)
        self.clickhouse = ClickhouseStandIn(self.outbox, clickhouse_table)
        self.hooks = HookReceiver(self.outbox)
        self.fcm = FcmStandIn(self.outbox)
        self.twilio = TwilioStandIn(self.outbox, delay)
        self._hosts: dict[str, StandIn] = {HOST: self.hooks, PUSH_HOST: WebPushStandIn(self.outbox)}
        self._standins: tuple[tuple[str, StandIn], ...] = (
            ("/onfido/v3.6", self.onfido),
            ("/idenfy", self.idenfy),
            ("/sendgrid/v3", SendGridStandIn(self.outbox, self.webhooks, delay)),
            ("/mailgun/v3", MailgunStandIn(self.outbox, self.webhooks, delay)),
            ("/supabase/rest/v1", self.postgrest),
            ("/supabase/storage/v1", StorageStandIn(self.outbox, buckets)),
            ("/fcm", self.fcm),
            ("/apns", ApnsStandIn(self.outbox)),
            ("/twilio", self.twilio),
            ("/posthog", self.posthog),
            ("/segment", self.segment),
            ("/clickhouse", self.clickhouse),
            (s3.BASE, s3.S3StandIn(self.outbox)),
            (cloudflare.BASE, cloudflare.CloudflareStandIn(self.outbox)),
        )
        everyone = (self.pictures, *self._hosts.values(), *(standin for _, standin in self._standins))
        self.faults = Faults(
            {standin.provider for standin in everyone},
            {standin.provider for standin in everyone if isinstance(standin, SoftStandIn)},
        )
        self._closing = asyncio.Event()

    async def close(self) -> None:
        """Let hanging requests go and drop webhooks that were not sent yet."""
        self._closing.set()
        await self.webhooks.close()
        await self.twilio.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            request = await wire.read(scope, receive)
        except Malformed as error:
            await wire.send(Reply(413, {"message": str(error)}), send)
            return
        standin, request = self._find(request)
        if standin is None:
            await wire.send(self._own(request), send)
            return
        fault = self.faults.take(standin.provider, request.method, request.path)
        if fault is None:
            await wire.send(await _answer(standin, request), send)
        else:
            await self._play(fault, standin, request, scope, receive, send)

    def _find(self, request: Request) -> tuple[StandIn | None, Request]:
        host = request.headers.get("host", "").partition(":")[0].lower().rstrip(".")
        if host == "example.com" or host.endswith(".example.com"):
            return self._hosts.get(host, self.pictures), request
        for base, standin in self._standins:
            if request.path.startswith(base + "/"):
                path = request.path[len(base) :]
                return standin, Request(request.method, path, request.query, request.headers, request.body)
        return None, request

    def _own(self, request: Request) -> Reply:
        """The sandbox's own pages."""
        match request.method, request.path:
            case "GET", "/" if outbox_page.wanted(request):
                return outbox_page.home()
            case "GET", "/":
                return Reply(200, {"service": "Corral sandbox", "real": False, "see": ["/outbox", "/faults"]})
            case "GET", "/outbox" if outbox_page.wanted(request):
                return outbox_page.outbox(self.outbox.show()["entries"], outbox_page.Filter.of(request))
            case "GET", "/outbox":
                return Reply(200, self.outbox.show(request.param("provider")))
            case "GET", "/outbox/entries":
                return outbox_list.entries(self.outbox, request)
            case "GET", path if path.startswith("/outbox/entries/"):
                return outbox_list.entry(self.outbox, path)
            case "GET", "/faults":
                return Reply(200, self.faults.show())
            case "DELETE", "/faults":
                self.faults.clear()
                return Reply(204)
            case "POST", "/faults":
                try:
                    self.faults.add(request.json_object())
                except ValueError as error:
                    return Reply(400, {"message": str(error)})
                return Reply(201, self.faults.show())
            case "POST", "/decisions":
                return self._decide(request)
        return Reply(404, {"message": f"the sandbox has no {request.method} {request.path}"})

    def _decide(self, request: Request) -> Reply:
        """A review is resolved: see `outcomes`."""
        body = request.json_object()
        decide = {"onfido": self.onfido.decide, "idenfy": self.idenfy.decide}.get(str(body.get("provider")))
        try:
            found = decide is not None and decide(str(body.get("ref")), Outcome(body.get("outcome")))
        except ValueError:
            return Reply(400, {"message": f"outcome is one of {', '.join(o.value for o in Outcome)}"})
        return Reply(202) if found else Reply(404, {"message": "there is no such verification"})

    async def _play(
        self, fault: Fault, standin: StandIn, request: Request, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer with a fault."""
        reply = Reply(500) if fault.instead else await _answer(standin, request)
        with contextlib.suppress(TimeoutError):
            # Not a plain sleep: a sandbox that stops need not wait for it.
            await asyncio.wait_for(self._closing.wait(), fault.latency)
        log.info("sandbox_fault", provider=standin.provider, fault=fault.fault, request=request.method)
        match fault.fault:
            case "hang":
                await self._until_gone(receive)
                _abort(scope)
            case "drop":
                _abort(scope)
            case "truncated":
                headers, content = Reply(reply.status or 200, reply.body or b"{}").encoded()
                content = content or b'{"id": '
                await send(
                    {"type": "http.response.start", "status": 200, "headers": wire.raw_headers(headers)}
                )
                await send(
                    {"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True}
                )
                _abort(scope)
            case "late":
                await wire.send(reply, send)
            case "soft":
                await wire.send(_soft(standin), send)
            case code:
                await wire.send(_refusal(standin, int(code), fault.headers), send)

    async def _until_gone(self, receive: Receive) -> None:
        gone = asyncio.ensure_future(receive())
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait({gone, closing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            closing.cancel()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _refusal(standin: StandIn, status: int, headers: dict[str, str]) -> Reply:
    reply = standin.fault(status)
    return Reply(status, reply.body, reply.headers | headers)


def _soft(standin: StandIn) -> Reply:
    # Two stand-ins may share a provider's name, and only one of them have soft errors.
    return standin.soft() if isinstance(standin, SoftStandIn) else standin.fault(500)


async def _answer(standin: StandIn, request: Request) -> Reply:
    answer = standin.answer(request)
    return answer if isinstance(answer, Reply) else await answer


def _abort(scope: Scope) -> None:
    """Cut the connection, as a crashed server does. `sandbox.server` puts the transport there."""
    transport = scope.get("corral.transport")
    if transport is None:
        raise ConnectionResetError("a scripted fault; this server offers no connection to cut")
    transport.abort()
