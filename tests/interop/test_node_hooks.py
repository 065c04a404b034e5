"""Hooks and stock Node: its producers ask for one, its workers know of none, its receivers verify them."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest
from node_process import BOTH_VERSIONS, Node, Workers
from redis.asyncio import Redis

from corral import JobContext, Queue
from corral.hook_settings import parse_secrets
from corral.providers.standard_webhooks import sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://receiver.example.org/in"
DOCS = Path(__file__).parents[2] / "docs" / "queues" / "webhooks.md"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORRAL_WEBHOOK_SECRET", SECRET)


@BOTH_VERSIONS
async def test_a_hook_that_node_asks_for_is_told_here(redis_url: str, node: Node, workers: Workers) -> None:
    queue = Queue("hooked", redis_url=redis_url)

    @queue.job("x")
    async def run(job: JobContext, data: int) -> int:
        return data

    client = await node("client.mjs", redis_url, "hooked")
    hook = {"url": URL, "events": ["completed"]}
    job_id = await client.call("add", "x", 7, {"webhook": hook})
    assert (await client.call("job", job_id))["opts"]["webhook"] == hook
    await workers(queue)
    await client.event("completed", jobId=job_id)
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        told = json.loads(await redis.hget("bull:webhooks:1", "data") or "")
    assert (told["url"], told["id"], told["result"]) == (URL, job_id, 7)


@BOTH_VERSIONS
async def test_a_node_worker_runs_a_job_with_a_hook_and_tells_nobody(redis_url: str, node: Node) -> None:
    job = await Queue("hooked", redis_url=redis_url).add("x", 7, webhook=URL)
    await node("worker.mjs", redis_url, "hooked")
    assert (await job.result(timeout=20))["echo"] == 7
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        assert await redis.keys("bull:webhooks:*") == []
        assert json.loads(await redis.hget(f"bull:hooked:{job.id}", "opts") or "")["webhook"] == {"url": URL}


def test_the_typescript_of_the_page_verifies(node_binary: str, tmp_path: Path) -> None:
    (code,) = re.findall(r"```ts\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    for annotation in (": Record<string, string>", ": string", ": unknown"):
        code = code.replace(annotation, "")
    body, at = b'{"n":"\xc3\xbc"}', int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": "v1,other " + sign(parse_secrets("X", SECRET), "msg_1", at, body),
    }
    arguments = [json.dumps(value) for value in (SECRET, headers, body.decode())]
    file = tmp_path / "verify.mjs"
    given, forged = ", ".join(arguments), ", ".join([*arguments[:2], '"{}"'])
    file.write_text(
        f"{code}\n"
        f"console.log(JSON.stringify(verify({given})));\n"
        f"try {{ verify({forged}); }} catch (error) {{ console.log(error.message); }}\n"
    )
    done = subprocess.run([node_binary, str(file)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.splitlines() == ['{"n":"ü"}', "the signature does not match, or is old"], done.stderr
