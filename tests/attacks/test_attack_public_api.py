"""The public HTTP API against its own description, with no key, a producer's, a reader's and an admin's.

Schemathesis makes requests from the description: good ones and bad ones, the same each time. The management
API's description is attacked in the same way by tests/integration/test_manage_described.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis as sync_redis
import schemathesis
from http_service import ADMIN, ENQUEUE, KEYS, READ
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from corral import Settings
from corral.api.app import create_app
from corral.api.openapi import document
from corral.api.server import ApiServer
from corral.queues import built_in
from threaded import Threaded

#: Of each operation and caller: requests that fit its description, or do not.
EXAMPLES = {GenerationMode.POSITIVE: 3, GenerationMode.NEGATIVE: 4}
CALLERS = {"nobody": None, "producer": ENQUEUE, "reader": READ, "admin": ADMIN, "guesser": "x" * 40}

#: Status codes that any operation may answer with, as problem JSON.
PROBLEMS = {400, 401, 403, 404, 405, 409, 413, 415, 422, 429}

#: What needs no key.
OPEN = ("/healthz", "/readyz", "/webhooks/")


@pytest.fixture(scope="module")
def served(redis_server: str) -> Iterator[Threaded]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REDIS_URL", redis_server)
        patch.delenv("CORRAL_SANDBOX", raising=False)
        with sync_redis.Redis.from_url(redis_server) as client:
            client.flushall()
        loaded = Settings(_env_file=None, redis_url=redis_server, api_keys=KEYS)
        with Threaded(lambda: ApiServer(create_app(loaded, built_in()), grace_seconds=1)) as running:
            yield running


def check(case: schemathesis.Case[Any], answer: schemathesis.Response, caller: str) -> None:
    """What holds for each answer."""
    where = f"{caller}: {case.as_curl_command()}\n{answer.status_code} {answer.text[:500]}"
    kind = (answer.headers.get("content-type") or [""])[0].split(";")[0]
    if caller in ("nobody", "guesser") and not case.path.startswith(OPEN):
        assert answer.status_code == 401, where
    if answer.status_code < 400:
        described = case.operation.definition.raw["responses"]
        assert str(answer.status_code) in described, where
        case.operation.validate_response(answer)
        return
    assert answer.status_code in PROBLEMS, where
    if case.method.upper() == "HEAD":
        return
    assert kind == "application/problem+json", where
    problem = answer.json()
    # The mission's own route says `not_found` there.
    assert problem["status"] in (answer.status_code, "not_found"), where
    assert problem["type"].startswith("urn:corral:problem:"), where
    assert problem["title"], where
    assert problem["detail"], where
    assert not {key for key in CALLERS.values() if key and key in answer.text}, where


def schema() -> Any:
    return schemathesis.openapi.from_dict(document(built_in()), config=SchemathesisConfig(seed=7))


OPERATIONS = [result.ok() for result in schema().get_all_operations()]


def streams(operation: Any) -> bool:
    """Whether an answer to it has no end."""
    return "text/event-stream" in str(operation.definition.raw["responses"])


def can_be_wrong(operation: Any) -> bool:
    """Whether there is anything in a request to it that can be."""
    return bool(operation.body or operation.query or operation.headers)


CASES = [
    pytest.param(operation, mode, id=f"{operation.label}-{mode.value}")
    for operation in OPERATIONS
    for mode in EXAMPLES
    if mode is GenerationMode.POSITIVE or can_be_wrong(operation)
]


@pytest.mark.parametrize(("operation", "mode"), CASES)
def test_fuzzed_requests_with_each_role_are_answered_as_described(
    served: Threaded, operation: Any, mode: GenerationMode
) -> None:
    callers = ["nobody", "guesser"] if streams(operation) else list(CALLERS)

    @seed(7)
    @settings(
        max_examples=EXAMPLES[mode],
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        database=None,
        deadline=None,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case[Any]) -> None:
        query = case.query if isinstance(case.query, dict) else {}
        if isinstance(query.get("wait"), (int, float)):
            query["wait"] = 0  # nobody runs these jobs
        headers = {name: value for name, value in (case.headers or {}).items() if name != "Authorization"}
        for caller in callers:
            key = CALLERS[caller]
            case.headers = headers | ({"Authorization": f"Bearer {key}"} if key else {})  # type: ignore[assignment]  # it takes any mapping
            check(case, case.call(base_url=served.url, timeout=60), caller)

    run()


def test_every_operation_is_attacked() -> None:
    assert len(OPERATIONS) > 15
    assert {operation.path for operation in OPERATIONS} == set(document(built_in())["paths"])
