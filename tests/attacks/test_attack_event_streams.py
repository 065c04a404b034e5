"""The event streams against whatever a caller asks and whatever a producer wrote into a queue's stream.

Nothing ends with 500, and every frame that is sent is one: each data field is JSON on a line of its own, and
no text of an event begins a field or an event of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
import redis as sync_redis
from http_service import KEYS, READ
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amounts import amount
from corral import Settings
from corral.api.app import create_app
from corral.api.server import ApiServer
from corral.queues import built_in
from threaded import Threaded

QUEUE = "image-processing"
STREAM = f"bull:{QUEUE}:events"
HEADERS = {"authorization": f"Bearer {READ}"}

#: What a stream says that is answered; each field of a frame is one of these.
FIELDS = {"id", "event", "data", "retry", ""}

fuzzed = settings(
    max_examples=amount(8, 80),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Texts that break a line, a frame or a decoder, among others.
nasty = st.one_of(
    st.text(max_size=40),
    st.sampled_from([
        "\n\nevent: completed\ndata: {}\n\n", "a\rb", "a\u2028b", "\x85", "0", "$", "-", "1-", "-1", "1-2-3",
        f"{2**64}-0", f"{2**64 - 1}-{2**64 - 1}", "9" * 5_000, "\u0661", "x" * 5_000,
    ]),
)  # fmt: skip

raw = st.one_of(
    st.binary(max_size=60),
    nasty.map(lambda text: text.encode(errors="replace")),
    st.sampled_from([
        b"\xff\xfe\n\ndata: x\n\n", b'{"a":\n\n1}', b"[1,\r\n\r2]", b"\n\n", b"[" * 3_000,
        b'"' + b"y" * 300_000 + b'"', b"1e400", b"NaN",
    ]),
)  # fmt: skip

events = st.dictionaries(
    st.one_of(
        st.sampled_from(
            [b"event", b"jobId", b"returnvalue", b"data", b"prev", b"queue", b"at", b"failedReason"]
        ),
        st.binary(min_size=1, max_size=20),
    ),
    raw,
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def served(redis_server: str) -> Iterator[Threaded]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", redis_server)
        patch.delenv("CORRAL_SANDBOX", raising=False)
        loaded = Settings(_env_file=None, redis_url=redis_server, api_keys=KEYS)
        with Threaded(lambda: ApiServer(create_app(loaded, built_in()), grace_seconds=1)) as running:
            yield running


@pytest.fixture(scope="module")
def store(redis_server: str) -> Iterator[sync_redis.Redis]:
    with sync_redis.Redis.from_url(redis_server) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="module")
def http(served: Threaded) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, headers=HEADERS, timeout=60) as client:
        yield client


def frames_until(answer: httpx2.Response, last: str) -> list[dict[str, str]]:
    """The frames up to the one with this event name; each line of each is a field."""
    found: list[dict[str, str]] = []
    rest = b""
    for part in answer.iter_raw():
        rest += part
        while b"\n\n" in rest:
            whole, _, rest = rest.partition(b"\n\n")
            found.append(frame_of(whole))
            if last in found[-1].get("data", "") or found[-1].get("event") == last:
                return found
    raise AssertionError(f"ended without {last}: {found[-3:]}")


def frame_of(whole: bytes) -> dict[str, str]:
    assert b"\r" not in whole, whole[:200]
    fields: dict[str, str] = {}
    for line in whole.decode().split("\n"):
        name, colon, value = line.partition(":")
        assert colon, line[:200]
        assert name in FIELDS, line[:200]
        assert name not in fields, f"{name} twice in {whole[:200]!r}"
        fields[name] = value.strip()
    if "event" in fields:
        json.loads(fields["data"], parse_constant=_no_constant)
    return fields


def _no_constant(text: str) -> Any:
    raise AssertionError(f"{text} is no JSON")


def is_no_crash(answer: httpx2.Response, asked: str) -> None:
    """Reads a problem to its end; of a stream no more than that it began."""
    assert answer.status_code < 500, (answer.status_code, asked)
    if answer.status_code >= 400:
        answer.read()
        assert answer.json()["status"] == answer.status_code


@fuzzed
@given(st.lists(events, min_size=1, max_size=5))
def test_odd_events_never_break_a_stream(
    http: httpx2.Client, store: sync_redis.Redis, odd: list[dict[Any, Any]]
) -> None:
    store.delete(STREAM)
    for fields in odd:
        store.xadd(STREAM, fields)
    store.xadd(STREAM, {"event": "the-end", "jobId": "1"})
    from_begin = {"Last-Event-ID": "0"}
    with http.stream("GET", f"/v1/queues/{QUEUE}/events", headers=from_begin) as answer:
        assert answer.status_code == 200
        seen = [frame for frame in frames_until(answer, "the-end") if "event" in frame]
    assert [frame["event"] for frame in seen if frame["event"] == "the-end"] == ["the-end"]
    # None is lost, none is made up. A gap may stand before them.
    assert len([frame for frame in seen if frame["event"] != "gap"]) >= len(odd)
    assert len(seen) <= len(odd) + 2
    path = f"/api/v1/events?queue={QUEUE}&after=0-0"
    with http.stream("GET", path) as answer:
        assert answer.status_code == 200
        frames_until(answer, "the-end")
    answer = http.get(f"/api/v1/events/recent?queue={QUEUE}")
    assert answer.status_code == 200
    assert len(answer.json()["events"]) == len(odd) + 1


@fuzzed
@given(nasty, nasty, nasty, nasty)
def test_odd_questions_are_answered(
    http: httpx2.Client, position: str, queue: str, job: str, kind: str
) -> None:
    # A client refuses to send more, and the parser answers it in plain text.
    header = bytes(b if b >= 32 and b != 127 else 63 for b in position.encode(errors="replace")).strip()
    named, of = quote(queue, safe=""), quote(job, safe="")
    query = f"queue={named}&kind={quote(kind)}&id={of}&after={quote(position)}&name={quote(kind)}"
    for path in (
        f"/v1/queues/{named}/events",
        f"/v1/queues/{QUEUE}/events",
        f"/v1/queues/{QUEUE}/jobs/{of}/events",
        f"/api/v1/events?{query}",
        f"/api/v1/events?queue={QUEUE}&after={quote(position)}",
        f"/api/v1/live?job={of}",
        f"/api/v1/live?job={QUEUE}/{of}",
    ):
        for headers in (None, {b"Last-Event-ID": header}):
            with http.stream("GET", path, headers=headers) as answer:
                is_no_crash(answer, path[:300])
    for more in (f"&before={quote(position)}", f"&count={quote(kind)}"):
        is_no_crash(http.get(f"/api/v1/events/recent?queue={named}{more}"), more[:300])
