"""Hooks as a product meets them: asked for over HTTP, delivered by the running service to a real receiver."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from service import Service, corral, environment, running_service, until
from workers import CHILDREN

from hook_receiver import Got, Receiver, receiving
from redis_process import RedisProcess

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DOCS = Path(__file__).parents[2] / "docs" / "queues" / "webhooks.md"
PICTURE = {
    "imageUrl": "https://images.example.com/landscape.jpg",
    "userId": "user-42",
    "type": "moment",
    "sizes": [{"width": 32, "height": 24, "format": "webp"}],
}


@contextmanager
def _receiver() -> Iterator[Receiver]:
    """A receiver in a thread of its own."""
    ready, made = threading.Event(), []

    async def run() -> None:
        async with receiving() as receiver:
            made.append(receiver)
            ready.set()
            await receiver.stopping.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield made[0]
    loop.call_soon_threadsafe(made[0].stopping.set)
    thread.join(20)
    loop.close()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with _receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def env(receiver: Receiver) -> Iterator[dict[str, str]]:
    server = RedisProcess()
    server.start()
    yield {
        "REDIS_URL": server.url,
        "CORRAL_WEBHOOK_SECRET": SECRET,
        "CORRAL_FETCH_ALLOW": f"127.0.0.1:{receiver.port}",
        "CORRAL_LOCK_SECONDS": "1.5",
        "CORRAL_STALLED_SECONDS": "1",
    }
    server.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Iterator[Service]:
    """`corral up`, whose workers deliver, and a worker of the product's own queue."""
    command = [sys.executable, "-m", "corral", "worker", "hooked_jobs:queue", "--processes", "2"]
    with running_service(tmp_path_factory.mktemp("hooks") / "data", **env) as running:
        worker = subprocess.Popen(command, cwd=CHILDREN, env=environment(**env), stderr=subprocess.DEVNULL)
        yield running
        worker.terminate()
        worker.wait(40)


