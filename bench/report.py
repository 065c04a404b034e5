"""The findings as Markdown for people and as JSON for machines."""

from __future__ import annotations

from typing import Any

from bench.scenario import Result, Target

#: Version of the JSON's shape.
FORMAT = 1


def as_json(machine: dict[str, Any], options: dict[str, Any], results: list[Result]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "machine": machine,
        "options": options,
        "scenarios": {result.name: _scenario_json(result) for result in results},
    }


def _scenario_json(result: Result) -> dict[str, Any]:
    peers: dict[str, Any] = {}
    for peer, metrics in result.values.items():
        peers[peer] = {}
        for metric in metrics:
            spread = result.spread(peer, metric)
            if spread:
                peers[peer][metric] = {
                    "min": spread.least,
                    "median": spread.median,
                    "max": spread.most,
                    "rounds": spread.rounds,
                }
    ratios = []
    for target in result.scenario.targets:
        ratio = result.ratio(target)
        if ratio is not None:
            ratios.append(
                {
                    "metric": target.metric,
                    "ours": target.ours,
                    "theirs": target.theirs,
                    "ratio": ratio,
                    "target": _bound(target),
                    "met": target.met(ratio),
                }
            )
    limits = [
        {"metric": limit.metric, "peer": limit.peer, "target": limit.bound, "met": limit.met(spread.median)}
        for limit in result.scenario.limits
        if (spread := result.spread(limit.peer, limit.metric))
    ]
    return {
        "title": result.title,
        "peers": peers,
        "ratios": ratios,
        "limits": limits,
        "failures": result.failures,
        "notes": result.notes,
    }


def as_markdown(machine: dict[str, Any], options: dict[str, Any], results: list[Result]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    node_packages = ", ".join(f"{name} {version}" for name, version in machine["node_packages"].items())
    cores, memory, load = machine["cores"], machine["memory_gib"], machine["load_average"][0]
    peers = ", ".join(f"{name} {version}" for name, version in machine["python_peers"].items())
    lines = [
        f"{machine['processor']}, {cores} cores, {memory} GiB, {machine['system']}, load before {load}  ",
        f"{machine['server']}  ",
        f"Python {machine['python']}: {packages}  ",
        f"Node {machine['node']}: {node_packages}  ",
        f"Python peers, each in its own environment: {peers}  ",
        f"Rounds: {options['rounds']}, peers in turn"
        + (", quick" if options["quick"] else "")
        + f", {options['minutes']:g} minutes",
    ]
    for result in results:
        lines += ["", *_scenario_markdown(result)]
    return "\n".join(lines) + "\n"


def _scenario_markdown(result: Result) -> list[str]:
    scenario = result.scenario
    lines = [f"## {result.title}", "", "| | | min | median | max |", "|---|---|---:|---:|---:|"]
    for metric in scenario.metrics:
        for peer in scenario.peers:
            spread = result.spread(peer.name, metric.key)
            if spread:
                numbers = (f"{n:,.{metric.digits}f}" for n in (spread.least, spread.median, spread.most))
                lines.append(f"| {metric.label} | {peer.name} | {' | '.join(numbers)} |")
    ratios = [(target, result.ratio(target)) for target in scenario.targets]
    labels = {metric.key: metric.label for metric in scenario.metrics}
    if any(ratio is not None for _, ratio in ratios):
        lines += ["", "| ratio of medians | | target | |", "|---|---:|---:|---|"]
    for target, ratio in ratios:
        if ratio is not None:
            verdict = {True: "met", False: "**missed**", None: ""}[target.met(ratio)]
            what = f"{labels[target.metric]}: {target.ours} / {target.theirs}"
            lines.append(f"| {what} | {ratio:.2f} | {_bound(target)} | {verdict} |")
    for limit in scenario.limits:
        spread = result.spread(limit.peer, limit.metric)
        if spread:
            verdict = "met" if limit.met(spread.median) else "**missed**"
            what = f"{labels[limit.metric]}: {limit.peer}"
            lines.append(f"| {what} | {spread.median:,.2f} | {limit.bound} | {verdict} |")
    for name, reason in result.failures.items():
        lines += ["", f"**{name} was not measured**: {reason.splitlines()[0]}"]
    for note in result.notes:
        lines += ["", note]
    return lines


def _bound(target: Target) -> str:
    if target.at_least is not None:
        return f"≥ {target.at_least:g}"
    return f"≤ {target.at_most:g}" if target.at_most is not None else ""
