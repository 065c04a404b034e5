"""The guarded fetcher against a server that misbehaves on purpose."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpcore2
import pytest

from corral.providers.errors import FetchBlocked, FetchRefused, ProviderRetryable
from corral.providers.fetch import Fetcher
from corral.sandbox import photographs
from hostile_server import PUBLIC, HostileServer, ToLoopback

PHOTO = photographs.photograph("back", ".jpg")


class Names:
    """A resolver with a script: each call of a name takes its next answer; the last one stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(script) for name, script in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        script = self.answers.get(host, [[PUBLIC]])
        return script.pop(0) if len(script) > 1 else script[0]


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as made:
        made.plain("/photo.jpg", "200 OK", PHOTO, Content_Type="image/jpeg")
        yield made


@pytest.fixture
async def names() -> Names:
    return Names(
        inside_test=[["10.0.0.7"]],
        mixed_test=[[PUBLIC, "127.0.0.1"]],
        metadata_test=[["169.254.169.254"]],
        mapped_test=[["::ffff:127.0.0.1"]],
    )


@pytest.fixture
async def fetcher(server: HostileServer, names: Names) -> AsyncIterator[Fetcher]:
    made = Fetcher(resolve=names, backend=ToLoopback(server.port))
    yield made
    await made.close()


async def test_a_photograph_arrives_with_its_type_and_the_request_gives_nothing_away(
    server: HostileServer, fetcher: Fetcher
) -> None:
    fetched = await fetcher.fetch("http://photos.test/photo.jpg")
    assert (fetched.content, fetched.content_type) == (PHOTO, "image/jpeg")
    head = server.heads[0].lower()
    assert "host: photos.test\r\n" in head
    assert "accept: image/*\r\n" in head
    assert "accept-encoding: identity\r\n" in head
    assert "cookie" not in head
    assert "authorization" not in head


@pytest.mark.parametrize("host", ["inside.test", "mixed.test", "metadata.test", "mapped.test"])
async def test_a_name_that_leads_inside_is_blocked_before_a_connection(
    host: str, fetcher: Fetcher, server: HostileServer
) -> None:
    with pytest.raises(FetchBlocked, match="not public"):
        await fetcher.fetch(f"http://{host}/photo.jpg")
    assert server.heads == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "127.1",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "[fd00::1]",
        "[fe80::1]",
    ],
)
async def test_every_spelling_of_an_inside_address_is_blocked(host: str) -> None:
    fetcher = Fetcher()  # with the system's own resolver
    with pytest.raises(FetchBlocked, match="not public"):
        await fetcher.fetch(f"http://{host}/")
    await fetcher.close()


async def test_a_second_answer_of_the_resolver_does_not_matter(server: HostileServer) -> None:
    names = Names(rebind_test=[[PUBLIC], ["127.0.0.1"]])
    backend = ToLoopback(server.port)
    fetcher = Fetcher(resolve=names, backend=backend)
    await fetcher.fetch("http://rebind.test/photo.jpg")
    # Asked once, and connected to what was judged.
    assert names.asked == ["rebind.test"]
    assert backend.addresses == [PUBLIC]
    # The next connection asks anew, and is judged anew.
    with pytest.raises(FetchBlocked):
        await fetcher.fetch("http://rebind.test/photo.jpg")
    await fetcher.close()


