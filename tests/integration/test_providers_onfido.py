from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from standins import running, talking_to

from corral.providers.errors import ProviderPermanent
from corral.providers.onfido import Onfido
from corral.sandbox import photographs
from corral.sandbox.server import RunningSandbox

PASSPORT = photographs.photograph("passport", ".jpg")
SELFIE = photographs.photograph("selfie", ".png")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def onfido(sandbox: RunningSandbox) -> AsyncIterator[Onfido]:
    async with talking_to(sandbox) as providers:
        yield providers.onfido


async def applicant(onfido: Onfido, number: str = "SPECIMEN-1") -> str:
    return await onfido.create_applicant(
        first_name="Sample", last_name="Specimen", date_of_birth="1990-05-01",
        id_numbers=[{"type": "passport", "value": number}],
    )  # fmt: skip


async def document(onfido: Onfido, applicant_id: str) -> str:
    return await onfido.upload_document(
        applicant_id, document_type="passport", side="front", content=PASSPORT, content_type="image/jpeg",
        issuing_country="FRA",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "status", "result", "sub_result"),
    [
        ("SPECIMEN-1", "complete", "clear", "clear"),
        ("SPECIMEN-REJECT", "complete", "consider", "rejected"),
        ("SPECIMEN-REVIEW", "complete", "consider", "caution"),
        ("SPECIMEN-EXPIRE", "withdrawn", None, None),
        ("SPECIMEN-NEVER", "in_progress", None, None),
    ],
)
async def test_from_applicant_to_report(
    onfido: Onfido, number: str, status: str, result: str | None, sub_result: str | None
) -> None:
    applicant_id = await applicant(onfido, number)
    document_id = await document(onfido, applicant_id)
    await onfido.upload_live_photo(applicant_id, content=SELFIE, content_type="image/png")

    ordered = await onfido.create_check(
        applicant_id, report_names=["document", "facial_similarity_photo"], document_ids=[document_id],
        tags=["job:7", "user:u"],
    )  # fmt: skip
    check = await onfido.get_check(ordered.id)
    reports = await onfido.get_reports(ordered.id)

    assert (check.status, check.result, check.tags) == (status, result, ["job:7", "user:u"])
    assert [r.name for r in reports] == ["document", "facial_similarity_photo"]
    assert reports[0].sub_result == sub_result
    if status == "complete":
        assert reports[0].properties["document_numbers"] == [{"type": "document_number", "value": number}]


async def test_a_check_is_found_by_its_applicant(onfido: Onfido) -> None:
    applicant_id = await applicant(onfido)
    assert await onfido.find_checks(applicant_id) == []
    document_id = await document(onfido, applicant_id)
    check = await onfido.create_check(
        applicant_id, report_names=["document"], document_ids=[document_id], tags=["job:8"]
    )
    assert [(c.id, c.tags) for c in await onfido.find_checks(applicant_id)] == [(check.id, ["job:8"])]


async def test_an_unknown_check_is_permanent(onfido: Onfido) -> None:
    with pytest.raises(ProviderPermanent, match="resource_not_found"):
        await onfido.get_check("no-such-check")


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (PASSPORT[:1000], "image/jpeg"),  # too small
        (PASSPORT + bytes(3 * 1024 * 1024), "image/jpeg"),  # too large
        (photographs.corrupt_jpeg(), "image/jpeg"),
        (photographs.huge_png(), "image/png"),
        (PASSPORT, "image/png"),  # not what its type says
        (photographs.photograph("back", ".webp"), "image/webp"),
    ],
)
async def test_a_bad_photograph_is_permanent_and_names_the_field(
    onfido: Onfido, content: bytes, content_type: str
) -> None:
    applicant_id = await applicant(onfido)
    with pytest.raises(ProviderPermanent, match=r"validation_error \(file"):
        await onfido.upload_document(
            applicant_id, document_type="passport", side="front", content=content, content_type=content_type
        )


async def test_a_blurred_photograph_is_permanent_and_says_so(onfido: Onfido) -> None:
    applicant_id = await applicant(onfido, "SPECIMEN-BLUR")
    with pytest.raises(ProviderPermanent, match="detect_blur"):
        await document(onfido, applicant_id)


async def test_what_onfido_would_not_take_is_refused(onfido: Onfido) -> None:
    mine, other = await applicant(onfido), await applicant(onfido)
    theirs = await document(onfido, other)
    with pytest.raises(ProviderPermanent, match="report_names_blank"):
        await onfido.create_check(mine, report_names=[], document_ids=[], tags=[])
    with pytest.raises(ProviderPermanent, match="invalid_reports_names"):
        await onfido.create_check(mine, report_names=["horoscope"], document_ids=[], tags=[])
    with pytest.raises(ProviderPermanent, match="missing_documents"):
        await onfido.create_check(mine, report_names=["document"], document_ids=[theirs], tags=[])
    with pytest.raises(ProviderPermanent, match="failed_check_requirements"):
        await onfido.create_check(
            other, report_names=["facial_similarity_photo"], document_ids=[theirs], tags=[]
        )
    with pytest.raises(ProviderPermanent, match="last_name"):
        await onfido.create_applicant(first_name="Sample", last_name="")
    with pytest.raises(ProviderPermanent, match="first_name"):
        await onfido.create_applicant(first_name="<Sample>", last_name="Specimen")
    with pytest.raises(ProviderPermanent, match="dob"):
        await onfido.create_applicant(first_name="Sample", last_name="Specimen", date_of_birth="1.5.1990")
    with pytest.raises(ProviderPermanent, match="applicant_id"):
        await document(onfido, "no-such-applicant")
