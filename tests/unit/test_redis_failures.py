"""What an error of Redis means, for every kind of answer, as 6.2, 7, 8 and Valkey word it."""

from __future__ import annotations

import ssl

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from corral.bullmq.failures import as_corral_error, code, is_outage, is_refusal
from corral.errors import RedisFull, RedisRefused, RedisUnavailable


def answer(text: str) -> RedisError:
    """As redis-py makes it of a reply."""
    error: RedisError = BaseParser.parse_error(text)  # type: ignore[no-untyped-call]  # redis-py's
    return error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "OOM"),
        ("ERR Error running script (call to f_1): @user_script:9: -OOM command not allowed when used", "OOM"),
        ("READONLY You can't write against a read only replica.", "READONLY"),
        ("ERR Error running script (call to f_1): @user_script:9: -READONLY You can't write", "READONLY"),
        ("LOADING Redis is loading the dataset in memory", "LOADING"),
        ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", "BUSY"),
        ("MISCONF Redis is configured to save RDB snapshots, but it's unable to persist to disk.", "MISCONF"),
        ("NOREPLICAS Not enough good replicas to write.", "NOREPLICAS"),
        ("CLUSTERDOWN The cluster is down", "CLUSTERDOWN"),
        ("MASTERDOWN Link with MASTER is down", "MASTERDOWN"),
        ("MOVED 3999 127.0.0.1:6381", "MOVED"),
        ("ASK 3999 127.0.0.1:6381", "ASK"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN"),
        ("UNBLOCKED force unblock from blocking operation, instance state changed", "UNBLOCKED"),
        ("NOPERM this user has no permissions to run the 'evalsha' command or its subcommand", "NOPERM"),
        ("ERR The user executing the script can't run this command or subcommand script: 1", "NOPERM"),
        ("ERR ACL failure in script: User x has no permissions to run the 'xadd' command", "NOPERM"),
        ("NOAUTH Authentication required.", "NOAUTH"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "NOAUTH"),
    ],
)  # fmt: skip
def test_answers_after_which_the_same_call_is_worth_sending_again(text: str, expected: str) -> None:
    error = answer(text)
    assert code(error) == expected
    assert is_outage(error)
    assert is_refusal(error) is (expected in ("NOPERM", "NOAUTH"))


@pytest.mark.parametrize(
    "text",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR user_script:9: attempt to index a nil value script: 1, on @user_script:9.",
        "ERR Error running script (call to f_1): @user_script:9: user_script:9: bad argument",
        "ERR value is not an integer or out of range",
        "CROSSSLOT Keys in request don't hash to the same slot",
        "ERR the job said OOM and -BUSYBODY and BUSY",
    ],
)
def test_answers_that_are_about_our_call(text: str) -> None:
    assert not is_outage(answer(text))


def test_errors_of_the_connection_and_of_the_client() -> None:
    assert all(map(is_outage, (RedisConnectionError(), RedisTimeoutError(), OSError(), TimeoutError())))
    assert not is_outage(DataError("Invalid input of type: 'dict'."))
    assert not is_outage(ValueError())
    given_up = RedisConnectionError("gone")
    given_up.__cause__ = answer("CLUSTERDOWN The cluster is down")
    assert code(given_up) == "CLUSTERDOWN"
    assert code(RedisConnectionError()) == "ConnectionError"


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("OOM command not allowed", RedisFull, "full"),
        ("NOPERM User x has no permissions to run the 'evalsha' command", RedisRefused, "evalsha"),
        (
            "NOPERM User x has no permissions to access one of the keys used as arguments",
            RedisRefused,
            "the keys",
        ),
        ("NOPERM User x has no permissions to access one of the channels used", RedisRefused, "channels"),
        ("WRONGPASS invalid username-password pair", RedisRefused, "REDIS_PASSWORD"),
        ("LOADING Redis is loading the dataset in memory", RedisUnavailable, "LOADING"),
    ],
)
def test_what_a_caller_is_told(text: str, kind: type[RedisUnavailable], said: str) -> None:
    error = as_corral_error(answer(text), "queue 'orders'")
    assert type(error) is kind
    assert said in error.message
    assert "queue 'orders'" in error.message


def test_a_certificate_that_cannot_be_verified_is_a_refusal() -> None:
    below = ssl.SSLCertVerificationError(1, "certificate verify failed")
    below.verify_message = "self-signed certificate"
    error = RedisConnectionError("Error 1 connecting to example.com:6379.")
    error.__context__ = below
    assert is_refusal(error)
    assert "self-signed certificate" in as_corral_error(error, "queue 'orders'").message
