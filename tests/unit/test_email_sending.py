"""The steps around a send: what is stored, and in which order, whatever fails in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from corral.errors import LockLost, RedisUnavailable
from corral.providers.errors import ProviderAmbiguous, ProviderRetryable
from corral.providers.mail import Address, Mail
from corral.queues import email_sending
from corral.queues.email_sending import MayHaveBeenSent, Route, Taken, hand_over

MAIL = Mail(
    sender=Address("shop@example.com"),
    to=(Address("a@example.com"), Address("b@example.com")),
    message_id="<mail-1@example.com>",
    job_id="mail-1",
    subject="x",
    text="x",
)

MARK = {"attempt_started": {"provider": "sendgrid", "attempt": 2}}
SENT = {"sent": {"provider": "sendgrid", "message_id": "id-1", "recipients": 2}}


class Recorded:
    """A job and a provider at once, so that the order of what is done with both is seen.

    away: how many tries to store something after the first find no Redis.
    """

    name = "sendgrid"

    def __init__(self, answer: str | Exception = "id-1", *, away: int = 0) -> None:
        self.id, self.attempt = "mail-1", 2
        self.checkpoints: dict[str, Any] = {}
        self.done: list[Any] = []
        self._answer = answer
        self._away = away

    async def checkpoint(self, values: Mapping[str, Any]) -> None:
        if self.done and self._away:
            self._away -= 1
            raise RedisUnavailable
        self.done.append(dict(values))

    async def send(self, mail: Mail) -> str:
        self.done.append("send")
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer

    async def close(self) -> None:
        """Nothing is open."""

    async def hand_over(self, *, in_doubt: bool = False, delivery: Any = "at_least_once") -> Taken:
        route = Route(("sendgrid",), in_doubt=in_doubt, delivery=delivery)
        return await hand_over(self, MAIL, route, {"sendgrid": self})


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(email_sending, "REMEMBER_WAITS", (0.0, 0.0, 0.0))


async def test_the_marker_is_stored_before_the_send_and_the_answer_after_it() -> None:
    job = Recorded()

    assert await job.hand_over() == Taken("sendgrid", "id-1", 2)
    assert job.done == [MARK, "send", SENT]


async def test_an_answer_is_stored_although_redis_was_away_for_a_moment() -> None:
    job = Recorded(away=3)

    await job.hand_over()
    assert job.done == [MARK, "send", SENT]


async def test_without_redis_nothing_is_sent() -> None:
    job = Recorded()
    job.done.append("begun")
    job._away = 1

    with pytest.raises(RedisUnavailable):
        await job.hand_over()
    assert job.done == ["begun"]


async def test_an_answer_that_cannot_be_stored_is_an_error_not_a_result() -> None:
    with pytest.raises(RedisUnavailable):
        await Recorded(away=4).hand_over()


async def test_a_lost_lock_ends_it_at_once() -> None:
    class Lost(Recorded):
        async def checkpoint(self, values: Mapping[str, Any]) -> None:
            if self.done:
                raise LockLost
            self.done.append(dict(values))

    with pytest.raises(LockLost):
        await Lost().hand_over()


async def test_a_certain_failure_takes_the_marker_back() -> None:
    job = Recorded(ProviderRetryable("sendgrid", "500"), away=1)

    with pytest.raises(ProviderRetryable):
        await job.hand_over()
    assert job.done == [MARK, "send", {"attempt_started": None}]


async def test_a_certain_failure_does_not_end_a_doubt_from_before() -> None:
    job = Recorded(ProviderRetryable("sendgrid", "500"))

    with pytest.raises(ProviderRetryable):
        await job.hand_over(in_doubt=True)
    assert job.done == [MARK, "send"]


@pytest.mark.parametrize(
    ("delivery", "error"), [("at_least_once", ProviderAmbiguous), ("at_most_once", MayHaveBeenSent)]
)
async def test_a_lost_answer_leaves_the_marker(delivery: str, error: type[Exception]) -> None:
    job = Recorded(ProviderAmbiguous("sendgrid", "no answer"))

    with pytest.raises(error):
        await job.hand_over(delivery=delivery)
    assert job.done == [MARK, "send"]
