from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from standins import running, talking_to

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.images import BucketTarget
from corral.providers.supabase import Row, Supabase, among, eq
from corral.queues.kyc_status import StatusRow
from corral.queues.kyc_types import KycJob, Status
from corral.sandbox.server import RunningSandbox

JPEG = {"Content-Type": "image/jpeg"}
TABLE = "kyc_verifications"


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def supabase(sandbox: RunningSandbox) -> AsyncIterator[Supabase]:
    async with talking_to(sandbox) as providers:
        yield providers.supabase


def row(job_id: str = "7", **values: str) -> Row:
    base = {"job_id": job_id, "user_id": "u", "provider": "onfido", "document_type": "passport"}
    return base | {"status": "processing", "created_at": "t", "updated_at": "t"} | values


# Rows


async def test_an_upsert_replaces_or_leaves_as_it_is(supabase: Supabase) -> None:
    first = await supabase.upsert(TABLE, row(), on_conflict="job_id", select="job_id,status")
    assert first == [{"job_id": "7", "status": "processing"}]
    again = await supabase.upsert(TABLE, row(status="failed"), on_conflict="job_id", replace=False)
    assert again == []
    assert (await supabase.select(TABLE, {"job_id": eq("7")}))[0]["status"] == "processing"
    replaced = await supabase.upsert(TABLE, row(status="failed"), on_conflict="job_id", select="status")
    assert replaced == [{"status": "failed"}]


async def test_an_update_touches_what_matches_and_returns_it(supabase: Supabase) -> None:
    for job_id in ("1", "2", "3"):
        await supabase.upsert(TABLE, row(job_id), on_conflict="job_id")
    where = {"job_id": among(["1", "2", 'q",x']), "status": eq("processing")}
    changed = await supabase.update(TABLE, {"status": "approved"}, where, select="job_id")
    assert sorted(r["job_id"] for r in changed) == ["1", "2"]
    assert await supabase.update(TABLE, {"status": "approved"}, where) == []
    rest = await supabase.select(TABLE, {"status": eq("processing")}, columns="job_id", limit=5)
    assert rest == [{"job_id": "3"}]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"status": "sleeping"}, "23514"),
        ({"user_id": None}, "23502"),
        ({"favourite_colour": "blue"}, "PGRST204"),
    ],
)
async def test_the_tables_constraints_are_permanent_errors_with_their_code(
    supabase: Supabase, change: Row, code: str
) -> None:
    with pytest.raises(ProviderPermanent, match=code) as caught:
        await supabase.upsert(TABLE, row() | change, on_conflict="job_id")
    assert caught.value.code == code


async def test_unknown_tables_columns_and_constraints(supabase: Supabase) -> None:
    with pytest.raises(ProviderPermanent, match="PGRST205"):
        await supabase.select("no_such_table", {})
    with pytest.raises(ProviderPermanent, match="42703"):
        await supabase.select(TABLE, {"no_such_column": eq("1")})
    with pytest.raises(ProviderPermanent, match="42P10"):
        await supabase.upsert(TABLE, row(), on_conflict="user_id")
    with pytest.raises(ProviderPermanent, match="not a table name"):
        await supabase.select("kyc?select=*", {})


async def test_an_update_without_a_filter_is_refused_before_it_is_sent(supabase: Supabase) -> None:
    await supabase.upsert(TABLE, row(), on_conflict="job_id")
    with pytest.raises(ProviderPermanent, match="every row"):
        await supabase.update(TABLE, {"status": "failed"}, {})


async def test_a_duplicate_without_a_conflict_rule_is_a_409(
    sandbox: RunningSandbox, supabase: Supabase
) -> None:
    await supabase.upsert(TABLE, row(), on_conflict="job_id")
    with pytest.raises(ProviderPermanent) as caught:
        await supabase._rest.send("POST", f"/{TABLE}", repeatable=False, json=row())
    assert caught.value.code == "23505"


# Keys


async def test_a_new_key_goes_into_apikey_alone_and_an_old_one_is_a_bearer_too(
    sandbox: RunningSandbox,
) -> None:
    def headers(key: str) -> httpx2.Headers:
        return Supabase(url="http://supabase.test", service_key=key)._rest._client.headers

    new, old = headers("sb_secret_abc"), headers("eyJhbGciOi.x.y")
    assert (new["apikey"], "authorization" in new) == ("sb_secret_abc", False)
    assert (old["apikey"], old["authorization"]) == ("eyJhbGciOi.x.y", "Bearer eyJhbGciOi.x.y")


