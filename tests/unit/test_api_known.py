"""Which queues the service speaks for."""

from __future__ import annotations

import pytest

from corral.api import known
from corral.api.known import KnownQueues
from corral.errors import UnknownQueue
from corral.queue import Queue
from corral.settings import Settings

SETTINGS = Settings(_env_file=None, redis_url="redis://127.0.0.1:1", prefix="p")


def test_declared_queues_are_found_and_come_first() -> None:
    first, second = Queue("one"), Queue("two")
    queues = KnownQueues(SETTINGS, {"one": first, "two": second}, allow_any=True)
    other = queues.named("other")
    assert queues.named("two") is second
    assert list(queues) == [first, second, other]


def test_other_queues_are_made_once_with_the_settings() -> None:
    queues = KnownQueues(SETTINGS, {}, allow_any=True)
    assert not queues.named("stranger").writes_retry  # its workers know better
    assert queues.named("other") is queues.named("other")
    assert queues.named("other").keys().base == "p:other:"


def test_only_declared_queues_are_known_when_others_are_not_allowed() -> None:
    queues = KnownQueues(SETTINGS, {"kyc-verification": Queue("kyc-verification")}, allow_any=False)
    with pytest.raises(
        UnknownQueue, match=r"no queue 'kyc-verifcation' here\. Did you mean 'kyc-verification'"
    ):
        queues.named("kyc-verifcation")
    with pytest.raises(UnknownQueue, match="Known queues: kyc-verification"):
        queues.named("zzz")


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a\nb", "x" * 101, "\x7f", "a\u200bb"])
def test_a_name_that_cannot_be_a_queues_is_unknown(name: str) -> None:
    with pytest.raises(UnknownQueue):
        KnownQueues(SETTINGS, {}, allow_any=True).named(name)


def test_made_up_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "OTHERS_KEPT", 3)
    queues = KnownQueues(SETTINGS, {}, allow_any=True)
    kept = queues.named("a")
    for name in ("b", "c", "a", "d"):
        queues.named(name)
    assert {q.name for q in queues} == {"c", "a", "d"}
    assert queues.named("a") is kept
