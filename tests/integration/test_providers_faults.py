"""Every way in which a provider may fail, over real HTTP, and what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2
import pytest
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.providers import Providers
from corral.providers.errors import (
    FetchRefused,
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.http import ProviderClient
from corral.providers.onfido import Onfido
from corral.providers.onfido import classify as onfido_classify
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox
from corral.settings import Settings

Call = Callable[[Providers], Awaitable[Any]]

#: Short, so that a hanging provider is noticed within the test.
IMPATIENT = httpx2.Timeout(connect=2.0, read=0.3, write=2.0, pool=2.0)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def providers(sandbox: RunningSandbox) -> AsyncIterator[Providers]:
    await forget_faults(sandbox)
    async with talking_to(sandbox) as made:
        for client in (made.onfido._client, made.idenfy._client, made.supabase._rest, made.supabase._storage):
            client._client.timeout = IMPATIENT
        yield made


async def create(p: Providers) -> Any:
    return await p.onfido.create_applicant(first_name="Sample", last_name="Specimen")


async def session(p: Providers) -> Any:
    return await p.idenfy.create_session(
        client_id="user-7", external_ref="r", document_type="PASSPORT", with_face=False
    )


async def read(p: Providers) -> Any:
    return await p.supabase.select("kyc_verifications", {})


async def upload(p: Providers) -> Any:
    return await p.supabase.upload("images", "a.jpg", b"x", "image/jpeg")


@pytest.mark.parametrize(
    ("provider", "call", "fault", "error"),
    [
        *(
            (provider, call, fault, error)
            for provider, call in (("onfido", create), ("idenfy", session), ("supabase", read))
            for fault, error in (
                ("429", ProviderRetryable),
                ("500", ProviderRetryable),
                ("401", ProviderMisconfigured),
            )
        ),
        # Sent, and no answer: what is not repeatable may have been carried out.
        *(
            (provider, call, fault, ProviderAmbiguous)
            for provider, call in (("onfido", create), ("idenfy", session))
            for fault in ("hang", "drop", "truncated")
        ),
        # What can be repeated is simply tried again.
        ("supabase", read, "hang", ProviderRetryable),
        ("supabase", read, "drop", ProviderRetryable),
        ("supabase", read, "truncated", ProviderRetryable),
        ("supabase", upload, "drop", ProviderRetryable),
        ("supabase", upload, "500", ProviderRetryable),
        ("supabase", upload, "429", ProviderRetryable),
        ("supabase", upload, "401", ProviderMisconfigured),
    ],
)
async def test_a_fault_becomes_its_error_and_the_next_call_works(
    sandbox: RunningSandbox,
    providers: Providers,
    provider: str,
    call: Call,
    fault: str,
    error: type[ProviderError],
) -> None:
    await script(sandbox, provider=provider, fault=fault)
    with pytest.raises(ProviderError) as caught:
        await call(providers)
    assert type(caught.value) is error
    await call(providers)


async def test_a_lost_answer_was_carried_out_and_an_error_was_not(
    sandbox: RunningSandbox, providers: Providers
) -> None:
    before = sandbox.counts.get("onfido.applicant", 0)
    await script(sandbox, provider="onfido", fault="drop")
    with pytest.raises(ProviderAmbiguous):
        await create(providers)
    assert sandbox.counts["onfido.applicant"] == before + 1
    await script(sandbox, provider="onfido", fault="500")
    with pytest.raises(ProviderRetryable):
        await create(providers)
    assert sandbox.counts["onfido.applicant"] == before + 1


async def test_nothing_is_sent_twice_by_itself(sandbox: RunningSandbox, providers: Providers) -> None:
    await script(sandbox, provider="supabase", fault="500", times=3)
    for _ in range(3):
        with pytest.raises(ProviderRetryable):
            await read(providers)
    await read(providers)


async def test_a_provider_that_is_not_there_is_worth_another_try_even_for_a_create() -> None:
    away = Providers(Settings(_env_file=None, CORRAL_SANDBOX=True), "http://127.0.0.1:1")
    with pytest.raises(ProviderRetryable, match="no connection"):
        await create(away)
    await away.close()


async def test_a_rate_limit_says_how_long_to_wait(sandbox: RunningSandbox, providers: Providers) -> None:
    await script(sandbox, provider="supabase", fault="429")
    with pytest.raises(ProviderRetryable) as caught:
        await read(providers)
    assert caught.value.seconds == 1
    await script(sandbox, provider="onfido", fault="429")
    with pytest.raises(ProviderRetryable) as caught:
        await create(providers)
    assert caught.value.seconds == 30


async def test_pictures_can_fail_too(sandbox: RunningSandbox, providers: Providers) -> None:
    url = "https://docs.example.com/passport.jpg"
    for fault in ("500", "429", "drop"):
        await script(sandbox, provider="images", fault=fault)
        with pytest.raises(ProviderRetryable):
            await providers.fetcher.fetch(url)
    await script(sandbox, provider="images", fault="401")
    with pytest.raises(FetchRefused):
        await providers.fetcher.fetch(url)
    assert (await providers.fetcher.fetch(url)).content_type == "image/jpeg"


async def test_a_wrong_key_is_named_by_its_provider_and_never_shown(sandbox: RunningSandbox) -> None:
    onfido = Onfido(base_url=f"{sandbox.url}/onfido/v3.6", api_key="api_live.very-secret-key")
    with capture_logs() as logs, pytest.raises(ProviderMisconfigured) as caught:
        await onfido.get_check("c")
    assert str(caught.value).startswith("onfido: GET /checks/c: authorization_error")
    assert [(e["event"], e["log_level"], e["provider"]) for e in logs] == [
        ("provider_misconfigured", "error", "onfido")
    ]
    assert "very-secret" not in f"{logs}{caught.value!r}"
    await onfido.close()


async def test_what_a_provider_echoes_is_redacted_in_errors_and_logs(sandbox: RunningSandbox) -> None:
    """A provider that answers with the request's own data must not get it into our logs."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        echo = f"{request.content.decode()} {request.headers['authorization']} sample@example.com L01X00T471"
        body = {"error": {"type": "validation_error", "message": echo, "fields": {"first_name": [echo]}}}
        return httpx2.Response(422, json=body)

    onfido = Onfido(base_url="http://onfido.test", api_key="api_live.very-secret-key")
    onfido._client._client = httpx2.AsyncClient(
        transport=httpx2.MockTransport(answer),
        base_url="http://onfido.test/",
        headers={"Authorization": "Token token=api_live.very-secret-key"},
    )
    with capture_logs() as logs, pytest.raises(ProviderPermanent) as caught:
        await onfido.create_applicant(
            first_name="Sample", last_name="Specimen", date_of_birth="1990-05-01",
            id_numbers=[{"type": "passport", "value": "AB-CD"}],
        )  # fmt: skip
    seen = f"{logs}{caught.value!r}{caught.value.reason}"
    assert "validation_error" in seen
    assert "first_name" in seen
    for private in (
        "Sample",
        "Specimen",
        "1990-05-01",
        "AB-CD",
        "very-secret",
        "sample@example.com",
        "L01X00T471",
    ):
        assert private not in seen
    await onfido.close()


