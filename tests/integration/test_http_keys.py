"""Keys of the HTTP service: scopes, expiry, rates, and managed keys that every process knows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as blocking_redis
from http_service import ADMIN, KYC, READ, Service, serving

from corral import audit
from corral.api import key_refresh
from corral.api.auth import Keyring, Permission
from corral.api.key_refresh import KeyRefresh
from corral.api.lookup import ANSWER_SECONDS
from corral.bullmq import api_keys as wire
from corral.bullmq.connection import Address, close_shared_clients
from corral.cli import main
from corral.credentials import tokens
from corral.credentials.grants import Grant, Role
from corral.credentials.managed import ManagedKeys
from corral.errors import RedisUnavailable
from eventually import eventually

SCOPED = "scoped-secret-00001"
SCOPED_ADMIN = "scoped-admin-000001"
LIMITED = "limited-secret-0001"
EXPIRED = "expired-secret-0001"
NARROWED = (
    f"scoped:{SCOPED}:enqueue@reports,boss:{SCOPED_ADMIN}:admin@reports,"
    f"slow:{LIMITED}:enqueue~2/h,gone:{EXPIRED}:admin!2020-01-31"
)
REPORT = {"name": "build", "data": {"month": "may"}}
JOBS = "/v1/queues/reports/jobs"


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_refresh, "REFRESH_SECONDS", 0.02)


@pytest.fixture
async def service(redis_url: str) -> AsyncIterator[Service]:
    async with serving(redis_url, keys=NARROWED) as running:
        yield running


async def make(service: Service, **more: Any) -> dict[str, Any]:
    answer = await service.http.post("/api/v1/keys", json={"name": "edge", "role": "enqueue", **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def status(service: Service, secret: str, path: str = "/job-status/1") -> int:
    """404: the key is taken, there is no such job."""
    return (await service.http.get(path, headers=service.as_(secret))).status_code


def test_a_revoked_key_is_dead_within_five_seconds() -> None:
    assert _REFRESH + ANSWER_SECONDS * 2 < 5


_REFRESH = key_refresh.REFRESH_SECONDS


# Scopes


async def test_a_scope_holds_on_every_way(service: Service) -> None:
    http, key = service.http, service.as_(SCOPED)
    added = (await http.post(JOBS, json=REPORT, headers=key)).json()["jobId"]
    bulk = {"jobs": [REPORT]}
    assert (await http.post(f"{JOBS}/bulk", json=bulk, headers=key)).status_code == 202
    assert (await http.get(f"{JOBS}/{added}", headers=key)).status_code == 200
    assert (await http.get(f"/job-status/{added}", headers=key)).status_code == 200
    assert (await http.get(f"/job-status/{added}?queue=reports", headers=key)).status_code == 200
    assert (await http.delete(f"{JOBS}/{added}", headers=key)).status_code == 200
    other = "/v1/queues/kyc-verification/jobs"
    refused = [
        await http.post("/verify-kyc", json=KYC, headers=key),
        await http.post(other, json={"name": "verify", "data": KYC}, headers=key),
        await http.post(f"{other}/bulk", json={"jobs": [{"name": "verify", "data": KYC}]}, headers=key),
        await http.post("/v1/queues/anything/jobs", json=REPORT, headers=key),
        await http.get(f"{other}/1", headers=key),
        await http.get(f"{other}/1/events", headers=key),
        await http.get("/v1/queues/kyc-verification/events", headers=key),
        await http.delete(f"{other}/1", headers=key),
        await http.get("/job-status/1?queue=kyc-verification", headers=key),
        await http.get("/images/a.webp", headers=key),
    ]
    for answer in refused:
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:corral:problem:out-of-scope")
        assert "'scoped' is for these queues: reports" in answer.json()["detail"]


async def test_a_job_of_another_queue_is_not_found_by_its_id_alone(service: Service) -> None:
    job = (await service.http.post("/verify-kyc", json=KYC)).json()["jobId"]
    assert await status(service, ADMIN, f"/job-status/{job}") == 200
    assert await status(service, SCOPED, f"/job-status/{job}") == 404


async def test_metrics_show_a_scoped_key_its_own_queues(service: Service) -> None:
    shown = (await service.http.get("/metrics", headers=service.as_(SCOPED_ADMIN))).text
    assert 'queue="reports"' in shown
    assert 'queue="kyc-verification"' not in shown


async def test_management_as_a_whole_is_not_for_a_scoped_key(service: Service) -> None:
    for path in ("/api/v1/audit", "/api/v1/keys"):
        answer = await service.http.get(path, headers=service.as_(SCOPED_ADMIN))
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:corral:problem:out-of-scope")
    body = {"name": "all", "role": "admin"}
    answer = await service.http.post("/api/v1/keys", json=body, headers=service.as_(SCOPED_ADMIN))
    assert answer.status_code == 403
    for path in ("/openapi.json", "/api/v1/openapi.json"):
        assert await status(service, SCOPED_ADMIN, path) == 200


# Expiry and rates


async def test_an_expired_key_is_told_so(service: Service) -> None:
    answer = await service.http.post(JOBS, json=REPORT, headers=service.as_(EXPIRED))
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:corral:problem:expired-key")
    assert "invalid_token" in answer.headers["www-authenticate"]


async def test_a_key_over_its_rate_waits(service: Service) -> None:
    codes = [
        (await service.http.post(JOBS, json=REPORT, headers=service.as_(LIMITED))).status_code
        for _ in range(3)
    ]
    assert codes == [202, 202, 429]
    answer = await service.http.get("/job-status/1", headers=service.as_(LIMITED))
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "application/problem+json"
    assert 1_700 < int(answer.headers["retry-after"]) <= 1_800
    assert answer.headers["ratelimit-policy"] == '"key";q=2;w=3600'
    assert answer.headers["ratelimit"].startswith('"key";r=0;t=')
    assert await status(service, ADMIN) == 200


# Managed keys


async def test_a_managed_key_lives_and_dies_on_every_server(service: Service, redis_url: str) -> None:
    async with serving(redis_url) as second:
        made = await make(service, queues=["reports"], rate="1000/s", note="the edge function")
        secret = made["secret"]
        assert not tokens.is_mistyped(secret)
        assert made["key"]["state"] == "active"
        for server in (service, second):
            await eventually(partial(_is, server, secret, 404))
            answer = await server.http.post("/verify-kyc", json=KYC, headers=server.as_(secret))
            assert answer.status_code == 403
        revoked = await second.http.delete(f"/api/v1/keys/{made['key']['id']}")
        assert (revoked.status_code, revoked.json()["state"]) == (200, "revoked")
        for server in (service, second):
            await eventually(partial(_is, server, secret, 401))
        again = await second.http.delete(f"/api/v1/keys/{made['key']['id']}")
        assert again.status_code == 409


async def _is(server: Service, secret: str, expected: int) -> bool:
    return await status(server, secret) == expected


async def test_rotation_needs_no_pause(service: Service) -> None:
    old = (await make(service))["secret"]
    await eventually(lambda: _is(service, old, 404))
    answer = await service.http.post("/api/v1/keys/edge/rotate", json={"overlap": 3_600})
    assert answer.status_code == 201
    new = answer.json()["secret"]
    await eventually(lambda: _is(service, new, 404))
    assert await status(service, old) == 404
    rows = {row["id"]: row for row in (await service.http.get("/api/v1/keys")).json()["keys"]}
    successor = answer.json()["key"]
    (predecessor,) = (row for row in rows.values() if row["id"] != successor["id"])
    assert (predecessor["state"], predecessor["replacedBy"]) == ("replaced", successor["id"])
    assert 3_500 < predecessor["expires"] - successor["created"] <= 3_600
    # The overlap may be cut short; and a name stands for the key that is active.
    assert (await service.http.delete(f"/api/v1/keys/{predecessor['id']}")).status_code == 200
    await eventually(lambda: _is(service, old, 401))
    assert (await service.http.delete("/api/v1/keys/edge")).json()["id"] == successor["id"]
    await eventually(lambda: _is(service, new, 401))


async def test_a_rotation_without_overlap_ends_the_old_key(service: Service) -> None:
    old = (await make(service))["secret"]
    await service.http.post("/api/v1/keys/edge/rotate", json={"overlap": 0})
    await eventually(lambda: _is(service, old, 401))


NONSENSE: list[dict[str, Any]] = [
    {"name": "no colon: please"},
    {"role": "emperor"},
    {"queues": []},
    {"queues": ["a:b"]},
    {"expires": 1},
    {"rate": "often"},
    {"note": "two\nlines"},
    {"rights": "all"},
]


async def test_keys_that_make_no_sense_are_not_made(service: Service) -> None:
    for change in NONSENSE:
        answer = await service.http.post("/api/v1/keys", json={"name": "x", "role": "read", **change})
        assert answer.status_code == 422, change
    assert (await service.http.get("/api/v1/keys")).json() == {"keys": []}


async def test_two_keys_do_not_share_a_name(service: Service) -> None:
    await make(service)
    answer = await service.http.post("/api/v1/keys", json={"name": "edge", "role": "read"})
    assert answer.status_code == 422
    assert "Rotate it" in answer.json()["detail"]
    assert (await service.http.delete("/api/v1/keys/nobody")).status_code == 404


async def test_only_admins_see_keys(service: Service) -> None:
    answer = await service.http.get("/api/v1/keys", headers=service.as_(READ))
    assert answer.status_code == 403
    assert "manage API keys" in answer.json()["detail"]


async def test_redis_and_the_audit_log_hold_no_secret(service: Service, redis_url: str) -> None:
    made = await make(service)
    rotated = (await service.http.post("/api/v1/keys/edge/rotate", json={})).json()
    await service.http.delete("/api/v1/keys/edge")
    client = service.queues["reports"].client()
    entries = await audit.entries(client, "bull")
    assert [(entry.action, entry.target, entry.actor) for entry in entries] == [
        ("key.revoke", "edge", "key:ops"),
        ("key.rotate", "edge", "key:ops"),
        ("key.create", "edge", "key:ops"),
    ]
    with blocking_redis.Redis.from_url(redis_url) as plain:
        dumped = b"".join(plain.dump(key) or b"" for key in plain.scan_iter())
    for secret in (made["secret"], rotated["secret"]):
        assert secret.encode() not in dumped
        assert secret[7:30].encode() not in dumped


async def test_the_last_use_is_known_to_the_minute(redis_url: str) -> None:
    async with serving(redis_url) as service:
        secret = (await make(service))["secret"]
        await eventually(lambda: _is(service, secret, 404))
        assert (await service.http.get("/api/v1/keys")).json()["keys"][0]["lastUsed"] is None
    async with serving(redis_url) as service:  # the first one told it as it ended
        used = (await service.http.get("/api/v1/keys")).json()["keys"][0]["lastUsed"]
        assert used % 60 == 0


async def test_without_redis_the_known_keys_go_on() -> None:
    keyring = Keyring.parse(f"ops:{ADMIN}:admin")
    refresh = KeyRefresh(keyring, Address.resolve("redis://127.0.0.1:1", prefix="bull"), "bull")
    await refresh.start()
    secret = tokens.generate()
    with pytest.raises(RedisUnavailable):  # it may be one that could not be read yet
        keyring.require(f"Bearer {secret}".encode(), Permission.READ_JOBS, "a")
    keyring.manage([Grant(name="edge", role=Role.READ, digest=tokens.digest(secret), id="1")])
    await refresh._turn()
    assert keyring.require(f"Bearer {secret}".encode(), Permission.READ_JOBS, "a").name == "edge"
    await refresh.close()
    await close_shared_clients()


async def test_a_change_that_meets_another_is_made_on_top_of_it(
    redis_url: str, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service.queues["reports"].client()
    keys = ManagedKeys(client, "bull")
    first = await keys.create("a", Role.READ, actor="test")
    real = wire.change
    met: list[bool] = []

    async def beaten(*arguments: Any) -> bool:
        if not met:
            met.append(True)
            await ManagedKeys(client, "bull").rotate("a", actor="somebody else")
        return await real(*arguments)

    monkeypatch.setattr(wire, "change", beaten)
    revoked = await keys.revoke(first.key.id, actor="test")
    assert (revoked.id, revoked.state) == (first.key.id, "revoked")
    assert revoked.replaced_by is not None


# The command line


@pytest.fixture
def corral(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["keys", *arguments])
        captured = capsys.readouterr()
        assert ended.value.code == code, captured.err
        return captured.out if code == 0 else captured.err

    return run


def test_keys_from_the_command_line(corral: Any) -> None:
    made = json.loads(
        corral("create", "edge", "--role", "enqueue", "--queues", "a,b", "--expires", "90d", "--rate", "5/s",
               "--json")
    )  # fmt: skip
    assert made["key"]["queues"] == ["a", "b"]
    assert made["key"]["created_by"].startswith("cli:")
    (row,) = json.loads(corral("list", "--json"))
    assert (row["id"], row["state"], row["last_used"]) == (made["key"]["id"], "active", None)
    rotated = json.loads(corral("rotate", "edge", "--overlap", "60", "--json"))
    assert rotated["secret"] != made["secret"]
    assert rotated["key"]["queues"] == ["a", "b"]
    assert json.loads(corral("revoke", row["id"], "--json"))["state"] == "revoked"
    listed = corral()
    assert "edge" in listed
    assert made["secret"] not in listed
    shown = corral("create", "other", "--role", "read")
    assert any(line.startswith("corral_") and not tokens.is_mistyped(line) for line in shown.split())


def test_a_wrong_command_says_why(corral: Any) -> None:
    assert "is no expiry" in corral("create", "a", "--role", "read", "--expires", "soon", code=1)
    assert "no managed key 'nobody'" in corral("revoke", "nobody", code=1)
