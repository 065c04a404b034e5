"""Checks of the Redis or Valkey server. Pure."""

from __future__ import annotations

from typing import TypeVar

from corral.doctor.check import Check
from corral.doctor.facts import Facts, Server
from corral.doctor.findings import Subject, Verdict, failure, known, note, ok, warning
from corral.doctor.weak_secrets import weakness

#: The oldest that works, and the newest majors that were tested, by product.
OLDEST = (6, 2)
TESTED = {"redis": 8, "valkey": 8}

#: Shares of the memory limit.
NEARLY_FULL, FILLING = 0.9, 0.75

#: Share of the connection limit.
MANY_CLIENTS = 0.8

#: Seconds. Stock BullMQ clients stamp delays and schedules with their own clock.
SKEW_SEEN, SKEW_BAD = 1.0, 30.0

#: Seconds since a replica was last heard of.
LAG_SECONDS = 10

_MAY_INFO = "Let the user of the doctor run it: ACL SETUSER … +info"

_T = TypeVar("_T")


def reachable(facts: Facts) -> Verdict:
    if facts.unreachable:
        return failure(
            f"{facts.place.shown}: {facts.unreachable}",
            "Start the server, or correct REDIS_URL and REDIS_PASSWORD; try: redis-cli -u $REDIS_URL ping",
        )
    return ok(f"{facts.place.shown} answers")


def version(facts: Facts) -> Verdict:
    server = facts.answering_server
    found = _info(server, server.version)
    text = f"{server.product.capitalize()} {'.'.join(map(str, found))}"
    if found < OLDEST:
        return failure(f"{text} is too old for the scripts", "Upgrade to Redis 7 or Valkey 8.")
    if server.product not in TESTED:
        return note(f"{text}: never tested with Corral", "Use Redis 6.2 to 8 or Valkey 8.")
    if found[0] > TESTED[server.product]:
        return note(f"{text} is newer than what was tested", "Look into the changelog for a newer Corral.")
    return ok(text)


def persistence(facts: Facts) -> Verdict:
    """Says the window of guarantee 1: what a crash may take of that which was answered."""
    server = facts.answering_server
    if _info(server, server.append_only):
        match server.fsync:
            case "always":
                return ok("append-only file, fsync always: a crash loses nothing that was answered")
            case "no":
                return warning(
                    "append-only file, fsync left to the system: a crash of the machine loses up to 30 s",
                    "CONFIG SET appendfsync everysec",
                )
            case "everysec":
                return ok(
                    "append-only file, fsync each second: a crash of Redis loses nothing, one of the machine "
                    "up to 2 s"
                )
        return ok("append-only file: a crash of the machine loses up to 2 s, if appendfsync is the default")
    remedy = "CONFIG SET appendonly yes, and `appendonly yes` in redis.conf"
    if server.snapshots is None:
        return warning("no append-only file; whether snapshots are written cannot be read", remedy)
    if not server.snapshots:
        return failure("nothing is written to disk: a restart of Redis loses every job", remedy)
    longest = max(seconds for seconds, _ in server.snapshots)
    shortest, changes = min(server.snapshots)
    return warning(
        f"snapshots only: a crash loses up to {_span(longest)} of jobs ({_span(shortest)} where there were "
        f"{changes:,} changes)",
        remedy,
    )


def persistence_works(facts: Facts) -> Verdict:
    server = facts.answering_server
    failing = [
        what
        for what, fails in (
            ("the append-only file", _info(server, server.append_failing)),
            ("the last snapshot", _info(server, server.snapshot_failing)),
        )
        if fails
    ]
    if failing:
        return failure(
            f"{' and '.join(failing)} could not be written",
            "See the server's log and its disk (df -h); then BGSAVE, and INFO persistence.",
        )
    return ok("the last writes to disk went well")


def eviction(facts: Facts) -> Verdict:
    server = facts.answering_server
    policy = _info(server, server.eviction)
    if policy == "noeviction":
        return ok("maxmemory-policy noeviction")
    remedy = "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf"
    if server.limit_bytes:
        return failure(f"maxmemory-policy {policy}: Redis throws keys of jobs away when it is full", remedy)
    return warning(f"maxmemory-policy {policy}: jobs are thrown away once there is a maxmemory", remedy)


def memory(facts: Facts) -> Verdict:
    server = facts.answering_server
    used = _info(server, server.used_bytes)
    remedy = (
        "Give the server more memory, or keep less: Queue(retention=…), corral queues clean QUEUE completed"
    )
    if server.limit_bytes:
        share = used / server.limit_bytes
        found = f"{_size(used)} of {_size(server.limit_bytes)} used ({share:.0%})"
        if share >= NEARLY_FULL:
            return failure(f"{found}: adding jobs is about to fail", remedy)
        return warning(found, remedy) if share >= FILLING else ok(found)
    if not server.machine_bytes:
        return note(f"{_size(used)} used, no limit", "CONFIG SET maxmemory <bytes>")
    share = used / server.machine_bytes
    found = f"{_size(used)} used of the machine's {_size(server.machine_bytes)}, no limit"
    if share >= FILLING:
        return failure(f"{found}: the system will end Redis when it is full", remedy)
    limit = round(server.machine_bytes * FILLING)
    return note(
        f"{found}: a full machine ends Redis instead of refusing jobs", f"CONFIG SET maxmemory {limit}"
    )


