"""A web application that answers at once and lets a worker do the slow part.

POST /reports           202 with the job's id; the same Idempotency-Key gives the same job
GET  /reports/{job_id}  status, progress and, once it is there, the result
POST /hooks/corral      told by Corral that a job ended, signed
GET  /hooks/corral      what it was told
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Request, Response
from jobs import ReportRequest, reports

from corral.errors import IdempotencyConflict, RedisUnavailable

app = FastAPI(title="Reports")

#: Message ids to jobs: a message may come twice. A real application has a table.
told: dict[str, dict[str, Any]] = {}


@app.exception_handler(RedisUnavailable)
async def unavailable(request: Request, error: RedisUnavailable) -> Response:
    del request, error
    return Response("Try again in a moment.", 503, {"Retry-After": "5"})


@app.post("/reports", status_code=202)
async def order(
    wanted: ReportRequest, response: Response, idempotency_key: Annotated[str | None, Header()] = None
) -> dict[str, str]:
    options: dict[str, Any] = {"idempotency_key": idempotency_key} if idempotency_key else {}
    if hook := os.environ.get("HOOK_URL"):
        options["webhook"] = hook
    try:
        job = await reports.add("build", wanted, **options)
    except IdempotencyConflict as error:
        raise HTTPException(409, "This Idempotency-Key stands for another report.") from error
    response.headers["Location"] = f"/reports/{job.id}"
    return {"jobId": job.id, "status": "queued"}


@app.get("/reports/{job_id}")
async def look(job_id: str) -> dict[str, Any]:
    job = await reports.get(job_id)
    if job is None:
        raise HTTPException(404, "There is no such report.")
    return {"status": job.status, "progress": job.progress, "report": job.result_value}


@app.post("/hooks/corral", status_code=204)
async def hear(request: Request) -> None:
    body = await request.body()
    if not signed(os.environ["CORRAL_WEBHOOK_SECRET"], request.headers, body):
        raise HTTPException(401, "The signature does not match, or is old.")
    told[request.headers["webhook-id"]] = json.loads(body)["data"]


@app.get("/hooks/corral")
async def heard() -> list[dict[str, Any]]:
    return list(told.values())


def signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a message is Corral's and new, by the Standard Webhooks scheme."""
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split())