async def test_redirects_are_followed_three_times(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/1", "302 Found", Location="/2")
    server.plain("/2", "307 Temporary Redirect", Location="http://other.test/3")
    server.plain("/3", "301 Moved Permanently", Location="//photos.test/photo.jpg")
    fetched = await fetcher.fetch("http://photos.test/1")
    assert fetched.url == "http://photos.test/photo.jpg"
    server.plain("/0", "303 See Other", Location="/1")
    with pytest.raises(FetchRefused, match="more than 3"):
        await fetcher.fetch("http://photos.test/0")


@pytest.mark.parametrize(
    ("location", "word"),
    [
        ("http://inside.test/photo.jpg", "private"),
        ("http://127.0.0.1/photo.jpg", "loopback"),
        ("http://169.254.169.254/latest/meta-data/", "link-local"),
        ("http://photos.test:6379/", "port 6379"),
        ("http://user:word@photos.test/photo.jpg", "user name"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://photos.test/", "scheme"),
    ],
)
async def test_a_redirect_inside_is_blocked(server: HostileServer, location: str, word: str) -> None:
    names = Names(
        **{
            "inside_test": [["10.0.0.7"]],
            "127_0_0_1": [["127.0.0.1"]],
            "169_254_169_254": [["169.254.169.254"]],
        }
    )
    server.plain("/r", "302 Found", Location=location)
    fetcher = Fetcher(resolve=names, backend=ToLoopback(server.port))
    with pytest.raises(FetchBlocked, match=word):
        await fetcher.fetch("http://photos.test/r")
    assert len(server.heads) == 1
    await fetcher.close()


async def test_cookies_of_a_redirect_are_not_sent_on(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/r", "302 Found", Location="/photo.jpg", Set_Cookie="session=1")
    await fetcher.fetch("http://photos.test/r")
    assert "session" not in server.heads[1]


async def test_too_large_by_its_header_is_refused_unread(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/big", "200 OK", PHOTO, Content_Length="99999999999")
    with pytest.raises(FetchRefused, match="more than 1000 bytes"):
        await fetcher.fetch("http://photos.test/big", max_bytes=1000)


async def test_too_large_while_streaming_is_cut_off(server: HostileServer, fetcher: Fetcher) -> None:
    def endless() -> Iterable[bytes]:
        while not server.stopping.is_set():
            yield PHOTO[:1000]

    server.stream("/endless", endless())
    with pytest.raises(FetchRefused, match="more than 50000 bytes"):
        await fetcher.fetch("http://photos.test/endless", max_bytes=50_000)


async def test_a_file_of_exactly_the_limit_passes(server: HostileServer, fetcher: Fetcher) -> None:
    assert (await fetcher.fetch("http://photos.test/photo.jpg", max_bytes=len(PHOTO))).content == PHOTO
    with pytest.raises(FetchRefused):
        await fetcher.fetch("http://photos.test/photo.jpg", max_bytes=len(PHOTO) - 1)


async def test_a_slow_body_ends_at_the_time_limit_and_is_worth_another_try(
    server: HostileServer, fetcher: Fetcher
) -> None:
    server.stream("/slow", [PHOTO[:100]], hang=True)
    with pytest.raises(ProviderRetryable, match="the file took longer"):
        await fetcher.fetch("http://photos.test/slow", timeout=0.2)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x-unknown"])
async def test_a_compressed_body_is_refused(server: HostileServer, fetcher: Fetcher, encoding: str) -> None:
    server.plain("/packed", "200 OK", gzip.compress(PHOTO), Content_Encoding=encoding)
    with pytest.raises(FetchRefused, match="compressed"):
        await fetcher.fetch("http://photos.test/packed")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("204 No Content", FetchRefused),
        ("206 Partial Content", FetchRefused),
        ("403 Forbidden", FetchRefused),
        ("404 Not Found", FetchRefused),
        ("410 Gone", FetchRefused),
        ("429 Too Many Requests", ProviderRetryable),
        ("500 Internal Server Error", ProviderRetryable),
        ("503 Service Unavailable", ProviderRetryable),
    ],
)
async def test_statuses(server: HostileServer, fetcher: Fetcher, status: str, error: type[Exception]) -> None:
    server.plain("/s", status)
    with pytest.raises(error):
        await fetcher.fetch("http://photos.test/s")


async def test_retry_after_is_handed_on(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/busy", "503 Service Unavailable", Retry_After="120")
    with pytest.raises(ProviderRetryable) as caught:
        await fetcher.fetch("http://photos.test/busy")
    assert caught.value.seconds == 120


async def test_the_bytes_decide_about_the_type(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/text", "200 OK", b"This is a text file.", Content_Type="image/jpeg")
    with pytest.raises(FetchRefused, match="application/octet-stream"):
        await fetcher.fetch("http://photos.test/text")
    server.plain("/modest", "200 OK", PHOTO, Content_Type="text/plain")
    assert (await fetcher.fetch("http://photos.test/modest")).content_type == "image/jpeg"
    with pytest.raises(FetchRefused, match="wanted image/png"):
        await fetcher.fetch("http://photos.test/modest", accept="image/png")
    assert await fetcher.fetch("http://photos.test/modest", accept=["image/png", "image/jpeg"])


async def test_an_empty_file_is_refused(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/empty", "200 OK")
    with pytest.raises(FetchRefused):
        await fetcher.fetch("http://photos.test/empty")


async def test_a_body_that_breaks_off_is_worth_another_try(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/short", "200 OK", PHOTO[:100], Content_Length=str(len(PHOTO)))
    with pytest.raises(ProviderRetryable):
        await fetcher.fetch("http://photos.test/short")


async def test_a_name_that_does_not_resolve_is_worth_another_try() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    fetcher = Fetcher(resolve=nowhere)
    with pytest.raises(ProviderRetryable):
        await fetcher.fetch("http://photos.test/photo.jpg")
    await fetcher.close()


async def test_the_next_address_is_tried_when_one_does_not_answer(server: HostileServer) -> None:
    class FirstRefuses(ToLoopback):
        async def connect_tcp(
            self, host: str, port: int, *args: Any, **more: Any
        ) -> httpcore2.AsyncNetworkStream:
            if not self.addresses:
                self.addresses.append(host)
                raise httpcore2.ConnectError("refused")
            return await super().connect_tcp(host, port, *args, **more)

    backend = FirstRefuses(server.port)
    fetcher = Fetcher(resolve=Names(two_test=[["93.184.215.14", "93.184.215.15"]]), backend=backend)
    assert (await fetcher.fetch("http://two.test/photo.jpg")).content == PHOTO
    assert backend.addresses == ["93.184.215.14", "93.184.215.15"]
    await fetcher.close()


async def test_an_allowed_host_is_reached_inside_at_its_port_only(server: HostileServer) -> None:
    fetcher = Fetcher(allow=[f"127.0.0.1:{server.port}"])
    fetched = await fetcher.fetch(f"http://127.0.0.1:{server.port}/photo.jpg")
    assert fetched.content == PHOTO
    for other in ("http://127.0.0.1/photo.jpg", f"http://localhost:{server.port}/photo.jpg"):
        with pytest.raises(FetchBlocked):
            await fetcher.fetch(other)
    await fetcher.close()


async def test_only_the_host_is_named_in_errors(server: HostileServer, fetcher: Fetcher) -> None:
    server.plain("/gone?token=secret", "404 Not Found")
    with pytest.raises(FetchRefused) as caught:
        await fetcher.fetch("http://photos.test/gone?token=secret")
    assert "photos.test" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "gone" not in str(caught.value)


async def test_proxy_variables_of_the_environment_have_no_effect(
    server: HostileServer, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert (await fetcher.fetch("http://photos.test/photo.jpg")).content == PHOTO
