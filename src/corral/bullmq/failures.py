"""What an error of Redis means: away for a while, refused for good, or a fault of ours. Pure.

An *outage* ends by itself or by an operator's hand on the server: the call is kept and sent again. Anything
else that a script answers is the fault of what was sent; to send it again for ever would block a queue.
"""

from __future__ import annotations

import re
import ssl

from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from corral.errors import RedisFull, RedisRefused, RedisUnavailable

#: The key space has another owner than the node that was asked, and nothing was executed.
ELSEWHERE = frozenset(
    ("MOVED", "ASK", "TRYAGAIN", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "UNBLOCKED", "NOREPLICAS")
)

#: The user may not do it. A worker that starts says so and ends; one that runs waits for the operator.
REFUSED = frozenset(("NOPERM", "NOAUTH", "WRONGPASS"))

#: Answers after which the same call is worth sending again.
OUTAGES = ELSEWHERE | REFUSED | {"OOM", "LOADING", "BUSY", "MISCONF"}

# redis-py drops the code from the text of the errors that it knows.
_CODES: tuple[tuple[type[RedisError], str], ...] = (
    (OutOfMemoryError, "OOM"),
    (ReadOnlyError, "READONLY"),
    (NoPermissionError, "NOPERM"),
    (MovedError, "MOVED"),  # children before parents
    (AskError, "ASK"),
    (TryAgainError, "TRYAGAIN"),
    (MasterDownError, "MASTERDOWN"),
    (ClusterDownError, "CLUSTERDOWN"),
    (BusyLoadingError, "LOADING"),
    (AuthenticationError, "NOAUTH"),
)

# Redis 6.2 wraps what a command in a script answered: "ERR Error running script …: -OOM command not allowed".
_WRAPPED = re.compile(r"(?:^|\s-)([A-Z]{3,})\b")

_COMMAND = re.compile(r"'([\w|]+)' command")


def code(error: BaseException) -> str:
    """Redis's code of an error (`OOM`, `NOPERM`), else the name of its class (`ConnectionError`)."""
    for kind, name in _CODES:
        if isinstance(error, kind):
            return name
    if isinstance(error, RedisConnectionError) and isinstance(error.__cause__, ResponseError):
        return code(error.__cause__)  # a connection that was given up because of an answer
    if isinstance(error, ResponseError):
        text = str(error)
        found = [name for name in _WRAPPED.findall(text) if name in OUTAGES]
        if found:
            return str(found[0])
        if "ACL failure in script" in text or "executing the script can't" in text:
            return "NOPERM"
    return type(error).__name__


def is_outage(error: BaseException) -> bool:
    """Is the same call worth sending again, as it is, until Redis takes it?"""
    if isinstance(error, ResponseError):
        return code(error) in OUTAGES
    # A connection that failed or was too slow. Other errors of redis-py (DataError) are faults of ours.
    return isinstance(error, (RedisConnectionError, RedisTimeoutError, OSError, TimeoutError))


def is_refusal(error: BaseException) -> bool:
    """Does it take a change of settings, not of the server's state: a user, a password, a certificate?"""
    return code(error) in REFUSED or _certificate_error(error) is not None


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def explain_refusal(error: BaseException, subject: str) -> str:
    """What to do about a refusal. Names the command where the server does; tells no password."""
    certificate = _certificate_error(error)
    if certificate is not None:
        return (
            f"The certificate of Redis for {subject} cannot be verified ({certificate.verify_message}). "
            "Set ssl_ca_certs in REDIS_URL to the file of the authority that signed it."
        )
    if code(error) != "NOPERM":
        return (
            f"Redis refuses user or password for {subject}. "
            "Check REDIS_URL (behind Sentinel also its sentinel_password) and REDIS_PASSWORD."
        )
    command = _COMMAND.search(str(error))
    if command:
        missing = f"the command {command[1]}"
    elif "channel" in str(error):
        missing = "the channels corral:*"
    elif "key" in str(error):
        missing = "the keys of this prefix"
    else:
        missing = "a command of its scripts"
    return (
        f"The Redis user may not use {missing}, which {subject} needs. "
        "docs/engine/servers.md has the full list of rights."
    )


def as_corral_error(error: Exception, subject: str) -> RedisUnavailable:
    """What a caller of the library gets for an error of redis-py. `subject`: "queue 'orders'"."""
    name = code(error)
    if name == "OOM":
        return RedisFull(f"Redis is full; nothing was added for {subject}. Try again when it has room.")
    if is_refusal(error):
        return RedisRefused(explain_refusal(error, subject))
    return RedisUnavailable(
        f"Redis did not answer for {subject} ({name}). Try again; if it never does, is it running, and is "
        "REDIS_URL its address?"
    )
