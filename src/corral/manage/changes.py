"""GET /api/v1/changes: what changed lately, for the marks on charts and the list beside them."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from corral.api.auth import Permission
from corral.api.lookup import answering
from corral.bullmq.clock import server_seconds
from corral.manage.service import Management, asks_for
from corral.observe.changes import Kind, read_changes


class ChangeRow(msgspec.Struct, frozen=True, rename="camel"):
    """What a field holds is by `kind`.

    deploy: `what` is the release. scaling: from `before` to `after` processes on host `what`, for queue
    `subject`, because of `detail`. fired, resolved: the alert `what` about `subject`, in words `detail`.
    audit: `detail` did `what` to `subject`.
    """

    at: float
    kind: Kind
    what: str
    subject: str
    detail: str
    severity: str
    before: int | None
    after: int | None


class ChangeList(msgspec.Struct, frozen=True, rename="camel"):
    """`at`: the server's time, epoch seconds. Newest first."""

    at: float
    changes: list[ChangeRow]


@get("/changes", guards=[asks_for(Permission.WATCH)], tags=["queues"])
async def read_changes_lately(
    management: NamedDependency[Management],
    hours: Annotated[int, QueryParameter(ge=1, le=2_160)] = 1,
    count: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
) -> ChangeList:
    """Releases, scaling, alerts and operators' actions of the last hours. Five round trips, most at once."""
    client, prefix = management.client, management.prefix
    async with answering():
        now = await server_seconds(client)
        found = await read_changes(client, prefix, now - hours * 3_600, count)
    return ChangeList(now, [msgspec.convert(one, ChangeRow, from_attributes=True) for one in found])
