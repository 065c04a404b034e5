"""Checks of workers, and of how they end. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from corral.doctor.check import Check
from corral.doctor.facts import Facts
from corral.doctor.findings import Subject, Unknown, Verdict, note, ok, warning, worst
from corral.doctor.findings import failure as failed
from corral.queues import worker_command

#: A worker that runs one queue alone stops it whenever it is restarted.
FEWEST_WORKERS = 2

#: Seconds. Below, a slow Redis makes jobs look abandoned; above, those of a dead worker wait for long.
SHORTEST_LOCK, LONGEST_LOCK = 10.0, 300.0

#: Seconds below which hardly a job ends in time.
SHORTEST_GRACE = 5.0

#: Seconds from SIGTERM to SIGKILL where nobody said otherwise, and where to say it.
ORCHESTRATORS = {
    "kubernetes": (30.0, "terminationGracePeriodSeconds: {}"),
    "docker": (10.0, "stop_grace_period: {}s (compose), docker stop --time {}"),
    "systemd": (90.0, "TimeoutStopSec={}"),
}

#: Seconds that a worker needs beside the grace time, to put back what is left.
PUTTING_BACK = 10.0

#: Below this many open files a busy API or worker refuses connections, and below that any does.
FEW_FILES, TOO_FEW_FILES = 4_096, 1_024


def alive(facts: Facts) -> Verdict:
    """Connections with a worker's name count Node's workers too; the registry tells what they cannot."""
    used = facts.found_queues
    if not used:
        return note("Redis holds no queue under this prefix", "Is CORRAL_PREFIX the one of the producers?")
    verdicts = []
    witnesses = _witnesses(facts)
    for queue in used:
        count = max(len(each.get(queue.name, ())) for each in witnesses)
        more = f"{worker_command(queue.name)} --processes {FEWEST_WORKERS}"
        if not count and queue.waiting:
            verdicts.append(failed(f"{queue.name}: no worker, while {queue.waiting:,} wait", more))
        elif not count:
            verdicts.append(note(f"{queue.name}: no worker", more))
        elif count < FEWEST_WORKERS:
            verdicts.append(warning(f"{queue.name}: one worker only; its restart stops the queue", more))
    return worst(verdicts, f"{FEWEST_WORKERS} workers or more for each of {len(used)}")


def spread(facts: Facts) -> Verdict:
    connected, registered = _witnesses(facts)
    # Not together: one tells addresses, the other names.
    hosts = max(({h for hs in each.values() for h in hs} for each in (connected, registered)), key=len)
    if not hosts:
        return note("no worker is seen")
    if len(hosts) == 1:
        return note("all workers are on one machine", "Run workers on a second one, too.")
    return ok(f"workers on {len(hosts)} machines")


def versions(facts: Facts) -> Verdict:
    found = sorted({worker.version for worker in facts.registered_workers})
    if len(found) > 1:
        return note(
            f"workers of several versions: {', '.join(found)}", "Finish the deployment, or roll it back."
        )
    return ok(f"Corral {found[0]}" if found else "no worker of Corral is registered")


def lock(facts: Facts) -> Verdict:
    seconds, stalled = facts.settings.lock_seconds, facts.settings.stalled_seconds
    found = f"a dead worker's jobs are taken over after {seconds:g} to {seconds + stalled:g} s"
    if seconds < SHORTEST_LOCK:
        return warning(
            f"locks last {seconds:g} s: a slow Redis makes running jobs run twice", "CORRAL_LOCK_SECONDS=30"
        )
    if seconds > LONGEST_LOCK or stalled > LONGEST_LOCK:
        return warning(found, "CORRAL_LOCK_SECONDS=30 and CORRAL_STALLED_SECONDS=30")
    return ok(found)


def shutdown(facts: Facts) -> Verdict:
    grace = facts.settings.grace_seconds
    if grace < SHORTEST_GRACE:
        return warning(f"at SIGTERM jobs have {grace:g} s to end", "CORRAL_GRACE_SECONDS=30")
    found = f"at SIGTERM jobs have {grace:g} s to end, then go back unspent"
    if facts.machine.orchestrator in ORCHESTRATORS:
        default, where = ORCHESTRATORS[facts.machine.orchestrator]
        needed = grace + PUTTING_BACK
        if needed > default:
            return note(
                f"{found}; {facts.machine.orchestrator} kills after {default:g} s unless told otherwise",
                f"Set {where.format(*[f'{needed:g}'] * 2)}",
            )
    long = [
        f"{queue.name} ({queue.declared.timeout:g} s)"
        for queue in facts.queues or ()
        if queue.declared and queue.declared.timeout and queue.declared.timeout > grace
    ]
    if long:
        return note(
            f"{found}; they may run longer: {', '.join(long)}", "CORRAL_GRACE_SECONDS=<the longest timeout>"
        )
    return ok(found)


def open_files(facts: Facts) -> Verdict:
    limit = facts.machine.open_files
    if limit is None:
        raise Unknown("this system has no limit of open files to ask for")
    remedy = "ulimit -n 65536; LimitNOFILE=65536 (systemd); ulimits: nofile: 65536 (compose)"
    if limit < TOO_FEW_FILES:
        return failed(f"{limit:,} open files at most", remedy)
    return (
        warning(f"{limit:,} open files at most", remedy) if limit < FEW_FILES else ok(f"{limit:,} open files")
    )


def _witnesses(facts: Facts) -> tuple[Mapping[str, Sequence[str]], Mapping[str, Sequence[str]]]:
    """A machine for each worker of each queue: as connections have it, and as the registry has it."""
    connected = facts.answering_server.worker_hosts
    if connected is None and facts.workers is None:
        raise Unknown(
            "neither CLIENT LIST nor the workers' registry could be read", "ACL SETUSER … +client|list"
        )
    registered: dict[str, list[str]] = {}
    for worker in facts.workers or ():
        for queue in worker.queues if not worker.quiet else ():
            registered.setdefault(queue, []).append(worker.host)
    return connected or {}, registered


CHECKS = tuple(
    Check(name, Subject.WORKERS, wants, judge)
    for name, wants, judge in (
        ("workers-alive", "two workers or more for each queue", alive),
        ("worker-machines", "workers on more than one machine", spread),
        ("worker-versions", "one version of Corral", versions),
        ("lock", "locks of 10 s to 5 min", lock),
        ("shutdown", "a grace time that jobs can use, and an orchestrator that waits longer", shutdown),
        ("open-files", "4,096 open files or more", open_files),
    )
)
