"""docs/reference/http.md: the routes of `/openapi.json` and of the management API."""

from __future__ import annotations

import inspect
from typing import Any

from tools.reference.table import MADE, cell, first_paragraph, table

from corral.api.openapi import document
from corral.manage.routes import HANDLERS, PATH
from corral.queues import built_in

_METHODS = ("get", "post", "put", "patch", "delete")

_HEAD = f"""{MADE}

# HTTP

A service describes itself whole, with the types of bodies and answers, in OpenAPI 3.1: `GET /openapi.json`
and, for the management API, `GET {PATH}/openapi.json`. Here is what there is. Errors are problem JSON (RFC
9457). Keys, roles and how they are sent: [security](../operate/security.md#api-keys).

"""


def text() -> str:
    return _HEAD + "## Jobs\n\n" + _service() + f"\n## Management, below `{PATH}`\n\n" + _management()


def _service() -> str:
    rows = []
    declared = [f"/v1/queues/{name}/" for name in built_in()]
    for path, item in document(built_in())["paths"].items():
        if any(path.startswith(each) for each in declared):
            continue  # the same route again, typed for one queue
        for method, operation in item.items():
            if method in _METHODS:
                rows.append((f"`{method.upper()} {path}`", cell(operation.get("summary") or "")))
    return table(("call", "what it does"), rows)


def _management() -> str:
    rows: dict[str, str] = {}
    for handler in HANDLERS:
        each: Any = handler
        for path in sorted(each.paths):
            for method in sorted(each.http_methods - {"HEAD", "OPTIONS"}):
                shown = path.replace(":str}", "}").replace(":int}", "}").replace(":path}", "}")
                rows[f"`{method} {shown}`"] = first_paragraph(inspect.getdoc(each.fn))
    ordered = sorted(rows.items(), key=lambda row: row[0].split(" ")[1:] + row[0].split(" ")[:1])
    return table(("call", "what it does"), ordered)
