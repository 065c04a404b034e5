"""What the management API tells of settings: all of them, to the right people, and no secret to anybody."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr
from test_dashboard_sign_in import CHANGE, HASH, dashboard, pages, serving, sign_in

from corral.bullmq.connection import close_shared_clients
from corral.settings import Settings, known_names, secret_names

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools import describe_settings

__all__ = ["pages"]  # the fixture: built pages of the tests' own

CANARY = "canary-8f31"
USERS = f"ada:{HASH}:admin,olu:{HASH}:operator,mia:{HASH}:operator+payloads,vi:{HASH}:viewer"


def canaries() -> dict[str, Any]:
    """Every secret set, and the password of every address."""
    secrets = {
        attribute: f"{CANARY}-{attribute}"
        for attribute, field in Settings.model_fields.items()
        if field.annotation is SecretStr and attribute not in ("redis_password", "dashboard_users")
    }
    key = base64.b64encode(CANARY.ljust(32, "x").encode()).decode()
    return secrets | {
        "encryption_keys": f"new:{key},old:{base64.b64encode(b'o' * 32).decode()}",
        "encrypt": "reports",
        "clickhouse_url": f"https://user:{CANARY}@clickhouse.example.com/?password={CANARY}",
        "sandbox_url": f"http://{CANARY}@sandbox.example.com",
    }


async def ask(http: httpx2.AsyncClient, path: str, status: int = 200) -> Any:
    answer = await http.get(path)
    assert answer.status_code == status, answer.text
    assert CANARY not in answer.text
    assert HASH not in answer.text
    assert base64.b64encode(CANARY.encode()).decode()[:12] not in answer.text
    return answer.json()


async def test_no_secret_is_in_any_answer(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONFIDO_API_KEY", CANARY)
    monkeypatch.setenv("MAILGUN_API_KEY_FILE", "/run/secrets/mailgun")
    async with serving(dashboard(redis_url, users=USERS, **canaries())) as http:
        await sign_in(http)
        listed = await ask(http, "/api/v1/settings")
        about = await ask(http, "/api/v1/settings/about")
        users = await ask(http, "/api/v1/settings/users")
        await ask(http, "/api/v1/openapi.json")
    await close_shared_clients()
    rows = {row["name"]: row for row in listed["settings"]}
    assert set(rows) == set(known_names())
    assert {name for name, row in rows.items() if row["secret"]} == secret_names()
    assert all(row["value"] is row["default"] is None for row in rows.values() if row["secret"])
    assert all(rows[name]["set"] for name in secret_names() - {"REDIS_PASSWORD"})
    assert rows["ONFIDO_API_KEY"]["source"] == "environment"
    assert rows["MAILGUN_API_KEY"]["source"] == "file"
    assert rows["CLICKHOUSE_URL"]["value"] == "https://…@clickhouse.example.com/?…"
    assert rows["CORRAL_LOCK_SECONDS"] | {"doc": ""} == {
        "name": "CORRAL_LOCK_SECONDS", "group": "Worker", "doc": "", "secret": False, "set": False,
        "value": "30", "default": "30", "source": "default",
    }  # fmt: skip
    assert all(row["doc"] and row["group"] for row in rows.values())
    assert about["encryption"] == {
        "on": True,
        "current": "new",
        "keys": ["new", "old"],
        "queues": ["reports"],
    }
    assert about["redis"].split()[0] in ("redis", "valkey", "keydb", "dragonfly")
    assert users == {
        "users": [
            {"name": "ada", "role": "admin", "payloads": True},
            {"name": "mia", "role": "operator", "payloads": True},
            {"name": "olu", "role": "operator", "payloads": False},
            {"name": "vi", "role": "viewer", "payloads": False},
        ],
        "problem": None,
    }


async def test_who_may_see_what(redis_url: str) -> None:
    async with serving(dashboard(redis_url, users=USERS, **canaries())) as http:
        await sign_in(http, "olu")
        listed = await ask(http, "/api/v1/settings")
        assert not any(row["secret"] for row in listed["settings"])
        assert listed["secretsLeftOut"] == len(secret_names())
        await ask(http, "/api/v1/settings/users", 403)
        await http.delete("/session", headers=CHANGE)
        await sign_in(http, "vi")
        for path in ("/api/v1/settings", "/api/v1/settings/about", "/api/v1/settings/users"):
            await ask(http, path, 403)
    await close_shared_clients()


async def test_one_sees_ones_own_sessions_and_ends_them_all(redis_url: str) -> None:
    made = [serving(dashboard(redis_url)) for _ in range(3)]
    async with made[0] as here, made[1] as there, made[2] as other:
        await sign_in(other, "vi")
        await sign_in(there)
        await sign_in(here)
        mine = (await here.get("/sessions")).json()
        assert [row["here"] for row in mine].count(True) == 1
        assert len(mine) == 2
        assert all(row["began"] <= row["lastUsed"] + 1 < row["until"] for row in mine)
        ended = await here.delete("/session", params={"everywhere": "true"}, headers=CHANGE)
        assert ended.status_code == 204
        assert (await here.get("/session")).status_code == 401
        assert (await there.get("/session")).status_code == 401
        assert (await other.get("/session")).status_code == 200
    await close_shared_clients()


async def test_signing_out_ends_the_stream_of_events(redis_url: str) -> None:
    app = dashboard(redis_url)
    app.management.streams.recheck_seconds = 0.1
    async with serving(app) as http:
        await sign_in(http)
        async with http.stream("GET", "/api/v1/events", timeout=60) as answer:
            lines = answer.aiter_lines()
            assert [await anext(lines) for _ in range(2)] == ["retry: 2000", ""]
            assert (await http.delete("/session", headers=CHANGE)).status_code == 204
            async for _ in lines:  # ends
                pass
    await close_shared_clients()


def test_the_words_are_those_of_the_example() -> None:
    assert describe_settings.FILE.read_text() == describe_settings.text(), (
        "Write it anew: .venv/bin/python tools/describe_settings.py"
    )
    assert json.loads(describe_settings.text()).keys() == known_names()
