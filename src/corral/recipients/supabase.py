"""Devices and phone numbers in two tables of the Supabase project.

| table | columns (their order is the settings') |
|---|---|
| CORRAL_DEVICES_TABLE (`device_tokens`) | `user_id`, `kind` (fcm, apns, webpush), `token` (text or JSON) |
| CORRAL_PHONES_TABLE (`profiles`) | `id`, `phone` (E.164), `time_zone` (`Europe/Berlin`; may be left out) |

Limits: a user's first 100 devices. Rows of another kind are passed over.

Options: CORRAL_DEVICES_TABLE, CORRAL_DEVICES_COLUMNS, CORRAL_PHONES_TABLE, CORRAL_PHONES_COLUMNS.
Emits the log events `device_kind_unknown` (warning), `provider_misconfigured` (error) for a table or column
that is not there: jobs are held until it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec
import structlog

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.supabase import Row, Supabase, eq
from corral.recipients import DEVICE_KINDS, MAX_DEVICES, Device, DeviceKind, RecipientResolver
from corral.settings import Settings

log = structlog.get_logger(__name__)


class SupabaseRecipients(RecipientResolver):
    """Every method raises the provider errors but Ambiguous."""

    def __init__(self, supabase: Supabase, settings: Settings) -> None:
        self._supabase = supabase
        self._devices_table = settings.devices_table
        self._phones_table = settings.phones_table
        self._owner, self._kind, self._token = settings.devices_columns.split(",")
        self._user, self._phone, *zone = settings.phones_columns.split(",")
        self._zone = zone[0] if zone else None

    async def devices(self, user_id: str) -> Sequence[Device]:
        columns = f"{self._kind},{self._token}"
        rows = await self._rows(self._devices_table, {self._owner: eq(user_id)}, columns, MAX_DEVICES)
        return [device for row in rows if (device := self._device(row)) is not None]

    async def phone(self, user_id: str) -> str | None:
        return await self._of_profile(user_id, self._phone)

    async def time_zone(self, user_id: str) -> str | None:
        return None if self._zone is None else await self._of_profile(user_id, self._zone)

    async def drop(self, user_id: str, device: Device) -> None:
        await self._supabase.delete(
            self._devices_table,
            {self._owner: eq(user_id), self._token: eq(device.token)},
            private=[user_id, device.token],
        )

    async def _of_profile(self, user_id: str, column: str) -> str | None:
        rows = await self._rows(self._phones_table, {self._user: eq(user_id)}, column, 1)
        value = rows[0].get(column) if rows else None
        return value.strip() or None if isinstance(value, str) else None

    async def _rows(self, table: str, where: dict[str, str], columns: str, limit: int) -> list[Row]:
        try:
            return await self._supabase.select(table, where, columns=columns, limit=limit)
        except ProviderPermanent as error:
            # No table or column of that name: the same for every job, so none may be lost to it.
            if error.code.startswith(("42", "PGRST1", "PGRST2")):
                reason = f"{error.reason}; see CORRAL_DEVICES_TABLE, CORRAL_PHONES_TABLE and their columns"
                log.error("provider_misconfigured", provider="supabase", reason=reason)
                raise ProviderMisconfigured("supabase", reason, code=error.code) from error
            raise

    def _device(self, row: Row) -> Device | None:
        kind, token = row.get(self._kind), _text(row.get(self._token))
        if kind not in DEVICE_KINDS or not token:
            log.warning("device_kind_unknown", kind=str(kind)[:20], known=sorted(DEVICE_KINDS))
            return None
        return Device(cast("DeviceKind", kind), token)


def _text(value: Any) -> str:
    """A token; a subscription in a column of the type json comes as an object."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return value if isinstance(value, str) else ""