async def test_a_wrong_key_is_a_configuration_error(sandbox: RunningSandbox) -> None:
    supabase = Supabase(url=f"{sandbox.url}/supabase", service_key="sb_secret_wrong")
    with pytest.raises(ProviderMisconfigured):
        await supabase.select(TABLE, {})
    with pytest.raises(ProviderMisconfigured):
        await supabase.upload("images", "a.jpg", b"x", "image/jpeg")
    await supabase.close()


# Storage


async def test_an_upload_has_a_public_url_and_can_be_repeated(supabase: Supabase) -> None:
    target = BucketTarget(supabase, "images")
    for content in (b"first", b"second"):
        url = await target.write("user 7/a+b.webp", content, "image/webp")
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(url)
    assert (answer.content, answer.headers["content-type"]) == (b"second", "image/webp")


async def test_storage_hides_its_status_in_a_400(supabase: Supabase) -> None:
    with pytest.raises(ProviderPermanent, match="NoSuchBucket"):
        await supabase.upload("no-such-bucket", "a.jpg", b"x", "image/jpeg")
    with pytest.raises(ProviderPermanent, match="InvalidMimeType"):
        await supabase.upload("images", "a.exe", b"x", "nonsense")
    await supabase.upload("images", "a.jpg", b"x", "image/jpeg")
    with pytest.raises(ProviderPermanent) as caught:
        await supabase._storage.send(
            "POST",
            "/object/images/a.jpg",
            repeatable=False,
            content=b"y",
            headers={"Content-Type": "image/jpeg"},
        )
    assert caught.value.code == "KeyAlreadyExists"


@pytest.mark.parametrize("path", ["", "/a", "a/../b", "..", "a//b"])
async def test_a_path_with_dots_is_refused_before_it_is_sent(supabase: Supabase, path: str) -> None:
    with pytest.raises(ProviderPermanent, match="path"):
        await supabase.upload("images", path, b"x", "image/jpeg")


# The verification's row


@pytest.fixture
def status_row(supabase: Supabase) -> StatusRow:
    data = KycJob(
        user_id="u", document_type="passport", document_number="X-1", front_image_url="https://e.org/a",
        provider="onfido",
    )  # fmt: skip
    return StatusRow(supabase, TABLE, "7", data)


async def stored(supabase: Supabase) -> tuple[str, str | None, str | None]:
    (found,) = await supabase.select(TABLE, {"job_id": eq("7")})
    return found["status"], found["provider_ref"], found["completed_at"]


async def test_a_verification_goes_from_processing_to_its_outcome(
    supabase: Supabase, status_row: StatusRow
) -> None:
    assert await status_row.write(Status.PROCESSING, "t1")
    assert await stored(supabase) == ("processing", None, None)
    assert await status_row.write(Status.APPROVED, "t2", provider_ref="check-7")
    assert await stored(supabase) == ("approved", "check-7", "t2")


async def test_every_write_can_be_repeated(supabase: Supabase, status_row: StatusRow) -> None:
    for status in (Status.PROCESSING, Status.PROCESSING, Status.REJECTED, Status.REJECTED):
        assert await status_row.write(status, "t")
    assert (await stored(supabase))[0] == "rejected"


@pytest.mark.parametrize("late", [Status.PROCESSING, Status.FAILED, Status.APPROVED, Status.EXPIRED])
async def test_a_late_write_never_overwrites_an_outcome(
    supabase: Supabase, status_row: StatusRow, late: Status
) -> None:
    await status_row.write(Status.PROCESSING, "t1")
    await status_row.write(Status.REJECTED, "t2")
    assert not await status_row.write(late, "t3")
    assert await stored(supabase) == ("rejected", None, "t2")


async def test_a_failed_verification_may_be_tried_again(supabase: Supabase, status_row: StatusRow) -> None:
    await status_row.write(Status.PROCESSING, "t1")
    assert await status_row.write(Status.FAILED, "t2")
    assert await status_row.write(Status.PROCESSING, "t3")
    assert (await stored(supabase))[0] == "processing"
    await status_row.write(Status.FAILED, "t4")
    assert await status_row.write(Status.APPROVED, "t5")
    assert (await stored(supabase))[0] == "approved"


async def test_a_row_that_is_gone_is_written_anew(supabase: Supabase, status_row: StatusRow) -> None:
    assert await status_row.write(Status.APPROVED, "t", provider_ref="check-7")
    assert await stored(supabase) == ("approved", "check-7", "t")
