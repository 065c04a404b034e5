"""The evaluator on a real Redis: one of many sends, each thing once, whatever happens to it or a channel."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
import redis.asyncio as aioredis
from running_worker import Redis
from structlog.testing import capture_logs

from corral import audit
from corral.bullmq import alerting
from corral.bullmq.connection import Address, close_shared_clients, shared_client
from corral.bullmq.keys import alert_keys
from corral.errors import InvalidInput
from corral.observe.alerts import evaluator, telling
from corral.observe.alerts import ledger as ledgers
from corral.observe.alerts.desk import Alerts
from corral.observe.alerts.evaluator import Evaluator
from corral.observe.alerts.leadership import Leadership
from corral.observe.alerts.ledger import Parcel
from corral.observe.alerts.notice import Notice, trial_notice
from corral.observe.alerts.rulebook import load_rules
from corral.observe.alerts.sending import Sending
from corral.observe.alerts.telling import Telling
from corral.observe.standing import BreakerStanding, Standing
from corral.providers.errors import ProviderPermanent, ProviderRetryable
from corral.settings import Settings
from eventually import eventually
from redis_process import RedisProcess

PREFIX = "bull"
BOOK = load_rules("breaker-open.for=0, breaker-open.keep=0, breaker-open.repeat=0, redis-down=0.1")
KEYS = alert_keys(PREFIX)

_seconds = itertools.count(1_700_000_000)


@dataclass
class World:
    """What the evaluators see. Each look is a second later than the one before."""

    open: bool = False
    broken: bool = False
    looks: int = 0

    async def __call__(self) -> Standing:
        self.looks += 1
        if self.broken:
            raise ZeroDivisionError("the reader is broken")
        state = "open" if self.open else "closed"
        return Standing(
            at=float(next(_seconds)),
            breakers=(BreakerStanding(name="onfido", state=state, reason="HTTP 401"),),
        )


@dataclass
class Pager:
    """A channel that keeps what it got. `trouble`: raised, one for each send."""

    name: str = "pager"
    got: list[Notice] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    gate: asyncio.Event | None = None
    tries: int = 0

    async def send(self, notice: Notice) -> str:
        self.tries += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble:
            raise self.trouble.pop(0)
        self.got.append(notice)
        return "ok"

    async def close(self) -> None: ...

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.got]


Start = Callable[..., "Running"]


@dataclass
class Running:
    """An evaluator as a task."""

    evaluator: Evaluator
    task: asyncio.Task[None]

    @property
    def leads(self) -> bool:
        return self.evaluator._leadership.ledger is not None

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def die(self) -> None:
        """As a process that is killed: nothing is finished, nothing given back."""

        async def nothing() -> None: ...

        for task in self.evaluator._sending._under_way.values():
            task.cancel()
        await asyncio.sleep(0)
        self.evaluator._end = nothing  # type: ignore[method-assign]  # as if it were killed
        await self.stop()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting, "LEASE_SECONDS", 2.0)
    for module in (ledgers, telling):
        monkeypatch.setattr(module, "TRY_WAITS", (0.05, 0.05))


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[aioredis.Redis]:
    yield shared_client(Address.resolve(redis_url))
    await close_shared_clients()


@pytest.fixture
async def start(redis_url: str, client: aioredis.Redis) -> AsyncIterator[Start]:
    """`start(world, pager)`: an evaluator that looks and takes turns quickly."""
    running: list[Running] = []

    def make(world: World, *channels: Any, book: Any = BOOK, url: str = redis_url) -> Running:
        address = Address.resolve(url)
        made = Evaluator(lambda: shared_client(address), PREFIX, world, channels, book, seconds=0.02)
        running.append(Running(made, asyncio.create_task(made.run())))
        return running[-1]

    yield make
    for one in running:
        await one.stop()


def desk(redis_url: str) -> Alerts:
    return Alerts(Settings(_env_file=None, redis_url=redis_url, prefix=PREFIX))


async def looked(world: World, more: int = 2) -> None:
    """Some further looks have ended."""
    until = world.looks + more + 1
    await eventually(lambda: world.looks >= until)


async def test_two_evaluators_and_one_sends(start: Start, redis_url: str) -> None:
    world, pager = World(), Pager()
    both = [start(world, pager), start(world, pager)]
    await eventually(lambda: any(one.leads for one in both))
    world.open = True
    await eventually(lambda: pager.got)
    await looked(world)
    world.open = False
    await eventually(lambda: len(pager.got) == 2)
    await looked(world)
    assert pager.kinds() == ["fired", "resolved"]
    assert sum(one.leads for one in both) == 1
    assert [event.kind for event in await desk(redis_url).history()] == ["resolved", "fired"]


async def test_another_takes_over_from_a_dead_leader_and_repeats_nothing(start: Start) -> None:
    world, first, second = World(open=True), Pager(), Pager()
    leader = start(world, first)
    await eventually(lambda: first.kinds() == ["fired"])
    await eventually(lambda: not leader.evaluator._sending._under_way)
    await leader.die()
    other = start(world, second)
    assert not other.leads
    await eventually(lambda: other.leads)
    await looked(world)
    assert second.got == []
    world.open = False
    await eventually(lambda: second.kinds() == ["resolved"])
    assert first.kinds() == ["fired"]


async def test_one_that_stops_lets_another_lead_at_once(start: Start, redis: Redis) -> None:
    leader = start(World())
    await eventually(lambda: leader.leads)
    await leader.stop()
    assert not await redis.exists(KEYS.lease)


async def test_a_stop_in_the_moment_of_a_turn_stops_it(start: Start) -> None:
    running = start(World())
    await eventually(lambda: running.leads)
    for _ in range(3):
        running.evaluator._wake.set()
        await asyncio.sleep(0)
    running.task.cancel()
    done, _ = await asyncio.wait([running.task], timeout=30)
    assert done


async def test_what_a_dead_leader_was_sending_is_sent_by_the_next(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "TAKEN_SECONDS", 0.2)
    world, stuck, other = World(open=True), Pager(gate=asyncio.Event()), Pager()
    leader = start(world, stuck)
    await eventually(lambda: stuck.tries)
    await leader.die()
    start(world, other)
    await eventually(lambda: other.kinds() == ["fired"])
    await looked(world)
    assert (len(other.got), stuck.got) == (1, [])


async def test_who_lost_the_lease_without_knowing_sends_and_writes_nothing(
    client: aioredis.Redis, redis: Redis
) -> None:
    lagging, leader = (Leadership(lambda: client, PREFIX) for _ in range(2))
    pager = Pager()
    sending = Sending(lagging, {"pager": pager}, lambda: None)
    assert await lagging.hold()
    parcel = Parcel(channel="pager", notice=trial_notice(1.0, "here"))
    assert await lagging.change(lambda before: replace(before, parcels=(parcel,)))
    await redis.delete(KEYS.lease)  # as if it had stood still for longer than the lease
    assert await leader.hold()
    state = await redis.get(KEYS.state)
    await sending.send_due()
    await sending.finish()
    assert pager.tries == 0
    assert lagging.ledger is None
    assert not await lagging.change(lambda before: before)
    assert not await lagging.hold()
    assert await redis.get(KEYS.state) == state
    await lagging.release()  # must not give back what is another's
    assert await redis.get(KEYS.lease) == leader.token


async def test_a_channel_that_fails_is_tried_again_and_then_takes_it(start: Start, redis_url: str) -> None:
    pager = Pager(trouble=[ProviderRetryable("pager", "the receiver answered 500")])
    start(World(open=True), pager)
    await eventually(lambda: pager.got)

    async def health() -> Any:
        (channel,) = (await desk(redis_url).state()).channels
        return channel if channel.sent else None

    channel = await eventually(health)
    assert (channel.sent, channel.given_up, channel.waiting) == (1, 0, 0)
    assert channel.error == "the receiver answered 500"
    assert pager.tries == 2


@pytest.mark.parametrize(
    ("trouble", "tries"), [(ProviderRetryable("pager", "no"), 3), (ProviderPermanent("pager", "no"), 1)]
)
async def test_one_that_never_takes_it_is_given_up(
    start: Start, redis_url: str, trouble: Exception, tries: int
) -> None:
    world, pager = World(open=True), Pager(trouble=[trouble] * 100)
    with capture_logs() as logs:
        start(world, pager)
        await eventually(lambda: any(line["event"] == "alert_given_up" for line in logs))
    await looked(world)
    assert pager.tries == tries
    (channel,) = (await desk(redis_url).state()).channels
    assert (channel.sent, channel.given_up, channel.waiting, channel.error) == (0, 1, 0, "no")


async def test_a_channel_that_hangs_holds_up_neither_the_others_nor_the_looks(
    start: Start, redis_url: str
) -> None:
    world, well, stuck = World(open=True), Pager("well"), Pager("stuck", gate=asyncio.Event())
    start(world, stuck, well)
    await eventually(lambda: well.got and stuck.tries)
    world.open = False
    await eventually(lambda: well.kinds() == ["fired", "resolved"])
    assert stuck.tries == 1  # its end waits for its beginning
    state = await desk(redis_url).state()
    assert {channel.name: channel.waiting for channel in state.channels} == {"well": 0, "stuck": 2}
    assert stuck.gate is not None
    stuck.gate.set()
    await eventually(lambda: stuck.kinds() == ["fired", "resolved"])


async def test_a_reader_that_fails_is_logged_once_and_looked_with_again(start: Start) -> None:
    world, pager = World(open=True, broken=True), Pager()
    with capture_logs() as logs:
        start(world, pager)
        await eventually(lambda: world.looks > 3)
        world.broken = False
        await eventually(lambda: pager.got)
        await eventually(lambda: any(line["event"] == "alerts_evaluated_again" for line in logs))
    failed = [line for line in logs if line["event"] == "alerts_not_evaluated"]
    assert [(line["log_level"], line["error"]) for line in failed] == [("error", "ZeroDivisionError")]


@pytest.mark.parametrize("state", [b"", b"not json", b'{"alerts": 7}', b"\xff"])
async def test_a_state_that_cannot_be_read_is_begun_anew(
    start: Start, redis: Redis, client: aioredis.Redis, state: bytes
) -> None:
    await client.set(KEYS.state, state)
    pager = Pager()
    start(World(open=True), pager)
    await eventually(lambda: pager.kinds() == ["fired"])


async def test_what_waits_for_a_channel_that_is_no_more_is_dropped(start: Start, redis_url: str) -> None:
    world = World(open=True)
    old = start(world, Pager("old", gate=asyncio.Event()))
    await eventually(lambda: world.looks > 1)
    await old.die()
    new = Pager("new")
    start(world, new)
    await looked(world)

    async def names() -> Any:
        state = await desk(redis_url).state()
        return state.leader and not state.channels

    await eventually(names)
    assert new.got == []  # it was told to the old one; only what is told from now on is for the new


async def test_a_silence_holds_back_and_is_audited(start: Start, redis_url: str, client: Any) -> None:
    alerts = desk(redis_url)
    await alerts.silence("breaker-open", "onfido", seconds=60, reason="known", actor="cli:mia@host")
    world, pager = World(open=True), Pager()
    start(world, pager)

    async def silenced() -> Any:
        return [alert.silenced for alert in (await alerts.state()).alerts] == [True]

    # The made-up clock of the world is far in the past of the server's, so the silence holds there, too.
    await eventually(silenced)
    await looked(world)
    assert pager.got == []
    assert [event.silenced for event in await alerts.history()] == [True]
    await alerts.unsilence("breaker-open", "onfido", actor="cli:mia@host")
    await eventually(lambda: pager.kinds() == ["fired"])
    entries = await audit.entries(client, PREFIX)
    assert [(entry.action, entry.target, entry.actor) for entry in entries] == [
        ("alert.unsilence", "breaker-open:onfido", "cli:mia@host"),
        ("alert.silence", "breaker-open:onfido", "cli:mia@host"),
    ]
    assert entries[1].facts == {"seconds": 60, "reason": "known"}
    with pytest.raises(InvalidInput, match="There is no silence"):
        await alerts.unsilence("breaker-open", "onfido", actor="cli:mia@host")


async def test_a_silence_that_is_over_is_removed(redis_url: str, redis: Redis, client: Any) -> None:
    alerts = desk(redis_url)
    await alerts.silence("waiting", seconds=0.05, reason="short", actor="me")
    await alerts.silence("stalled", seconds=60, reason="long", actor="me")
    await client.hset(KEYS.silences, "broken", b"\xffnonsense")

    async def left() -> Any:
        return [one.id for one in (await alerts.state()).silences] == ["stalled:*"]

    await eventually(left)
    assert await redis.hkeys(KEYS.silences) == ["stalled:*"]


async def test_the_history_is_bounded(client: aioredis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerting, "MOST_EVENTS", 3)
    await alerting.take_lease(client, PREFIX, "me", need_state=False)
    assert await alerting.commit(client, PREFIX, "me", b"{}", [b"1", b"2"])
    assert await alerting.commit(client, PREFIX, "me", b"{}", [b"3", b"4"])
    assert await alerting.history(client, PREFIX, 10) == [b"4", b"3", b"2"]
    assert not await alerting.commit(client, PREFIX, "another", b"{}", [b"5"])


async def test_without_redis_each_process_tells_once_and_once_of_its_return(start: Start) -> None:
    server = RedisProcess()
    server.start()
    try:
        one, two = Pager(), Pager()
        first = start(World(), one, url=server.url)
        second = start(World(), two, url=server.url)
        await eventually(lambda: first.leads or second.leads)
        server.kill()
        await eventually(lambda: one.got and two.got)
        await eventually(lambda: one.kinds() == two.kinds() == ["fired"])
        server.start()
        await eventually(lambda: one.kinds() == two.kinds() == ["fired", "resolved"])
        assert {notice.rule for notice in one.got + two.got} == {"redis-down"}
        await eventually(lambda: first.leads or second.leads)
    finally:
        await first.stop()
        await second.stop()
        await close_shared_clients()
        server.stop()


async def test_without_redis_the_end_waits_for_the_beginning_in_each_channel() -> None:
    trouble: list[Exception] = [ProviderRetryable("pager", "later"), ProviderRetryable("pager", "later")]
    slow, well = Pager("slow", trouble=trouble), Pager("well")
    both = Telling([slow, well])
    both.tell(trial_notice(1.0, "here"))
    both.tell(replace(trial_notice(2.0, "here"), kind="resolved"))
    await eventually(lambda: len(slow.got) == len(well.got) == 2)
    assert slow.kinds() == well.kinds() == ["test", "resolved"]
    assert slow.tries == 4
    await both.end()


async def test_channels_that_forget_are_reminded_of_what_was_told(
    start: Start, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "REMIND_SECONDS", 0.0)

    class Forgetful(Pager):
        reminded: ClassVar[list[list[Notice]]] = []

        async def remind(self, firing: Sequence[Notice]) -> None:
            self.reminded.append(list(firing))
            raise ProviderRetryable("forgetful", "no")  # holds up nobody

    world, pager = World(open=True), Forgetful("forgetful")
    start(world, pager)
    await eventually(lambda: pager.kinds() == ["fired"])
    await eventually(lambda: [n.group for n in pager.reminded[-1]] == ["breaker-open:onfido"])
    world.open = False
    await eventually(lambda: pager.kinds() == ["fired", "resolved"])
    await eventually(lambda: pager.reminded[-1] == [])


async def test_nobody_is_reminded_of_what_somebody_has_in_hand(start: Start, redis_url: str) -> None:
    # Each look is a second later: without the acknowledgement, there is a reminder at every other one.
    book = load_rules("breaker-open.for=0, breaker-open.keep=0, breaker-open.repeat=2")
    world, pager = World(open=True), Pager()
    start(world, pager, book=book)
    await eventually(lambda: pager.kinds()[:2] == ["fired", "still"])
    await desk(redis_url).acknowledge("breaker-open", "onfido", actor="user:ada")
    await looked(world)
    known = len(pager.got)
    await looked(world, 10)
    assert len(pager.got) == known
    world.open = False
    await eventually(lambda: pager.kinds()[-1] == "resolved")
    world.open = True
    await eventually(lambda: pager.kinds()[-2:] == ["fired", "still"])


async def test_nobody_leads_nothing_was_looked_at(redis_url: str, client: aioredis.Redis) -> None:
    state = await desk(redis_url).state()
    assert (state.leader, state.evaluated_at, state.alerts, state.channels) == ("", None, (), ())
    with pytest.raises(InvalidInput):
        await desk(redis_url).history(0)
