"""The queue, its types and its handler: imported by the web application and by the worker."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, Field

from corral import JobContext, Queue, Retry

reports = Queue("reports", retry=Retry(attempts=3, delays=(10, 60)), timeout=60)


class ReportRequest(BaseModel):
    month: str = Field(pattern=r"^\d{4}-\d{2}$")
    rows: int = Field(3, ge=1, le=1_000)


class Report(BaseModel):
    file: str
    rows: int


@reports.job("build")
async def build(job: JobContext, data: ReportRequest) -> Report:
    for row in range(data.rows):
        await asyncio.sleep(0.01)  # the work
        await job.progress(100 * (row + 1) // data.rows)
    return Report(file=f"report-{data.month}.csv", rows=data.rows)
