"""The suppression list in a real Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from running_worker import MakeQueue, Redis

from corral.bullmq.connection import close_shared_clients
from corral.errors import InvalidInput, RedisUnavailable
from corral.mail.suppression import SuppressionList
from corral.settings import Settings


@pytest.fixture
async def suppressed(redis_url: str) -> AsyncIterator[SuppressionList]:
    yield SuppressionList(Settings(_env_file=None, REDIS_URL=redis_url))
    await close_shared_clients()


async def test_an_address_is_found_in_any_spelling_until_it_is_removed(suppressed: SuppressionList) -> None:
    await suppressed.add("A@Bücher.example", "bounce")

    assert await suppressed.reason("a@xn--bcher-kva.example") == "bounce"
    assert await suppressed.reason("b@example.com") is None
    assert await suppressed.reasons(["a@BÜCHER.example", "b@example.com"]) == {"a@BÜCHER.example": "bounce"}
    assert await suppressed.remove("a@bücher.example")
    assert not await suppressed.remove("a@bücher.example")
    assert await suppressed.reason("a@bücher.example") is None
    assert (await suppressed.list()).total == 0


async def test_the_list_is_read_in_pages_the_newest_first(suppressed: SuppressionList) -> None:
    for number in range(5):
        await suppressed.add(f"user-{number}@example.com", "bounce")
    await suppressed.add("user-1@example.com", "complaint")

    first, second = await suppressed.list(count=2), await suppressed.list(start=2, count=10)

    assert [entry.address for entry in first.entries] == ["user-1@example.com", "user-4@example.com"]
    assert [entry.reason for entry in first.entries] == ["complaint", "bounce"]
    assert first.entries[0].at >= first.entries[1].at
    assert first.total == second.total == 5
    assert len(second.entries) == 3


@pytest.mark.parametrize("reason", ["", "Mailbox full: a@example.com", "x" * 41, "-"])
async def test_a_reason_is_one_word(suppressed: SuppressionList, reason: str) -> None:
    with pytest.raises(InvalidInput, match="one lower-case word"):
        await suppressed.add("a@example.com", reason)


async def test_a_page_out_of_range_is_refused(suppressed: SuppressionList) -> None:
    with pytest.raises(InvalidInput, match="A page"):
        await suppressed.list(start=-1)
    with pytest.raises(InvalidInput, match="A page"):
        await suppressed.list(count=0)


async def test_no_queue_takes_its_keys_along(
    suppressed: SuppressionList, redis: Redis, make_queue: MakeQueue
) -> None:
    await suppressed.add("a@example.com", "manual")
    await make_queue("mail-suppressed").admin.obliterate()

    found = sorted(await redis.keys("*"))
    assert found == ["corral:bull:mail-suppressed", "corral:bull:mail-suppressed-order"]


async def test_an_absent_redis_is_said_without_the_address() -> None:
    away = SuppressionList(Settings(_env_file=None, REDIS_URL="redis://127.0.0.1:1"))

    with pytest.raises(RedisUnavailable, match="suppression list") as error:
        await away.reason("a@example.com")
    assert "a@example.com" not in str(error.value)
    await close_shared_clients()
