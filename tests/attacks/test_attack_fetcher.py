# ruff: noqa: E501, PT017 - payloads are read best as rows; a refusal is looked at where one may come
"""The guarded fetcher against URLs and servers that want to reach inside, fill memory or hold a worker.

The rules for addresses have their table in tests/unit/test_addresses.py, the fetcher's ordinary life is in
tests/integration/test_providers_fetch.py. All servers here are real sockets.
"""

from __future__ import annotations

import gzip
import resource
import zlib
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from corral.providers.errors import FetchBlocked, FetchRefused, ProviderError, ProviderRetryable
from corral.providers.fetch import Fetcher
from corral.providers.guarded import GuardedPoster, resolve_by_system
from corral.sandbox import photographs
from hostile_server import PUBLIC, HostileServer, ToLoopback, public

PHOTO = photographs.photograph("back", ".jpg")
MANY = 200 * 2**20


@pytest.fixture
async def server() -> AsyncIterator[HostileServer]:
    async with HostileServer() as made:
        made.body("/photo.jpg", PHOTO)
        yield made


@pytest.fixture
async def fetcher(server: HostileServer) -> AsyncIterator[Fetcher]:
    made = Fetcher(resolve=public, backend=ToLoopback(server.port))
    yield made
    await made.close()


INSIDE = [
    # Every notation of an inside address that some resolver or parser understands.
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.0x0.0x0.0x1",
    "0177.0.0.1", "0177.0x0.0.1", "127.0.0.1.", "127.000.000.001", "0", "0.0.0.0", "localhost", "LOCALHOST",
    "localhost.", "localhost.localdomain", "ip6-localhost", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]",
    "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]", "[2001:0:7f00:1::]", "[fd00:ec2::254]", "[fe80::1]", "[fe80::1%25eth0]", "[fe80::1%25lo]",
    "[fec0::1]", "[ff02::1]", "[::ffff:169.254.169.254]", "169.254.169.254", "2852039166", "0xa9fea9fe",
    "0251.0376.0251.0376", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
    "100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021",
    "lo\u00adcalhost", "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
]  # fmt: skip


@pytest.mark.parametrize("host", INSIDE, ids=ascii)
async def test_no_notation_of_an_inside_address_is_reached(host: str) -> None:
    backend = ToLoopback(1)
    fetcher = Fetcher(backend=backend)  # with the system's own resolver
    with pytest.raises((FetchBlocked, FetchRefused, ProviderRetryable)) as refused:
        await fetcher.fetch(f"http://{host}/latest/meta-data/")
    await fetcher.close()
    assert backend.addresses == [], refused.value
    poster = GuardedPoster("hook", backend=backend)
    with pytest.raises(ProviderError):
        await poster.post(f"http://{host}/latest/meta-data/", b"{}", {})
    await poster.close()
    assert backend.addresses == []


URLS = [
    "file:///etc/passwd", "FILE:///etc/passwd", "gopher://photos.test:6379/_FLUSHALL", "dict://photos.test:6379/",
    "ftp://photos.test/", "ldap://photos.test/", "jar:http://photos.test!/", "data:image/png;base64,AAAA",
    "javascript:alert(1)", "unix:///var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "netdoc:///etc/passwd", "http:photos.test/", "http:///photos.test", "//photos.test/", "/etc/passwd", "",
    "http://", "http://photos.test:6379/", "http://photos.test:22/", "http://photos.test:0/",
    "http://photos.test:65536/", "http://photos.test:-1/", "http://photos.test:80:80/", "http://photos.test:8\u0660/",
    # User names: the host is what follows the last at-sign, and none is taken at all.
    "http://user@photos.test/", "http://user:word@photos.test/", "http://photos.test@127.0.0.1/",
    "http://photos.test:80@127.0.0.1/", "http://127.0.0.1\\@photos.test/",
    "http://photos.test\\@127.0.0.1/", "http://a@photos.test@127.0.0.1/",
    # Characters that one parser drops and another keeps.
    "http://photos.test\r\nHost: evil/", "http://photos.test/\r\nX-Evil: 1", "http://photos.test/ HTTP/1.1\r\n\r\n",
    "http://photos.test\x00.evil.test/", "http://pho\ttos.test/", "http://photos.test%00/", "http://photos.test%2f@x/",
    "http://photos.test/" + "a" * 3_000, "http://[::1/", "http://[photos.test]/",
    "http://photos test/", "http://photos.test%0d%0aHost:evil/", "http://*/", "http://photos.test`id`/",
]  # fmt: skip


