"""iDenfy's stand-in: sessions, direct upload, status, data, signed webhooks.

A session without photographs stays ACTIVE until its time has passed; photographs start the verification.
"""

from __future__ import annotations

import base64
import binascii
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

from corral.providers.countries import ALPHA3
from corral.sandbox import keys, photographs
from corral.sandbox.outbox import Outbox, initial, masked
from corral.sandbox.outcomes import Outcome, outcome
from corral.sandbox.webhooks import Webhooks
from corral.sandbox.wire import Malformed, Reply, Request, Route, find

_DOCUMENTS = frozenset({"PASSPORT", "ID_CARD", "DRIVER_LICENSE", "RESIDENCE_PERMIT"})
_TOKEN_TYPES = frozenset({"IDENTIFICATION", "DOCUMENT"})
_IMAGE_BYTES = 6 * 1024 * 1024
_REQUEST_BYTES = 20 * 1024 * 1024
_MAX_EXPIRY = 2_592_000

_OVERALL = {
    Outcome.REJECT: "DENIED",
    Outcome.REVIEW: "SUSPECTED",
    Outcome.MISMATCH: "SUSPECTED",
    Outcome.EXPIRE: "EXPIRED",
}


class _Refused(Exception):
    """A 400 with an identifier."""

    def __init__(self, identifier: str, message: str) -> None:
        super().__init__(message)
        self.identifier = identifier


