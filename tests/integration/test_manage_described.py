"""The management API against its own description: whatever is sent, answers are as described, and no 500.

Schemathesis makes requests from the description: good ones and bad ones, the same each time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import redis as sync_redis
import redis.asyncio as aioredis
import schemathesis
from attacked import fill
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from test_dashboard_sign_in import CHANGE, HASH, PASSWORD

from corral import Queue, Settings
from corral.api.server import HttpServer
from corral.dashboard.app import Dashboard
from corral.dashboard.users import Users
from corral.manage.routes import description
from threaded import Threaded

#: Of each operation and user: requests that fit its description, or do not.
EXAMPLES = {GenerationMode.POSITIVE: 3, GenerationMode.NEGATIVE: 2}
USERS = {"ada": "admin", "olu": "operator", "vi": "viewer", "": None}

#: Status codes that any operation may answer with, as problem JSON.
PROBLEMS = {400, 401, 403, 404, 405, 409, 413, 422, 429}


@asynccontextmanager
async def filled(redis_url: str) -> AsyncIterator[HttpServer]:
    """A dashboard with jobs in its Redis."""
    users = ",".join(f"{name}:{HASH}:{role}" for name, role in USERS.items() if name)
    loaded = Settings(_env_file=None, redis_url=redis_url, dashboard_users=users)
    queue = Queue("reports", redis_url=redis_url, prefix="bull")
    async with aioredis.Redis.from_url(redis_url) as client:
        await fill(queue, client)
    async with HttpServer(
        Dashboard(loaded, Users.parse(users), {"reports": queue}), grace_seconds=1
    ) as server:
        yield server


@pytest.fixture(scope="module")
def served(redis_server: str) -> Iterator[Threaded]:
    with sync_redis.Redis.from_url(redis_server) as client:
        client.flushall()
    with Threaded(lambda: filled(redis_server)) as running:
        yield running


@pytest.fixture(scope="module")
def cookies(served: Threaded) -> dict[str, dict[str, str]]:
    """Of who is signed in."""
    found: dict[str, dict[str, str]] = {"": {}}
    for name in filter(None, USERS):
        body = {"user": name, "password": PASSWORD}
        answer = httpx2.post(f"{served.url}/session", json=body, headers=CHANGE, timeout=60)
        found[name] = {"corral": answer.cookies["corral"]}
    return found


def check(case: schemathesis.Case[Any], answer: schemathesis.Response, user: str) -> None:
    """What holds for each answer."""
    where = f"{user or 'nobody'}: {case.as_curl_command()}\n{answer.status_code} {answer.text[:500]}"
    kind = (answer.headers.get("content-type") or [""])[0].split(";")[0]
    if answer.status_code >= 400:
        assert answer.status_code in PROBLEMS, where
        assert kind == "application/problem+json", where
        problem = answer.json()
        assert problem["status"] == answer.status_code, where
        assert problem["type"].startswith("urn:corral:problem:"), where
        assert problem["title"], where
        assert problem["detail"], where
        return
    assert user, where
    described = case.operation.definition.raw["responses"]
    assert str(answer.status_code) in described, where
    case.operation.validate_response(answer)


def schema() -> Any:
    config = SchemathesisConfig(seed=6)
    return schemathesis.openapi.from_dict(description(), config=config)


#: Streams have no end; they have tests of their own.
ENDLESS = ("/api/v1/live", "/api/v1/events")

OPERATIONS = [
    operation for result in schema().get_all_operations() if (operation := result.ok()).path not in ENDLESS
]


def can_be_wrong(operation: Any) -> bool:
    """Whether there is anything in a request to it that can be."""
    return bool(operation.body or operation.query)


CASES = [
    pytest.param(operation, mode, id=f"{operation.label}-{mode.value}")
    for operation in OPERATIONS
    for mode in EXAMPLES
    if mode is GenerationMode.POSITIVE or can_be_wrong(operation)
]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_answers_are_as_described(
    served: Threaded, cookies: dict[str, dict[str, str]], operation: Any, mode: GenerationMode
) -> None:
    @seed(6)
    @settings(
        max_examples=EXAMPLES[mode],
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case[Any]) -> None:
        names = case.path_parameters or {}
        if len(str(names.get("queue", ""))) % 2:  # every other time one that has something in it
            names |= {name: real for name, real in (("queue", "reports"), ("job_id", "1")) if name in names}
        for user in USERS:
            answer = case.call(base_url=served.url, headers=CHANGE, cookies=cookies[user], timeout=60)
            check(case, answer, user)

    run()