def connections(facts: Facts) -> Verdict:
    server = facts.answering_server
    clients = _info(server, server.clients)
    if not server.max_clients:
        return ok(f"{clients:,} clients")
    found = f"{clients:,} of {server.max_clients:,} clients"
    if clients >= MANY_CLIENTS * server.max_clients:
        return warning(
            found, f"CONFIG SET maxclients {2 * server.max_clients}, or find who leaks them: CLIENT LIST"
        )
    return ok(found)


def replication(facts: Facts) -> Verdict:
    server = facts.answering_server
    if _info(server, server.role) != "master":
        return failure("REDIS_URL leads to a replica, which takes no jobs", "Set REDIS_URL to the master.")
    replicas = server.replicas or ()
    late = [lag for lag in replicas if lag > LAG_SECONDS]
    if late:
        return warning(
            f"{len(late)} of {len(replicas)} replicas silent for {max(late)} s", "See INFO replication there."
        )
    if not replicas:
        return note(
            "no replica: when the machine is gone, so are the jobs on it",
            "Add replicas, with Sentinel or in a cluster: docs/engine/servers.md",
        )
    return ok(f"{len(replicas)} replica{'s'[: len(replicas) != 1]}, none late")


def password(facts: Facts) -> Verdict:
    server, place = facts.answering_server, facts.place
    bad = warning if place.reach == "local" else failure
    remedy = (
        "CONFIG SET requirepass <32 random characters>, then REDIS_PASSWORD to the same: openssl rand -hex 16"
    )
    if server.lets_anyone_in:
        return bad("the server lets everybody in without a password", remedy)
    secret = place.password.get_secret_value()
    if secret and (weak := weakness(secret)):
        return bad(f"the password of Redis {weak}", remedy)
    if server.lets_anyone_in is None:
        return note("a password is set; whether the server wants one was not tried")
    return ok("a password is wanted, and ours is not easily guessed")


def tls(facts: Facts) -> Verdict:
    match facts.place:
        case place if place.tls:
            return ok("TLS")
        case place if place.reach == "local":
            return ok("no TLS; Redis is on this machine")
        case place if place.reach == "public":
            return failure(
                f"{place.shown} is a public address, without TLS",
                "Use rediss:// in REDIS_URL, or a private network.",
            )
    return warning(
        "no TLS to another machine: whoever is on that network can read jobs and the password",
        "Use rediss:// in REDIS_URL (docs/engine/servers.md), or be sure of the network: --skip tls",
    )


def clock(facts: Facts) -> Verdict:
    server = facts.answering_server
    ahead = known(server.ahead_seconds, "the server's clock could not be asked", "ACL SETUSER … +time")
    doubt = (server.round_trip_seconds or 0.0) / 2
    off = max(0.0, abs(ahead) - doubt)
    found = f"this machine's clock is {abs(ahead):.3f} s {'behind' if ahead > 0 else 'ahead of'} Redis's"
    remedy = "Run a time service on both machines: timedatectl set-ntp true"
    if off >= SKEW_BAD:
        return failure(found, remedy)
    return warning(found, remedy) if off >= SKEW_SEEN else ok(f"{found}, give or take {doubt:.3f} s")


def rights(facts: Facts) -> Verdict:
    lacking = known(facts.answering_server.lacking_rights, "the rights of the Redis user could not be tried")
    if lacking:
        return failure(
            lacking, "ACL SETUSER … with the rules of docs/engine/servers.md, Rights of the Redis user"
        )
    return ok("the Redis user may do all that workers do")


def _info(server: Server, value: _T | None) -> _T:
    what = ", ".join(server.refused)
    return known(
        value, f"the Redis user may not run {what}" if what else "the server does not say", _MAY_INFO
    )


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"


def _span(seconds: int) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds} s"


CHECKS = tuple(
    Check(name, Subject.REDIS, wants, judge)
    for name, wants, judge in (
        ("reachable", "Redis answers under REDIS_URL", reachable),
        ("version", "Redis 6.2 to 8, Valkey 7.2 or 8", version),
        ("persistence", "an append-only file, fsynced each second; says what a crash may lose", persistence),
        ("persistence-works", "the last writes to disk went well", persistence_works),
        ("eviction", "maxmemory-policy noeviction", eviction),
        ("memory", "a limit, of which under 75 % is used", memory),
        ("connections", "under 80 % of maxclients", connections),
        ("replication", "the master, with replicas that are not late", replication),
        ("password", "a password of 16 characters or more, which the server insists on", password),
        ("tls", "TLS, unless Redis is on this machine", tls),
        ("clock", "clocks here and at Redis less than a second apart", clock),
        ("rights", "a Redis user with all rights that workers need", rights),
    )
)
