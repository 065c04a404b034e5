"""The alert `redis-down`: told by each process that has been without Redis, from its own memory. Pure.

No lease can be had without Redis, so every process tells for itself, once, and again when Redis is back;
receivers that know alerts by a key (PagerDuty, Alertmanager) show one a host. The silences that were seen
last hold.
Limits: a process that ends while Redis is away tells no end.
"""

from __future__ import annotations

from collections.abc import Sequence

from corral.observe.alerts.notice import Kind, Notice, notice_of
from corral.observe.alerts.rulebook import RuleBook
from corral.observe.alerts.server_rules import REDIS_DOWN
from corral.observe.alerts.silence import Silence, is_silenced


class Outage:
    """How long Redis has been away from this process. Times are epoch seconds of this host.

    host: what the alert is about. expected: False waits for a first answer, for a process that may have been
    given no address of Redis.
    """

    def __init__(self, book: RuleBook, host: str, *, expected: bool = True) -> None:
        self._limits = book.limits(REDIS_DOWN, host)
        self._host = host
        self._expected = expected
        self._since: float | None = None
        self._fired_at: float | None = None

    def failed(self, now: float, silences: Sequence[Silence] = ()) -> Notice | None:
        """Redis did not answer. The notice, if it is time for it."""
        self._since = now if self._since is None else min(self._since, now)
        away = now - self._since
        if not (self._limits.enabled and self._expected) or self._fired_at is not None:
            return None
        if away < self._limits.fire or is_silenced(silences, REDIS_DOWN.name, self._host, now):
            return None
        self._fired_at = now
        return self._notice("fired", away, now)

    def answered(self, now: float) -> Notice | None:
        """Redis answered. The notice of the end, if the beginning was told."""
        self._expected = True
        since, self._since = self._since, None
        if self._fired_at is None:
            return None
        notice = self._notice("resolved", now - (since or now), now)
        self._fired_at = None
        return notice

    def still(self, now: float) -> Notice | None:
        """What to say again to a channel that forgets."""
        if self._fired_at is None or self._since is None:
            return None
        return self._notice("still", now - self._since, now)

    def _notice(self, kind: Kind, away: float, now: float) -> Notice:
        fired_at = now if self._fired_at is None else self._fired_at
        return notice_of(kind, REDIS_DOWN, self._limits, self._host, away, "", fired_at=fired_at, at=now)
