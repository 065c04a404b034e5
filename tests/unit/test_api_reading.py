"""Reading bodies: the limit holds announced or not, pieces are joined, a caller that leaves is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from corral.api import reading
from corral.api.asgi import Message, Receive
from corral.api.problems import Refused
from corral.api.reading import MAX_BODY_BYTES, BodyReader, CallerLeft, check_media_type

MIB = MAX_BODY_BYTES


def pieces(parts: Iterable[bytes], *, leaves: bool = False) -> tuple[Receive, list[bytes]]:
    """A receive that gives these parts, and the list of parts that were taken."""
    rest, taken = list(parts), []

    async def receive() -> Message:
        if not rest:
            return {"type": "http.disconnect"}
        taken.append(rest.pop(0))
        return {"type": "http.request", "body": taken[-1], "more_body": bool(rest) or leaves}

    return receive, taken


async def problem_of(headers: dict[bytes, bytes], receive: Receive) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await BodyReader().read(headers, receive)
    return caught.value.problem.status, caught.value.problem.slug


@pytest.mark.parametrize("parts", [[b"hello"], [b"he", b"llo"], [b"", b"hello", b""]])
async def test_a_body_is_read_whole(parts: list[bytes]) -> None:
    receive, _ = pieces(parts)
    assert await BodyReader().read({b"content-length": b"5"}, receive) == b"hello"


async def test_a_body_may_have_exactly_the_limit() -> None:
    for parts in ([b"x" * MIB], [b"x" * (MIB - 1), b"x"]):
        receive, _ = pieces(parts)
        assert len(await BodyReader().read({}, receive)) == MIB


@pytest.mark.parametrize(
    "headers",
    [{b"content-length": b"%d" % (MIB + 1)}, {b"transfer-encoding": b"chunked"}, {b"content-length": b"x"}],
)
async def test_a_body_over_the_limit_is_refused_and_read_to_its_end(headers: dict[bytes, bytes]) -> None:
    parts = [b"x" * (MIB // 2)] * 3
    receive, taken = pieces(parts)
    assert await problem_of(headers, receive) == (413, "body-too-large")
    assert len(taken) == 3


async def test_an_endless_body_is_not_read_for_ever() -> None:
    endless = [b"x" * MIB] * 100
    receive, taken = pieces(endless)
    assert await problem_of({}, receive) == (413, "body-too-large")
    assert sum(map(len, taken)) <= reading.DRAIN_BYTES + 3 * MIB


async def test_a_caller_that_waits_for_leave_is_not_given_it() -> None:
    receive, taken = pieces([b"x"])
    headers = {b"content-length": b"9999999", b"expect": b"100-continue"}
    assert await problem_of(headers, receive) == (413, "body-too-large")
    assert taken == []


async def test_a_caller_that_leaves_is_noticed() -> None:
    for parts in ([], [b"he"]):
        receive, _ = pieces(parts, leaves=True)
        with pytest.raises(CallerLeft):
            await BodyReader().read({}, receive)


async def test_a_body_that_does_not_arrive_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BODY_SECONDS", 0.01)

    async def receive() -> Message:
        if started:
            await asyncio.Event().wait()
        started.append(True)
        return {"type": "http.request", "body": b"{", "more_body": True}

    started: list[bool] = []
    assert await problem_of({}, receive) == (408, "body-too-slow")


async def test_slow_bodies_share_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "BUDGET_BYTES", MIB)
    reader = BodyReader()
    inner: list[tuple[int, str]] = []

    async def receive() -> Message:
        # While this body is arriving, a second one begins to.
        if not inner:
            other, _ = pieces([b"a", b"b"])
            with pytest.raises(Refused) as caught:
                await reader.read({}, other)
            inner.append((caught.value.problem.status, caught.value.problem.slug))
            return {"type": "http.request", "body": b"y", "more_body": False}
        raise AssertionError("read on after the end")

    step = 0

    async def first() -> Message:
        nonlocal step
        step += 1
        return {"type": "http.request", "body": b"x", "more_body": True} if step == 1 else await receive()

    assert await reader.read({}, first) == b"xy"
    assert inner == [(503, "too-many-uploads")]
    again, _ = pieces([b"a", b"b"])
    assert await reader.read({}, again) == b"ab"


@pytest.mark.parametrize(
    "declared",
    [
        None,
        b"application/json",
        b"application/json; charset=utf-8",
        b'Application/JSON;charset="UTF-8"',
        b"application/vnd.example+json",
    ],
)
def test_json_is_taken(declared: bytes | None) -> None:
    check_media_type({} if declared is None else {b"content-type": declared})


@pytest.mark.parametrize(
    "headers",
    [
        {b"content-type": b"text/plain"},
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"application/json; charset=latin-1"},
        {b"content-type": b""},
        {b"content-type": b"application/json", b"content-encoding": b"gzip"},
    ],
)
def test_anything_else_is_not(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(Refused) as caught:
        check_media_type(headers)
    assert caught.value.problem.status == 415
