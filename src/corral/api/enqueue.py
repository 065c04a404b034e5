"""Adding jobs over HTTP: a small raw ASGI layer in front of the Litestar application.

| route | body | job |
|---|---|---|
| POST /v1/queues/{queue}/jobs | `{"name", "data", …options}` | what it says |
| POST /v1/queues/{queue}/jobs/bulk | `{"jobs": [{"name", "data", "opts"?}, …]}` | up to 1,000, all checked |
| POST /verify-kyc | the data | `verify` on kyc-verification |
| POST /process-image | the data | `process` on image-processing |
| POST /notify | the data | `send` on notification |
| POST /track | the data | `track` on analytics |
| POST /send-email | the data | `send` on email |

Guarantees: 202 only when Redis has the job. A body over 1 MiB is a 413, announced or not. Redis away or full
is a 503 with Retry-After within about a second. Data is checked against the declared type and stored byte
for byte. Limit: after a 503 for a slow Redis the job may be there all the same; a caller that sends an
`Idempotency-Key` can repeat its request safely. In bulk, `key:index` stands for each job: if one of them was
used with other data (409), the others are added all the same. A header `Corral-Webhook: URL` is the hook of
every job of the request that brings none.

The hot path allocates little: decoders, header lists and the constant parts of answers are made once, and
concurrent requests share one call to Redis (`Queue` joins their adds). Whatever goes wrong is raised as an
error of Corral's tree and becomes problem JSON in one place. Emits what `edge.py` and `traffic.py` say.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

from corral import hooks
from corral.api import problems
from corral.api.adding import Accepted, AddBulk, AddData, Adder, AddOne
from corral.api.asgi import App, Receive, Scope, Send
from corral.api.auth import Permission
from corral.api.clock import Clock
from corral.api.edge import JSON_HEADERS, problem_answer, request_id, write_down, write_down_crash
from corral.api.known import OTHERS_KEPT
from corral.api.lookup import ANSWER_SECONDS
from corral.api.problems import Problem, Refused
from corral.api.reading import BodyReader, CallerLeft, check_media_type
from corral.api.service import Service
from corral.errors import RedisUnavailable
from corral.tracing import continued

ONE = "/v1/queues/{queue}/jobs"
BULK = "/v1/queues/{queue}/jobs/bulk"
#: path → queue, job name, prefix of the job's id, message. Without its queue a route does not exist.
MISSION_ROUTES = {
    "/verify-kyc": ("kyc-verification", "verify", "kyc", "The verification is queued."),
    "/process-image": ("image-processing", "process", "img", "The image is queued."),
    "/notify": ("notification", "send", "ntf", "The message is queued."),
    "/track": ("analytics", "track", "evt", "The event is queued."),
    "/send-email": ("email", "send", "mail", "The mail is queued."),
}

_BAD_KEY = Problem(
    400,
    "bad-idempotency-key",
    "The Idempotency-Key is not usable",
    "An Idempotency-Key has 1 to 255 printable ASCII characters.",
)
#: Else whoever may add a job could have the service sign what never happened.
_NOT_BY_HAND = Problem(
    403,
    "not-by-hand",
    "This queue is not added to by hand",
    "Deliveries are made when a job ends. Give a job a `webhook` instead.",
)
_POST_ONLY = problems.http(405, "Send a POST request.", headers={"Allow": "POST"})


@dataclass(frozen=True, slots=True)
class Route:
    """A route of this layer, to one queue. Without `add`, it is made once the caller's key was checked."""

    template: str
    queue: str
    add: Adder | None = None


class Reply(NamedTuple):
    """A whole answer. Header names are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the connection ends with it."""
        return (b"connection", b"close") in self.headers


