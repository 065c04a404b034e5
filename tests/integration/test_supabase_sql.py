"""deploy/supabase/*.sql on a real PostgreSQL, used by Corral's own code and by people.

What Supabase brings along (roles, auth.uid(), the publication, buckets) is made here first; PostgREST's part,
which turns requests into statements, is played by `Rest`.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import asyncpg
import msgspec
import pytest
from events import event, some

from corral.imaging.plan import MEDIA_TYPES
from corral.queues.kyc_status import StatusRow
from corral.queues.kyc_types import DocumentType, KycJob, Status
from corral.recipients import DEVICE_KINDS, Device
from corral.recipients.supabase import SupabaseRecipients
from corral.settings import Settings
from corral.sinks.postgres import PostgresSink
from corral.sinks.supabase import SupabaseSink
from postgres_process import PostgresProcess, folder_of_programs

FILES = sorted((Path(__file__).parents[2] / "deploy" / "supabase").glob("*.sql"))

#: As a new Supabase project has it; anon and authenticated may do everything until somebody says otherwise.
PROJECT = """
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create schema auth;
create function auth.uid() returns uuid language sql stable as
    $$ select nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
grant usage on schema auth, public to anon, authenticated, service_role;
alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
create publication supabase_realtime;
create schema storage;
create table storage.buckets (
    id text primary key, name text not null unique, public boolean, file_size_limit bigint,
    allowed_mime_types text[]
);
"""

ANNA, BERT = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
T1, T2 = "2026-11-02T09:30:00.000Z", "2026-11-02T09:31:00.000Z"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresProcess]:
    programs = folder_of_programs()
    if programs is None and find_spec("pgserver") is None:
        pytest.skip("no PostgreSQL server is installed, and there is no pgserver wheel for this machine")
    assert programs is not None, "the server in the pgserver wheel does not run here"
    # Not tmp_path: another user than this one has to get there.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        process = PostgresProcess(programs, Path(folder) / "data")
        process.start()
        yield process
        process.stop()


@pytest.fixture
async def database(server: PostgresProcess) -> AsyncIterator[Any]:
    """A connection to a database of its own, with the files run in order."""
    maker = await asyncpg.connect(server.url)
    await maker.execute("drop database if exists project with (force)")
    for role in ("anon", "authenticated", "service_role"):
        await maker.execute(f"drop role if exists {role}")
    await maker.execute("create database project")
    connection = await asyncpg.connect(project(server))
    await connection.execute(PROJECT)
    for file in FILES:
        await connection.execute(file.read_text())
    yield connection
    await connection.close()
    await maker.close()


def project(server: PostgresProcess) -> str:
    return server.url.removesuffix("/postgres") + "/project"


class Rest:
    """Corral's client for rows of Supabase, with PostgREST's statements, as the role of the service key."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def upsert(
        self, table: str, row: dict[str, Any], *, on_conflict: str, replace: bool = True, select: str = "*"
    ) -> list[dict[str, Any]]:
        assert not replace
        return await self._insert(table, json.dumps([row]), row, on_conflict, f"returning {select}")

    async def insert_new(self, table: str, rows: Sequence[msgspec.Raw], *, on_conflict: str) -> None:
        whole = [json.loads(bytes(row)) for row in rows]
        await self._insert(table, json.dumps(whole), whole[0], on_conflict, "")

    async def update(
        self, table: str, values: dict[str, Any], where: Mapping[str, str], *, select: str = "*"
    ) -> list[dict[str, Any]]:
        sets = ", ".join(f"{name} = new.{name}" for name in values)
        return await self._run(
            f"update {table} set {sets} from json_populate_record(null::{table}, $1) new "
            f"where {_conditions(table, where)} returning {table}.{select}",
            json.dumps(values),
        )

    async def select(
        self, table: str, where: Mapping[str, str], *, columns: str = "*", limit: int | None = None
    ) -> list[dict[str, Any]]:
        bound = "" if limit is None else f"limit {limit}"
        return await self._run(f"select {columns} from {table} where {_conditions(table, where)} {bound}")

    async def delete(self, table: str, where: Mapping[str, str], *, private: Sequence[str] = ()) -> None:
        await self._run(f"delete from {table} where {_conditions(table, where)}")

    async def _insert(
        self, table: str, rows: str, columns: Mapping[str, Any], on_conflict: str, returning: str
    ) -> list[dict[str, Any]]:
        names = ", ".join(columns)
        return await self._run(
            f"insert into {table} ({names}) select {names} from json_populate_recordset(null::{table}, $1) "
            f"on conflict ({on_conflict}) do nothing {returning}",
            rows,
        )

    async def _run(self, statement: str, *values: str) -> list[dict[str, Any]]:
        async with acting(self._connection, "service_role"):
            return [dict(row) for row in await self._connection.fetch(statement, *values)]


def _conditions(table: str, where: Mapping[str, str]) -> str:
    def one(column: str, text: str) -> str:
        operator, _, value = text.partition(".")
        values = [value] if operator == "eq" else re.findall(r'"([^"]*)"', value)
        assert operator in ("eq", "in")
        listed = ", ".join("'" + v.replace("'", "''") + "'" for v in values)
        return f"{table}.{column} in ({listed})"

    return " and ".join(one(column, text) for column, text in where.items())