class IdenfyStandIn:
    """iDenfy in memory."""

    provider = "idenfy"

    def __init__(
        self, outbox: Outbox, webhooks: Webhooks, delay: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._delay = delay
        self._clock = clock
        self._sessions: dict[str, dict[str, Any]] = {}
        self._routes = [
            Route("POST", "/api/v2/token", self._token),
            Route("POST", "/api/v2/process", self._process),
            Route("POST", "/api/v2/status", self._status),
            Route("POST", "/api/v2/data", self._data),
        ]

    def answer(self, request: Request) -> Any:
        pair = base64.b64encode(f"{keys.IDENFY_API_KEY}:{keys.IDENFY_API_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {pair}":
            return self.fault(401)
        found = find(self._routes, request)
        if found is None:
            return _error(404, "NOT_FOUND", "There is no such endpoint")
        handle, match = found
        try:
            return handle(request, match)
        except _Refused as error:
            return _error(400, error.identifier, str(error))
        except Malformed as error:
            return _error(400, "JSON_ERROR", str(error))

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, "UNAUTHORIZED", "The API key or secret is not known here")
            case 429:
                return _error(429, "TOO_MANY_REQUESTS", "Too many requests in the last hour")
            case _:
                return _error(status, "INTERNAL_ERROR", "Something went wrong")

    def soft(self) -> Reply:
        """What a good answer never has: a message under a 200."""
        return Reply(200, {"message": "The document was not found in the photograph"})

    def _token(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json_object()
        client_id = body.get("clientId")
        if not client_id:
            raise _Refused("MISSING_VALUE", "clientId is missing")
        if not isinstance(client_id, str) or len(client_id) > 100 or not client_id.isascii():
            raise _Refused("BAD_VALUE", "clientId has more than 100 characters or is not ASCII")
        if body.get("tokenType", "IDENTIFICATION") not in _TOKEN_TYPES:
            raise _Refused("BAD_VALUE", "tokenType is not known")
        if not set(body.get("documents", [])) <= _DOCUMENTS:
            raise _Refused("BAD_VALUE", "documents has an unknown type")
        if len(str(body.get("externalRef", ""))) > 40 or len(str(body.get("documentNumber", ""))) > 50:
            raise _Refused("BAD_VALUE", "externalRef or documentNumber is too long")
        if "country" in body and body["country"] not in ALPHA3:
            raise _Refused("BAD_VALUE", "country is not ISO 3166-1 alpha-2")
        expiry = body.get("expiryTime", 3600)
        if not isinstance(expiry, int) or not 0 <= expiry <= _MAX_EXPIRY:
            raise _Refused("BAD_VALUE", "expiryTime is out of range")
        scan_ref = str(uuid.uuid4())
        session = {
            "scanRef": scan_ref,
            "authToken": uuid.uuid4().hex,
            "tokenType": body.get("tokenType", "IDENTIFICATION"),
            "clientId": client_id,
            "externalRef": body.get("externalRef"),
            "documentNumber": body.get("documentNumber", ""),
            "outcome": outcome(str(body.get("documentNumber", "")), str(body.get("firstName", ""))),
            "expires_at": self._clock() + expiry,
            "done_at": None,
        }
        self._sessions[scan_ref] = session
        self._outbox.record(
            "idenfy",
            "session",
            scanRef=scan_ref,
            clientId=masked(client_id),
            firstName=initial(body.get("firstName", "")),
            documentNumber=masked(session["documentNumber"]),
        )
        reply = {"message": "Token created", "redirectUrl": f"https://id.example.com/{scan_ref}"}
        echo = {k: session[k] for k in ("authToken", "scanRef", "clientId", "externalRef", "tokenType")}
        return Reply(201, reply | echo)

    def _process(self, request: Request, _: re.Match[str]) -> Reply:
        if len(request.body) > _REQUEST_BYTES:
            raise _Refused("VALIDATION_ERROR", "the request is over 20 MB")
        body = request.json_object()
        token = body.get("authToken") or body.get("token")
        session = next((s for s in self._sessions.values() if s["authToken"] == token), None)
        if session is None or session["done_at"] is not None or self._clock() > session["expires_at"]:
            raise _Refused("TOKEN_NOT_VALID", "The token is unknown, used or expired")
        if not body.get("country"):
            raise _Refused("MISSING_VALUE", "country is missing")
        if body["country"] not in ALPHA3:
            raise _Refused("BAD_VALUE", "country is not ISO 3166-1 alpha-2")
        document = body.get("documentType")
        if document not in _DOCUMENTS:
            raise _Refused("BAD_VALUE", "documentType is not known")
        images = body.get("images")
        if not isinstance(images, dict):
            raise _Refused("MISSING_VALUE", "images is missing")
        for step in _steps(document, session["tokenType"]):
            if not images.get(step):
                raise _Refused("MISSING_VALUE", f"No image provided for step '{step}'")
        contents = {step: _decode(step, image) for step, image in images.items()}
        if session["outcome"] is Outcome.BLUR or not all(map(_is_photograph, contents.values())):
            return Reply(200, {"message": "The document was not found in the photograph"})
        session["done_at"] = self._clock() + self._delay
        sizes = {step: len(content) for step, content in contents.items()}
        self._outbox.record(
            "idenfy", "process", scanRef=session["scanRef"], documentType=document, bytes=sizes
        )
        if session["outcome"] not in (Outcome.SILENT, Outcome.NEVER):
            # The automatic part reports first; only the final one ends a job.
            for final, event in (
                (False, "IDENTIFICATION_AUTO_FINISHED"),
                (True, "IDENTIFICATION_MANUAL_FINISHED"),
            ):
                self._webhooks.schedule(
                    "idenfy",
                    self._delay if final else self._delay / 2,
                    lambda final=final: self._webhook(session, final),  # type: ignore[misc]  # binds the loop's value
                    {"Idenfy-Event-Type": event},
                )
        return Reply(200)

    def decide(self, ref: str, decision: Outcome) -> bool:
        """End a session anew, as iDenfy's people do after a review. False if there is none."""
        session = self._sessions.get(ref)
        if session is None:
            return False
        session["outcome"] = decision
        session["done_at"] = self._clock()
        self._webhooks.schedule(
            "idenfy",
            0.0,
            lambda: self._webhook(session, final=True),
            {"Idenfy-Event-Type": "IDENTIFICATION_MANUAL_FINISHED"},
        )
        return True

    def _status(self, request: Request, _: re.Match[str]) -> Reply:
        session = self._session(request)
        return Reply(
            200,
            {
                "status": self._overall(session),
                "scanRef": session["scanRef"],
                "clientId": session["clientId"],
                **_tags(session["outcome"]),
            },
        )

    def _data(self, request: Request, _: re.Match[str]) -> Reply:
        session = self._session(request)
        return Reply(
            200, {"scanRef": session["scanRef"], "docNumber": session["documentNumber"], "docType": None}
        )

    def _webhook(self, session: dict[str, Any], final: bool) -> dict[str, Any]:
        overall = self._overall(session) if final else "ACTIVE"
        return {
            "final": final,
            "platform": "API",
            "status": {"overall": overall, **_tags(session["outcome"])},
            "data": {"docNumber": session["documentNumber"]},
            "scanRef": session["scanRef"],
            "externalRef": session["externalRef"],
            "clientId": session["clientId"],
        }

    def _overall(self, session: dict[str, Any]) -> str:
        now = self._clock()
        if session["done_at"] is None:
            return "ACTIVE" if now <= session["expires_at"] else "EXPIRED"
        if session["outcome"] is Outcome.NEVER or now < session["done_at"]:
            return "REVIEWING"
        return _OVERALL.get(session["outcome"], "APPROVED")

    def _session(self, request: Request) -> dict[str, Any]:
        scan_ref = request.json_object().get("scanRef")
        if not scan_ref:
            raise _Refused("MISSING_VALUE", "scanRef is missing")
        session = self._sessions.get(str(scan_ref))
        if session is None:
            raise _Refused("BAD_VALUE", "scanRef is not known")
        return session


def _steps(document: str, token_type: str) -> list[str]:
    steps = ["FRONT"]
    if document in ("ID_CARD", "DRIVER_LICENSE"):
        steps.append("BACK")
    if token_type == "IDENTIFICATION":  # noqa: S105 - a kind of session
        steps.append("FACE")
    return steps


def _decode(step: str, image: object) -> bytes:
    try:
        content = base64.b64decode(str(image), validate=True)
    except (binascii.Error, ValueError):
        raise _Refused("ENCODING_ERROR", f"the image of step '{step}' is not base64") from None
    if len(content) > _IMAGE_BYTES:
        raise _Refused("VALIDATION_ERROR", f"the image of step '{step}' is over 6 MB")
    return content


def _is_photograph(content: bytes) -> bool:
    return any(photographs.readable(content, kind) for kind in ("image/jpeg", "image/png"))


def _tags(wanted: Outcome) -> dict[str, Any]:
    mismatch = ["DOCUMENT_NUMBER"] if wanted is Outcome.MISMATCH else []
    return {
        "fraudTags": [],
        "mismatchTags": mismatch,
        "autoDocument": "DOC_VALIDATED",
        "autoFace": "FACE_MATCH",
    }


def _error(status: int, identifier: str, message: str) -> Reply:
    return Reply(status, {"identifier": identifier, "message": message})