class EnqueueLayer:
    """Answers the enqueue routes itself; every other request goes to `app`."""

    def __init__(self, service: Service, app: App) -> None:
        self.service = service
        self._app = app
        # Looked up once: each of these is called for every job.
        self._read = BodyReader().read
        self._bound = Clock(ANSWER_SECONDS).bound
        self._require = service.keyring.require
        self._observe = service.traffic.observe
        self._routes = _declared_routes(service)
        self._declared = {path.encode(): route for path, route in self._routes.items()}
        self._seen: dict[str, Route] = {}
        self._others: dict[tuple[str, str], AddOne | AddBulk] = {}

    def paths(self) -> set[str]:
        """The paths that this layer serves, as templates where they have one."""
        return {ONE, BULK, *self._routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            route = self._routes.get(path) or self._other_route(path)
            # …/jobs/bulk is also where a job of the id "bulk" is looked at.
            if route is not None and (scope["method"] == "POST" or route.template is not BULK):
                await self._serve(route, scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _serve(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reply = await self.reply(route, scope["method"], dict(scope["headers"]), None, receive)
        except CallerLeft:
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await send({"type": "http.response.body", "body": reply.body, "more_body": False})

    def declared_route(self, path: bytes) -> Route | None:
        """The route of this very path, if its queue is declared. For the server's short way."""
        return self._declared.get(path)

    async def reply(
        self,
        route: Route,
        method: str,
        headers: dict[bytes, bytes],
        body: bytes | None,
        receive: Receive | None = None,
    ) -> Reply:
        """The answer to a request, counted, and written down if it was refused.

        body: the whole of it; None if it is to be read from `receive`, once the caller's key was checked.
        Raises CallerLeft if the connection ended while it was read.
        """
        started = perf_counter()
        rid = request_id(headers.get(b"x-request-id"))
        try:
            accepted = await self._accept(route, method, headers, body, receive)
        except CallerLeft:
            raise
        except Exception as error:
            problem = problems.of(error)
            if problem.slug == "internal-error":
                write_down_crash(rid.decode(), error)
            seconds = perf_counter() - started
            self._observe(method, route.template, problem.status, seconds)
            write_down(rid, method, route.template, problem.status, seconds, problem.slug)
            return Reply(problem.status, *problem_answer(problem, rid))
        self._observe(method, route.template, 202, perf_counter() - started)
        return Reply(202, _accepted_headers(accepted, rid), accepted.payload)

    async def _accept(
        self,
        route: Route,
        method: str,
        headers: dict[bytes, bytes],
        body: bytes | None,
        receive: Receive | None,
    ) -> Accepted:
        if method != "POST":
            raise Refused(_POST_ONLY)
        self._require(headers.get(b"authorization"), Permission.ENQUEUE, route.queue)
        add = route.add or self._adder(route)
        check_media_type(headers)
        key = headers.get(b"idempotency-key")
        idempotency_key = None if key is None else _usable(key)
        hook = headers.get(b"corral-webhook")
        webhook = None if hook is None else hook.decode("latin-1")
        if body is None:
            assert receive is not None  # noqa: S101  # one of the two is there
            body = await self._read(headers, receive)
        trace = headers.get(b"traceparent")
        try:
            if trace is not None:
                with continued({"traceparent": trace.decode("latin-1"), "tracestate": _state(headers)}):
                    return await self._bound(add(body, idempotency_key, webhook))
            return await self._bound(add(body, idempotency_key, webhook))
        except TimeoutError:
            raise RedisUnavailable(
                f"Redis did not answer within {ANSWER_SECONDS:g} s. The job may have been added all the "
                "same: send an Idempotency-Key, and the same one again, to repeat a request safely."
            ) from None

    def _other_route(self, path: str) -> Route | None:
        if not path.startswith("/v1/"):
            return None
        route = self._seen.get(path)
        if route is None:
            route = other_route(path)
            if route is not None:
                if len(self._seen) >= 2 * OTHERS_KEPT:
                    self._seen.clear()
                self._seen[path] = route
        return route

    def _adder(self, route: Route) -> Adder:
        """The adder of a queue that was not declared, remembered for as long as the queue itself is."""
        if route.queue == hooks.QUEUE:
            raise Refused(_NOT_BY_HAND)
        queue = self.service.known.named(route.queue)
        known = self._others.get((route.template, route.queue))
        if known is not None and known.queue is queue:
            return known
        if len(self._others) >= 2 * OTHERS_KEPT:
            self._others.clear()
        made = AddBulk(queue) if route.template is BULK else AddOne(queue)
        self._others[route.template, route.queue] = made
        return made


def _declared_routes(service: Service) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    for name, queue in service.known.declared.items():
        if name == hooks.QUEUE:
            continue
        routes[ONE.replace("{queue}", name)] = Route(ONE, name, AddOne(queue))
        routes[BULK.replace("{queue}", name)] = Route(BULK, name, AddBulk(queue))
    for path, (queue_name, job, prefix, message) in MISSION_ROUTES.items():
        declared = service.known.declared.get(queue_name)
        if declared is not None:
            routes[path] = Route(path, queue_name, AddData(declared, job, id_prefix=prefix, message=message))
    return routes


def other_route(path: str) -> Route | None:
    """/v1/queues/{queue}/jobs and …/bulk of a queue that was not declared."""
    parts = path.split("/")
    if len(parts) < 5 or parts[1] != "v1" or parts[2] != "queues" or parts[4] != "jobs":
        return None
    if len(parts) == 5:
        return Route(ONE, parts[3])
    if len(parts) == 6 and parts[5] == "bulk":
        return Route(BULK, parts[3])
    return None


def _usable(key: bytes) -> str:
    text = key.decode("latin-1")
    if not 1 <= len(text) <= 255 or not (text.isascii() and text.isprintable()):
        raise Refused(_BAD_KEY)
    return text


def _state(headers: dict[bytes, bytes]) -> str:
    return headers.get(b"tracestate", b"").decode("latin-1")


def _accepted_headers(accepted: Accepted, rid: bytes) -> list[tuple[bytes, bytes]]:
    payload, location, replayed = accepted
    headers = [*JSON_HEADERS, (b"content-length", b"%d" % len(payload)), (b"x-request-id", rid)]
    if location is not None:
        headers.append((b"location", location))
    if replayed:
        headers.append((b"idempotent-replayed", b"true"))
    return headers
