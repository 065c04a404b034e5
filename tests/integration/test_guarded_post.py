"""The guarded POST against a server that misbehaves on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from corral.providers.errors import FetchBlocked, FetchRefused, ProviderAmbiguous, ProviderRetryable
from corral.providers.guarded import GuardedPoster
from hook_receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
async def poster(receiver: Receiver) -> AsyncIterator[GuardedPoster]:
    made = GuardedPoster("hook", allow=[f"127.0.0.1:{receiver.port}"])
    yield made
    await made.close()


async def test_the_body_and_the_headers_arrive_and_the_answer_comes_back(
    receiver: Receiver, poster: GuardedPoster
) -> None:
    receiver.answers("/in", "429 Slow down", b"later", Retry_After="7")
    posted = await poster.post(f"{receiver.url}/in?k=1", b'{"a":1}', {"webhook-id": "m-1"})
    assert (posted.status, posted.body) == (429, b"later")
    assert posted.answer.retry_after == 7.0
    (got,) = receiver.got
    assert (got.method, got.target, got.body) == ("POST", "/in?k=1", b'{"a":1}')
    assert got.headers["webhook-id"] == "m-1"
    assert not {"cookie", "authorization", "proxy-authorization"} & got.headers.keys()


async def test_a_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, poster: GuardedPoster) -> None:
    receiver.answers("/in", "307 Temporary Redirect", Location=f"{receiver.url}/other")
    assert (await poster.post(f"{receiver.url}/in", b"{}", {})).status == 307
    assert [got.target for got in receiver.got] == ["/in"]


async def test_a_long_answer_is_cut_and_an_endless_one_does_not_hold_the_sender(
    receiver: Receiver, poster: GuardedPoster
) -> None:
    receiver.answers("/long", "200 OK", b"x" * 100_000)
    receiver.pours("/endless")
    assert len((await poster.post(f"{receiver.url}/long", b"{}", {})).body) == 1024
    assert len((await poster.post(f"{receiver.url}/endless", b"{}", {})).body) == 1024


async def test_silence_after_the_request_is_ambiguous(receiver: Receiver, poster: GuardedPoster) -> None:
    receiver.hangs("/slow")
    with pytest.raises(ProviderAmbiguous, match=r"no answer within 0\.2 s"):
        await poster.post(f"{receiver.url}/slow", b"{}", {}, timeout=0.2)
    assert len(receiver.got) == 1


async def test_a_cut_connection_is_ambiguous_and_nobody_there_is_not() -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listener = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    poster = GuardedPoster("hook", allow=["127.0.0.1"])
    with pytest.raises(ProviderAmbiguous):
        await poster.post(f"http://127.0.0.1:{port}/secret-path", b"{}", {})
    listener.close()
    await listener.wait_closed()
    with pytest.raises(ProviderRetryable) as error:
        await poster.post(f"http://127.0.0.1:{port}/secret-path", b"{}", {})
    assert "secret-path" not in str(error.value)
    await poster.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/in",
        "http://[::1]/in",
        "http://inside.test/in",
        "http://mixed.test/in",
        "http://good.test:8080/in",
        "ftp://good.test/in",
        "http://user@good.test/in",
    ],
)
async def test_an_inside_address_is_refused_before_anything_is_sent(receiver: Receiver, url: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return {
            "inside.test": ["10.0.0.7"],
            "mixed.test": ["93.184.215.14", "127.0.0.1"],
            "127.0.0.1": ["127.0.0.1"],
            "::1": ["::1"],
        }.get(host, ["93.184.215.14"])

    poster = GuardedPoster("hook", resolve=resolve)
    with pytest.raises(FetchBlocked):
        await poster.post(url, b"{}", {})
    await poster.close()
    assert not receiver.got


async def test_what_is_no_url_is_refused() -> None:
    poster = GuardedPoster("hook")
    with pytest.raises(FetchRefused):
        await poster.post("http://a b/", b"{}", {})
    await poster.close()
