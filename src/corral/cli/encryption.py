"""`corral encryption check | rotate QUEUE`: which keys a queue's payloads need, and encrypting them anew."""

from __future__ import annotations

from dataclasses import asdict

from cyclopts import App

from corral import audit, encryption
from corral.audit import local_actor
from corral.cli.jobs import queue_named, run_command
from corral.cli.output import console, print_fields, print_json
from corral.errors import InvalidInput

app = App(name="encryption", help="See which keys a queue's payloads need; encrypt them with the first one.")


@app.command
def check(queue: str, *, json: bool = False) -> int:
    """Count data, results and checkpoints by the key that they are encrypted with.

    Exit code 1: some need a key that CORRAL_ENCRYPTION_KEYS does not have here.

    Parameters
    ----------
    queue: its name
    json: print JSON
    """
    missing: list[str] = []

    async def run() -> None:
        found = await encryption.check(queue_named(queue))
        missing.extend(found.missing)
        if json:
            print_json({"queue": queue, **asdict(found)})
        else:
            gone = " ".join(found.missing) or None
            print_fields(queue, {"jobs": found.jobs, **found.payloads, "missing keys": gone})

    run_command(run())
    return 1 if missing else 0


@app.command
def rotate(queue: str, *, json: bool = False) -> None:
    """Encrypt with the first key what is encrypted with another; in a queue that encrypts, plain data too.

    Parameters
    ----------
    queue: its name
    json: print JSON
    """

    async def run() -> None:
        target = queue_named(queue)
        if not target.sealing.keys:
            raise InvalidInput("CORRAL_ENCRYPTION_KEYS is empty here, so nothing can be encrypted anew.")
        done = await encryption.rotate(target)
        with target.redis_errors():
            await audit.record(
                target.client(), target.keys().prefix, local_actor(), "encryption.rotate", queue, asdict(done)
            )
        if json:
            print_json({"queue": queue, **asdict(done)})
        else:
            print_fields(queue, asdict(done))
            if done.unreadable:
                console.print("What cannot be read needs a key that is missing: corral encryption check.")

    run_command(run())