async def test_a_redirecting_provider_is_not_followed() -> None:
    client = ProviderClient("onfido", base_url="http://onfido.test", classify=onfido_classify)
    client._client = httpx2.AsyncClient(
        base_url="http://onfido.test/",
        transport=httpx2.MockTransport(
            lambda _: httpx2.Response(302, headers={"Location": "http://evil.test"})
        ),
    )
    with pytest.raises(ProviderPermanent, match="HTTP 302"):
        await client.send("GET", "/checks", repeatable=True)
    await client.close()


async def test_the_sandbox_shows_what_it_received_without_personal_data(
    sandbox: RunningSandbox, providers: Providers
) -> None:
    await providers.onfido.create_applicant(
        first_name="Sample", last_name="Specimen", id_numbers=[{"type": "passport", "value": "L01X00T471"}]
    )
    async with httpx2.AsyncClient(trust_env=False) as client:
        shown = (await client.get(f"{sandbox.url}/outbox", params={"provider": "onfido"})).json()
        front = (await client.get(f"{sandbox.url}/")).json()
    newest = shown["entries"][-1]
    assert (newest["action"], newest["first_name"], newest["last_name"]) == ("applicant", "S.", "S.")
    assert newest["id_numbers"] == [{"type": "passport", "value": "…71"}]
    assert "L01X00T471" not in str(shown)
    assert front["real"] is False


@pytest.mark.parametrize(
    ("path", "headers", "status", "word"),
    [
        ("/onfido/v3.6/checks/c", {}, 401, "authorization_error"),
        ("/onfido/v3.6/checks/c", {"Authorization": "Token token=wrong"}, 401, "authorization_error"),
        ("/onfido/v3.6/horoscopes", {"Authorization": f"Token token={keys.ONFIDO_API_KEY}"}, 404, "resource"),
        ("/idenfy/api/v2/status", {}, 401, "UNAUTHORIZED"),
        ("/supabase/rest/v1/kyc_verifications", {}, 401, "Invalid API key"),
        (
            "/supabase/rest/v1/kyc_verifications",
            {"apikey": keys.SUPABASE_SERVICE_KEY, "Authorization": f"Bearer {keys.SUPABASE_SERVICE_KEY}"},
            401,
            "Invalid API key",
        ),
        ("/elsewhere", {}, 404, "the sandbox has no GET /elsewhere"),
    ],
)
async def test_the_sandbox_refuses_what_the_real_ones_refuse(
    sandbox: RunningSandbox, path: str, headers: dict[str, str], status: int, word: str
) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.get(sandbox.url + path, headers=headers)
    assert answer.status_code == status
    assert word in answer.text


@pytest.mark.parametrize(
    ("path", "content_type"), [("/applicants", "text/plain"), ("/documents", "application/json")]
)
async def test_a_wrong_content_type_is_refused(sandbox: RunningSandbox, path: str, content_type: str) -> None:
    headers = {"Authorization": f"Token token={keys.ONFIDO_API_KEY}", "Content-Type": content_type}
    async with httpx2.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{sandbox.url}/onfido/v3.6{path}", headers=headers, content=b"{}")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "bad_request")
