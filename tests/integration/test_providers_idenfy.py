from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from standins import running, talking_to

from corral.providers.errors import ProviderMisconfigured, ProviderPermanent
from corral.providers.idenfy import Idenfy, Session, TokenNotValid
from corral.sandbox import keys, photographs
from corral.sandbox.server import RunningSandbox

AS_PASSPORT = {"country": "FR", "document_type": "PASSPORT"}
FRONT = photographs.photograph("front", ".jpg")
BACK = photographs.photograph("back", ".jpg")
FACE = photographs.photograph("selfie", ".jpg")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def idenfy(sandbox: RunningSandbox) -> AsyncIterator[Idenfy]:
    async with talking_to(sandbox) as providers:
        yield providers.idenfy


async def session(
    idenfy: Idenfy, number: str = "SPECIMEN-1", kind: str = "PASSPORT", *, with_face: bool = False
) -> Session:
    return await idenfy.create_session(
        client_id="user-7", external_ref="job-7", document_type=kind, with_face=with_face,
        details={"documentNumber": number, "firstName": ""},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "status"),
    [
        ("SPECIMEN-1", "APPROVED"),
        ("SPECIMEN-REJECT", "DENIED"),
        ("SPECIMEN-REVIEW", "SUSPECTED"),
        ("SPECIMEN-EXPIRE", "EXPIRED"),
        ("SPECIMEN-NEVER", "REVIEWING"),
    ],
)
async def test_from_session_to_status(idenfy: Idenfy, number: str, status: str) -> None:
    opened = await session(idenfy, number)
    assert (await idenfy.status(opened.scan_ref)).status == "ACTIVE"
    await idenfy.process(opened.auth_token, **AS_PASSPORT, images={"FRONT": FRONT})
    answer = await idenfy.status(opened.scan_ref)
    assert (answer.status, answer.scan_ref) == (status, opened.scan_ref)
    assert (await idenfy.data(opened.scan_ref))["docNumber"] == number


async def test_a_card_needs_its_back_and_an_identification_a_face(idenfy: Idenfy) -> None:
    opened = await session(idenfy, kind="ID_CARD", with_face=True)
    images = {"FRONT": FRONT}
    for step, image in (("BACK", BACK), ("FACE", FACE)):
        with pytest.raises(ProviderPermanent, match=f"No image provided for step '{step}'"):
            await idenfy.process(opened.auth_token, country="FR", document_type="ID_CARD", images=images)
        images[step] = image
    await idenfy.process(opened.auth_token, country="FR", document_type="ID_CARD", images=images)


async def test_a_token_serves_once(idenfy: Idenfy) -> None:
    opened = await session(idenfy)
    await idenfy.process(opened.auth_token, **AS_PASSPORT, images={"FRONT": FRONT})
    with pytest.raises(TokenNotValid):
        await idenfy.process(
            opened.auth_token, country="FR", document_type="PASSPORT", images={"FRONT": FRONT}
        )
    with pytest.raises(TokenNotValid):
        await idenfy.process("no-such-token", **AS_PASSPORT, images={"FRONT": FRONT})


@pytest.mark.parametrize("image", [photographs.corrupt_jpeg(), photographs.huge_png(), b"no photograph"])
async def test_a_good_answer_with_a_message_is_a_bad_photograph(idenfy: Idenfy, image: bytes) -> None:
    opened = await session(idenfy)
    with pytest.raises(ProviderPermanent, match="no document was found"):
        await idenfy.process(
            opened.auth_token, country="FR", document_type="PASSPORT", images={"FRONT": image}
        )
    # Nothing was submitted, so the same session takes a better one.
    assert (await idenfy.status(opened.scan_ref)).status == "ACTIVE"


async def test_what_idenfy_would_not_take_is_refused(idenfy: Idenfy) -> None:
    with pytest.raises(ProviderPermanent, match="MISSING_VALUE"):
        await idenfy.create_session(client_id="", external_ref="r", document_type="PASSPORT", with_face=False)
    with pytest.raises(ProviderPermanent, match="BAD_VALUE"):
        await session(idenfy, kind="LIBRARY_CARD")
    with pytest.raises(ProviderPermanent, match="BAD_VALUE"):
        await session(idenfy, number="x" * 51)
    with pytest.raises(ProviderPermanent, match="BAD_VALUE"):
        await idenfy.status("no-such-session")
    opened = await session(idenfy)
    with pytest.raises(ProviderPermanent, match="BAD_VALUE"):
        await idenfy.process(opened.auth_token, country="FRA", document_type="PASSPORT", images={})
    with pytest.raises(ProviderPermanent, match="VALIDATION_ERROR"):
        await idenfy.process(
            opened.auth_token,
            country="FR",
            document_type="PASSPORT",
            images={"FRONT": bytes(7 * 1024 * 1024)},
        )


async def test_a_job_without_a_country_needs_the_setting_outside_the_sandbox(sandbox: RunningSandbox) -> None:
    idenfy = Idenfy(
        base_url=f"{sandbox.url}/idenfy", api_key=keys.IDENFY_API_KEY, api_secret=keys.IDENFY_API_SECRET
    )
    with pytest.raises(ProviderMisconfigured, match="CORRAL_KYC_COUNTRY"):
        await idenfy.process("t", country="", document_type="PASSPORT", images={"FRONT": FRONT})
    await idenfy.close()
