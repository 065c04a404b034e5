"""Reading what handlers recorded (see sides/recorder.py): counts, stamps, latencies."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.programs import Program, ProgramFailed
from bench.sides.recorder import CAPACITY, HEADER, ONE, UNSAID

#: Seconds without a further job after which a peer counts as stuck.
STUCK_SECONDS = 60


@dataclass(frozen=True)
class Seen:
    """The handlers' starts so far; stamps on the monotonic clock."""

    count: int
    first: float
    last: float


class Recordings:
    """`with Recordings() as recordings: Program(command, recordings.env)`."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self.env = {"BENCH_RECORD": self._folder.name}
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def _files(self) -> list[Path]:
        return list(Path(self._folder.name).glob("*.stamps"))

    def seen(self) -> Seen:
        headers = []
        for path in self._files():
            with path.open("rb") as file:
                head = file.read(HEADER.size)
            if len(head) == HEADER.size:
                headers.append(HEADER.unpack(head))
        started = [head for head in headers if head[0]]
        return Seen(
            int(sum(head[0] for head in started)),
            min((head[1] for head in started), default=0.0),
            max((head[2] for head in started), default=0.0),
        )

    def wait_for(self, count: int, program: Program, look_seconds: float = 0.02) -> Seen:
        """Until so many handlers have started."""
        before, since = -1, time.monotonic()
        while True:
            seen = self.seen()
            if seen.count >= count:
                return seen
            if seen.count != before:
                before, since = seen.count, time.monotonic()
            elif time.monotonic() - since > STUCK_SECONDS:
                raise ProgramFailed(f"stuck at {seen.count:,} of {count:,} jobs.\n{program.errors()}")
            program.check()
            time.sleep(look_seconds)

    def latencies(self, skip: int = 0) -> list[float]:
        """Seconds from being sent to the start of the handler, sorted, without the first `skip` jobs."""
        found: list[float] = []
        files = self._files()
        for path in files:
            with path.open("rb") as file:
                count = min(int(HEADER.unpack(file.read(HEADER.size))[0]), CAPACITY)
                values = [value for (value,) in ONE.iter_unpack(file.read(count * ONE.size))]
            # Where several processes share the work, each leaves out its part.
            left_out = min(count, -(-skip // len(files)))
            found += (value for value in values[left_out:] if value != UNSAID)
        return sorted(found)


def percentile(values: list[float], share: float) -> float:
    """Of sorted values."""
    return values[min(len(values) - 1, int(len(values) * share))]


def in_ms(latencies: list[float]) -> dict[str, float]:
    """p50 and p99, as every latency here is told."""
    if not latencies:
        raise ProgramFailed("no job was stamped")
    return {"p50_ms": percentile(latencies, 0.5) * 1e3, "p99_ms": percentile(latencies, 0.99) * 1e3}
