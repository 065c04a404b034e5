"""`corral alerts [list]` and `rules`, `history`, `silence`, `acknowledge` (and their ends), `test`, `run`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from dataclasses import asdict
from typing import Any

from cyclopts import App
from rich.table import Table

from corral.audit import local_actor
from corral.bullmq.connection import close_shared_clients
from corral.cli.jobs import run_command
from corral.cli.output import console, errors, moment, print_json
from corral.errors import InvalidInput
from corral.observe.alerts.desk import Alerts, AlertState, RuleInUse
from corral.observe.alerts.rule import duration, written
from corral.observe.alerts.silence import ANY, Silence
from corral.observe.alerts.watching import evaluator_of
from corral.observe.logs import configure_logs
from corral.settings import Settings

app = App(name="alerts", help="See what fires, test the channels, be silent for a while.")

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_COLOURS = {"critical": "red", "warning": "yellow", "info": "blue"}


@app.default
@app.command(name="list")
def list_alerts(*, json: bool = False) -> None:
    """Show what fires or is about to, how the channels are, and the silences.

    Parameters
    ----------
    json: print JSON
    """

    async def run() -> None:
        state = await Alerts().state()
        if json:
            print_json(_state_json(state))
        else:
            _print_state(state)

    run_command(run())


@app.command
def rules(*, json: bool = False) -> None:
    """Show all rules with the limits of CORRAL_ALERT_RULES.

    Parameters
    ----------
    json: print a JSON list
    """

    async def run() -> None:
        found = Alerts().rules()
        if json:
            print_json([_rule_json(used) for used in found])
            return
        table = _table("rule", "severity", "fires above", "clears at", "for", "keep", "of")
        for used in found:
            for subject, limits in {"": used.limits, **used.only}.items():
                name = f"{used.rule.name}@{subject}" if subject else used.rule.name
                fire, clear = written(limits.fire, used.rule.unit), written(limits.clear, used.rule.unit)
                times = duration(limits.for_seconds), duration(limits.keep_seconds)
                if not limits.enabled:
                    fire, clear, times = "off", "", ("", "")
                table.add_row(name, limits.severity, fire, clear, *times, used.rule.about)
        console.print(table)

    run_command(run())


@app.command
def history(*, count: int = 50, json: bool = False) -> None:
    """Show what fired and was resolved, newest first.

    Parameters
    ----------
    count: so many entries
    json: print a JSON list
    """

    async def run() -> None:
        events = await Alerts().history(count)
        if json:
            print_json([asdict(event) | {"at": moment(event.at)} for event in events])
            return
        table = _table("at", "", "rule", "subject", "")
        for event in events:
            silenced = " (silenced)" if event.silenced else ""
            told = event.summary + silenced
            table.add_row(moment(event.at), event.kind, event.rule, event.subject, told)
        console.print(table)
        if not events:
            errors.print("Nothing has fired yet.")

    run_command(run())


@app.command
def silence(rule: str, subject: str = ANY, *, for_: str, reason: str, json: bool = False) -> None:
    """Tell nobody of a rule for a while. Its alerts go on being judged, and the history has them.

    Parameters
    ----------
    rule: its name, or "*" for all
    subject: a queue, a breaker, …; without it all that the rule is about
    for_: how long, as 30m, 2h, 1d or in seconds; 30 days at most
    reason: why, for those who see it
    json: print JSON
    """
    seconds = read_duration(for_)

    async def run() -> None:
        made = await Alerts().silence(rule, subject, seconds=seconds, reason=reason, actor=local_actor())
        if json:
            print_json(_silence_json(made))
        else:
            console.print(f"{made.id}: nobody is told until {moment(made.until)}.", markup=False)

    run_command(run())


@app.command
def unsilence(rule: str, subject: str = ANY, *, json: bool = False) -> None:
    """End a silence.

    Parameters
    ----------
    rule: as it was given to silence
    subject: the same
    json: print JSON
    """

    async def run() -> None:
        await Alerts().unsilence(rule, subject, actor=local_actor())
        if json:
            print_json({"id": f"{rule}:{subject}", "removed": True})
        else:
            console.print(f"{rule}:{subject}: the silence is over.", markup=False)

    run_command(run())


@app.command
def acknowledge(rule: str, subject: str, *, note: str = "", json: bool = False) -> None:
    """Have what fires in hand: nobody is reminded of it until it is resolved.

    Parameters
    ----------
    rule: its name
    subject: the queue, breaker, … that it fires of
    note: what others should know
    json: print JSON
    """

    async def run() -> None:
        made = await Alerts().acknowledge(rule, subject, note=note, actor=local_actor())
        if json:
            print_json(
                {"id": made.id} | asdict(made) | {"fired_at": moment(made.fired_at), "at": moment(made.at)}
            )
        else:
            console.print(f"{made.id}: nobody is reminded of it until it is resolved.", markup=False)

    run_command(run())


@app.command
def unacknowledge(rule: str, subject: str, *, json: bool = False) -> None:
    """Take an acknowledgement back.

    Parameters
    ----------
    rule: as it was given to acknowledge
    subject: the same
    json: print JSON
    """

    async def run() -> None:
        await Alerts().unacknowledge(rule, subject, actor=local_actor())
        if json:
            print_json({"id": f"{rule}:{subject}", "removed": True})
        else:
            console.print(f"{rule}:{subject}: nobody has it in hand.", markup=False)

    run_command(run())


@app.command(name="test")
def test_channels(*, json: bool = False) -> int:  # noqa: PT028  # a command, no test
    """Send a test to every channel of CORRAL_ALERT_TO, and say what each answered. Needs no Redis.

    Exit code 0: all took it; 1: one did not.

    Parameters
    ----------
    json: print a JSON list
    """
    failed: list[str] = []

    async def run() -> None:
        tried = await Alerts().test(actor=local_actor())
        failed.extend(one.channel for one in tried if one.error)
        if json:
            print_json([asdict(one) for one in tried])
            return
        for one in tried:
            said = one.error or "took it"
            console.print(f"{one.channel}: {said} ({one.seconds * 1000:.0f} ms)", markup=False)
        if not tried:
            errors.print("No channel is set: CORRAL_ALERT_TO is empty.")

    run_command(run())
    return 1 if failed else 0


@app.command(name="run")
def run_evaluator(*, json: bool | None = None) -> None:
    """Evaluate until SIGTERM, in a process of its own. Others that evaluate too stand by, or this one does.

    Parameters
    ----------
    json: log lines as JSON (default: unless standard error is a terminal)
    """
    configure_logs(json=json)

    async def run() -> None:
        task = asyncio.create_task(evaluator_of(Settings.load()).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        finally:
            await close_shared_clients()

    asyncio.run(run())


def read_duration(text: str) -> float:
    """Seconds from 90, 90s, 30m, 2h or 1d. Raises InvalidInput."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise InvalidInput(f"--for {text}: write 30m, 2h, 1d, or a number of seconds.")
    return float(found[1]) * _UNITS[found[2] or "s"]


