"""What is told to people about one alert. Pure.

A notice has no secret and nothing of a job's data: names of queues, rules and breakers, numbers, reasons that
were made to be shown.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from corral.observe.alerts.rule import Limits, Rule, Severity, duration

#: `still`: a critical one lasts, and is told again.
Kind = Literal["fired", "still", "resolved", "test"]

#: Characters of a PagerDuty key.
_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message. Times are epoch seconds by the server's clock; `value` and `fire` have the rule's unit."""

    kind: Kind
    rule: str
    subject: str
    severity: Severity
    title: str
    summary: str
    advice: str
    value: float
    fire: float
    #: When the alert fired, and when this is said.
    fired_at: float
    at: float

    @property
    def id(self) -> str:
        """The same whenever this notice is sent, another for each other one."""
        what = "\0".join((self.rule, self.subject, self.kind, f"{self.fired_at:.3f}", f"{self.at:.3f}"))
        return "alert_" + hashlib.blake2b(what.encode(), digest_size=16).hexdigest()

    @property
    def group(self) -> str:
        """What fires once until it is resolved."""
        return f"{self.rule}:{self.subject}"

    @property
    def headline(self) -> str:
        """A subject line."""
        mark = {
            "fired": self.severity,
            "still": f"still {self.severity}",
            "resolved": "resolved",
            "test": "test",
        }
        return one_line(f"[{mark[self.kind]}] {self.title}: {self.subject}")


def notice_of(
    kind: Kind,
    rule: Rule,
    limits: Limits,
    subject: str,
    value: float,
    detail: str,
    *,
    fired_at: float,
    at: float,
) -> Notice:
    """The message about an alert of a rule."""
    if kind == "resolved":
        summary = f"{rule.title}: {subject} is well again, after {duration(max(0.0, at - fired_at))}."
    else:
        summary = rule.says(subject, value, limits.fire, detail)
    return Notice(
        kind=kind,
        rule=rule.name,
        subject=subject,
        severity=limits.severity,
        title=rule.title,
        summary=one_line(summary),
        advice="" if kind == "resolved" else one_line(rule.advice.format(subject=subject)),
        value=value,
        fire=limits.fire,
        fired_at=fired_at,
        at=at,
    )


def trial_notice(at: float, where: str) -> Notice:
    """What `corral alerts test` sends. `where`: a host."""
    return Notice(
        kind="test",
        rule="test",
        subject=where,
        severity="info",
        title="A test of the alerts",
        summary=f"Somebody on {where} tests whether alerts arrive here. They do.",
        advice="Nothing is to be done.",
        value=0,
        fire=0,
        fired_at=at,
        at=at,
    )


def dedup_key(prefix: str, notice: Notice) -> str:
    """What tells alerts apart outside, over all installations that share a receiver by prefix."""
    key = f"corral/{prefix}/{notice.rule}/{notice.subject}"
    if len(key) <= _LONGEST_KEY:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{key[: _LONGEST_KEY - 33]}-{digest}"


def one_line(text: str) -> str:
    """Text that may hold names which strangers chose: on one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def rfc3339(epoch_seconds: float) -> str:
    """As receivers want times."""
    return (
        datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
