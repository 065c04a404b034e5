# ruff: noqa: E501, PT017 - payloads are read best as rows; a refusal is looked at where one may come
"""Guessing, timing and smuggling of API keys, and whether one ever shows.

That a key is compared in time that tells nothing is proven by structure: a right key, one that is nearly right
and one that is all wrong go through the same calls, and what is compared is a digest that nobody can steer.
"""

from __future__ import annotations

import ast
import base64
import gc
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from http_service import ADMIN, ENQUEUE, KEYS, READ, serving
from structlog.testing import capture_logs

import corral
from corral.api.auth import Keyring, Permission
from corral.api.problems import Refused

SOURCE = Path(corral.__file__).parent
SECRETS = (ADMIN, ENQUEUE, READ)


class Watched(dict[bytes, Any]):
    """Says how it is asked."""

    def __init__(self, of: dict[bytes, Any], calls: list[str]) -> None:
        super().__init__(of)
        self.calls = calls

    def get(self, key: bytes, default: Any = None) -> Any:
        self.calls.append(f"get of {len(key)} bytes")
        return super().get(key, default)

    def __iter__(self) -> Any:
        raise AssertionError("the keys are compared one after the other")

    items = values = keys = __iter__


def test_timing_of_a_key_check_tells_nothing_because_all_keys_go_the_same_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ring = Keyring.parse(KEYS)
    calls: list[str] = []
    ring._by_digest = Watched(ring._by_digest, calls)
    real = hashlib.sha256

    def watched(raw: bytes) -> Any:
        calls.append("sha256")
        return real(raw)

    monkeypatch.setattr("corral.api.auth.hashlib.sha256", watched)
    ways = {}
    nearly = [ADMIN[:n] + "x" * (len(ADMIN) - n) for n in range(len(ADMIN))]
    for token in (ADMIN, *nearly, "x", "x" * 10_000, ADMIN + "x", "\xff\xfe"):
        calls.clear()
        try:
            ring.require(b"Bearer " + token.encode("latin-1"), Permission.ENQUEUE)
        except Refused as refused:
            assert refused.problem.slug == "unknown-key"
        ways[token] = tuple(calls)
    assert set(ways.values()) == {("sha256", "get of 32 bytes")}


def test_no_secret_is_kept_in_memory_by_the_keyring() -> None:
    ring = Keyring.parse(KEYS)
    seen: set[int] = set()
    waiting: list[Any] = [ring]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes):
            for secret in SECRETS:
                assert secret not in (one if isinstance(one, str) else one.decode("latin-1"))
        waiting += gc.get_referents(one)
    assert len(seen) > 10


#: Names of values that an attacker would like to find out by the time of a comparison.
_SECRET = re.compile(r"(?i)signature|secret|token|digest|password|hmac|proof")


def test_no_comparison_of_a_secret_is_one_that_stops_at_the_first_difference() -> None:
    """`==` with something named like a secret, in the modules that check what a stranger presents."""
    checking = [
        "api/auth.py", "api/webhooks.py", "providers/webhook.py", "providers/twilio_webhook.py",
        "providers/sendgrid_events.py", "providers/mailgun_events.py", "providers/standard_webhooks.py",
        "dashboard/users.py", "dashboard/signing_in.py", "bullmq/sessions.py", "credentials/tokens.py",
    ]  # fmt: skip
    found = []
    for name in checking:
        for node in ast.walk(ast.parse((SOURCE / name).read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                for side in (node.left, *node.comparators):
                    word = side.id if isinstance(side, ast.Name) else getattr(side, "attr", "")
                    if _SECRET.search(word):
                        found.append(f"{name}: {ast.unparse(node)}")
    assert found == []


PATH = "/v1/queues/reports/jobs/1"


@pytest.mark.parametrize(
    "smuggled",
    [
        {"params": {name: ADMIN}} for name in ("api_key", "key", "token", "access_token", "authorization", "Bearer")
    ]
    + [
        {"headers": {name: ADMIN}}
        for name in ("X-Api-Key", "Api-Key", "X-Auth-Token", "Proxy-Authorization", "X-Forwarded-Authorization")
    ]
    + [{"headers": {"Cookie": f"{name}={ADMIN}"}} for name in ("corral", "api_key", "Authorization")]
    + [
        {"headers": {"Authorization": value}}
        for value in (
            ADMIN,
            f"Token {ADMIN}",
            f"ApiKey {ADMIN}",
            f"Bearer{ADMIN}",
            f"Bearer {ADMIN},x",
            f"Bearer x {ADMIN}",
            f'Bearer "{ADMIN}"',
            "Basic " + base64.b64encode(f"admin:{ADMIN}".encode()).decode(),
            "Basic " + base64.b64encode(f"{ADMIN}:".encode()).decode(),
            f"Bearer {ADMIN.upper()}",
            f"Bearer {ADMIN[:-1]}",
        )
    ],
    ids=lambda smuggled: ascii(smuggled).replace(ADMIN, "KEY")[:60],
)  # fmt: skip
async def test_a_key_that_is_smuggled_in_opens_nothing_and_is_not_logged(
    redis_url: str, smuggled: dict[str, Any]
) -> None:
    async with serving(redis_url) as api:
        with capture_logs() as logs:
            async with httpx2.AsyncClient(base_url=api.url, trust_env=False, verify=False) as bare:
                for path in (PATH, "/openapi.json", "/metrics", "/api/v1/keys", "/images/a.png"):
                    answer = await bare.get(path, **smuggled)
                    assert answer.status_code == 401, path
                    assert ADMIN not in answer.text
                answer = await bare.post("/v1/queues/reports/jobs", json={"key": ADMIN}, **smuggled)
                assert answer.status_code == 401
    assert ADMIN not in repr(logs)


async def test_two_authorizations_are_no_way_around_the_first(redis_url: str) -> None:
    async with serving(redis_url) as api, httpx2.AsyncClient(base_url=api.url, verify=False) as bare:
        guess, good = ("Authorization", "Bearer guess"), ("Authorization", f"Bearer {ADMIN}")
        answers = [await bare.get("/openapi.json", headers=pair) for pair in ([guess, good], [guess, guess])]
        assert [answer.status_code for answer in answers] == [401, 401]


async def test_guessing_keys_is_answered_alike_and_shuts_nobody_out(redis_url: str) -> None:
    """No lock-out: 256 random bits are not guessed, and a lock-out would be a way to shut others out."""
    async with serving(redis_url) as api, httpx2.AsyncClient(base_url=api.url, verify=False) as bare:
        with capture_logs() as logs:
            answers = [
                await bare.get(PATH, headers={"Authorization": f"Bearer guess-{n:020}"}) for n in range(200)
            ]
        said = {(answer.status_code, re.sub(r'"instance":"[^"]*"', "", answer.text)) for answer in answers}
        assert len(said) == 1
        assert {answer.status_code for answer in answers} == {401}
        assert "guess-" not in repr(logs)
        assert (await api.http.get("/openapi.json")).status_code == 200


async def test_no_key_shows_in_what_an_admin_may_read(redis_url: str) -> None:
    async with serving(redis_url) as api:
        for path in ("/api/v1/keys", "/api/v1/settings", "/api/v1/audit", "/metrics", "/openapi.json"):
            answer = await api.http.get(path)
            assert answer.status_code == 200, path
            assert not [secret for secret in SECRETS if secret in answer.text], path
