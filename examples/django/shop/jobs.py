"""The queue, its types and its handler: imported by the views and by the worker."""

from __future__ import annotations

from dataclasses import dataclass

from django.template.loader import render_to_string

from corral import Queue, Retry, ThreadJobContext

reports = Queue("shop-reports", retry=Retry(attempts=3, delays=(10, 60)), timeout=60)


@dataclass
class ReportRequest:
    month: str


@reports.job("build")
def build(job: ThreadJobContext, data: ReportRequest) -> str:
    """A plain function: it runs in a thread, where Django's ORM and templates work as in a view."""
    job.progress(50)
    return str(render_to_string("report.html", {"month": data.month, "attempt": job.attempt}))
