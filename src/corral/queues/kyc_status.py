"""The verification's row in Supabase: one a job, written so that a late write never undoes an outcome.

Guarantees: every write can be repeated. An outcome is written only over `processing` or `failed`, in the same
statement that checks it; `failed` only over `processing`; `processing` only where there is no row, or over
`failed` when the job is tried again from the dead letters.

The table (CORRAL_KYC_TABLE) has at least these columns:

    create table kyc_verifications (
        job_id text primary key,
        user_id text not null,
        provider text not null,
        document_type text not null,
        status text not null,
        provider_ref text,
        created_at timestamptz not null,
        updated_at timestamptz not null,
        completed_at timestamptz
    );
    create index on kyc_verifications (provider_ref);

Document numbers, names and images are not stored there.
Emits the log events `kyc_status_written` (info) and `kyc_status_kept` (warning).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from corral.providers.errors import ProviderRetryable
from corral.providers.supabase import Supabase, among, eq
from corral.queues.kyc_types import KycJob, Status

log = structlog.get_logger(__name__)

#: Over which states a state may be written.
MAY_REPLACE: dict[Status, tuple[Status, ...]] = {
    Status.PROCESSING: (Status.FAILED,),
    Status.FAILED: (Status.PROCESSING,),
    **dict.fromkeys(
        (Status.APPROVED, Status.REJECTED, Status.PENDING_REVIEW, Status.EXPIRED),
        (Status.PROCESSING, Status.FAILED),
    ),
}


#: Others write a row between an update and a look at most so often; beyond it something is wrong.
TRIES = 10


class StatusRow:
    """The row of one job."""

    def __init__(self, supabase: Supabase, table: str, job_id: str, data: KycJob) -> None:
        self._supabase = supabase
        self._table = table
        self._job_id = job_id
        self._data = data

    async def write(self, status: Status, at: str, *, provider_ref: str | None = None) -> bool:
        """Write a state. `at` is the moment it holds from, ISO 8601. One to three round trips; more if others
        write the row at the same moment.

        Returns False if the row keeps another state, because that one is final. Raises provider errors.
        """
        if status is Status.PROCESSING and await self._insert(status, at, provider_ref):
            return True
        values: dict[str, Any] = {"status": status.value, "updated_at": at}
        if provider_ref is not None:
            values["provider_ref"] = provider_ref
        values["completed_at"] = at if status not in (Status.PROCESSING, Status.FAILED) else None
        for _ in range(TRIES):
            if await self._update(values, MAY_REPLACE[status]):
                return True
            kept = await self._kept()
            if kept is None:
                if await self._insert(status, at, provider_ref):
                    return True
            elif kept is status:
                return True
            elif kept not in MAY_REPLACE[status]:
                log.warning("kyc_status_kept", job_id=self._job_id, kept=kept, not_written=status.value)
                return False
            # Another has written between our update and our look: ours may be due again.
        raise ProviderRetryable("supabase", "the row is written by others all the time")

    async def refer(self, provider_ref: str, at: str) -> None:
        """Write down the id at the provider while the verification goes on. One round trip.

        It is what a later word of the provider is filed by.
        """
        await self._update(
            {"status": Status.PROCESSING.value, "provider_ref": provider_ref, "updated_at": at},
            (Status.PROCESSING,),
        )

    async def _kept(self) -> Status | None:
        """What the row says; None: there is no row."""
        where = {"job_id": eq(self._job_id)}
        rows = await self._supabase.select(self._table, where, columns="status", limit=1)
        return Status(rows[0]["status"]) if rows else None

    async def _insert(self, status: Status, at: str, provider_ref: str | None) -> bool:
        row = {
            "job_id": self._job_id,
            "user_id": self._data.user_id,
            "provider": self._data.provider,
            "document_type": self._data.document_type,
            "status": status.value,
            "provider_ref": provider_ref,
            "created_at": at,
            "updated_at": at,
            "completed_at": at if status not in (Status.PROCESSING, Status.FAILED) else None,
        }
        written = await self._supabase.upsert(
            self._table, row, on_conflict="job_id", replace=False, select="status"
        )
        return self._wrote(bool(written), status)

    async def _update(self, values: dict[str, Any], replaceable: Sequence[Status]) -> bool:
        where = {"job_id": eq(self._job_id), "status": among([s.value for s in replaceable])}
        rows = await self._supabase.update(self._table, values, where, select="status")
        return self._wrote(bool(rows), Status(values["status"]))

    def _wrote(self, written: bool, status: Status) -> bool:
        if written:
            log.info("kyc_status_written", job_id=self._job_id, status=status.value)
        return written
