"""A Node script that runs beside the test and talks JSON lines (see `node/lines.mjs`)."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from corral import Worker

HERE = Path(__file__).parent

#: Seconds. Node starts in well under one; a shared machine may need more.
PATIENCE = 30.0


class NodeFailed(Exception):
    """The Node side refused a command; the message is the error that BullMQ gave."""


class NodeProcess:
    """One script: `call` runs a command in it, `event` waits for a line that it wrote by itself."""

    def __init__(self, process: asyncio.subprocess.Process, stderr: Path) -> None:
        self._process = process
        self._stderr = stderr
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Condition()
        self._ended = False
        self.events: list[dict[str, Any]] = []
        #: Ids of the jobs that had an event, by event.
        self.jobs: defaultdict[str, set[str]] = defaultdict(set)
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, node: str, script: str, *args: str, stderr: Path) -> NodeProcess:
        with stderr.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                node,
                str(HERE / "node" / script),
                *args,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                limit=2**24,
            )
        started = cls(process, stderr)
        await started.event("ready")
        return started

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            message = json.loads(line)
            async with self._changed:
                if "re" in message:
                    self._answers[message["re"]] = message
                else:
                    self.events.append(message)
                    self.jobs[message["event"]].add(message.get("jobId", ""))
                self._changed.notify_all()
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def call(self, op: str, *args: Any) -> Any:
        """Run one command and give back its value. Raises NodeFailed with BullMQ's own message."""
        assert self._process.stdin
        number = next(self._ids)
        self._process.stdin.write(json.dumps({"id": number, "op": op, "args": args}).encode() + b"\n")
        await self.until(lambda: number in self._answers, f"answer to {op}")
        answer = self._answers.pop(number)
        if "error" in answer:
            raise NodeFailed(answer["error"])
        return answer["value"]

    async def event(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first event with these fields, past or to come."""
        wanted = {"event": event, **fields}

        def found() -> dict[str, Any] | None:
            return next((e for e in self.events if wanted.items() <= e.items()), None)

        await self.until(lambda: found() is not None, f"event {wanted}")
        result = found()
        assert result
        return result

    def events_of(self, job_id: str) -> list[str]:
        return [e["event"] for e in self.events if e.get("jobId") == job_id]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds; it is looked at whenever Node wrote something."""
        try:
            async with asyncio.timeout(PATIENCE), self._changed:
                await self._changed.wait_for(lambda: self._ended or condition())
        except TimeoutError:
            seen = self.events[-30:]
            raise AssertionError(f"Node sent no {what}.\nLast events: {seen}\n{self.errors()}") from None
        if not condition():
            raise AssertionError(f"Node ended without {what}.\n{self.errors()}")

    def errors(self) -> str:
        return self._stderr.read_text(errors="replace")[-4000:]

    async def close(self) -> None:
        """Close stdin, which ends the script; kill it if that does not help."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reader


#: What the fixtures `node` and `workers` give: they start a script of `node/`, or a Corral worker.
Node = Callable[..., Awaitable[NodeProcess]]
Workers = Callable[..., Awaitable[Worker]]
