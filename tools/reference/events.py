"""docs/reference/events.md: events of a queue, from the scripts that write them; log events, from the calls.

A log event whose name is no constant, or that nobody described, cannot hide: the calls themselves are read.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

from tools.reference.table import MADE, table

from corral.events import GAP

_LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
_EVENT = re.compile(r"""["']event["'],\s*["']([a-z-]+)["']""")

#: What the events mean; the test fails for one that a script writes and that is not here.
MEANINGS = {
    "added": "the job was added; `name`",
    "waiting": "it can be started; `prev`: the state before",
    "active": "a worker took it; `prev`",
    "progress": "its handler reported; `data` (JSON)",
    "completed": "it has ended well; `returnvalue` (JSON), `prev`",
    "failed": "it has failed for good; `failedReason`, `prev`",
    "retries-exhausted": "no attempt is left; `attemptsMade`",
    "delayed": "it waits for its time; `delay`: when, epoch milliseconds",
    "waiting-children": "it waits for its children",
    "stalled": "its worker died or was silent; it is put back",
    "removed": "it was removed; `prev`",
    "duplicated": "an add met a job of the same id",
    "deduplicated": "an add met its deduplication id; `deduplicationId`, `deduplicatedJobId`",
    "cleaned": "jobs were removed by age; `count`",
    "drained": "nothing waits any more",
    "paused": "the queue was paused",
    "resumed": "the queue was resumed",
}

_HEAD = f"""{MADE}

# Events

## Of a queue

Written by every BullMQ client to the queue's stream; read with `queue.events()`, over HTTP as server-sent
events, on the dashboard's page of events. Redis keeps about 10,000 a queue.

"""

_LOGS = """
## In the log

One line each, as key and value or as JSON (`--json`). Search and alert by the names. Lines of a running job
carry `queue`, `job` and `attempt` as well. How they are set up and what is kept out of them: [logs
and traces](../operate/logs-and-traces.md).

"""


def text() -> str:
    unknown = sorted(_written() - MEANINGS.keys())
    if unknown:
        raise SystemExit(f"events without a meaning in tools/reference/events.py: {', '.join(unknown)}")
    queue_rows = [(f"`{name}`", meaning) for name, meaning in MEANINGS.items()]
    queue_rows.append((f"`{GAP}`", "not in the stream: some events before the next one may be missing"))
    calls: dict[str, tuple[set[str], set[str], set[str]]] = defaultdict(lambda: (set(), set(), set()))
    for name, level, fields, module in _calls():
        levels, carried, modules = calls[name]
        levels.add(level)
        carried.update(fields)
        modules.add(module)
    rows = [
        (f"`{name}`", ", ".join(sorted(levels)), ", ".join(sorted(fields)), ", ".join(sorted(modules)))
        for name, (levels, fields, modules) in sorted(calls.items())
    ]
    head = ("event", "level", "carries", "from `corral.…`")
    return _HEAD + table(("event", "meaning"), queue_rows) + _LOGS + table(head, rows)


def _written() -> set[str]:
    """Names of events in BullMQ's scripts and in ours."""
    spec = find_spec("bullmq")
    assert spec is not None
    assert spec.submodule_search_locations
    stock = Path(spec.submodule_search_locations[0]) / "commands"
    ours = Path(str(resources.files("corral.bullmq") / "lua"))
    return {
        name
        for folder in (stock, ours)
        for file in folder.glob("*.lua")
        for name in _EVENT.findall(file.read_text())
    }


def _calls() -> Iterator[tuple[str, str, set[str], str]]:
    """Each call of a logger: the event's name, level, fields, and the module."""
    root = Path(str(resources.files("corral")))
    for file in sorted(root.rglob("*.py")):
        module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and (level := _level(node)) and node.args:
                name = node.args[0]
                fields = {word.arg for word in node.keywords if word.arg} - {"exc_info"}
                shown = "error" if level == "exception" else level
                if isinstance(name, ast.Constant) and isinstance(name.value, str):
                    yield name.value, shown, fields, module


def _level(call: ast.Call) -> str | None:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _LEVELS:
        return None
    logger = ast.unparse(function.value)
    return function.attr if logger.split(".")[-1] in ("log", "_log", "logger") else None
