"""API keys: how the setting narrows them, how secrets look, what they may, and how often."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corral.api.auth import OWN_QUEUES, Keyring, Permission
from corral.api.problems import Refused
from corral.api.rates import Bucket
from corral.bullmq.keys import check_queue_name
from corral.credentials import setting, tokens
from corral.credentials.grants import Grant, Rate, Role, end_of_day
from corral.credentials.records import grants, read_expiry
from corral.errors import ConfigurationError, InvalidInput, RedisUnavailable

SECRET = "a-secret-of-the-shop"
DIGEST = hashlib.sha256(SECRET.encode()).hexdigest()


def bearer(secret: str = SECRET) -> bytes:
    return f"Bearer {secret}".encode()


def refused(keyring: Keyring, permission: Permission, queue: str | None, secret: str = SECRET) -> Refused:
    with pytest.raises(Refused) as error:
        keyring.require(bearer(secret), permission, queue)
    return error.value


# The setting


@pytest.mark.parametrize("secret", [SECRET, f"sha256${DIGEST}", f"sha256${DIGEST.upper()}"])
def test_a_secret_is_written_plain_or_hashed(secret: str) -> None:
    (key,) = setting.parse(f"shop:{secret}:enqueue")
    assert key.digest.hex() == DIGEST
    assert Keyring([key]).require(bearer(), Permission.ENQUEUE).name == "shop"


@pytest.mark.parametrize(
    ("role", "queues", "rate", "expires"),
    [
        ("read", None, None, None),
        ("read@a", {"a"}, None, None),
        ("read@a+b-2.x_y", {"a", "b-2.x_y"}, None, None),
        ("read~100/s", None, Rate(100, 1), None),
        ("read~5/d", None, Rate(5, 86_400), None),
        ("read!2027-01-31", None, None, datetime(2027, 2, 1, tzinfo=UTC).timestamp()),
        ("read!2027-12-31~7/m@a", {"a"}, Rate(7, 60), datetime(2028, 1, 1, tzinfo=UTC).timestamp()),
    ],
)
def test_marks_behind_the_role_narrow_a_key(
    role: str, queues: set[str] | None, rate: Rate | None, expires: float | None
) -> None:
    (key,) = setting.parse(f"shop:{SECRET}:{role}")
    assert (key.role, key.rate, key.expires) == (Role.READ, rate, expires)
    assert key.queues == (None if queues is None else frozenset(queues))


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("a:sha256$1234:read", "the hashed secret of 'a' must be sha256$ and 64 hex digits"),
        (f"a:sha256${DIGEST}0:read", "the hashed secret of 'a'"),
        (f"a:sha512${DIGEST}:read", "the secret of 'a'"),
        (f"a:{SECRET}:root@x", "'a' has an unknown role"),
        (f"a:{SECRET}:@x", "'a' has an unknown role"),
        (f"a:{SECRET}:x~1/sread", "'a' has an unknown role"),
        (f"a:{SECRET}:read@", "cannot be a queue here"),
        (f"a:{SECRET}:read@x+", "cannot be a queue here"),
        (f"a:{SECRET}:read@x+y z", "cannot be a queue here"),
        (f"a:{SECRET}:read@x@y", "'a' has '@' twice"),
        (f"a:{SECRET}:read~1/s~2/s", "'a' has '~' twice"),
        (f"a:{SECRET}:read~100", "'100' is no rate"),
        (f"a:{SECRET}:read~0/s", "'0/s' is no rate"),
        (f"a:{SECRET}:read~-1/s", "'-1/s' is no rate"),
        (f"a:{SECRET}:read~1/w", "'1/w' is no rate"),
        (f"a:{SECRET}:read!2027-13-01", "'2027-13-01' is no day"),
        (f"a:{SECRET}:read!2027-02-30", "'2027-02-30' is no day"),
        (f"a:{SECRET}:read!27-1-1", "'27-1-1' is no day"),
        (f"a:{SECRET}:read!9999-12-31", "'9999-12-31' is no day"),
        (f"a:{SECRET}:read!", "'' is no day"),
        (f"a:{SECRET}:read,b:sha256${DIGEST}:read", "the secret of key 'b' was given before"),
    ],
)
def test_a_malformed_key_is_explained_without_its_secret(entry: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        setting.parse(entry)
    assert str(error.value).startswith("CORRAL_API_KEYS: ")
    assert says in str(error.value)
    assert SECRET not in str(error.value)
    assert DIGEST not in str(error.value)


# Secrets


def test_generated_secrets_have_a_prefix_and_fit_into_the_setting() -> None:
    made = {tokens.generate() for _ in range(200)}
    assert len(made) == 200
    for secret in made:
        assert re.fullmatch(r"corral_[0-9A-Za-z]{49}", secret)
        assert not tokens.is_mistyped(secret)
        assert setting.parse(f"a:{secret}:read")[0].digest == tokens.digest(secret)


@given(st.data())
def test_any_single_typing_error_is_recognised(data: st.DataObject) -> None:
    secret = tokens.generate()
    place = data.draw(st.integers(len(tokens.PREFIX), len(secret) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != secret[place]))
    assert tokens.is_mistyped(secret[:place] + other + secret[place + 1 :])
    assert tokens.is_mistyped(secret[:place] + secret[place + 1 :])


def test_a_mistyped_key_is_told_from_an_unknown_one() -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:read")
    secret = tokens.generate()
    swapped = secret[:-1] + ("x" if secret[-1] != "x" else "y")
    assert refused(keyring, Permission.READ_JOBS, "a", secret).problem.slug == "unknown-key"
    assert refused(keyring, Permission.READ_JOBS, "a", swapped).problem.slug == "mistyped-key"
    assert refused(keyring, Permission.READ_JOBS, "a", "of another kind").problem.slug == "unknown-key"


# What a key may


def test_a_scope_holds_for_its_queues_alone() -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:admin@mails+reports")
    for queue in ("mails", "reports", OWN_QUEUES):
        assert keyring.require(bearer(), Permission.OPERATE, queue).sees("mails")
    for other, where in (("kyc", "queue 'kyc'"), (None, "the service as a whole"), ("", "queue ''")):
        problem = refused(keyring, Permission.OPERATE, other).problem
        assert (problem.status, problem.slug) == (403, "out-of-scope")
        assert "'shop' is for these queues: mails, reports" in problem.detail
        assert where in problem.detail


def test_no_queue_is_called_as_the_mark_of_routes_that_keep_to_the_scope() -> None:
    with pytest.raises(InvalidInput):
        check_queue_name(OWN_QUEUES)


def test_an_expired_key_is_refused_from_its_moment_on(monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:read!2027-01-31")
    end = end_of_day("2027-01-31")
    monkeypatch.setattr("corral.api.auth.time.time", lambda: end - 0.001)
    assert keyring.require(bearer(), Permission.READ_JOBS, "a")
    monkeypatch.setattr("corral.api.auth.time.time", lambda: end)
    problem = refused(keyring, Permission.READ_JOBS, "a").problem
    assert (problem.status, problem.slug) == (401, "expired-key")
    assert "2027-02-01 00:00 UTC" in problem.detail


def test_a_rate_is_counted_for_each_key(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("corral.api.auth.time.monotonic", lambda: now[0])
    keyring = Keyring.parse(f"shop:{SECRET}:read~3/m,other:another-secret-00001:read")
    for _ in range(3):
        keyring.require(bearer(), Permission.READ_JOBS, "a")
    problem = refused(keyring, Permission.READ_JOBS, "a").problem
    assert problem.status == 429
    assert dict(problem.headers) == {
        "Retry-After": "20",
        "RateLimit-Policy": '"key";q=3;w=60',
        "RateLimit": '"key";r=0;t=20',
    }
    keyring.require(bearer("another-secret-00001"), Permission.READ_JOBS, "a")
    now[0] += 20
    keyring.require(bearer(), Permission.READ_JOBS, "a")
    refused(keyring, Permission.READ_JOBS, "a")


@given(
    st.integers(1, 50),
    st.sampled_from([1.0, 60.0]),
    st.lists(st.floats(0, 10), min_size=1, max_size=300),
)
def test_a_bucket_lets_no_more_through_than_its_rate(
    requests: int, per: float, steps: Iterable[float]
) -> None:
    bucket, now, taken = Bucket(Rate(requests, per)), 0.0, []
    for step in steps:
        now += step
        wait = bucket.take(now)
        if not wait:
            taken.append(now)
        else:
            assert 0 < wait <= per / requests + 1e-6
    for first in range(len(taken)):
        # A full bucket at most, and what flowed in meanwhile.
        for last in range(first, len(taken)):
            allowed = requests + (taken[last] - taken[first]) * requests / per
            assert last - first + 1 <= allowed + 1e-6


# Managed keys in the keyring


def managed(name: str, secret: str, **more: Any) -> Grant:
    return Grant(name=name, role=Role.READ, digest=tokens.digest(secret), id=f"id-{name}", **more)


def test_managed_keys_come_and_go_beside_those_of_the_setting() -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:read")
    keyring.manage([managed("new", "secret-new")])
    assert len(keyring) == 2
    assert keyring.require(bearer("secret-new"), Permission.READ_JOBS, "a").id == "id-new"
    keyring.manage([])
    assert refused(keyring, Permission.READ_JOBS, "a", "secret-new").problem.slug == "unknown-key"
    assert keyring.require(bearer(), Permission.READ_JOBS, "a").name == "shop"


def test_the_setting_wins_over_a_managed_key_of_the_same_secret() -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:admin")
    keyring.manage([managed("thief", SECRET)])
    assert keyring.require(bearer(), Permission.OPERATE).name == "shop"


def test_reading_the_keys_again_does_not_fill_a_bucket() -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:read")
    rate = Rate(1, 86_400)
    keyring.manage([managed("new", "secret-new", rate=rate)])
    keyring.require(bearer("secret-new"), Permission.READ_JOBS, "a")
    keyring.manage([managed("new", "secret-new", rate=rate)])
    assert refused(keyring, Permission.READ_JOBS, "a", "secret-new").problem.status == 429
    keyring.manage([managed("new", "secret-new", rate=rate, queues=frozenset({"a"}))])
    assert refused(keyring, Permission.READ_JOBS, "a", "secret-new").problem.status == 429


def test_before_the_managed_keys_are_read_one_of_them_is_not_called_unknown() -> None:
    keyring = Keyring.parse(f"shop:{SECRET}:read")
    keyring.expect_managed()
    with pytest.raises(RedisUnavailable):
        keyring.require(bearer(tokens.generate()), Permission.READ_JOBS, "a")
    assert refused(keyring, Permission.READ_JOBS, "a", "of-another-kind").problem.slug == "unknown-key"
    assert keyring.require(bearer(), Permission.READ_JOBS, "a").name == "shop"


def test_records_that_cannot_be_read_are_left_out() -> None:
    good = '{"name":"a","role":"read","digest":"%s","created":1,"createdBy":"x"%s}'
    texts = {
        "1": good % (DIGEST, ""),
        "2": "{",
        "3": good.replace("read", "emperor") % (DIGEST, ""),
        "4": good % ("no hex", ""),
        "5": good % (DIGEST, ',"revoked":2'),
        "6": good % (DIGEST, ',"of":"a later version"'),
        "7": good % (DIGEST, ',"rate":"often"'),
    }
    assert [grant.id for grant in grants(texts)] == ["1", "6"]


def test_an_expiry_is_a_day_or_a_length_of_life() -> None:
    assert read_expiry("2027-01-31", 0) == end_of_day("2027-01-31")
    assert read_expiry("90d", 1000) == 1000 + 90 * 86_400
    assert read_expiry("12h", 1000) == 1000 + 12 * 3_600
    for wrong in ("", "soon", "0d", "5", "-1d", "1e9d"):
        with pytest.raises(InvalidInput, match="is no expiry"):
            read_expiry(wrong, 0)


# Timing


def test_what_is_compared_is_a_digest() -> None:
    """No look-up goes by a secret itself: what comes near one costs what anything else does."""
    keyring = Keyring.parse(f"shop:{SECRET}:read")
    assert {len(digest) for digest in keyring._by_digest} == {32}
    (key,) = keyring._by_digest.values()
    assert SECRET not in repr([getattr(key, name) for name in key.__slots__])
