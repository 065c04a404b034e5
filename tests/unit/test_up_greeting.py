"""What `corral up` tells somebody at a terminal."""

from __future__ import annotations

from pathlib import Path

from corral.bullmq.connection import Address
from corral.cli.up import greeting, missing_redis

API = "http://127.0.0.1:3000"


def test_sandbox_mode_names_the_page_where_its_effects_are_seen() -> None:
    told = "\n".join(greeting(API, "key", Path(".corral"), "http://127.0.0.1:4242"))
    assert "http://127.0.0.1:4242/outbox" in told
    assert "nothing is real" in told
    assert "Key: key  (kept in .corral/api-key)" in told


def test_without_a_sandbox_and_with_keys_of_ones_own_there_is_the_address_alone() -> None:
    (line,) = greeting(API, "", Path(".corral"), None)
    assert API in line


def test_a_password_that_was_made_is_shown_with_where_to_use_it() -> None:
    told = greeting(API, "", Path(".corral"), None, dashboard="http://127.0.0.1:3002", password="made-now")
    assert told[1] == "Dashboard: http://127.0.0.1:3002"
    assert "operator with made-now" in told[2]
    assert ".corral/dashboard-users" in told[2]


def test_a_later_start_says_how_to_get_in() -> None:
    told = greeting(API, "", Path(".corral"), None, dashboard="http://127.0.0.1:3002", own_user=True)
    assert "operator" in told[2]
    assert ".corral/dashboard-users" in told[2]


async def test_a_redis_that_does_not_answer_is_told_without_its_password() -> None:
    told = await missing_redis(Address("redis://:secret-word@127.0.0.1:1/0", None))
    assert told is not None
    assert "redis://127.0.0.1:1/0" in told
    assert "REDIS_URL" in told
    assert "secret-word" not in told
