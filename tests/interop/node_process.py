"""Node scripts that run beside the test and talk JSON lines (see `node/host.mjs`).

A `Host` is a Node process; it runs scripts one after the other, and outlives the tests. A `NodeProcess` is
one run of a script.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from corral import Worker

HERE = Path(__file__).parent

#: Seconds. Node starts in well under one; a shared machine may need more.
PATIENCE = 30.0

#: The stock BullMQ versions under test, and what package.json calls them.
VERSIONS = {"6.7": "bullmq", "5.81": "bullmq5"}

#: Marks a test, or as `pytestmark` all tests of a file, to run with each of them.
BOTH_VERSIONS = pytest.mark.parametrize("node_version", VERSIONS)


class NodeFailed(Exception):
    """The Node side refused a command; the message is the error that BullMQ gave."""


class Host:
    """A Node process."""

    def __init__(self, node: str, stderr: Path) -> None:
        self.stderr = stderr
        with stderr.open("wb") as errors:
            self.process = subprocess.Popen(
                [node, str(HERE / "node" / "host.mjs")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def send(self, message: dict[str, Any]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    async def reader(self) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
        """Its output, for the running event loop."""
        assert self.process.stdout
        stream = asyncio.StreamReader(limit=2**24)
        # A copy, since the loop closes what it reads from.
        pipe = os.fdopen(os.dup(self.process.stdout.fileno()), "rb", 0)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        return stream, transport

    def end(self) -> None:
        """Close stdin, which ends it; kill it if that does not help."""
        assert self.process.stdin
        assert self.process.stdout
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class NodeProcess:
    """One run of a script: `call` runs a command in it, `event` waits for a line that it wrote by itself."""

    def __init__(self, host: Host, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self._host = host
        self._transport = transport
        self._ids = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._changed = asyncio.Condition()
        self._ended = False
        self._closed: bool | None = None
        self.events: list[dict[str, Any]] = []
        #: Ids of the jobs that had an event, by event.
        self.jobs: defaultdict[str, set[str]] = defaultdict(set)
        self._reader = asyncio.create_task(self._read(reader))

    @classmethod
    async def start(cls, host: Host, script: str, *args: str, version: str) -> NodeProcess:
        started = cls(host, *await host.reader())
        host.send({"start": script, "args": args, "bullmq": VERSIONS[version]})
        await started.event("ready")
        return started

    async def _read(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
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
        number = next(self._ids)
        self._host.send({"id": number, "op": op, "args": args})
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

    async def counts(self) -> dict[str, int]:
        """Jobs by state as Corral counts them. BullMQ 5 has a state more: what waits in a paused queue."""
        counts: dict[str, int] = await self.call("counts")
        counts["waiting"] += counts.pop("paused", 0)
        return counts

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
        return self._host.stderr.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        """kill -9: nothing of it runs any more when this returns."""
        self._host.process.kill()
        self._host.process.wait()

    async def close(self) -> bool:
        """End the script, once. Returns whether its host can run another."""
        if self._closed is None:
            self._closed = await self._close()
        return self._closed

    async def _close(self) -> bool:
        alive = self._host.process.poll() is None
        if alive:
            try:
                self._host.send({"stop": True})
                await self.event("stopped")
            except (AssertionError, OSError):
                alive = False
        self._transport.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        if not alive:
            self._host.end()
        return alive


#: What the fixtures `node` and `workers` give: they start a script of `node/`, or a Corral worker.
Node = Callable[..., Awaitable[NodeProcess]]
Workers = Callable[..., Awaitable[Worker]]
