"""Onfido's stand-in: applicants, documents, live photos, checks, reports, `check.completed` webhooks."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from corral.providers.countries import ALPHA3
from corral.sandbox import keys, photographs
from corral.sandbox.outbox import Outbox, initial, masked
from corral.sandbox.outcomes import Outcome, outcome
from corral.sandbox.webhooks import Webhooks
from corral.sandbox.wire import Malformed, Part, Reply, Request, Route, find, form

_FORBIDDEN_IN_NAMES = re.compile(r'[!#$%*=<>;{}"]')
_ID_NUMBER_TYPES = frozenset(
    {"ssn", "social_insurance", "tax_id", "identity_card", "driving_licence", "driving_license"}
    | {"share_code", "voter_id", "passport", "other"}
)
_DOCUMENT_TYPES = frozenset(
    {
        "passport",
        "national_identity_card",
        "driving_licence",
        "residence_permit",
        "visa",
        "work_permit",
        "unknown",
    }
)
_REPORT_NAMES = frozenset(
    {"document", "facial_similarity_photo", "identity_enhanced", "watchlist_standard", "known_faces"}
)
_DOCUMENT_BYTES = (2 * 1024, 3 * 1024 * 1024)
_PHOTO_BYTES = (32 * 1024, 10 * 1024 * 1024)


class _Invalid(Exception):
    """A 422 with the wrong fields."""

    def __init__(self, kind: str = "validation_error", **fields: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.fields = {name: [reason] for name, reason in fields.items()}


class OnfidoStandIn:
    """Onfido in memory."""

    provider = "onfido"

    def __init__(
        self, outbox: Outbox, webhooks: Webhooks, delay: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox = outbox
        self._webhooks = webhooks
        self._delay = delay
        self._clock = clock
        self._applicants: dict[str, dict[str, Any]] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._photos: dict[str, dict[str, Any]] = {}
        self._checks: dict[str, dict[str, Any]] = {}
        self._done_at: dict[str, float] = {}
        self._routes = [
            Route("POST", "/applicants", self._create_applicant),
            Route("GET", "/applicants/([^/]+)", lambda _, m: self._get(self._applicants, m[1])),
            Route("POST", "/documents", self._upload_document),
            Route("GET", "/documents/([^/]+)", lambda _, m: self._get(self._documents, m[1])),
            Route("POST", "/live_photos", self._upload_photo),
            Route("POST", "/checks", self._create_check),
            Route("GET", "/checks", self._list_checks),
            Route("GET", "/checks/([^/]+)", self._get_check),
            Route("GET", "/reports", self._list_reports),
            Route("GET", "/reports/([^/]+)", self._get_report),
        ]

    def answer(self, request: Request) -> Any:
        if request.headers.get("authorization") != f"Token token={keys.ONFIDO_API_KEY}":
            return self.fault(401)
        found = find(self._routes, request)
        if found is None:
            return _not_found()
        handle, match = found
        try:
            return handle(request, match)
        except _Invalid as error:
            return _error(422, error.kind, "There was a validation error on this request", error.fields)
        except Malformed as error:
            return _error(400, "bad_request", str(error))

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return _error(401, "authorization_error", "The API token is missing or not known here")
            case 429:
                return _error(429, "rate_limit", "Too many requests in the last minute")
            case _:
                return _error(status, "internal_server_error", "Something went wrong")

    # Applicants and files

    def _create_applicant(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json_object()
        for name in ("first_name", "last_name"):
            value = body.get(name)
            if not isinstance(value, str) or not value.strip():
                raise _Invalid(**{name: "can't be blank"})
            if _FORBIDDEN_IN_NAMES.search(value):
                raise _Invalid(**{name: "has characters that are not allowed"})
        if "dob" in body and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(body["dob"])):
            raise _Invalid(dob="is not a date")
        numbers = body.get("id_numbers", [])
        for number in numbers:
            if number.get("type") not in _ID_NUMBER_TYPES or not number.get("value"):
                raise _Invalid(id_numbers="type or value is not valid")
        applicant = {
            **_new("applicants"),
            "sandbox": True,
            **{k: body.get(k) for k in ("first_name", "last_name", "dob", "email")},
            "id_numbers": numbers,
        }
        self._applicants[applicant["id"]] = applicant
        self._outbox.record(
            "onfido",
            "applicant",
            id=applicant["id"],
            first_name=initial(body["first_name"]),
            last_name=initial(body["last_name"]),
            id_numbers=[{"type": n["type"], "value": masked(n["value"])} for n in numbers],
        )
        return Reply(201, applicant)

    def _upload_document(self, request: Request, _: re.Match[str]) -> Reply:
        parts = form(request)
        applicant = self._applicant(_text(parts, "applicant_id"))
        kind, side = _text(parts, "type"), _text(parts, "side") or None
        if kind not in _DOCUMENT_TYPES:
            raise _Invalid(type="is not a document type")
        if side not in (None, "front", "back"):
            raise _Invalid(side="is not front or back")
        country = _text(parts, "issuing_country")
        if country and country not in ALPHA3.values():
            raise _Invalid(issuing_country="is not an ISO 3166-1 alpha-3 code")
        file = _file(parts, _DOCUMENT_BYTES, ("image/jpeg", "image/png", "application/pdf"))
        if self._outcome(applicant) is Outcome.BLUR:
            raise _Invalid(detect_blur="blur found in image")
        document = (
            _new("documents") | _about(file) | {"type": kind, "side": side, "applicant_id": applicant["id"]}
        )
        self._documents[document["id"]] = document
        self._outbox.record(
            "onfido", "document", id=document["id"], type=kind, side=side, bytes=len(file.content)
        )
        return Reply(201, document)

    def _upload_photo(self, request: Request, _: re.Match[str]) -> Reply:
        parts = form(request)
        applicant = self._applicant(_text(parts, "applicant_id"))
        file = _file(parts, _PHOTO_BYTES, ("image/jpeg", "image/png"))
        photo = _new("live_photos") | _about(file) | {"applicant_id": applicant["id"]}
        self._photos[photo["id"]] = photo
        self._outbox.record("onfido", "live_photo", id=photo["id"], bytes=len(file.content))
        return Reply(201, photo)

    # Checks and reports

    def _create_check(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json_object()
        applicant = self._applicant(str(body.get("applicant_id", "")))
        names = body.get("report_names")
        if not isinstance(names, list) or not names:
            raise _Invalid("report_names_blank", report_names="can't be blank")
        if not set(names) <= _REPORT_NAMES:
            raise _Invalid("invalid_reports_names", report_names="has an unknown name")
        owned = [d["id"] for d in self._documents.values() if d["applicant_id"] == applicant["id"]]
        documents = body.get("document_ids", owned)
        if not documents or not set(documents) <= set(owned):
            raise _Invalid("missing_documents", document_ids="has no document of this applicant")
        has_photo = any(p["applicant_id"] == applicant["id"] for p in self._photos.values())
        if "facial_similarity_photo" in names and not has_photo:
            raise _Invalid("failed_check_requirements", report_names="needs a live photo")
        tags = body.get("tags", [])
        if not isinstance(tags, list) or len(tags) > 30 or any(len(str(tag)) > 128 for tag in tags):
            raise _Invalid(tags="has more than 30 tags or one longer than 128 characters")
        check = {
            **_new("checks"),
            "applicant_id": applicant["id"],
            "tags": tags,
            "report_ids": [str(uuid.uuid4()) for _ in names],
            "report_names": names,
            "sandbox": True,
        }
        self._checks[check["id"]] = check
        self._done_at[check["id"]] = self._clock() + self._delay
        self._outbox.record("onfido", "check", id=check["id"], report_names=names, documents=len(documents))
        if self._outcome(applicant) not in (Outcome.SILENT, Outcome.NEVER):
            self._webhooks.schedule("onfido", self._delay, lambda: self._webhook(check))
        return Reply(201, self._as_it_stands(check))

    def _list_checks(self, request: Request, _: re.Match[str]) -> Reply:
        applicant = self._applicant(request.param("applicant_id") or "")
        checks = [c for c in self._checks.values() if c["applicant_id"] == applicant["id"]]
        return Reply(200, {"checks": [self._as_it_stands(check) for check in checks]})

    def _get_check(self, _: Request, match: re.Match[str]) -> Reply:
        check = self._checks.get(match[1])
        return Reply(200, self._as_it_stands(check)) if check else _not_found()

    def _list_reports(self, request: Request, _: re.Match[str]) -> Reply:
        check = self._checks.get(request.param("check_id") or "")
        return Reply(200, {"reports": self._reports(check)}) if check else _not_found()

    def _get_report(self, _: Request, match: re.Match[str]) -> Reply:
        for check in self._checks.values():
            for report in self._reports(check):
                if report["id"] == match[1]:
                    return Reply(200, report)
        return _not_found()

    def _as_it_stands(self, check: dict[str, Any]) -> dict[str, Any]:
        status, result = self._state(check)
        return {k: v for k, v in check.items() if k != "report_names"} | {"status": status, "result": result}

    def _state(self, check: dict[str, Any]) -> tuple[str, str | None]:
        wanted = self._outcome(self._applicants[check["applicant_id"]])
        if wanted is Outcome.NEVER or self._clock() < self._done_at[check["id"]]:
            return "in_progress", None
        if wanted is Outcome.EXPIRE:
            return "withdrawn", None
        return "complete", "consider" if wanted in (Outcome.REJECT, Outcome.REVIEW) else "clear"

    def _reports(self, check: dict[str, Any]) -> list[dict[str, Any]]:
        applicant = self._applicants[check["applicant_id"]]
        status, result = self._state(check)
        wanted = self._outcome(applicant)
        sub_result = {Outcome.REJECT: "rejected", Outcome.REVIEW: "caution"}.get(wanted, "clear")
        numbers = [{"type": "document_number", "value": n["value"]} for n in applicant["id_numbers"]]
        if wanted is Outcome.MISMATCH:
            numbers = [{"type": "document_number", "value": "SPECIMEN-000"}]
        done = status == "complete"
        return [
            {
                "id": report_id,
                "check_id": check["id"],
                "name": name,
                "status": "complete" if done else "awaiting_data",
                "result": result,
                "sub_result": sub_result if done and name == "document" else None,
                "properties": {"document_numbers": numbers} if done and name == "document" else {},
            }
            for report_id, name in zip(check["report_ids"], check["report_names"], strict=True)
        ]

    def _webhook(self, check: dict[str, Any]) -> dict[str, Any]:
        status, _ = self._state(check)
        action = "check.completed" if status == "complete" else "check.withdrawn"
        what = {
            "id": check["id"],
            "status": status,
            "completed_at_iso8601": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "href": check["href"],
        }
        return {"payload": {"resource_type": "check", "action": action, "object": what}}

    # Looking up

    def _applicant(self, applicant_id: str) -> dict[str, Any]:
        applicant = self._applicants.get(applicant_id)
        if applicant is None:
            raise _Invalid(applicant_id="is not known")
        return applicant

    def _outcome(self, applicant: dict[str, Any]) -> Outcome:
        numbers = applicant["id_numbers"]
        return outcome(str(numbers[0]["value"]) if numbers else "", applicant["first_name"])

    def _get(self, table: dict[str, dict[str, Any]], key: str) -> Reply:
        return Reply(200, table[key]) if key in table else _not_found()


def _file(parts: dict[str, Part], sizes: tuple[int, int], types: tuple[str, ...]) -> Part:
    file = parts.get("file")
    if file is None or file.filename is None:
        raise _Invalid(file="can't be blank")
    if not sizes[0] <= len(file.content) <= sizes[1]:
        raise _Invalid(file=f"must have between {sizes[0]} and {sizes[1]} bytes")
    if file.media_type not in types:
        raise _Invalid(file="has a type that is not supported")
    if not photographs.readable(file.content, file.media_type):
        raise _Invalid(file="cannot be read as what its type says")
    return file


def _text(parts: dict[str, Part], name: str) -> str:
    return parts[name].text if name in parts else ""


def _new(kind: str) -> dict[str, Any]:
    key = str(uuid.uuid4())
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": key, "created_at": created, "href": f"/v3.6/{kind}/{key}"}


def _about(file: Part) -> dict[str, Any]:
    return {"file_name": file.filename, "file_type": file.media_type, "file_size": len(file.content)}


def _not_found() -> Reply:
    return _error(404, "resource_not_found", "There is nothing of this id or path")


def _error(status: int, kind: str, message: str, fields: dict[str, list[str]] | None = None) -> Reply:
    return Reply(status, {"error": {"type": kind, "message": message, "fields": fields or {}}})
