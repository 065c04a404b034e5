"""Checks of what an operator sets up around it: alerts, scaling, logs. Pure."""

from __future__ import annotations

from corral.doctor.check import Check
from corral.doctor.facts import Facts
from corral.doctor.findings import Subject, Verdict, note, ok, warning

#: The channel that wakes nobody.
LOG = "log"


def alerts(facts: Facts) -> Verdict:
    # By name as long as the setting may not be there.
    channels = [channel for channel in getattr(facts.settings, "alert_to", ()) if channel != LOG]
    if channels:
        return ok(f"told by {', '.join(channels)}; try them: corral alerts test")
    return warning(
        "nobody is told: alerts are lines of the log alone",
        "CORRAL_ALERT_TO=log,slack (or pagerduty, webhook, alertmanager, mail), then corral alerts test",
    )


def autoscaling(facts: Facts) -> Verdict:
    if (last := facts.last_scaling) is not None:
        ago = max(0.0, facts.at - last.at) / 60
        return ok(f"last decision on {last.host} {ago:.0f} min ago: {last.before} to {last.after} processes")
    workers = facts.workers or ()
    if facts.machine.orchestrator == "kubernetes":
        return note(
            "in Kubernetes; whether the workers scale is not seen from here", "kubectl get hpa,scaledobject"
        )
    if not workers:
        return note("no worker tells how many of it there may be", "corral worker --processes 2..8")
    return note(
        f"{len(workers)} worker processes", "To scale them by the load: corral worker --processes 2..8"
    )


def logs(facts: Facts) -> Verdict:
    if facts.machine.terminal:
        return ok("readable lines at this terminal; JSON wherever standard error is none")
    return ok("JSON, a line each")


CHECKS = tuple(
    Check(name, Subject.OPERATION, wants, judge)
    for name, wants, judge in (
        ("alerts", "a channel beside the log in CORRAL_ALERT_TO", alerts),
        ("autoscaling", "workers that scale with the load", autoscaling),
        ("logs", "JSON when standard error is no terminal", logs),
    )
)
