"""The examples of `engine/`, `operate/` and `queues/` do what they say, in one process on one server.

They are parts of programs: each is run with what stands around it in a reader's program (`BEFORE`), and used
as a reader would (`AFTER`). A page of single calls is run call by call, each on a queue in the same state.
Requests of the queues' pages go to a `corral up`.
"""

from __future__ import annotations

import ast
import base64
import inspect
import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from blocks import Block, blocks_of
from page_run import ROOT, PageRun

from corral.bullmq.connection import close_shared_clients
from corral.providers.standard_webhooks import sign

DOCS = ROOT / "docs"

#: A queue with two jobs that failed ("17", "8813"), one that is delayed ("18") and one that waits.
BEFORE = """
import time
from corral import Queue, RateLimit, Retry, Settings, Worker
from corral.breakers import Breakers

queue = Queue("orders", retry=Retry(attempts=1))

@queue.job("send")
async def send(job, data: dict) -> None:
    raise ValueError("mailbox full: timed out")

await Breakers().hold("sendgrid", "its key")
await Breakers().resume("sendgrid")
@queue.job("note")
async def note(job, data: None) -> None:
    raise KeyError("of another group of dead letters")

failed = await queue.add("send", {"user": {"id": 7}})
other = await queue.add("note")
await Worker(queue, concurrency=1).run(until_empty=True)
waiting = await queue.add("send", {"user": {"id": 8}})
delayed = await queue.add("send", {"user": {"id": 9}}, delay=3600)
job, job_id, reports, emails = waiting, waiting.id, queue, queue
"""

#: Ids that pages write, and whose they are here.
IDS = {'"17"': "failed.id", '"18"': "delayed.id", '"8812"': "other.id", '"8813"': "failed.id"}

#: Page: how a reader uses its first block. A page that is not here uses itself.
AFTER = {
    "engine/adding.md": "await produce()",
    "engine/failures.md": "await submit(Queue('bills'), 7)",
    "engine/isolation.md": "assert worker.queues[0] is renders",
    "operate/doctor.md": "assert report.findings",
    "operate/metrics.md": "REGISTRY.unregister(next(c for c in list(REGISTRY._collector_to_names) "
    "if isinstance(c, WorkerCollector)))",
    "queues/notification.md": "assert not inspect_abstract(Directory)",
    "queues/webhooks.md": "await produce()",
}

#: Where a fragment would go on for ever.
ENDLESS = "\nasync with aclosing(queue.events())"

#: Pages whose calls do not belong together.
CALL_BY_CALL = ("engine/administration.md", "engine/breakers.md", "engine/groups.md", "engine/limits.md")

#: Pages of Python that other tests run: test_examples.py, or these say why not.
ELSEWHERE = {
    "engine/flows.md": "test_examples",
    "engine/running.md": "test_examples",
    "engine/testing.md": "test_examples",
    "engine/schedules.md": "its worker runs for ever; how-to/recurring-jobs.md is run",
    "engine/servers.md": "needs Sentinel; tests/integration/test_sentinel.py has one",
    "engine/sync.md": "blocks the loop; its calls are those of how-to/flask.md",
}


def fragments() -> list[Any]:
    found = []
    for page in sorted([*DOCS.glob("engine/*.md"), *DOCS.glob("operate/*.md"), *DOCS.glob("queues/*.md")]):
        name = page.relative_to(DOCS).as_posix()
        python = [block for block in blocks_of(page) if block.language == "python"]
        if name not in ELSEWHERE:
            found += [pytest.param(name, block, n == 0, id=f"{name}:{n}") for n, block in enumerate(python)]
    return found


@pytest.fixture
async def names(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", f"whsec_{base64.b64encode(b'k' * 24).decode()}")
    yield {"__name__": "fragment", "inspect_abstract": inspect.isabstract}
    await close_shared_clients()


@pytest.mark.parametrize(("page", "block", "first"), fragments())
async def test_the_fragment_runs(page: str, block: Block, first: bool, names: dict[str, Any]) -> None:
    text = block.text.partition(ENDLESS)[0]
    for written, real in IDS.items():
        text = text.replace(written, real)
    if page not in CALL_BY_CALL:
        await run(BEFORE, names)
        await run(text, names)
        await run(AFTER.get(page, "") if first else "", names)
        return
    begun = []
    for statement in ast.parse(text).body:
        call = isinstance(statement, (ast.Expr, ast.Assign)) and "await" in ast.unparse(statement)
        if not call:
            begun.append(ast.unparse(statement))
            continue
        fresh: dict[str, Any] = dict(names)
        await run(BEFORE + "\nawait queue.admin.pause()\nawait queue.admin.resume()", fresh)
        await run("\n".join(begun), fresh)
        await run(ast.unparse(statement), fresh)


async def run(text: str, names: dict[str, Any]) -> None:
    code = compile(text, "fragment", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    made = eval(code, names)  # a coroutine where the text awaits
    if inspect.isawaitable(made):
        await made


def test_requests_of_the_queues_pages_are_taken(tmp_path: Path) -> None:
    with PageRun(tmp_path) as service:
        service.do(Block("sh", "", 0, verb="up"))
        service.do(Block("sh", "KEY=$(cat .corral/api-key)", 0, verb="run"))
        sent = 0
        for page in sorted(DOCS.glob("queues/*.md")):
            for block in blocks_of(page):
                request = re.split(r"(?m)^(?:#|curl http).*$", block.text)[0].rstrip()
                if request.startswith("curl -X POST") and "{…}" not in request:
                    text = f"{request} --fail-with-body"
                    service.do(Block("sh", text, block.line, verb="run", prints='"queued"'))
                    sent += 1
        assert sent >= 5


def test_the_receiver_of_the_webhooks_page_takes_what_is_signed_and_nothing_else() -> None:
    receiver = next(b for b in blocks_of(DOCS / "queues" / "webhooks.md") if "def verify" in b.text)
    names: dict[str, Any] = {}
    exec(receiver.text, names)
    key, body, now = b"k" * 24, b'{"type": "job.completed"}', int(time.time())
    secret = f"whsec_{base64.b64encode(key).decode()}"
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(now),
        "webhook-signature": sign([key], "m", now, body),
    }
    assert names["verify"](secret, headers, body) == json.loads(body)
    with pytest.raises(ValueError, match="does not match"):
        names["verify"](secret, headers, body + b" ")
