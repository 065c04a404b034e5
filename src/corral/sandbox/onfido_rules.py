"""What Onfido's stand-in accepts, and the shapes of its answers. Pure."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

from corral.sandbox import photographs
from corral.sandbox.wire import Part, Reply

FORBIDDEN_IN_NAMES = re.compile(r'[!#$%*=<>;{}"]')
ID_NUMBER_TYPES = frozenset(
    {"ssn", "social_insurance", "tax_id", "identity_card", "driving_licence", "driving_license"}
    | {"share_code", "voter_id", "passport", "other"}
)
DOCUMENT_TYPES = frozenset(
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
REPORT_NAMES = frozenset(
    {"document", "facial_similarity_photo", "identity_enhanced", "watchlist_standard", "known_faces"}
)
DOCUMENT_BYTES = (2 * 1024, 3 * 1024 * 1024)
PHOTO_BYTES = (32 * 1024, 10 * 1024 * 1024)


class Invalid(Exception):
    """A 422 with the wrong fields."""

    def __init__(self, kind: str = "validation_error", **fields: str) -> None:
        super().__init__(kind)
        self.kind = kind
        self.fields = {name: [reason] for name, reason in fields.items()}


def file_of(parts: dict[str, Part], sizes: tuple[int, int], types: tuple[str, ...]) -> Part:
    file = parts.get("file")
    if file is None or file.filename is None:
        raise Invalid(file="can't be blank")
    if not sizes[0] <= len(file.content) <= sizes[1]:
        raise Invalid(file=f"must have between {sizes[0]} and {sizes[1]} bytes")
    if file.media_type not in types:
        raise Invalid(file="has a type that is not supported")
    if not photographs.readable(file.content, file.media_type):
        raise Invalid(file="cannot be read as what its type says")
    return file


def text_of(parts: dict[str, Part], name: str) -> str:
    return parts[name].text if name in parts else ""


def new(kind: str) -> dict[str, Any]:
    key = str(uuid.uuid4())
    created = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"id": key, "created_at": created, "href": f"/v3.6/{kind}/{key}"}


def about(file: Part) -> dict[str, Any]:
    return {"file_name": file.filename, "file_type": file.media_type, "file_size": len(file.content)}


def not_found() -> Reply:
    return error(404, "resource_not_found", "There is nothing of this id or path")


def error(status: int, kind: str, message: str, fields: dict[str, list[str]] | None = None) -> Reply:
    return Reply(status, {"error": {"type": kind, "message": message, "fields": fields or {}}})
