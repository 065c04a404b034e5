"""The commands: where each is, and what the list of commands says of it (the first line of its docstring).

A command is imported when it is called: `corral worker` needs no HTTP service, and one is installed only
where it is asked for (`corral.extras`).
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """`place`: module of this room, and the name of a function or an App in it."""

    name: str
    place: str
    help: str


COMMANDS = (
    Command(
        "up",
        "up:up",
        "Start Redis, the HTTP API, the dashboard and the workers, and stay up until Ctrl-C.",
    ),
    Command(
        "demo",
        "demo:demo",
        "Start everything, send real jobs over HTTP, show them until they end, print their results.",
    ),
    Command(
        "worker",
        "worker:worker",
        "Run workers until SIGTERM: for TARGET (package.module:name), or for the built-in queues.",
    ),
    Command("api", "api:api", "Serve the HTTP API until SIGTERM. Needs CORRAL_API_KEYS."),
    Command("jobs", "jobs_manage:app", "Add jobs and look at them."),
    Command("dashboard", "dashboard:app", "Serve the page for operators; make a password for it."),
    Command("queues", "queues:app", "List queues, pause, resume, empty and remove them."),
    Command(
        "stats",
        "stats:stats",
        "Show what queues did in the last minutes. Without names of queues, all that Redis holds.",
    ),
    Command(
        "workers",
        "worker_control:app",
        "See the workers that run; let them take no new jobs, or stop them.",
    ),
    Command(
        "breakers",
        "breakers:app",
        "See which providers' jobs are held, test a key, let the jobs go.",
    ),
    Command(
        "doctor",
        "doctor:app",
        "Check that everything is fit for production, and say what to do.",
    ),
    Command(
        "bench",
        "bench:app",
        "Run the benchmarks, or the soak (`corral bench soak --help`), in a checkout of Corral.",
    ),
    Command(
        "scaling",
        "scaling:scaling",
        "Show the newest decisions of the autoscalers of all hosts, newest first.",
    ),
    Command(
        "dead",
        "dead_operations:app",
        "The dead letter desk: what failed, why, and what to do with it.",
    ),
    Command("alerts", "alerts:app", "See what fires, test the channels, be silent for a while."),
    Command("keys", "keys:app", "Create, list, revoke and rotate keys of the HTTP service."),
    Command(
        "encryption",
        "encryption:app",
        "See which keys a queue's payloads need; encrypt them with the first one.",
    ),
    Command("webhooks", "webhooks:app", "Endpoints that are told when jobs end."),
    Command("mail", "mail:app", "Look at mail templates, and at who must not be written to."),
)
