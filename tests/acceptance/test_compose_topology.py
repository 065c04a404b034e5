"""deploy/compose.yaml under load, as plain processes: workers are killed and rolled, Redis is restarted."""

from __future__ import annotations

import itertools
import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from compose_processes import USER, Composed, Container, composed
from service import PATIENCE, until

QUEUE = "bull:analytics:"
#: Events a request, and seconds between two: some thousands in all.
BULK = 100
PAUSE = 0.1


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Composed]:
    # Short, so that the jobs of a killed worker are taken over soon.
    with composed(tmp_path, CORRAL_LOCK_SECONDS="4", CORRAL_STALLED_SECONDS="1") as made:
        yield made


class Producer:
    """Adds events over HTTP until it is told to stop. `added`: the ids of what was answered with 202."""

    def __init__(self, url: str, key: str) -> None:
        self.added: list[str] = []
        self.refused = 0
        self._client = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def finish(self) -> None:
        """Return when the last request is answered."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.wait(PAUSE):
                return
            ids = [f"event-{number}-{i}" for i in range(BULK)]
            # Sent again with the same key until it is answered: it counts once.
            while True:
                status = self._add(ids, f"bulk-{number}")
                if status == 202:
                    self.added += ids
                    break
                assert status == 503, status
                self.refused += 1
                self._stop.wait(PAUSE)

    def _add(self, ids: list[str], key: str) -> int:
        jobs = [
            {
                "name": "track",
                "data": {"event": "e", "properties": {}, "timestamp": 1_790_000_000_000, "eventId": event},
            }
            for event in ids
        ]
        return self._client.post(
            "/v1/queues/analytics/jobs/bulk", json={"jobs": jobs}, headers={"Idempotency-Key": key}
        ).status_code


def test_every_event_counts_once_through_kills_a_rolling_update_and_a_restart(
    stack: Composed, tmp_path: Path
) -> None:
    api = stack.start("api")
    until(lambda: api.probe("/healthz"), lambda status: status == 200)
    assert api.probe("/readyz") == 503  # it is up before Redis is, and says so

    server = stack.start_redis()
    killed, old = (stack.start("job-worker") for _ in range(2))  # --scale job-worker=2
    until(lambda: [w.probe("/healthz") for w in (killed, old)], lambda seen: seen == [200, 200])
    assert api.probe("/readyz") == 200
    assert [c.healthy() for c in (api, old)] == [True, True]

    producer = Producer(api.url, stack.key)
    try:
        held = kill_while_it_holds_jobs(stack, killed)
        # As an orchestrator rolls: the new one first, then the old one is told to end.
        new = stack.start("job-worker")
        until(lambda: new.probe("/readyz"), lambda status: status == 200)
        old.signal(signal.SIGTERM)
        assert old.ended() == 0

        server.signal(signal.SIGTERM)
        assert server.ended() == 0
        assert [api.probe("/healthz"), api.probe("/readyz")] == [200, 503]
        until(lambda: new.probe("/healthz"), lambda status: status == 503)
        stack.start_redis()
        until(lambda: new.probe("/healthz"), lambda status: status == 200)
        until(lambda: api.probe("/readyz"), lambda status: status == 200)
    finally:
        producer.finish()

    until(lambda: left(stack), lambda count: count == 0)
    assert stack.client.zcard(f"{QUEUE}failed") == 0
    events = stored(tmp_path)
    assert producer.refused  # it was not over before the restart
    assert held <= set(events)
    assert sorted(events) == sorted(producer.added)


def test_the_dashboard_is_up_before_redis_and_lets_its_user_in(stack: Composed) -> None:
    dashboard = stack.start("dashboard")
    until(lambda: dashboard.probe("/healthz"), lambda status: status == 200)
    assert dashboard.healthy()
    with httpx2.Client(base_url=dashboard.url, timeout=PATIENCE) as client:

        def sign_in(password: str) -> int:
            given = {"user": USER, "password": password}
            return client.post("/session", json=given, headers={"x-corral-dashboard": "1"}).status_code

        assert sign_in(stack.password) == 503
        stack.start_redis()
        assert until(lambda: sign_in(stack.password), lambda status: status != 503) == 200
        assert client.get("/session").json()["user"] == USER
        assert client.get("/api/v1/queues").status_code == 200
        client.cookies.clear()
        assert sign_in(stack.key) == 401
        assert client.get("/api/v1/queues").status_code == 401
    dashboard.signal(signal.SIGTERM)
    assert dashboard.ended() == 0


def kill_while_it_holds_jobs(stack: Composed, worker: Container) -> set[str]:
    """kill -9 of the container, at a moment when jobs are running in it. Returns the events of those jobs."""
    name = httpx2.get(f"{worker.url}/healthz", timeout=PATIENCE).json()["workers"][0]["worker"]

    def frozen_with_jobs() -> set[str]:
        worker.signal(signal.SIGSTOP)
        held = events_held_by(stack, name)
        if not held:
            worker.signal(signal.SIGCONT)
        return held

    held = until(frozen_with_jobs, bool)
    worker.signal(signal.SIGKILL)
    assert worker.ended() == -signal.SIGKILL
    return held


def events_held_by(stack: Composed, worker: str) -> set[str]:
    active: Any = stack.client.lrange(f"{QUEUE}active", 0, -1)
    pipeline = stack.client.pipeline(transaction=False)
    for job in active:
        pipeline.hmget(QUEUE + job, "pb", "data")
    return {json.loads(data)["eventId"] for by, data in pipeline.execute() if by == worker and data}


def left(stack: Composed) -> int:
    client = stack.client
    lists = sum(int(str(client.llen(QUEUE + place))) for place in ("wait", "active"))
    return lists + sum(int(str(client.zcard(QUEUE + place))) for place in ("delayed", "prioritized"))


def stored(folder: Path) -> list[str]:
    with sqlite3.connect(folder / "corral" / "analytics.sqlite3") as database:
        rows = database.execute("select event_id from events").fetchall()
    database.close()
    return [row[0] for row in rows]