@pytest.mark.parametrize("url", URLS, ids=lambda url: ascii(url)[:60])
async def test_no_trick_in_a_url_reaches_a_server_or_writes_a_header(
    server: HostileServer, fetcher: Fetcher, url: str
) -> None:
    """Refused; or, where the trick is taken for a part of the path, one plain request of one line."""
    server.answers |= {"/": server.answers["/photo.jpg"]}
    try:
        await fetcher.fetch(url)
    except (FetchBlocked, FetchRefused, ProviderRetryable) as refused:
        assert "etc/passwd" not in str(refused)
    for head in server.heads:
        lines = head.rstrip("\r\n").split("\r\n")
        assert lines[1] == "Host: photos.test"
        assert [line.split(":")[0] for line in lines[1:]] == [
            "Host",
            "User-Agent",
            "Accept",
            "Accept-Encoding",
        ]


async def test_a_line_break_in_a_redirect_writes_no_header(server: HostileServer, fetcher: Fetcher) -> None:
    server.answers["/x%0d%0aX-Evil:%201"] = server.answers["/photo.jpg"]
    server.redirect("/r", b"/x%0d%0aX-Evil:%201")
    assert (await fetcher.fetch("http://photos.test/r")).content == PHOTO
    assert "\r\nx-evil" not in server.heads[1].lower()


LOCATIONS = [
    b"file:///etc/passwd", b"gopher://photos.test:6379/_INFO", b"ftp://photos.test/", b"data:image/png,x",
    b"http://127.0.0.1/", b"http://2130706433/", b"http://0x7f.1/", b"http://[::1]/", b"http://[::ffff:7f00:1]/",
    b"http://[64:ff9b::7f00:1]/", b"http://169.254.169.254/latest/meta-data/iam/", b"//127.0.0.1/",
    b"//user@photos.test/", b"http://photos.test:6379/", b"http://user:word@photos.test/",
    b"\\\\127.0.0.1\\x", b"http:127.0.0.1/", b"javascript:alert(1)", b"http://localhost./", b"\xff\xfe",
    b"http://" + b"a" * 5_000,
]  # fmt: skip


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_leads_inside_or_to_another_scheme(server: HostileServer, status: int) -> None:
    for location in LOCATIONS:
        backend = ToLoopback(server.port)
        fetcher = Fetcher(backend=backend, resolve=_as_it_is)
        server.heads.clear()
        server.redirect("/r", location, status)
        with pytest.raises((FetchBlocked, FetchRefused, ProviderRetryable)):
            await fetcher.fetch("http://photos.test/r")
        await fetcher.close()
        assert set(backend.addresses) == {PUBLIC}, location
        hosts = {line for head in server.heads for line in head.split("\r\n") if line.startswith("Host")}
        assert hosts == {"Host: photos.test"}, location


async def _as_it_is(host: str, port: int) -> list[str]:
    if host in ("photos.test", "other.test"):
        return [PUBLIC]
    return await resolve_by_system(host, port)


async def test_an_endless_redirect_ends(server: HostileServer, fetcher: Fetcher) -> None:
    server.redirect("/loop", b"/loop")
    with pytest.raises(FetchRefused, match="redirects more than"):
        await fetcher.fetch("http://photos.test/loop")
    assert len(server.heads) == 4


async def test_nothing_of_one_host_is_carried_to_the_next(server: HostileServer, fetcher: Fetcher) -> None:
    server.redirect(
        "/r",
        b"http://other.test/photo.jpg",
        more=b"Set-Cookie: s=1; Domain=test\r\nWWW-Authenticate: Basic realm=x\r\n"
        b"Refresh: 0; url=http://127.0.0.1\r\n",
    )
    await fetcher.fetch("http://photos.test/r?token=abc")
    assert "Host: other.test" in server.heads[1]
    for name in ("cookie", "authorization", "referer", "token"):
        assert name not in server.heads[1].lower()


