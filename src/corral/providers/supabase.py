"""Supabase: rows over REST (PostgREST) and files in Storage.

Guarantees: an upsert, an update with a filter and an upload with x-upsert can be repeated, so a lost answer
is a plain retry. Storage hides its real status in the body of an HTTP 400; `classify_storage` looks there.
New keys (`sb_secret_…`) are not JWTs and go into `apikey` alone; old ones (`eyJ…`) are sent as Bearer too.

Options: SUPABASE_URL, SUPABASE_SERVICE_KEY.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import msgspec

from corral.providers.checking import accepted
from corral.providers.choice import Surroundings
from corral.providers.errors import ProviderPermanent
from corral.providers.http import ProviderClient
from corral.providers.verdict import Answer, Kind, Verdict, by_status, safe_code
from corral.sandbox import keys

#: Seconds that a browser or a CDN may keep an uploaded file.
CACHE_SECONDS = 3600

Row = dict[str, Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Supabase:
    """Rows and files of one Supabase project. Every method raises the four provider errors but Ambiguous."""

    def __init__(self, *, url: str, service_key: str, missing: str = "", sandbox: bool = False) -> None:
        self._url = url.rstrip("/")
        headers = {"apikey": service_key}
        if service_key.startswith("eyJ"):
            headers["Authorization"] = f"Bearer {service_key}"
        self._rest, self._rest_codes, self._storage = (
            ProviderClient(
                name,
                base_url=f"{self._url}/{part}/v1",
                classify=classify,
                headers=headers,
                secrets=[service_key],
                missing=missing,
                sandbox=sandbox,
            )
            for name, part, classify in (
                ("supabase", "rest", classify_rest),
                ("supabase", "rest", classify_codes),
                ("supabase-storage", "storage", classify_storage),
            )
        )

    async def upsert(
        self, table: str, row: Row, *, on_conflict: str, replace: bool = True, select: str = "*"
    ) -> list[Row]:
        """Write one row; `on_conflict` names the unique column(s), comma between them.

        replace: an existing row takes the new values; otherwise it stays as it is and the answer is empty.
        Returns the columns `select` of what was written.
        """
        resolution = "merge-duplicates" if replace else "ignore-duplicates"
        return await self._rest.call(
            "POST",
            f"/{_name(table)}",
            list[Row],
            repeatable=True,
            private=_texts(row),
            params={"on_conflict": on_conflict, "select": select},
            headers={"Prefer": f"resolution={resolution},return=representation"},
            json=row,
        )

    async def insert_new(self, table: str, rows: Sequence[msgspec.Raw], *, on_conflict: str) -> None:
        """Write the rows (JSON objects with the same columns) that are not there yet, in one statement.

        `on_conflict` as in `upsert`. What the server says of a refusal may quote any row, so only its code is
        told.
        """
        await self._rest_codes.send(
            "POST",
            f"/{_name(table)}",
            repeatable=True,
            params={"on_conflict": on_conflict},
            headers={"Prefer": "resolution=ignore-duplicates,return=minimal"},
            json=rows,
        )

    async def update(
        self, table: str, values: Row, where: Mapping[str, str], *, select: str = "*"
    ) -> list[Row]:
        """Set `values` in the rows that match, in one statement. Returns the columns `select` of these rows.

        where: column to filter as PostgREST writes it: `{"id": "eq.7", "status": "in.(a,b)"}`. Not empty: a
        PATCH without a filter would change the whole table.
        """
        if not where:
            raise ProviderPermanent(
                "supabase", f"update of {table}: no filter given; it would change every row"
            )
        return await self._rest.call(
            "PATCH",
            f"/{_name(table)}",
            list[Row],
            repeatable=True,
            private=_texts(values),
            params={**where, "select": select},
            headers={"Prefer": "return=representation"},
            json=values,
        )

    async def select(
        self, table: str, where: Mapping[str, str], *, columns: str = "*", limit: int | None = None
    ) -> list[Row]:
        """The rows that match; filters as in `update`."""
        params = {**where, "select": columns}
        if limit is not None:
            params["limit"] = str(limit)
        return await self._rest.call("GET", f"/{_name(table)}", list[Row], repeatable=True, params=params)

    async def delete(self, table: str, where: Mapping[str, str], *, private: Sequence[str] = ()) -> None:
        """Delete the rows that match; filters as in `update`, not empty.

        private: values of the filters that must not come back in a reason.
        """
        if not where:
            raise ProviderPermanent("supabase", f"no filter given: this would empty the table {table}")
        await self._rest.send(
            "DELETE", f"/{_name(table)}", repeatable=True, private=private, params=dict(where)
        )

    async def upload(self, bucket: str, path: str, content: bytes, content_type: str) -> str:
        """Store a file, over an older one of the same path. Returns its URL (in a public bucket)."""
        where = f"{quote(bucket, safe='')}/{_path(path)}"
        await self._storage.send(
            "POST",
            f"/object/{where}",
            # A path may be made from a person's id.
            shown=f"/object/{quote(bucket, safe='')}/…",
            repeatable=True,
            content=content,
            headers={
                "Content-Type": content_type,
                "x-upsert": "true",
                "cache-control": f"max-age={CACHE_SECONDS}",
            },
        )
        return f"{self._url}/storage/v1/object/public/{where}"

    async def check(self) -> None:
        """Whether the key works, for rows and for files. Raises as all methods do. Two round trips."""
        with accepted():
            await self._rest.send("HEAD", "/", repeatable=True)
        with accepted():
            await self._storage.send("GET", "/bucket", repeatable=True)

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()
        await self._rest_codes.close()
        await self._storage.close()


def eq(value: object) -> str:
    """The filter "equals"."""
    return f"eq.{value}"


def among(values: Sequence[str]) -> str:
    """The filter "is one of". Values are quoted, so commas and brackets in them are harmless."""
    quoted = ",".join('"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
    return f"in.({quoted})"


def from_settings(around: Surroundings) -> Supabase:
    """The project that the settings name, or the sandbox's."""
    url, key = around.settings.supabase_url, around.settings.supabase_service_key
    if around.plays(url, key):
        return Supabase(
            url=f"{around.sandbox_url}/supabase", service_key=keys.SUPABASE_SERVICE_KEY, sandbox=True
        )
    missing = (
        ""
        if url and key.get_secret_value()
        else "there is no project; set SUPABASE_URL and SUPABASE_SERVICE_KEY"
    )
    return Supabase(url=url, service_key=key.get_secret_value(), missing=missing)


