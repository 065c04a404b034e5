"""Completion hooks: who is told that a job ended, and what. Pure; docs/queues/webhooks.md has the whole.

A job's own hook rides in its options under `webhook`, a field that BullMQ keeps and does not read. Those of a
queue and of the service are the worker's. What is told travels as a job `deliver` of the queue `webhooks`,
which the script that settles a job adds in the same call (`bullmq/lua/hooks.lua`); its data is put together
from texts that are made here, so that a job without a hook costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast

from corral.data import encode
from corral.errors import InvalidOptions
from corral.policy import Retry
from corral.sealing import is_sealed

Event = Literal["completed", "failed"]
EVENTS: tuple[Event, ...] = ("completed", "failed")

#: The queue that delivers, and the name of its jobs.
QUEUE, JOB = "webhooks", "deliver"

#: At once, then 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h after the try before.
DELIVERY_RETRY = Retry(
    attempts=10, delays=(5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400), jitter=0.1
)

#: Bytes of a result that a hook carries. The whole body stays below 20 KB, as Standard Webhooks wants it.
MAX_RESULT_BYTES = 16_000

#: Characters of a job's name, and of a reason, that a hook carries.
MAX_NAME, MAX_REASON = 200, 2_000

#: What a delivery is made of in a settlement: see lua/hooks.lua. The last entry is for a completed job that
#: BullMQ refuses to complete.
Told = list[Any]


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL that gets a signed POST when a job ended.

    url: http or https, on a public address.
    events: "completed", "failed" (for good: no attempt is left, or none would help), or both.
    Raises InvalidOptions for an event that there is not.
    """

    url: str
    events: tuple[Event, ...] = EVENTS

    def __post_init__(self) -> None:
        if not isinstance(self.url, str) or not self.url:
            raise InvalidOptions("A webhook needs a URL.")
        given: Any = self.events
        events = (given,) if isinstance(given, str) else tuple(given)
        if not events or any(event not in EVENTS for event in events):
            raise InvalidOptions(f"Webhook(events={events!r}): name some of {', '.join(EVENTS)}.")
        object.__setattr__(self, "events", events)


def hook_of(given: str | Webhook) -> Webhook:
    """The hook that a caller wrote as a URL or as a Webhook. Raises InvalidOptions."""
    if isinstance(given, Webhook):
        return given
    if not isinstance(given, str):
        raise InvalidOptions(f"webhook={given!r}: write a URL, or Webhook(url, events=(…)).")
    return Webhook(given)


def encode_hook(hook: Webhook) -> dict[str, Any]:
    """A job's hook as its options hold it."""
    return {"url": hook.url} if hook.events == EVENTS else {"url": hook.url, "events": list(hook.events)}


def decode_hook(value: Any) -> Webhook | None:
    """A hook out of the options of any producer; nonsense counts as none."""
    if isinstance(value, str):
        value = {"url": value}
    if not isinstance(value, dict) or not isinstance(value.get("url"), str) or not value["url"]:
        return None
    events = value.get("events", EVENTS)
    known = [event for event in events if event in EVENTS] if isinstance(events, (list, tuple)) else []
    return Webhook(value["url"], tuple(cast("list[Event]", known))) if known else None


@dataclass(frozen=True, slots=True)
class HookRules:
    """What holds for the jobs of one queue in one worker.

    base: key prefix of the queue `webhooks` beside it.
    standing: hooks of the queue and of the service.
    """

    queue: str
    base: str
    standing: tuple[Webhook, ...] = ()

    def targets(self, own: Webhook | None = None) -> Targets | None:
        """Who is told of a job with this hook of its own; None: nobody. A URL is told once."""
        if self.queue == QUEUE:  # a delivery that is told of would be without end
            return None
        hooks = self.standing if own is None else (own, *self.standing)
        if not hooks:
            return None
        return Targets(self.base, self._heads(hooks, "completed"), self._heads(hooks, "failed"))

    def _heads(self, hooks: Iterable[Webhook], event: Event) -> list[str]:
        urls = dict.fromkeys(hook.url for hook in hooks if event in hook.events)
        return [head(url, self.queue) for url in urls]


@dataclass(frozen=True, slots=True)
class Targets:
    """The deliveries that the end of a job makes: the beginning of the data of each."""

    base: str
    completed: list[str]
    failed: list[str]

    def of_completed(self, job_id: str, name: str, attempts_made: int, value: str) -> Told:
        """A job completed with this JSON text."""
        return [
            self.base, DELIVERY_OPTIONS, self.completed, middle(job_id, name, attempts_made),
            _completed(value), self.failed,
        ]  # fmt: skip

    def of_failed(self, job_id: str, name: str, attempts_made: int, reason: str) -> Told:
        """A job failed for good."""
        made = middle(job_id, name, attempts_made)
        return [self.base, DELIVERY_OPTIONS, self.failed, made, failed_tail(reason), []]


def refused_to_complete(told: Told, reason: str) -> Told:
    """What `of_completed` made, for a job that failed after all."""
    return [told[0], told[1], told[5], told[3], failed_tail(reason), []]


def head(url: str, queue: str) -> str:
    """The beginning of a delivery's data."""
    return f'{{"url":{_json(url)}{of_queue(queue)}'


def of_queue(queue: str) -> str:
    """Whose job it is about."""
    return f',"queue":{_json(queue)}'


def middle(job_id: str, name: str, attempts_made: int) -> str:
    """Which job it is about."""
    return f',"id":{_json(job_id)},"name":{_json(name[:MAX_NAME])},"attemptsMade":{attempts_made}'


def failed_tail(reason: str) -> str:
    """How it ended; the script adds when."""
    return f',"event":"failed","failedReason":{_json(reason[:MAX_REASON])}'


def _completed(value: str) -> str:
    size = len(value) if value.isascii() else len(value.encode())
    # An encrypted result goes to nobody outside, and plain it would lie in the queue `webhooks`.
    told = size <= MAX_RESULT_BYTES and not is_sealed(value)
    what = f'"result":{value}' if told else f'"resultBytes":{size}'
    return f',"event":"completed",{what}'


def _json(text: str) -> str:
    # Half a character, out of a file name say, must not cost a settlement.
    return encode(text.encode(errors="backslashreplace").decode()).decode()


def _delivery_options() -> str:
    delays = [round(seconds * 1000) for seconds in DELIVERY_RETRY.delays]
    backoff = {"type": "fixed", "delay": delays[0], "delays": delays, "jitter": DELIVERY_RETRY.jitter}
    return encode({"attempts": DELIVERY_RETRY.attempts, "backoff": backoff}).decode()


#: The `opts` of a delivery, as adding one would write them; a test compares, for the codec imports this file.
DELIVERY_OPTIONS = _delivery_options()