@pytest.mark.parametrize(
    "second",
    [
        ["127.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["169.254.169.254"], [PUBLIC, "10.0.0.1"], ["fe80::1%eth0"], [],
        ["not an address"],
    ],
)  # fmt: skip
async def test_rebinding_between_look_up_and_connect_changes_nothing(
    server: HostileServer, second: list[str]
) -> None:
    answers = [[PUBLIC], second]

    async def resolver(host: str, port: int) -> list[str]:
        return answers.pop(0)

    backend = ToLoopback(server.port)
    fetcher = Fetcher(resolve=resolver, backend=backend)
    server.redirect("/r", b"http://photos.test/photo.jpg")
    with pytest.raises((FetchBlocked, ProviderRetryable)):
        await fetcher.fetch("http://photos.test/r")  # the redirect's connection asks anew
    await fetcher.close()
    assert answers == []
    assert backend.addresses == [PUBLIC]


def _packed(name: str) -> bytes:
    zeros = b"\0" * 2**20
    packer = zlib.compressobj(9, wbits=31) if name == "gzip" else zlib.compressobj(9)
    return b"".join(packer.compress(zeros) for _ in range(MANY // len(zeros))) + packer.flush()


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "x-gzip"]
)
async def test_a_compressed_bomb_is_not_unpacked(
    server: HostileServer, fetcher: Fetcher, encoding: str
) -> None:
    bomb = _packed("gzip" if "gzip" in encoding else "deflate")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.body("/bomb", bomb, Content_Encoding=encoding)
    with pytest.raises(FetchRefused, match="compressed"):
        await fetcher.fetch("http://photos.test/bomb")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024  # KiB


async def test_a_bomb_that_does_not_say_so_is_the_bytes_that_it_is(
    server: HostileServer, fetcher: Fetcher
) -> None:
    server.body("/quiet", gzip.compress(PHOTO))
    with pytest.raises(FetchRefused, match="wanted image"):
        await fetcher.fetch("http://photos.test/quiet")


async def test_a_body_longer_than_it_says_is_cut_at_what_it_says(
    server: HostileServer, fetcher: Fetcher
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PHOTO)
    server.raw("/more", head + PHOTO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" * 1_000)
    assert (await fetcher.fetch("http://photos.test/more")).content == PHOTO
    # What came behind it is nobody's answer.
    assert (await fetcher.fetch("http://photos.test/photo.jpg")).content == PHOTO


HANGING = {
    "nothing": (b"", b""),
    "a head that never ends": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a line that never ends": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "a body, a byte at a time": (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"\xff"),
    "a chunk, a byte at a time": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", b"\xff"),
    "chunks of nothing said at length": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"1;" + b"x" * 100 + b"\r\n\xff\r\n",
    ),
    "early hints for ever": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("kind", HANGING)
async def test_slow_loris_ends_at_the_total_time_whatever_drips(
    server: HostileServer, fetcher: Fetcher, kind: str
) -> None:
    server.drip("/slow", *HANGING[kind])
    with pytest.raises(ProviderRetryable):
        await fetcher.fetch("http://photos.test/slow", timeout=0.6)
    server.body("/photo.jpg", PHOTO)
    assert (await fetcher.fetch("http://photos.test/photo.jpg")).content == PHOTO


async def test_slow_loris_across_redirects_shares_one_time(server: HostileServer, fetcher: Fetcher) -> None:
    server.redirect("/r", b"/slow")
    server.drip("/slow", b"", b"")
    with pytest.raises(ProviderRetryable, match="longer than"):
        await fetcher.fetch("http://photos.test/r", timeout=0.6)


ANSWERS = {
    "huge headers": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 5_000_000 + b"\r\n\r\n",
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500_000 + b"\r\n",
    "no status": b"\r\n\r\n",
    "not http": b"SSH-2.0-OpenSSH_9.6\r\n",
    "redis": b"-ERR unknown command 'GET'\r\n",
    "an odd status": b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a length beyond numbers": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a redirect to nowhere": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    "a header with a zero": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_a_malformed_answer_is_an_error_of_the_file_and_of_nothing_else(
    server: HostileServer, fetcher: Fetcher, kind: str
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.raw("/odd", ANSWERS[kind])
    with pytest.raises((FetchRefused, ProviderRetryable)):
        await fetcher.fetch("http://photos.test/odd", timeout=20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024  # KiB
    server.body("/photo.jpg", PHOTO)
    assert (await fetcher.fetch("http://photos.test/photo.jpg")).content == PHOTO


async def test_a_blocked_address_is_logged_without_the_path_that_may_be_a_secret() -> None:
    fetcher = Fetcher()
    with capture_logs() as logs, pytest.raises(FetchBlocked):
        await fetcher.fetch("http://127.0.0.1/secret-path?token=secret-token")
    await fetcher.close()
    assert [entry["event"] for entry in logs] == ["fetch_blocked"]
    assert "secret" not in repr(logs)