class acting:  # noqa: N801  # reads as what it does
    """`async with acting(connection, role, person):` what PostgREST sets up for a request."""

    def __init__(self, connection: Any, role: str, person: str = "") -> None:
        self._connection = connection
        self._role = role
        self._person = person

    async def __aenter__(self) -> None:
        await self._connection.execute(f"set role {self._role}")
        await self._connection.execute("select set_config('request.jwt.claim.sub', $1, false)", self._person)

    async def __aexit__(self, *_: object) -> None:
        await self._connection.execute("reset role")


def row(database: Any, job: str = "kyc-1", person: str = ANNA) -> StatusRow:
    data = KycJob(
        user_id=person,
        document_type="passport",
        document_number="P1",
        front_image_url="https://images.example.com/front.jpg",
        provider="onfido",
    )
    rest: Any = Rest(database)
    return StatusRow(rest, Settings().kyc_table, job, data)


async def test_a_verification_is_written_through_its_life(database: Any) -> None:
    anna = row(database)
    assert await anna.write(Status.PROCESSING, T1)
    assert await anna.write(Status.PROCESSING, T1)  # repeated
    await anna.refer("chk-1", T1)
    assert await anna.write(Status.APPROVED, T2, provider_ref="chk-1")
    assert not await anna.write(Status.FAILED, T2)  # an outcome stays
    (kept,) = await database.fetch("select * from kyc_verifications")
    assert (kept["status"], kept["provider_ref"], kept["user_id"]) == ("approved", "chk-1", ANNA)
    assert kept["completed_at"] > kept["created_at"]


@pytest.mark.parametrize("status", Status)
async def test_every_status_may_be_stored(database: Any, status: Status) -> None:
    assert await row(database).write(status, T1)


async def test_the_checks_know_every_kind_and_no_other(database: Any) -> None:
    for table, column, known in (
        ("kyc_verifications", "status", {s.value for s in Status}),
        ("kyc_verifications", "document_type", set(get_args(DocumentType))),
        ("device_tokens", "kind", set(DEVICE_KINDS)),
    ):
        text = await database.fetchval(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = $1",
            f"{table}_{column}_check",
        )
        assert set(re.findall(r"'(\w+)'", text)) == known


async def test_a_person_sees_their_own_verifications_and_writes_none(database: Any) -> None:
    await row(database, "kyc-1", ANNA).write(Status.REJECTED, T1)
    await row(database, "kyc-2", BERT).write(Status.PROCESSING, T1)
    async with acting(database, "authenticated", ANNA):
        assert [r["job_id"] for r in await database.fetch("select * from kyc_verifications")] == ["kyc-1"]
        for statement in (
            "update kyc_verifications set status = 'approved'",
            "delete from kyc_verifications",
            "insert into kyc_verifications select 'kyc-3', user_id from kyc_verifications",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.execute(statement)
    async with acting(database, "anon"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.fetch("select * from kyc_verifications")


async def test_outcomes_are_published(database: Any) -> None:
    published = await database.fetch(
        "select tablename from pg_publication_tables where pubname = 'supabase_realtime'"
    )
    assert [r["tablename"] for r in published] == ["kyc_verifications"]


async def test_devices_and_numbers_are_found(database: Any) -> None:
    await database.execute(f"insert into profiles values ('{ANNA}', '+4930123456', 'Europe/Berlin')")
    async with acting(database, "authenticated", ANNA):
        await database.execute(f"insert into device_tokens values ('{ANNA}', 'fcm', 'token-1')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute(f"insert into device_tokens values ('{BERT}', 'fcm', 'token-2')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.execute("update profiles set phone = '+4930999999'")
    rest: Any = Rest(database)
    people = SupabaseRecipients(rest, Settings())
    device = Device("fcm", "token-1")
    assert await people.devices(ANNA) == [device]
    assert (await people.phone(ANNA), await people.time_zone(ANNA)) == ("+4930123456", "Europe/Berlin")
    assert await people.phone(BERT) is None
    await people.drop(ANNA, device)
    assert await people.devices(ANNA) == []


async def test_events_are_stored_once_by_both_sinks(server: PostgresProcess, database: Any) -> None:
    rest: Any = Rest(database)
    assert await SupabaseSink(rest, Settings().analytics_table).write([*some(5), event(3)]) == []
    direct = PostgresSink(project(server), Settings().analytics_table)
    try:
        assert await direct.write(some(7)) == []
    finally:
        await direct.close()
    assert await database.fetchval("select count(*) from analytics_events") == 7
    for role, person in (("authenticated", ANNA), ("anon", "")):
        async with acting(database, role, person):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await database.fetch("select * from analytics_events")


async def test_the_bucket_takes_what_corral_makes(database: Any) -> None:
    (bucket,) = await database.fetch("select * from storage.buckets")
    assert (bucket["id"], bucket["public"]) == (Settings().image_bucket, True)
    assert set(bucket["allowed_mime_types"]) == set(MEDIA_TYPES.values())


async def test_no_table_is_open_to_everybody(database: Any) -> None:
    tables = await database.fetch(
        "select relname, relrowsecurity from pg_class where relkind = 'r' and "
        "relnamespace = 'public'::regnamespace"
    )
    assert len(tables) == 4
    assert all(table["relrowsecurity"] for table in tables)
