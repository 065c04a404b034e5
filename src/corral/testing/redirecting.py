"""Pointing the queues of this process at another server for a while, and back.

A queue remembers its keys, and for each event loop its connections. All of that is put aside at the start
and put back at the end, so that a queue which was used before (in another loop, or by `queue.sync`, whose
loop lives as long as the process) connects anew inside, and goes on where it was afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from corral.bullmq.connection import binding
from corral.queue import Queue, living

#: What a queue remembers of its server once it has been used.
_REMEMBERED = ("_keys", "_bound", "_current")
#: What a queue was told, and what is put aside for one that is pointed by hand.
_TOLD = ("_redis_url", "_prefix")


@dataclass(frozen=True, slots=True)
class Pointed:
    """Where queues are pointed. The URL holds the password."""

    url: str
    prefix: str
    _before: dict[Queue, dict[str, Any]] = field(repr=False)

    def also(self, *queues: Queue) -> None:
        """Point queues here that were declared with a `redis_url` or `prefix` of their own."""
        with binding:
            for queue in queues:
                kept = self._before.setdefault(queue, {})
                for name in (*_REMEMBERED, *_TOLD):
                    kept.setdefault(name, getattr(queue, name))
                _forget(queue)
                for name in _TOLD:
                    setattr(queue, name, None)


@contextmanager
def pointed_at(url: str, *, prefix: str) -> Iterator[Pointed]:
    """Point all queues that have no `redis_url` of their own at this server, also those declared inside.

    It sets REDIS_URL, REDIS_PASSWORD and CORRAL_PREFIX for the time: one at a time in a process. A queue that
    names its own `redis_url` stays where it is, unless `Pointed.also` is told; one that names its own
    `prefix` keeps that.
    """
    environment = {"REDIS_URL": url, "REDIS_PASSWORD": "", "CORRAL_PREFIX": prefix}
    kept = {name: os.environ.get(name) for name in environment}
    before: dict[Queue, dict[str, Any]] = {}
    with binding:
        for queue in _ours(list(living)):
            before[queue] = {name: getattr(queue, name) for name in _REMEMBERED}
            _forget(queue)
        os.environ.update(environment)
    try:
        yield Pointed(url, prefix, before)
    finally:
        with binding:
            _restore(kept)
            for queue in list(living):
                if queue in before:
                    for name, value in before[queue].items():
                        setattr(queue, name, value)
                elif _ours([queue]):  # declared inside
                    _forget(queue)


def _ours(queues: Iterable[Queue]) -> list[Queue]:
    return [queue for queue in queues if queue._redis_url is None]  # noqa: SLF001  # nobody else may know


def _forget(queue: Queue) -> None:
    queue._sealing = None  # noqa: SLF001  # it is bound to the prefix
    queue.may_seal = True
    queue._keys = None  # noqa: SLF001  # nobody else may know
    queue._bound = WeakKeyDictionary()  # noqa: SLF001  # nobody else may know
    queue._current = None  # noqa: SLF001  # nobody else may know


def _restore(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