def add(service: Service, name: str, url: str, data: Any = None, **options: Any) -> str:
    hook = {"url": url, **options.pop("hook", {})}
    answer = service.post(
        "/v1/queues/orders/jobs", {"name": name, "data": data or {}, "webhook": hook, **options}
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def told(receiver: Receiver, path: str, times: int = 1) -> list[Got]:
    """What came to a path, once it came so often."""
    return until(lambda: receiver.at(path), lambda seen: len(seen) >= times)


def verify(got: Got) -> dict[str, Any]:
    """By the code that the documentation offers."""
    (code,) = re.findall(r"```python\n(import base64.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # our own page; that it runs as printed is the point
    seen: dict[str, Any] = names["verify"](SECRET, got.headers, got.body)
    with pytest.raises(ValueError, match="signature"):
        names["verify"](SECRET, got.headers, got.body + b" ")
    return seen


def test_a_completed_job_is_told_signed_with_its_result(service: Service, receiver: Receiver) -> None:
    job_id = add(service, "succeed", f"{receiver.url}/completed", {"n": 42})
    (got,) = told(receiver, "/completed")
    message = verify(got)
    assert message["type"] == "job.completed"
    data = message["data"]
    assert (data["id"], data["queue"], data["name"], data["status"]) == (
        job_id,
        "orders",
        "succeed",
        "completed",
    )
    assert (data["result"], data["attemptsMade"]) == ({"n": 42}, 1)


def test_a_failed_job_is_told_after_its_last_attempt_alone(service: Service, receiver: Receiver) -> None:
    add(service, "fail", f"{receiver.url}/failed", retry={"attempts": 3, "delays": [0]})
    (got,) = told(receiver, "/failed")
    data = verify(got)["data"]
    assert (data["status"], data["failedReason"], data["attemptsMade"]) == ("failed", "the shop is closed", 3)


def test_only_the_events_that_were_asked_for_are_told(service: Service, receiver: Receiver) -> None:
    add(service, "succeed", f"{receiver.url}/events", hook={"events": ["failed"]})
    add(service, "fail", f"{receiver.url}/events", hook={"events": ["failed"]}, attempts=1)
    assert [verify(got)["type"] for got in told(receiver, "/events")] == ["job.failed"]


def test_a_cancelled_job_is_told_whether_it_ran_or_not(service: Service, receiver: Receiver) -> None:
    runs = add(service, "endless", f"{receiver.url}/cancelled")
    waits = add(service, "endless", f"{receiver.url}/cancelled", delay=3600)
    path = f"/v1/queues/orders/jobs/{runs}"
    until(lambda: service.client.get(path).json(), lambda job: job["status"] == "active")
    for job_id in (runs, waits):
        assert service.client.delete(f"/v1/queues/orders/jobs/{job_id}").status_code in (200, 202, 204)
    seen = [verify(got)["data"] for got in told(receiver, "/cancelled", 2)]
    assert {data["id"] for data in seen} == {runs, waits}
    assert all(data["failedReason"].startswith("Cancelled: ") for data in seen)


def test_a_job_that_kills_its_workers_is_told(service: Service, receiver: Receiver) -> None:
    add(service, "die", f"{receiver.url}/died")
    (got,) = told(receiver, "/died")
    assert "died or stalled 2 times" in verify(got)["data"]["failedReason"]


def test_a_receiver_that_failed_gets_the_same_message_again(service: Service, receiver: Receiver) -> None:
    receiver.answers("/again", "500 Internal Server Error")
    receiver.answers("/again", "200 OK")
    add(service, "succeed", f"{receiver.url}/again")
    first, second = told(receiver, "/again", 2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    verify(second)


def test_a_redirect_is_not_followed(service: Service, receiver: Receiver) -> None:
    receiver.answers("/moved", "307 Temporary Redirect", Location=f"{receiver.url}/elsewhere")
    add(service, "succeed", f"{receiver.url}/moved")
    told(receiver, "/moved")
    add(service, "succeed", f"{receiver.url}/after-the-redirect")
    told(receiver, "/after-the-redirect")
    assert receiver.at("/elsewhere") == []


def test_an_endpoint_that_is_gone_is_disabled_listed_and_enabled(
    service: Service, receiver: Receiver, env: dict[str, str], tmp_path: Path
) -> None:
    receiver.answers("/gone", "410 Gone")

    def listed() -> list[dict[str, Any]]:
        done = corral("webhooks", "list", "--json", cwd=tmp_path, **env)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return [row for row in rows if row["url"] == f"{receiver.url}/gone"]

    def outcomes() -> set[str]:
        """Of the deliveries to it, as Redis has them."""
        with redis.Redis.from_url(env["REDIS_URL"], decode_responses=True) as client:
            ids = client.zrange("bull:webhooks:completed", 0, -1)
            jobs = [client.hmget(f"bull:webhooks:{i}", "data", "returnvalue") for i in ids]
        return {json.loads(result)["outcome"] for data, result in jobs if "/gone" in data}

    add(service, "succeed", f"{receiver.url}/gone")
    (row,) = until(listed, bool)
    assert (row["state"], row["reason"]) == ("disabled", "the endpoint answered 410")
    add(service, "succeed", f"{receiver.url}/gone")
    until(outcomes, lambda seen: seen == {"gone", "disabled"})
    done = corral("webhooks", "enable", row["id"], "--json", cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert listed() == []
    again = corral("webhooks", "enable", row["id"], cwd=tmp_path, **env)
    assert again.returncode == 1
    assert len(receiver.at("/gone")) == 1


def test_an_endpoint_can_be_tried_by_hand(receiver: Receiver, env: dict[str, str], tmp_path: Path) -> None:
    receiver.answers("/broken", "503 Service Unavailable")
    good = corral("webhooks", "test", f"{receiver.url}/try", "--json", cwd=tmp_path, **env)
    assert json.loads(good.stdout)["delivered"] is True
    (got,) = receiver.at("/try")
    assert verify(got)["type"] == "webhook.test"
    bad = corral("webhooks", "test", f"{receiver.url}/broken", "--json", cwd=tmp_path, **env)
    assert (bad.returncode, json.loads(bad.stdout)["reason"]) == (1, "the endpoint answered 503")
    inside = corral("webhooks", "test", "http://10.0.0.1/", cwd=tmp_path, **env)
    assert inside.returncode == 1
    assert "not public" in inside.stderr


def test_the_missions_routes_and_bulk_take_a_hook_in_a_header(service: Service, receiver: Receiver) -> None:
    header = {"Corral-Webhook": f"{receiver.url}/header"}
    picture = service.client.post("/process-image", json=PICTURE, headers=header).json()["jobId"]
    jobs = [
        {"name": "succeed", "data": {}},
        {"name": "succeed", "data": {}, "opts": {"webhook": f"{receiver.url}/own"}},
    ]
    bulk = service.client.post("/v1/queues/orders/jobs/bulk", json={"jobs": jobs}, headers=header)
    first, second = bulk.json()["jobIds"]
    seen = {verify(got)["data"]["id"]: verify(got)["data"] for got in told(receiver, "/header", 2)}
    assert seen.keys() == {picture, first}
    assert seen[picture]["result"]["images"]
    assert [verify(got)["data"]["id"] for got in told(receiver, "/own")] == [second]


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/in",
        "http://10.0.0.1/in",
        "http://[::1]/in",
        "http://2130706433/",
        "ftp://a.example.org/",
    ],
)
def test_a_place_inside_the_network_is_refused_at_once(service: Service, url: str) -> None:
    for body in ({"url": url}, url):
        answer = service.post("/v1/queues/orders/jobs", {"name": "succeed", "data": {}, "webhook": body})
        assert answer.status_code == 422, answer.text
    answer = service.client.post("/process-image", json=PICTURE, headers={"Corral-Webhook": url})
    assert answer.status_code == 422, answer.text


def test_nobody_can_have_the_service_sign_what_did_not_happen(service: Service) -> None:
    for path in ("/v1/queues/webhooks/jobs", "/v1/queues/webhooks/jobs/bulk"):
        assert service.post(path, {"name": "deliver", "data": {}}).status_code == 403
