"""Which node is believed, and when it is asked for again."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from corral.bullmq import locating
from corral.bullmq.addresses import Node
from corral.bullmq.cluster import read_slots
from corral.bullmq.locating import Locator
from corral.bullmq.sentinel import read_master

A, B, C = ("a", 1), ("b", 2), ("c", 3)


class Clock:
    """What the locator takes for the time."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(locating, "time", clock)
    return clock


class Asked:
    """Answers in order; an exception is raised."""

    def __init__(self, *answers: Node | Exception) -> None:
        self.answers = list(answers)
        self.times = 0

    def __call__(self, current: Node | None) -> Node:
        self.times += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_it_asks_once_until_somebody_doubts(clock: Clock) -> None:
    ask = Asked(A, B)
    locator = Locator(ask)
    assert locator.known() is None
    assert [locator.locate(), locator.locate(), locator.known()] == [A, A, A]
    locator.doubt(C)  # an old connection to a node that was left long ago
    assert (locator.known(), ask.times) == (A, 1)
    locator.doubt(A)
    assert locator.known() is None
    clock.now += 1
    assert (locator.locate(), ask.times) == (B, 2)


def test_many_who_doubt_ask_once_in_a_while(clock: Clock) -> None:
    ask = Asked(A, A, B)
    locator = Locator(ask)
    locator.locate()
    for _ in range(10):
        locator.doubt(A)
        assert locator.locate() == A
    assert ask.times == 1
    clock.now += 1
    assert [locator.locate() for _ in range(3)] == [A] * 3
    assert ask.times == 2


def test_a_failure_is_remembered_for_as_long(clock: Clock) -> None:
    ask = Asked(RedisConnectionError("nobody"), A)
    locator = Locator(ask)
    for _ in range(5):
        with pytest.raises(RedisConnectionError, match="nobody"):
            locator.locate()
    assert ask.times == 1
    clock.now += 1
    assert locator.locate() == A


def test_who_listens_hears_of_another_node_alone(clock: Clock) -> None:
    heard: list[Node | None] = []
    locator = Locator(Asked(A, A))
    locator.locate()
    locator.on_change.add(lambda: heard.append(locator.node))
    locator.doubt(A)
    clock.now += 1
    locator.locate()
    assert heard == []
    locator.moved_to(B)
    assert heard == [B]
    assert locator.known() == B


def test_the_owner_of_a_slot() -> None:
    reply = [
        [0, 99, [b"10.0.0.1", 7000, b"id1"], [b"10.0.0.4", 7003, b"id4"]],
        [100, 199, [b"", 7001, b"id2"], [None, 7004, b"id5"]],
    ]
    assert read_slots(reply, 99, ("me", 1)) == (
        ("10.0.0.1", 7000),
        [("10.0.0.1", 7000), ("10.0.0.4", 7003), ("me", 7001), ("me", 7004)],
    )
    assert read_slots(reply, 100, ("me", 1))[0] == ("me", 7001)
    assert read_slots(reply, 200, ("me", 1))[0] is None
    assert read_slots([], 1, ("me", 1)) == (None, [])


def test_what_a_sentinel_says() -> None:
    reply = [b"name", b"main", b"ip", b"10.0.0.1", b"port", b"6379", b"config-epoch", b"7"]
    assert read_master(reply) == (7, ("10.0.0.1", 6379))
