"""From look to look: properties over random standings, silences, repeats, gaps and clocks."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corral.errors import InvalidInput
from corral.observe.alerts.acknowledging import Acknowledgement, acknowledgement
from corral.observe.alerts.machine import GAP_SECONDS, Alert, Step, read_all, step, still_firing
from corral.observe.alerts.notice import Notice, dedup_key
from corral.observe.alerts.outage import Outage
from corral.observe.alerts.rulebook import RuleBook, load_rules
from corral.observe.alerts.rules import RULES
from corral.observe.alerts.silence import ANY, Silence, silence
from corral.observe.standing import BreakerStanding, QueueStanding, Recent, Standing

T0 = 1_700_000_000.0
BOOK = RuleBook()
QUICK = load_rules(
    "waiting=10, waiting.clear=5, waiting.for=30, waiting.keep=60, breaker-open.keep=0, no-workers=off"
)


class Series:
    """Looks one after the other, and what came of them."""

    def __init__(self, book: RuleBook = BOOK, silences: Sequence[Silence] = ()) -> None:
        self.book = book
        self.silences = list(silences)
        self.in_hand: list[Acknowledgement] = []
        self.alerts: tuple[Alert, ...] = ()
        self.last: float | None = None
        self.notices: list[Notice] = []
        self.events: list[Any] = []

    def look(self, standing: Standing) -> Step:
        found = read_all(standing, self.book)
        result = step(
            self.alerts,
            found,
            self.book,
            self.silences,
            now=standing.at,
            last=self.last,
            in_hand=self.in_hand,
        )
        self.alerts, self.last = result.alerts, standing.at
        self.notices += result.notices
        self.events += result.events
        return result

    def kinds(self) -> list[str]:
        return [notice.kind for notice in self.notices]


def breaker(at: float, state: str = "open") -> Standing:
    return Standing(at=T0 + at, breakers=(BreakerStanding(name="onfido", state=state),))


def waiting(at: float, jobs: int) -> Standing:
    return Standing(
        at=T0 + at, queues={"a": QueueStanding(queue="a", counts={"waiting": jobs}, paused=False)}
    )


queue_standings = st.builds(
    QueueStanding,
    queue=st.sampled_from(["a", "b"]),
    counts=st.fixed_dictionaries(
        {"waiting": st.sampled_from([0, 6, 900, 2_000]), "failed": st.sampled_from([0, 0, 3])}
    ),
    paused=st.booleans(),
    oldest_waiting_seconds=st.sampled_from([None, 1.0, 280.0, 400.0]),
    recent=st.builds(
        Recent,
        completed=st.sampled_from([0, 10, 100]),
        failed=st.sampled_from([0, 4, 50]),
        run_p95=st.sampled_from([None, 1.0, 55.0, 70.0]),
    ),
    late_schedules=st.dictionaries(st.just("s"), st.sampled_from([40.0, 400.0]), max_size=1),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Standing]:
    at, made = T0, []
    for _ in range(draw(st.integers(1, 15))):
        at += draw(st.sampled_from([1.0, 15.0, 15.0, 61.0, 400.0]))
        queues = {q.queue: q for q in draw(st.lists(queue_standings, max_size=2))}
        state = draw(st.sampled_from(["closed", "open", "half-open"]))
        made.append(Standing(at=at, queues=queues, breakers=(BreakerStanding(name="onfido", state=state),)))
    return made


def by_group(notices: Iterable[Notice]) -> dict[str, list[Notice]]:
    grouped: dict[str, list[Notice]] = defaultdict(list)
    for notice in notices:
        grouped[notice.group].append(notice)
    return grouped


@settings(max_examples=60)
@given(histories(), st.sampled_from([BOOK, QUICK]))
def test_a_group_fires_once_until_it_is_resolved(history: list[Standing], book: RuleBook) -> None:
    series = Series(book)
    for standing in history:
        series.look(standing)
    for notices in by_group(series.notices).values():
        told = [notice.kind for notice in notices if notice.kind != "still"]
        assert told == ["fired", "resolved"] * (len(told) // 2) + ["fired"] * (len(told) % 2)
        assert len({notice.id for notice in notices}) == len(notices)
    open_ = {group for group, found in by_group(series.notices).items() if found[-1].kind != "resolved"}
    assert open_ == {alert.group for alert in series.alerts if alert.state == "firing"}


@settings(max_examples=60)
@given(histories(), st.sampled_from([BOOK, QUICK]))
def test_it_never_flaps_within_the_durations(history: list[Standing], book: RuleBook) -> None:
    series = Series(book)
    for standing in history:
        series.look(standing)
    for notices in by_group(series.notices).values():
        for one, next_ in itertools.pairwise([n for n in notices if n.kind != "still"]):
            limits = book.limits(RULES[one.rule], one.subject)
            least = limits.keep_seconds if next_.kind == "resolved" else limits.for_seconds
            assert next_.at - one.at >= least


@settings(max_examples=40)
@given(histories(), st.randoms())
def test_the_order_of_what_is_measured_changes_nothing(history: list[Standing], random: Any) -> None:
    straight, mixed = Series(), Series()
    for standing in history:
        names = list(standing.queues)
        random.shuffle(names)
        shuffled = replace(standing, queues={name: standing.queues[name] for name in names})
        one = straight.look(standing)
        mixed.alerts = tuple(sorted(mixed.alerts, key=lambda _: random.random()))
        found = list(read_all(shuffled, BOOK).items())
        random.shuffle(found)
        two = step(mixed.alerts, dict(found), BOOK, [], now=standing.at, last=mixed.last)
        mixed.alerts, mixed.last = two.alerts, standing.at
        assert two == one


@settings(max_examples=40)
@given(histories())
def test_what_is_remembered_survives_its_way_through_redis(history: list[Standing]) -> None:
    series, stored = Series(), Series()
    for standing in history:
        one = series.look(standing)
        two = stored.look(standing)
        stored.alerts = msgspec.json.decode(msgspec.json.encode(two.alerts), type=tuple[Alert, ...])
        assert two == one


def test_pending_ends_without_a_word_when_it_gets_better() -> None:
    series = Series(QUICK)
    series.look(waiting(0, 11))
    series.look(waiting(29, 10))  # not over the limit: the count begins anew
    series.look(waiting(31, 11))
    series.look(waiting(60, 11))
    assert series.kinds() == []
    series.look(waiting(61, 11))
    assert series.kinds() == ["fired"]


def test_a_relapse_within_keep_is_the_same_alert() -> None:
    series = Series(QUICK)
    for at, jobs in [(0, 11), (30, 11), (45, 0), (100, 11), (110, 0), (169, 0)]:
        series.look(waiting(at, jobs))
    assert series.kinds() == ["fired"]
    series.look(waiting(170, 0))
    assert series.kinds() == ["fired", "resolved"]
    assert series.events[-1].seconds == 140
    assert series.notices[-1].summary == "Many jobs wait: scale: a is well again, after 2 min 20 s."


def test_a_long_critical_alert_is_told_again_and_others_are_not() -> None:
    book = load_rules("breaker-open.repeat=100, dead-letters.repeat=100")
    series = Series(book)
    for at in range(0, 350, 50):
        dead = QueueStanding(queue="a", counts={"failed": 1})
        series.look(replace(breaker(at), queues={"a": dead}))
    grouped = by_group(series.notices)
    assert [n.kind for n in grouped["breaker-open:onfido"]] == ["fired", "still", "still", "still"]
    assert [n.kind for n in grouped["dead-letters:a"]] == ["fired"]


def test_by_default_it_is_told_again_after_four_hours() -> None:
    series = Series()
    for at in range(0, 8 * 3600 + 1, 60):
        series.look(breaker(at))
    assert [(n.kind, n.at - T0) for n in series.notices] == [
        ("fired", 0),
        ("still", 14_400),
        ("still", 28_800),
    ]


def quiet(rule: str, subject: str, until: float) -> Silence:
    return Silence(rule=rule, subject=subject, until=T0 + until, reason="x", by="y", at=T0)


@pytest.mark.parametrize(
    ("rule", "subject"), [("breaker-open", "onfido"), ("breaker-open", ANY), (ANY, "onfido"), (ANY, ANY)]
)
def test_under_a_silence_nothing_is_told_and_at_its_end_what_lasts(rule: str, subject: str) -> None:
    series = Series(silences=[quiet(rule, subject, 100)])
    series.look(breaker(0))
    series.look(breaker(99))
    assert series.kinds() == []
    assert [(event.kind, event.silenced) for event in series.events] == [("fired", True)]
    series.look(breaker(100))
    assert series.kinds() == ["fired"]
    assert series.notices[0].fired_at == T0


def test_what_came_and_went_under_a_silence_is_never_told() -> None:
    series = Series(QUICK, [quiet("breaker-open", ANY, 100)])
    series.look(breaker(0))
    series.look(breaker(50, "closed"))
    series.look(breaker(150, "closed"))
    assert series.kinds() == []
    assert [event.kind for event in series.events] == ["fired", "resolved"]


def test_the_end_of_what_was_told_is_told_in_a_silence_too() -> None:
    series = Series(QUICK)
    series.look(breaker(0))
    series.silences = [quiet(ANY, ANY, 1_000)]
    series.look(breaker(50, "closed"))
    assert series.kinds() == ["fired", "resolved"]


def in_hand(subject: str, fired_at: float) -> Acknowledgement:
    return acknowledgement("breaker-open", subject, T0 + fired_at, " new \n key ", by="ada", now=T0)


def test_what_somebody_has_in_hand_is_told_of_no_more_but_its_end() -> None:
    series = Series(load_rules("breaker-open.repeat=100, breaker-open.keep=0"))
    series.look(breaker(0))
    series.in_hand = [in_hand("onfido", 0)]
    for at in (100, 200, 300):
        series.look(breaker(at))
    assert series.kinds() == ["fired"]
    series.look(breaker(400, "closed"))
    assert series.kinds() == ["fired", "resolved"]
    # The same rule and subject again: nobody has that in hand.
    series.look(breaker(500))
    series.look(breaker(600))
    assert series.kinds() == ["fired", "resolved", "fired", "still"]


def test_an_acknowledgement_that_is_taken_back_reminds_again() -> None:
    series = Series(load_rules("breaker-open.repeat=100"))
    series.look(breaker(0))
    series.in_hand = [in_hand("onfido", 0), in_hand("idenfy", 0)]
    series.look(breaker(100))
    series.in_hand = [in_hand("idenfy", 0)]
    series.look(breaker(110))
    assert series.kinds() == ["fired", "still"]


def test_a_note_is_one_line() -> None:
    assert in_hand("onfido", 0).note == "new key"


def test_a_silence_of_another_subject_does_not_count() -> None:
    series = Series(silences=[quiet("breaker-open", "idenfy", 100), quiet("waiting", "onfido", 100)])
    series.look(breaker(0))
    assert series.kinds() == ["fired"]


def test_after_a_pause_of_the_evaluator_durations_count_anew() -> None:
    series = Series(QUICK)
    series.look(waiting(0, 11))
    series.look(waiting(GAP_SECONDS + 1, 11))
    assert series.kinds() == []
    series.look(waiting(GAP_SECONDS + 31, 11))
    assert series.kinds() == ["fired"]
    at = GAP_SECONDS + 40
    series.look(waiting(at, 0))
    series.look(waiting(at + GAP_SECONDS + 1, 0))
    assert series.kinds() == ["fired"]
    series.look(waiting(at + GAP_SECONDS + 61, 0))
    assert series.kinds() == ["fired", "resolved"]


def test_a_server_clock_that_is_set_back_neither_fires_nor_sticks() -> None:
    series = Series(QUICK)
    series.look(waiting(0, 11))
    series.look(waiting(-10_000, 11))
    assert series.kinds() == []
    series.look(waiting(-9_970, 11))
    assert series.kinds() == ["fired"]
    series.look(waiting(-9_960, 0))
    series.look(waiting(-20_000, 0))
    series.look(waiting(-19_940, 0))
    assert series.kinds() == ["fired", "resolved"]


def test_a_queue_that_is_gone_and_a_rule_that_is_off_are_well() -> None:
    series = Series(QUICK)
    series.look(waiting(0, 11))
    series.look(waiting(30, 11))
    series.look(breaker(40))
    series.look(Standing(at=T0 + 100))
    assert series.kinds() == ["fired", "fired", "resolved", "resolved"]
    series.look(breaker(110))
    series.book = load_rules("breaker-open=off, breaker-open.keep=0")
    series.look(breaker(120))
    assert series.kinds()[-2:] == ["fired", "resolved"]


def test_an_alert_of_a_rule_that_is_no_more_ends() -> None:
    left = Alert(rule="old", subject="x", state="firing", value=1, since=T0, fired_at=T0, told_at=T0)
    result = step([left], {}, BOOK, [], now=T0 + 10, last=T0)
    assert result.alerts == ()
    assert [(n.kind, n.rule) for n in result.notices] == [("resolved", "old")]


def test_what_is_reminded_of_is_what_was_told_and_lasts() -> None:
    series = Series(QUICK, [quiet("waiting", ANY, 1_000)])
    series.look(replace(waiting(0, 2_000), breakers=breaker(0).breakers))
    series.look(replace(waiting(60, 2_000), breakers=breaker(0).breakers))
    assert {alert.rule for alert in series.alerts} == {"waiting", "breaker-open"}
    assert [(n.rule, n.kind) for n in still_firing(series.alerts, QUICK, T0 + 60)] == [
        ("breaker-open", "still")
    ]


@pytest.mark.parametrize(
    ("rule", "seconds", "reason", "message"),
    [
        ("wating", 60, "x", "Did you mean waiting?"),
        ("waiting", 0, "x", "more than 0"),
        ("waiting", 31 * 86_400, "x", "30 days"),
        ("waiting", float("nan"), "x", "more than 0"),
        ("waiting", 60, " \n ", "Say why"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(
    rule: str, seconds: float, reason: str, message: str
) -> None:
    with pytest.raises(InvalidInput, match=message.replace("?", r"\?")):
        silence(rule, "*", seconds, reason, by="me", now=T0)


def test_a_process_without_redis_tells_once_and_once_of_the_end() -> None:
    outage = Outage(BOOK, "web-1")
    assert [outage.failed(T0 + at) for at in (0, 30, 59)] == [None] * 3
    fired = outage.failed(T0 + 60)
    assert fired is not None
    assert (fired.kind, fired.summary) == ("fired", "Redis has not answered web-1 for 1 min.")
    assert [outage.failed(T0 + at) for at in (61, 100_000)] == [None] * 2
    still = outage.still(T0 + 120)
    assert still is not None
    assert still.fired_at == fired.fired_at
    resolved = outage.answered(T0 + 180)
    assert resolved is not None
    assert (resolved.kind, resolved.fired_at) == ("resolved", fired.fired_at)
    assert outage.answered(T0 + 190) is None
    assert outage.still(T0 + 190) is None


def test_a_short_outage_and_one_whose_rule_is_off_are_not_told() -> None:
    outage = Outage(BOOK, "web-1")
    assert [outage.failed(T0), outage.answered(T0 + 59), outage.failed(T0 + 60)] == [None] * 3
    off = Outage(load_rules("redis-down=off"), "web-1")
    assert [off.failed(T0), off.failed(T0 + 1_000)] == [None] * 2


def test_a_silence_that_was_seen_holds_for_an_outage_until_it_is_over() -> None:
    outage, silences = Outage(BOOK, "web-1"), [quiet("redis-down", ANY, 100)]
    assert [outage.failed(T0 + at, silences) for at in (0, 60, 99)] == [None] * 3
    fired = outage.failed(T0 + 100, silences)
    assert fired is not None
    assert fired.kind == "fired"


def test_where_no_redis_may_be_meant_an_outage_begins_after_its_first_answer() -> None:
    outage = Outage(BOOK, "web-1", expected=False)
    assert [outage.failed(T0), outage.failed(T0 + 1_000), outage.answered(T0 + 2_000)] == [None] * 3
    assert outage.failed(T0 + 3_000) is None
    assert outage.failed(T0 + 3_060) is not None


def test_a_key_is_the_same_from_beginning_to_end_and_never_too_long() -> None:
    series = Series(QUICK)
    name = "s" * 400
    for at in (0, 30, 60):
        late = QueueStanding(queue="a", late_schedules={name: 400.0})
        series.look(Standing(at=T0 + at, queues={"a": late}))
    series.look(Standing(at=T0 + 100))
    series.look(Standing(at=T0 + 170))
    fired, resolved = series.notices
    assert dedup_key("bull", fired) == dedup_key("bull", resolved)
    assert len(dedup_key("bull", fired)) <= 255
    assert fired.id != resolved.id