def classify_rest(answer: Answer) -> Verdict:
    """PostgREST's answers: `code` is a SQLSTATE or PGRST…; it wins over the HTTP status.

    Serialization failures, deadlocks and shutdowns come as 500, connection and resource trouble as 503.
    """
    if 200 <= answer.status < 300:
        return by_status(answer)
    sql = answer.text("code")
    code, detail = safe_code(sql, answer.status), answer.text("message")
    if sql == "42501" or sql.startswith("PGRST3"):
        return Verdict(Kind.MISCONFIGURED, code, detail)
    if sql.startswith(("40", "08", "53", "57")) or sql in ("PGRST000", "PGRST001", "PGRST002", "PGRST003"):
        return Verdict(Kind.RETRY, code, detail, answer.retry_after)
    if sql.startswith(("22", "23", "42", "PGRST1", "PGRST2")):
        return Verdict(Kind.PERMANENT, code, detail)
    return by_status(answer, code, detail)


def classify_codes(answer: Answer) -> Verdict:
    """As `classify_rest`, without the message."""
    return replace(classify_rest(answer), detail="")


def classify_storage(answer: Answer) -> Verdict:
    """Storage's answers: the real status is `statusCode` in the body of a 400.

    A 403 is a policy of the bucket, so it is permanent; a 401 is the key.
    """
    if 200 <= answer.status < 300:
        return by_status(answer)
    stated = answer.body.get("statusCode") if isinstance(answer.body, dict) else None
    status = int(str(stated)) if re.fullmatch(r"\d{3}", str(stated)) else answer.status
    name = answer.text("code") or answer.text("error")
    code, detail = safe_code(name, status), answer.text("message")
    if status == 403 and answer.status != 401:
        return Verdict(Kind.PERMANENT, code, detail)
    return by_status(Answer(status, answer.body, answer.retry_after), code, detail)


def _name(table: str) -> str:
    if not _NAME.fullmatch(table):
        raise ProviderPermanent("supabase", f"{table!r} is not a table name")
    return table


def _path(path: str) -> str:
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ProviderPermanent("supabase-storage", "a path has no empty, '.' or '..' part")
    return "/".join(quote(part, safe="") for part in parts)


def _texts(row: Row) -> list[str]:
    return [value for value in row.values() if isinstance(value, str)]