def _print_state(state: AlertState) -> None:
    table = _table("", "rule", "subject", "since", "")
    for alert in state.alerts:
        colour = _COLOURS.get(alert.severity, "") if alert.state == "firing" else "dim"
        mark = f"{alert.state}, silenced" if alert.silenced else alert.state
        if alert.acknowledged:
            mark, colour = f"{mark}, acknowledged by {_plain(alert.acknowledged.by)}", "dim"
        said = f"{alert.summary}\n→ {alert.advice}" if alert.state == "firing" else alert.summary
        table.add_row(f"[{colour}]{mark}[/]", alert.rule, alert.subject, moment(alert.since), _plain(said))
    if state.alerts:
        console.print(table)
    for one in state.silences:
        console.print(f"silent: {one.id} until {moment(one.until)} ({one.reason}; {one.by})", markup=False)
    for channel in state.channels:
        if channel.error and (channel.sent_at or 0) < (channel.failed_at or 0):
            errors.print(f"{channel.name}: {channel.error} ({moment(channel.failed_at)})", markup=False)
    if not state.leader:
        errors.print("Nobody evaluates the rules now: start corral api, corral worker or corral alerts run.")
    elif not state.alerts:
        errors.print(f"Nothing fires. Last look: {moment(state.evaluated_at) or 'none yet'}.")


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _state_json(state: AlertState) -> dict[str, Any]:
    def times(row: dict[str, Any]) -> dict[str, Any]:
        names = ("since", "fired_at", "told_at", "sent_at", "failed_at", "at", "until")
        return row | {name: moment(row[name]) for name in names if name in row}

    return {
        "evaluated_at": moment(state.evaluated_at),
        "leader": state.leader or None,
        "alerts": [
            times(asdict(alert))
            | {"acknowledged": times(asdict(alert.acknowledged)) if alert.acknowledged else None}
            for alert in state.alerts
        ],
        "channels": [times(asdict(channel)) for channel in state.channels],
        "silences": [_silence_json(one) for one in state.silences],
    }


def _silence_json(one: Silence) -> dict[str, Any]:
    return {"id": one.id} | asdict(one) | {"until": moment(one.until), "at": moment(one.at)}


def _rule_json(used: RuleInUse) -> dict[str, Any]:
    return {
        "name": used.rule.name,
        "title": used.rule.title,
        "about": used.rule.about,
        "unit": used.rule.unit,
        "advice": used.rule.advice,
        "limits": asdict(used.limits),
        "only": {subject: asdict(limits) for subject, limits in used.only.items()},
    }
