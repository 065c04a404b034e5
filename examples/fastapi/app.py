"""A web application that answers at once and lets a worker do the slow part.

    POST /reports           202 with the job's id; the same Idempotency-Key gives the same job
    GET  /reports/{job_id}  status, progress and, when it is there, the result
    POST /hooks/corral      told by Corral when a job ended (signed)
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Header, HTTPException, Request, Response
from jobs import ReportRequest, reports

from corral.errors import IdempotencyConflict, RedisUnavailable
