"""Onfido's stand-in: applicants, documents, live photos, checks, reports, `check.completed` webhooks."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from corral.providers.countries import ALPHA3
from corral.sandbox import keys
from corral.sandbox import onfido_rules as rules
from corral.sandbox.onfido_rules import Invalid, error, new, not_found
from corral.sandbox.outbox import Outbox, initial, masked
from corral.sandbox.outcomes import Outcome, outcome
from corral.sandbox.webhooks import Webhooks
from corral.sandbox.wire import Malformed, Reply, Request, Route, find, form


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
        self._decided: dict[str, Outcome] = {}
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
            return not_found()
        handle, match = found
        try:
            return handle(request, match)
        except Invalid as wrong:
            return error(422, wrong.kind, "There was a validation error on this request", wrong.fields)
        except Malformed as wrong:
            return error(400, "bad_request", str(wrong))

    def fault(self, status: int) -> Reply:
        match status:
            case 401:
                return error(401, "authorization_error", "The API token is missing or not known here")
            case 429:
                return error(429, "rate_limit", "Too many requests in the last minute")
            case _:
                return error(status, "internal_server_error", "Something went wrong")

    # Applicants and files

    def _create_applicant(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json_object()
        for name in ("first_name", "last_name"):
            value = body.get(name)
            if not isinstance(value, str) or not value.strip():
                raise Invalid(**{name: "can't be blank"})
            if rules.FORBIDDEN_IN_NAMES.search(value):
                raise Invalid(**{name: "has characters that are not allowed"})
        if "dob" in body and not re.fullmatch(r"\d{4}-\d\d-\d\d", str(body["dob"])):
            raise Invalid(dob="is not a date")
        numbers = body.get("id_numbers", [])
        for number in numbers:
            if number.get("type") not in rules.ID_NUMBER_TYPES or not number.get("value"):
                raise Invalid(id_numbers="type or value is not valid")
        applicant = {
            **new("applicants"),
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
        applicant = self._applicant(rules.text_of(parts, "applicant_id"))
        kind, side = rules.text_of(parts, "type"), rules.text_of(parts, "side") or None
        if kind not in rules.DOCUMENT_TYPES:
            raise Invalid(type="is not a document type")
        if side not in (None, "front", "back"):
            raise Invalid(side="is not front or back")
        country = rules.text_of(parts, "issuing_country")
        if country and country not in ALPHA3.values():
            raise Invalid(issuing_country="is not an ISO 3166-1 alpha-3 code")
        file = rules.file_of(parts, rules.DOCUMENT_BYTES, ("image/jpeg", "image/png", "application/pdf"))
        if self._outcome(applicant) is Outcome.BLUR:
            raise Invalid(detect_blur="blur found in image")
        document = (
            new("documents")
            | rules.about(file)
            | {"type": kind, "side": side, "applicant_id": applicant["id"]}
        )
        self._documents[document["id"]] = document
        self._outbox.record(
            "onfido", "document", id=document["id"], type=kind, side=side, bytes=len(file.content)
        )
        return Reply(201, document)

    def _upload_photo(self, request: Request, _: re.Match[str]) -> Reply:
        parts = form(request)
        applicant = self._applicant(rules.text_of(parts, "applicant_id"))
        file = rules.file_of(parts, rules.PHOTO_BYTES, ("image/jpeg", "image/png"))
        photo = new("live_photos") | rules.about(file) | {"applicant_id": applicant["id"]}
        self._photos[photo["id"]] = photo
        self._outbox.record("onfido", "live_photo", id=photo["id"], bytes=len(file.content))
        return Reply(201, photo)

    # Checks and reports

    def _create_check(self, request: Request, _: re.Match[str]) -> Reply:
        body = request.json_object()
        applicant = self._applicant(str(body.get("applicant_id", "")))
        names = body.get("report_names")
        if not isinstance(names, list) or not names:
            raise Invalid("report_names_blank", report_names="can't be blank")
        if not set(names) <= rules.REPORT_NAMES:
            raise Invalid("invalid_reports_names", report_names="has an unknown name")
        owned = [d["id"] for d in self._documents.values() if d["applicant_id"] == applicant["id"]]
        documents = body.get("document_ids", owned)
        if not documents or not set(documents) <= set(owned):
            raise Invalid("missing_documents", document_ids="has no document of this applicant")
        has_photo = any(p["applicant_id"] == applicant["id"] for p in self._photos.values())
        if "facial_similarity_photo" in names and not has_photo:
            raise Invalid("failed_check_requirements", report_names="needs a live photo")
        tags = body.get("tags", [])
        if not isinstance(tags, list) or len(tags) > 30 or any(len(str(tag)) > 128 for tag in tags):
            raise Invalid(tags="has more than 30 tags or one longer than 128 characters")
        check = {
            **new("checks"),
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
        return Reply(200, self._as_it_stands(check)) if check else not_found()

    def _list_reports(self, request: Request, _: re.Match[str]) -> Reply:
        check = self._checks.get(request.param("check_id") or "")
        return Reply(200, {"reports": self._reports(check)}) if check else not_found()

    def _get_report(self, _: Request, match: re.Match[str]) -> Reply:
        for check in self._checks.values():
            for report in self._reports(check):
                if report["id"] == match[1]:
                    return Reply(200, report)
        return not_found()

    def _as_it_stands(self, check: dict[str, Any]) -> dict[str, Any]:
        status, result = self._state(check)
        return {k: v for k, v in check.items() if k != "report_names"} | {"status": status, "result": result}

    def _state(self, check: dict[str, Any]) -> tuple[str, str | None]:
        wanted = self._wanted(check)
        if wanted is Outcome.NEVER or self._clock() < self._done_at[check["id"]]:
            return "in_progress", None
        if wanted is Outcome.EXPIRE:
            return "withdrawn", None
        return "complete", "consider" if wanted in (Outcome.REJECT, Outcome.REVIEW) else "clear"

    def _reports(self, check: dict[str, Any]) -> list[dict[str, Any]]:
        applicant = self._applicants[check["applicant_id"]]
        status, result = self._state(check)
        wanted = self._wanted(check)
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

    def _webhook(self, check: dict[str, Any], action: str | None = None) -> dict[str, Any]:
        status, _ = self._state(check)
        action = action or ("check.completed" if status == "complete" else "check.withdrawn")
        what = {
            "id": check["id"],
            "status": status,
            "completed_at_iso8601": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "href": check["href"],
        }
        return {"payload": {"resource_type": "check", "action": action, "object": what}}

    def decide(self, ref: str, decision: Outcome) -> bool:
        """Reopen a check and complete it anew, as people at Onfido do. False if there is none."""
        check = self._checks.get(ref)
        if check is None:
            return False
        self._decided[ref] = decision
        for action in ("check.reopened", None):
            self._webhooks.schedule("onfido", 0.0, lambda action=action: self._webhook(check, action))  # type: ignore[misc]  # binds the loop's value
        return True

    # Looking up

    def _applicant(self, applicant_id: str) -> dict[str, Any]:
        applicant = self._applicants.get(applicant_id)
        if applicant is None:
            raise Invalid(applicant_id="is not known")
        return applicant

    def _wanted(self, check: dict[str, Any]) -> Outcome:
        return self._decided.get(check["id"]) or self._outcome(self._applicants[check["applicant_id"]])

    def _outcome(self, applicant: dict[str, Any]) -> Outcome:
        numbers = applicant["id_numbers"]
        return outcome(str(numbers[0]["value"]) if numbers else "", applicant["first_name"])

    def _get(self, table: dict[str, dict[str, Any]], key: str) -> Reply:
        return Reply(200, table[key]) if key in table else not_found()
