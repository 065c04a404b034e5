"""The service as its users meet it: `corral demo`, `corral up`, bad input by hand, restarts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from service import Service, corral, environment, running_service, until

PASSPORT = {
    "userId": "user-1",
    "documentType": "passport",
    "documentNumber": "P1234567",
    "frontImageUrl": "https://images.example.com/passport-front.jpg",
    "provider": "onfido",
}
PICTURE = {
    "imageUrl": "https://images.example.com/landscape.jpg",
    "userId": "user-1",
    "type": "moment",
    "sizes": [{"width": 320, "height": 240, "format": "webp"}],
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("service") / "data") as running:
        yield running


def test_the_demo_runs_every_job_to_its_result(tmp_path: Path) -> None:
    done = corral("demo", "--data-dir", str(tmp_path / "data"), "--json", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    jobs = json.loads(done.stdout)
    ended = {job["title"]: job for job in jobs}
    dead = ended.pop("No such template")
    assert (dead["status"], dead["attemptsMade"]) == ("failed", 1)
    assert "no-such-template" in dead["failedReason"]
    assert [job["status"] for job in ended.values()] == ["completed"] * 11
    assert {job["queue"] for job in jobs} == {
        "kyc-verification", "image-processing", "email", "notification", "analytics",
    }  # fmt: skip
    assert [job["result"]["status"] for job in jobs[:3]] == ["approved", "approved", "rejected"]
    assert ended["Server away at first"]["attemptsMade"] == 2
    files = sorted(path.suffix for path in (tmp_path / "data" / "images").rglob("*.*"))
    assert files == [".jpg"] * 3 + [".webp"] * 5


def test_a_verification_over_http_ends_with_its_result(service: Service) -> None:
    answer = service.post("/verify-kyc", PASSPORT)

    assert answer.status_code == 202
    body = answer.json()
    assert body["status"] == "queued"
    seen = service.until_ended(body["jobId"])
    assert seen["status"] == "completed"
    assert seen["queue"] == "kyc-verification"
    assert seen["progress"] == 100
    assert seen["result"]["status"] == "approved"
    assert set(seen) == {"id", "queue", "status", "progress", "result", "failedReason", "attemptsMade"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"documentType": "library_card"}, "documentType"),
        ({"userId": 7}, "userId"),
        ({"frontImageUrl": "ftp://images.example.com/a.jpg"}, "frontImageUrl"),
        ({"provider": None}, "provider"),
    ],
)
def test_wrong_data_is_refused_with_the_path_of_the_field(
    service: Service, change: dict[str, object], field: str
) -> None:
    answer = service.post("/verify-kyc", PASSPORT | change)

    assert answer.status_code == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert field in answer.text


def test_a_missing_field_is_named(service: Service) -> None:
    answer = service.post("/verify-kyc", {k: v for k, v in PASSPORT.items() if k != "frontImageUrl"})

    assert answer.status_code == 422
    assert "frontImageUrl" in answer.text


def test_a_huge_body_is_refused(service: Service) -> None:
    assert service.post("/verify-kyc", PASSPORT | {"userId": "x" * 2_000_000}).status_code == 413


def test_without_a_key_nobody_is_served(service: Service) -> None:
    with httpx2.Client(base_url=service.url) as stranger:
        assert stranger.post("/verify-kyc", json=PASSPORT).status_code == 401
        assert stranger.get("/metrics").status_code == 401
        assert stranger.get("/healthz").status_code == 200
        assert stranger.get("/readyz").status_code == 200


def test_an_unknown_job_is_not_found(service: Service) -> None:
    answer = service.client.get("/job-status/nobody-knows-it")

    assert answer.status_code == 404
    assert answer.json()["status"] == "not_found"


def test_an_unknown_job_name_is_refused(service: Service) -> None:
    answer = service.post("/v1/queues/image-processing/jobs", {"name": "proces", "data": PICTURE})

    assert answer.status_code == 422
    assert "process" in answer.text


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1/secret.png", "not public"),
        ("http://169.254.169.254/latest/meta-data/", "not public"),
        ("https://images.example.com/text.jpg", ""),
        ("https://images.example.com/huge.png", ""),
        ("https://images.example.com/corrupt.jpg", ""),
        ("https://images.example.com/missing.jpg", "404"),
    ],
)
def test_a_bad_picture_costs_its_job_and_nothing_else(service: Service, url: str, reason: str) -> None:
    job_id = service.post("/process-image", PICTURE | {"imageUrl": url}).json()["jobId"]

    seen = service.until_ended(job_id)

    assert seen["status"] == "failed"
    assert seen["failedReason"]
    assert reason in seen["failedReason"]
    assert seen["attemptsMade"] == 1  # trying again cannot help
    assert service.process.poll() is None


def test_the_waiting_gauge_is_in_the_metrics(service: Service) -> None:
    text = service.client.get("/metrics").text

    assert 'bullmq_queue_waiting{queue="kyc-verification"}' in text


def test_pictures_are_served_to_who_has_a_key(service: Service) -> None:
    job_id = service.post("/process-image", PICTURE).json()["jobId"]
    url = service.until_ended(job_id)["result"]["images"][0]["url"]

    picture = service.client.get(url)

    assert picture.status_code == 200
    assert picture.headers["content-type"] == "image/webp"
    with httpx2.Client() as stranger:
        assert stranger.get(url).status_code == 401
    assert service.client.get("/images/../redis-password").status_code == 404
    assert service.client.get("/images/%2e%2e/redis-password").status_code in (400, 404)


def test_a_second_service_on_the_same_data_is_a_clear_error(service: Service, tmp_path: Path) -> None:
    data_dir = next(p for p in _arguments(service.process) if p.endswith("/data"))

    second = corral("up", "--api-port", "0", "--dashboard-port", "0", "--data-dir", data_dir, cwd=tmp_path)

    assert second.returncode == 1
    assert "already" in second.stderr.lower() or "another process" in second.stderr.lower()
    assert "Traceback" not in second.stderr


def test_jobs_survive_a_restart_of_the_whole_service(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_service(data_dir) as first:
        body = {"name": "build", "data": {"month": "2026-10"}, "delay": 3600}
        job_id = first.post("/v1/queues/reports/jobs", body).json()["jobId"]
        assert first.stop() == 0
    with running_service(data_dir) as second:
        seen = second.client.get(f"/v1/queues/reports/jobs/{job_id}").json()

    assert seen["status"] == "delayed"
    assert seen["name"] == "build"


def test_a_killed_worker_process_is_replaced_and_its_job_still_ends(tmp_path: Path) -> None:
    settings = {"CORRAL_LOCK_SECONDS": "2", "CORRAL_STALLED_SECONDS": "1"}
    with running_service(tmp_path / "data", **settings) as service:
        job_id = service.post("/verify-kyc", PASSPORT).json()["jobId"]
        for pid in _workers_of(service.process.pid):
            os.kill(pid, signal.SIGKILL)

        assert service.until_ended(job_id)["status"] == "completed"


def test_the_command_line_adds_shows_and_runs_jobs(tmp_path: Path, redis_server: str) -> None:
    (tmp_path / "shop.py").write_text(
        "from corral import Queue\n"
        "orders = Queue('orders')\n"
        "@orders.job('ship')\n"
        "async def ship(job, data: dict[str, int]) -> int:\n"
        "    await job.log('packed')\n"
        "    return data['n'] + 1\n"
    )
    env = {"REDIS_URL": redis_server, "CORRAL_PREFIX": "cli-test"}
    added = corral("jobs", "add", "orders", "ship", '{"n": 41}', "--json", cwd=tmp_path, **env)
    assert added.returncode == 0, added.stderr
    job_id = json.loads(added.stdout)["id"]

    ran = corral("worker", "shop:orders", "--until-empty", "--processes", "2", cwd=tmp_path, **env)
    assert ran.returncode == 0, ran.stderr

    shown = corral("jobs", "status", job_id, "--queue", "orders", "--json", cwd=tmp_path, **env)
    assert json.loads(shown.stdout)["result"] == 42
    logged = corral("jobs", "logs", job_id, "--queue", "orders", "--json", cwd=tmp_path, **env)
    assert json.loads(logged.stdout) == ["packed"]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("worker", "no_such_module:queue"), 78, "no_such_module"),
        (("worker", "nonsense"), 78, "package.module:name"),
        (("jobs", "add", "orders", "ship", "{broken"), 1, "JSON"),
        (("jobs", "status", "nope", "--queue", "orders"), 1, "no job"),
        (("fly",), 2, "fly"),
    ],
)
def test_wrong_use_is_a_sentence_and_an_exit_code(
    tmp_path: Path, redis_server: str, arguments: tuple[str, ...], code: int, text: str
) -> None:
    done = corral(*arguments, cwd=tmp_path, REDIS_URL=redis_server)

    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    done = corral("jobs", "status", "1", cwd=tmp_path, CORRAL_LOCK_SECOND="3")

    assert done.returncode == 78
    assert "CORRAL_LOCK_SECONDS" in done.stderr


def test_the_api_refuses_to_start_without_keys(tmp_path: Path, redis_server: str) -> None:
    done = corral("api", "--port", "0", cwd=tmp_path, REDIS_URL=redis_server)

    assert done.returncode == 78
    assert "CORRAL_API_KEYS" in done.stderr


def test_worker_health_turns_red_and_green_again(tmp_path: Path) -> None:
    """Its Redis never answers here: the probe must say so."""
    (tmp_path / "shop.py").write_text(
        "from corral import Queue\norders = Queue('orders')\n@orders.job('ship')\nasync def ship(job): ...\n"
    )
    command = [sys.executable, "-m", "corral", "worker", "shop:orders", "--health-port", "18734"]
    env = environment(REDIS_URL="redis://127.0.0.1:1")
    with subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.DEVNULL) as process:
        try:
            seen = until(_probe, lambda answer: answer is not None)
            assert seen is not None
            assert seen.status_code == 503
            assert seen.json()["ok"] is False
        finally:
            process.terminate()
            process.wait(30)


def _probe() -> httpx2.Response | None:
    try:
        return httpx2.get("http://127.0.0.1:18734/healthz")
    except httpx2.TransportError:
        return None


def _arguments(process: subprocess.Popen[str]) -> list[str]:
    assert isinstance(process.args, list)
    return [str(argument) for argument in process.args]


def _workers_of(parent: int) -> list[int]:
    """Worker processes below a service, found as an operator would: by what they run."""

    def look() -> list[int]:
        lines = subprocess.run(
            ["ps", "-o", "pid=,args=", "--ppid", str(parent)], capture_output=True, text=True, check=False
        ).stdout.splitlines()
        return [int(line.split()[0]) for line in lines if "corral.worker.process" in line]

    return until(look, bool)
