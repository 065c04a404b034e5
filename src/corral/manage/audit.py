"""GET /api/v1/audit: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from corral import audit
from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.manage.service import Management, asks_for


class AuditRow(msgspec.Struct, frozen=True, rename="camel"):
    """One change. `at` is in epoch seconds."""

    id: str
    at: float
    actor: str
    action: str
    target: str
    facts: dict[str, Any]


class AuditPage(msgspec.Struct, frozen=True, rename="camel"):
    """Newest first, of `searched` entries; `next`: give it as `before` to go on, null at the end."""

    entries: list[AuditRow]
    searched: int
    next: str | None


@get("/audit", guards=[asks_for(Permission.WATCH)], tags=["audit"])
async def read_audit(
    management: NamedDependency[Management],
    text: Annotated[str, QueryParameter(max_length=200)] = "",
    about: Annotated[list[str] | None, QueryParameter(max_items=20)] = None,
    before: FromQuery[str | None] = None,
    count: Annotated[int, QueryParameter(ge=1, le=1_000)] = 100,
) -> AuditPage:
    """The audit log. One round trip; with a filter one for each thousand entries, five at most.

    text: words that all have to be in who, what, on what or with what. about: areas of actions, as `queue`,
    `dead` or `key`; once or more.
    """
    async with answering():
        found = await audit.search(
            management.client, management.prefix, text=text, about=about or (), before=before, count=count
        )
    rows = [
        AuditRow(id=e.id, at=e.at, actor=e.actor, action=e.action, target=e.target, facts=dict(e.facts))
        for e in found.entries
    ]
    return AuditPage(rows, found.searched, found.next)
