"""A view that answers at once, one that says how far it is, and a page with the result.

`queue.sync` blocks until Redis has the job: for ordinary views. An `async def` view awaits `queue.add(…)`.
"""

from __future__ import annotations

import json

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_POST

from corral.errors import RedisUnavailable
from shop.jobs import ReportRequest, reports


@require_POST
def order(request: HttpRequest) -> JsonResponse:
    wanted = requested(request)
    if wanted is None:
        return JsonResponse({"message": "Send a month, as 2026-10."}, status=400)
    try:
        # Where there is a database: transaction.on_commit(…), so that the worker finds what was written.
        job = reports.sync.add("build", wanted, idempotency_key=request.headers.get("Idempotency-Key"))
    except RedisUnavailable:
        return JsonResponse({"message": "Try again."}, status=503, headers={"Retry-After": "5"})
    return JsonResponse({"jobId": job.id}, status=202)


@require_POST
async def order_async(request: HttpRequest) -> JsonResponse:
    wanted = requested(request)
    if wanted is None:
        return JsonResponse({"message": "Send a month, as 2026-10."}, status=400)
    job = await reports.add("build", wanted)
    return JsonResponse({"jobId": job.id}, status=202)


@require_GET
def look(_request: HttpRequest, job_id: str) -> JsonResponse:
    job = reports.sync.get(job_id)
    if job is None:
        return JsonResponse({"message": "There is no such report."}, status=404)
    return JsonResponse({"status": job.status, "progress": job.progress})


@require_GET
def page(_request: HttpRequest, job_id: str) -> HttpResponse:
    job = reports.sync.get(job_id)
    if job is None or job.status != "completed":
        return HttpResponse("It is not there yet.", status=404)
    return HttpResponse(job.result_value)


def requested(request: HttpRequest) -> ReportRequest | None:
    try:
        month = json.loads(request.body)["month"]
    except (ValueError, TypeError, KeyError):
        return None
    return ReportRequest(month) if isinstance(month, str) and month else None
