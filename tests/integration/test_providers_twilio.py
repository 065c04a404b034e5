"""Twilio over real HTTP: success, each error class, faults, the list, nothing personal told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from standins import forget_faults, running, script, talking_to
from structlog.testing import capture_logs

from corral.providers.errors import (
    ProviderAmbiguous,
    ProviderError,
    ProviderMisconfigured,
    ProviderPermanent,
    ProviderRetryable,
)
from corral.providers.twilio import Twilio, Unreachable
from corral.sandbox import keys
from corral.sandbox.server import RunningSandbox

NUMBER = "+15005551234"
TEXT = "Your code is 4711"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with running() as server:
        yield server


@pytest.fixture
async def twilio(sandbox: RunningSandbox) -> AsyncIterator[Twilio]:
    await forget_faults(sandbox)
    async with talking_to(sandbox) as providers:
        yield providers.twilio


def with_sender(sandbox: RunningSandbox, sender: str, *, token: str = keys.TWILIO_AUTH_TOKEN) -> Twilio:
    return Twilio(
        account_sid=keys.TWILIO_ACCOUNT_SID, auth_token=token, sender=sender,
        base_url=f"{sandbox.url}/twilio", sandbox=True,
    )  # fmt: skip


async def test_a_message_is_taken_and_found(sandbox: RunningSandbox, twilio: Twilio) -> None:
    started = time.time()
    sid = await twilio.send(NUMBER, TEXT, job_id="job-7")
    assert sid.startswith("SM")
    assert await twilio.find(NUMBER, TEXT, started) == sid
    assert await twilio.find(NUMBER, "another text", started) is None
    assert await twilio.find("+15005559999", TEXT, started) is None
    # An older message of the same text is another job's.
    assert await twilio.find(NUMBER, TEXT, started + 3600) is None
    entry = sandbox.app.outbox.show("twilio")["entries"][-1]
    assert (entry["to"], entry["body"]) == ("…34", TEXT)


async def test_a_messaging_service_may_be_the_sender(sandbox: RunningSandbox) -> None:
    twilio = with_sender(sandbox, "MG" + "0" * 32)
    assert await twilio.send(NUMBER, TEXT, job_id="job-7")
    await twilio.close()


@pytest.mark.parametrize(
    ("to", "error", "code"),
    [
        ("+15005550001", Unreachable, "21211"),
        ("+15005550002", Unreachable, "21612"),
        ("+15005550003", ProviderPermanent, "21408"),
        ("+15005550004", Unreachable, "21610"),
        ("+15005550009", Unreachable, "21614"),
        ("0049301234567", Unreachable, "21211"),
        ("", ProviderPermanent, "21604"),
    ],
)
async def test_each_refusal_has_its_class(
    twilio: Twilio, to: str, error: type[ProviderError], code: str
) -> None:
    with capture_logs() as logs, pytest.raises(error) as caught:
        await twilio.send(to, TEXT, job_id="job-7")
    assert type(caught.value) is error
    assert caught.value.code == code
    told = f"{caught.value} {logs}"
    assert not to or to not in told
    assert "4711" not in told


@pytest.mark.parametrize(
    ("sender", "error", "code"),
    [
        ("+15005550007", ProviderPermanent, "21606"),
        ("+15005550001", ProviderPermanent, "21212"),
        ("+15005550008", ProviderRetryable, "21611"),
    ],
)
async def test_senders(sandbox: RunningSandbox, sender: str, error: type[ProviderError], code: str) -> None:
    twilio = with_sender(sandbox, sender)
    with pytest.raises(error) as caught:
        await twilio.send(NUMBER, TEXT, job_id="job-7")
    assert caught.value.code == code
    assert sender not in str(caught.value)
    await twilio.close()


async def test_a_wrong_token_is_misconfigured_and_not_told(sandbox: RunningSandbox) -> None:
    twilio = with_sender(sandbox, keys.TWILIO_FROM, token="the-wrong-token")
    with capture_logs() as logs, pytest.raises(ProviderMisconfigured, match="20003") as caught:
        await twilio.send(NUMBER, TEXT, job_id="job-7")
    told = f"{caught.value} {logs}"
    assert "the-wrong-token" not in told
    assert keys.TWILIO_ACCOUNT_SID not in told
    await twilio.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("429", ProviderRetryable),
        ("500", ProviderRetryable),
        ("drop", ProviderAmbiguous),
        ("truncated", ProviderAmbiguous),
    ],
)
async def test_faults(
    sandbox: RunningSandbox, twilio: Twilio, fault: str, error: type[ProviderError]
) -> None:
    started = time.time()
    text = f"{TEXT} {fault}"
    await script(sandbox, provider="twilio", fault=fault)
    with pytest.raises(error):
        await twilio.send(NUMBER, text, job_id="job-7")
    # Only what had no answer may have been carried out; here it was.
    found = await twilio.find(NUMBER, text, started)
    assert (found is not None) is (error is ProviderAmbiguous)


@pytest.mark.parametrize(
    ("status", "error"), [(502, ProviderAmbiguous), (503, ProviderRetryable), (504, ProviderAmbiguous)]
)
async def test_a_gateway_that_got_no_answer_does_not_know(status: int, error: type[ProviderError]) -> None:
    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d Bad\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(gateway, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        twilio = Twilio(
            account_sid="AC1", auth_token="t", sender=keys.TWILIO_FROM, base_url=f"http://127.0.0.1:{port}",
            sandbox=True,
        )  # fmt: skip
        with pytest.raises(error) as caught:
            await twilio.send(NUMBER, TEXT, job_id="job-7")
        assert type(caught.value) is error
        await twilio.close()


async def test_a_list_that_does_not_answer_is_asked_again(sandbox: RunningSandbox, twilio: Twilio) -> None:
    await script(sandbox, provider="twilio", fault="drop")
    with pytest.raises(ProviderRetryable):
        await twilio.find(NUMBER, TEXT, 0.0)


async def test_a_text_that_is_too_long_is_refused(twilio: Twilio) -> None:
    with pytest.raises(ProviderPermanent, match="21617"):
        await twilio.send(NUMBER, "x" * 1601, job_id="job-7")
