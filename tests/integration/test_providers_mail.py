"""SendGrid and Mailgun over real HTTP: what arrives, each error class, each fault, and what is never told."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.providers import Providers
from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.mail import Address, Attachment, Mail
from corral.providers.mailgun import Mailgun
from corral.providers.sendgrid import SendGrid
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox

IMPATIENT = httpx2.Timeout(connect=2.0, read=0.3, write=2.0, pool=2.0)
BOTH = pytest.mark.parametrize("name", ["sendgrid", "mailgun"])

MAIL = Mail(
    sender=Address("shop@example.com", 'The "Shop", Ltd.'),
    to=(Address("user-42@example.com", "Žofia"),),
    message_id="<mail-7@example.com>",
    job_id="mail-7",
    subject="Grüße: your order",
    text="Hello, naïve reader",
    html="<p>Hello, <b>naïve</b> reader</p>",
    reply_to=Address("help@example.com"),
    headers={"X-Entity-Ref-ID": "7"},
    tags=("orders", "welcome"),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def providers(sandbox: RunningSandbox) -> AsyncIterator[Providers]:
    await forget_faults(sandbox)
    async with talking_to(sandbox) as made:
        for client in (made.sendgrid._client, made.mailgun._client):
            client._client.timeout = IMPATIENT
        yield made


def newest(sandbox: RunningSandbox, name: str) -> dict[str, Any]:
    """The mail that the stand-in saw last."""
    entries: list[dict[str, Any]] = sandbox.app.outbox.show(name)["entries"]
    return [entry for entry in entries if entry["action"] == "mail"][-1]


def mailer(providers: Providers, name: str) -> SendGrid | Mailgun:
    made: SendGrid | Mailgun = getattr(providers, name)
    assert made.name == name
    return made


@BOTH
async def test_a_message_arrives_as_it_was(sandbox: RunningSandbox, providers: Providers, name: str) -> None:
    files = (
        Attachment("rechnung.pdf", "application/pdf", bytes(range(256))),
        Attachment("zwei.txt", "text/plain", b"\r\n--x\r\n"),
    )
    sent = await mailer(providers, name).send(replace(MAIL, attachments=files))
    assert sent
    seen = newest(sandbox, name)
    assert seen | {"at": 0} == {
        "at": 0,
        "provider": name,
        "action": "mail",
        "to": ["u…@example.com"],
        "sender": "s…@example.com",
        "job_id": "mail-7",
        "message_id": "<mail-7@example.com>",
        "subject": MAIL.subject,
        "text": MAIL.text,
        "html": MAIL.html,
        "template": "",
        "variables": {},
        "attachments": [{"name": "rechnung.pdf", "bytes": 256}, {"name": "zwei.txt", "bytes": 7}],
        "tags": ["orders", "welcome"],
    }


@BOTH
async def test_a_providers_own_template_goes_by_its_id_with_its_variables(
    sandbox: RunningSandbox, providers: Providers, name: str
) -> None:
    variables = {"name": "Žofia", "items": [{"price": 9.5}]}
    bare = Mail(
        sender=MAIL.sender,
        to=MAIL.to,
        message_id=MAIL.message_id,
        job_id=MAIL.job_id,
        template="d-1f9e",
        variables=variables,
    )
    await mailer(providers, name).send(bare)
    seen = newest(sandbox, name)
    assert (seen["template"], seen["variables"], seen["html"]) == ("d-1f9e", variables, "")


async def test_an_address_twice_is_one_recipient_for_sendgrid(
    sandbox: RunningSandbox, providers: Providers
) -> None:
    to = (Address("a@example.com", "first"), Address("A@example.com"), Address("b@example.com"))
    await providers.sendgrid.send(replace(MAIL, to=to))
    assert newest(sandbox, "sendgrid")["to"] == ["a…@example.com", "b…@example.com"]


@BOTH
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", ProviderRetryable),
        ("500", ProviderRetryable),
        ("401", ProviderMisconfigured),
        ("hang", ProviderAmbiguous),
        ("drop", ProviderAmbiguous),
        ("truncated", ProviderAmbiguous),
    ],
)
async def test_a_fault_becomes_its_error_and_the_next_message_goes(
    sandbox: RunningSandbox, providers: Providers, name: str, fault: str, error: type[ProviderError]
) -> None:
    before = sandbox.counts.get(f"{name}.mail", 0)
    await script(sandbox, provider=name, fault=fault)
    with pytest.raises(ProviderError) as caught:
        await mailer(providers, name).send(MAIL)
    assert type(caught.value) is error
    # What is ambiguous had been taken; what is not was sent once and not taken.
    taken = 1 if error is ProviderAmbiguous else 0
    assert sandbox.counts.get(f"{name}.mail", 0) == before + taken
    await mailer(providers, name).send(MAIL)
    assert sandbox.counts[f"{name}.mail"] == before + taken + 1


@pytest.mark.parametrize(("name", "low", "high"), [("sendgrid", 1, 3), ("mailgun", 2, 2)])
async def test_a_rate_limit_says_how_long_to_wait(
    sandbox: RunningSandbox, providers: Providers, name: str, low: float, high: float
) -> None:
    # SendGrid names a moment, which is a whole second off either way; Mailgun names seconds.
    await script(sandbox, provider=name, fault="429")
    with pytest.raises(ProviderRetryable) as caught:
        await mailer(providers, name).send(MAIL)
    assert low <= caught.value.seconds <= high


async def test_sendgrids_wait_is_counted_from_now_to_the_reset() -> None:
    reset = str(int(time.time()) + 90)
    sendgrid = SendGrid(base_url="http://sendgrid.test", api_key="k")
    answer = httpx2.Response(429, headers={"X-RateLimit-Reset": reset, "X-RateLimit-Remaining": "0"})
    sendgrid._client._client = httpx2.AsyncClient(
        base_url="http://sendgrid.test/", transport=httpx2.MockTransport(lambda _: answer)
    )
    with pytest.raises(ProviderRetryable) as caught:
        await sendgrid.send(MAIL)
    assert 60 < caught.value.seconds <= 90
    await sendgrid.close()


@pytest.mark.parametrize(
    ("name", "mail", "error", "word"),
    [
        ("sendgrid", replace(MAIL, subject=""), ProviderPermanent, "subject"),
        ("sendgrid", replace(MAIL, text="", html=""), ProviderPermanent, "content"),
        ("sendgrid", replace(MAIL, to=(Address("user@nowhere"),)), ProviderPermanent, "personalizations.to"),
        ("sendgrid", replace(MAIL, template="7"), ProviderPermanent, "template_id"),
        ("sendgrid", replace(MAIL, tags=tuple("abcdefghijk")), ProviderPermanent, "categories"),
        (
            "sendgrid",
            replace(MAIL, sender=Address("unverified@example.com")),
            ProviderMisconfigured,
            "verified Sender Identity",
        ),
        ("mailgun", replace(MAIL, text="", html=""), ProviderPermanent, "Need at least one of"),
        ("mailgun", replace(MAIL, to=(Address("user@nowhere"),)), ProviderPermanent, "to parameter"),
        ("mailgun", replace(MAIL, headers={"X-Long": "x" * 17_000}), ProviderPermanent, "16 KB"),
    ],
)
async def test_what_the_provider_would_not_take_is_refused_for_good(
    providers: Providers, name: str, mail: Mail, error: type[ProviderError], word: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        await mailer(providers, name).send(mail)
    assert type(caught.value) is error
    assert word in caught.value.reason


@BOTH
async def test_a_message_that_could_smuggle_a_header_is_not_sent(
    sandbox: RunningSandbox, providers: Providers, name: str
) -> None:
    before = sandbox.counts.get(f"{name}.mail", 0)
    with pytest.raises(ProviderPermanent, match="line break"):
        await mailer(providers, name).send(replace(MAIL, subject="x\r\nBcc: b@example.com"))
    assert sandbox.counts.get(f"{name}.mail", 0) == before


@BOTH
async def test_too_large_a_message_is_refused_for_good(providers: Providers, name: str) -> None:
    mailer(providers, name)._client._client.timeout = httpx2.Timeout(20)
    large = Attachment("large.bin", "application/octet-stream", bytes(26 * 1024 * 1024))
    mail = replace(MAIL, attachments=(large,) if name == "mailgun" else (large, large))
    with pytest.raises(ProviderPermanent, match="HTTP 413"):
        await mailer(providers, name).send(mail)


@pytest.mark.parametrize(
    ("path", "domain", "error", "word"),
    [
        # A JSON answer about the domain, none at all about the path.
        ("/mailgun/v3", "unknown.example.com", ProviderMisconfigured, "MAILGUN_DOMAIN"),
        ("/mailgun/v3/nested", keys.MAILGUN_DOMAIN, ProviderMisconfigured, "no such URL"),
    ],
)
async def test_a_wrong_domain_or_region_is_a_setting_and_not_the_message(
    sandbox: RunningSandbox, path: str, domain: str, error: type[ProviderError], word: str
) -> None:
    wrong = Mailgun(base_url=sandbox.url + path, api_key=keys.MAILGUN_API_KEY, domain=domain)
    with pytest.raises(error, match=word):
        await wrong.send(MAIL)
    await wrong.close()


@BOTH
async def test_a_wrong_key_is_named_by_its_provider_and_never_shown(
    sandbox: RunningSandbox, name: str
) -> None:
    made: SendGrid | Mailgun
    if name == "sendgrid":
        made = SendGrid(base_url=f"{sandbox.url}/sendgrid", api_key="SG.very-secret")
    else:
        made = Mailgun(base_url=f"{sandbox.url}/mailgun/v3", api_key="very-secret", domain="example.com")
    with capture_logs() as logs, pytest.raises(ProviderMisconfigured) as caught:
        await made.send(MAIL)
    assert str(caught.value).startswith(f"{name}: POST /")
    assert [(e["event"], e["provider"]) for e in logs] == [("provider_misconfigured", name)]
    assert "very-secret" not in f"{logs}{caught.value!r}"
    await made.close()


PRIVATE = ("user-42", "shop@", "Žofia", "Grüße", "naïve", "Sample City", "invoice-of-sample", "the-key")


@BOTH
async def test_what_a_provider_echoes_is_redacted_in_errors_and_logs(name: str) -> None:
    mail = replace(
        MAIL,
        variables={"city": "Sample City"},
        attachments=(Attachment("invoice-of-sample.pdf", "application/pdf", b"x"),),
    )
    echo = f"{mail.to[0].name} {mail.to[0].email} {mail.sender.email} {mail.subject} {mail.html} Sample City"
    echo += " invoice-of-sample.pdf the-key"
    body = {"message": echo, "errors": [{"message": echo, "field": "content"}]}
    made = (
        SendGrid(base_url="http://mail.test", api_key="the-key")
        if name == "sendgrid"
        else Mailgun(base_url="http://mail.test", api_key="the-key", domain="example.com")
    )
    made._client._client = httpx2.AsyncClient(
        base_url="http://mail.test/",
        transport=httpx2.MockTransport(lambda _: httpx2.Response(400, json=body)),
    )
    with capture_logs() as logs, pytest.raises(ProviderPermanent) as caught:
        await made.send(mail)
    seen = f"{logs}{caught.value!r}{caught.value.reason}"
    assert "HTTP 400" in seen
    assert not [private for private in PRIVATE if private in seen]
    await made.close()
