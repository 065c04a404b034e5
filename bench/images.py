"""Picture sets: one 4000 x 3000 JPEG to four sizes, Corral's engine against sharp, in one run.

Both sides do the same work: the same source bytes in memory, the same sizes and formats, JPEG at quality
80 (4:2:0, optimised), WebP at quality 80 and effort 4, orientation applied, metadata dropped. Both stand on
the same libvips. Corral is measured as its queue uses it, through the render pool with its child processes;
sharp as its documentation shows it, one pipeline a size, all sizes at once.

Two loads: "core", one picture at a time with one thread each; "machine", as many pictures at a time as
there are cores, sharp with its four libuv threads. The sides take turns, the best of ROUNDS counts.
That the speed is not bought with quality is checked too: the distance of each result from a reference
that is reduced from all pixels and stored without loss, in dB (more is better).

The headline is the lowest ratio of the "machine" load over all sets.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyvips

from corral.imaging.pipeline import render
from corral.imaging.plan import Plan, Size
from corral.imaging.pool import RenderPool, cores

PEER = Path(__file__).parent / "peers" / "images"
WIDTH, HEIGHT = 4000, 3000
ROUNDS = 5
#: Pictures a round and lane: long enough that starting and ending the lanes does not count.
PICTURES = 2

SETS: dict[str, tuple[tuple[int, int, str], ...]] = {
    "jpeg": ((1600, 1200, "jpeg"), (800, 600, "jpeg"), (400, 300, "jpeg"), (200, 150, "jpeg")),
    "webp": ((1600, 1200, "webp"), (800, 600, "webp"), (400, 300, "webp"), (200, 150, "webp")),
    # A <picture> element's sources: two widths, each as WebP and as JPEG for those who cannot.
    "both": ((1600, 1200, "webp"), (1600, 1200, "jpeg"), (400, 300, "webp"), (400, 300, "jpeg")),
}
LOADS = {"core": 1, "machine": cores()}
TARGET = 1.3


def photograph() -> bytes:
    """Something with the statistics of a photograph: soft areas, edges of all scales, a little grain."""
    planes = []
    for plane in range(3):
        scene = pyvips.Image.xyz(WIDTH, HEIGHT)[plane % 2] * (120 / WIDTH) + 40
        for scale, contrast in ((512, 40), (128, 25), (32, 14), (8, 7), (2, 4)):
            coarse = pyvips.Image.gaussnoise(
                WIDTH // scale + 2, HEIGHT // scale + 2, mean=0, sigma=contrast, seed=1000 * plane + scale
            )
            scene += coarse.resize(scale, kernel="cubic").crop(0, 0, WIDTH, HEIGHT)
        planes.append(scene.cast("uchar"))
    picture = planes[0].bandjoin(planes[1:]).copy(interpretation="srgb")
    return bytes(picture.jpegsave_buffer(Q=90, optimize_coding=True, keep="none"))


class Sharp:
    """The Node process that measures sharp on request."""

    def __init__(self, source: Path, threads: int) -> None:
        node = shutil.which("node")
        if node is None:
            sys.exit("Node is not on PATH. Run this through `make bench`.")
        self._process = subprocess.Popen(
            [node, str(PEER / "sharp.mjs"), str(source)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"UV_THREADPOOL_SIZE": str(threads)},
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


def install() -> None:
    """Put sharp in its place, once."""
    if not (PEER / "node_modules" / "sharp").exists():
        subprocess.run(["npm", "ci", "--prefix", str(PEER), "--silent"], check=True)


def as_request(sizes: tuple[tuple[int, int, str], ...]) -> list[dict[str, Any]]:
    return [{"width": w, "height": h, "format": f} for w, h, f in sizes]


def as_plan(sizes: tuple[tuple[int, int, str], ...]) -> Plan:
    return Plan(tuple(Size(w, h, f) for w, h, f in sizes))  # type: ignore[arg-type]  # formats by literal


async def corral_seconds(pool: RenderPool, content: bytes, plan: Plan, pictures: int, lanes: int) -> float:
    left = iter(range(pictures))

    async def lane() -> None:
        for _ in left:
            await pool.render(content, plan, 120)

    start = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    return time.perf_counter() - start


async def compare(source: Path, load: str) -> dict[str, dict[str, float]]:
    """Milliseconds a picture of each side, for every set."""
    lanes = LOADS[load]
    pictures = PICTURES * lanes
    content = source.read_bytes()
    sharp = Sharp(source, threads=1 if load == "core" else 4)
    found: dict[str, dict[str, float]] = {}
    async with RenderPool(lanes) as pool:
        for name, sizes in SETS.items():
            plan, request = as_plan(sizes), {"sizes": as_request(sizes)}
            await corral_seconds(pool, content, plan, lanes, lanes)  # warm both sides
            await asyncio.to_thread(sharp.ask, request | {"images": lanes, "inFlight": lanes})
            ours, theirs = [], []
            for _ in range(ROUNDS):
                ours.append(await corral_seconds(pool, content, plan, pictures, lanes))
                answer = await asyncio.to_thread(sharp.ask, request | {"images": pictures, "inFlight": lanes})
                theirs.append(float(answer["seconds"]))
            found[name] = {
                "corral_ms": 1000 * min(ours) / pictures,
                "sharp_ms": 1000 * min(theirs) / pictures,
                "ratio": min(theirs) / min(ours),
            }
    sharp.close()
    return found


def quality(source: Path, folder: Path) -> list[dict[str, Any]]:
    """Bytes and decibels of both sides' results, size for size."""
    sizes = SETS["both"] + SETS["jpeg"][1:2]
    sharp = Sharp(source, threads=1)
    files = sharp.ask({"sizes": as_request(sizes), "folder": str(folder)})["files"]
    sharp.close()
    ours = render(source.read_bytes(), as_plan(sizes)).images
    original = pyvips.Image.new_from_file(str(source)).copy_memory()
    rows = []
    for (width, height, format_), image, name in zip(sizes, ours, files, strict=True):
        reference = original.resize(width / WIDTH, vscale=height / HEIGHT, kernel="lanczos3")
        theirs = Path(name).read_bytes()
        rows.append(
            {
                "size": f"{width}x{height} {format_}",
                "corral_bytes": len(image.content),
                "sharp_bytes": len(theirs),
                "corral_db": decibels(reference, image.content),
                "sharp_db": decibels(reference, theirs),
            }
        )
    return rows


def decibels(reference: Any, content: bytes) -> float:
    difference = reference - pyvips.Image.new_from_buffer(content, "")
    error = (difference * difference).avg()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def run() -> dict[str, Any]:
    """Measure everything, print a table, return the figures."""
    install()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.jpg"
        source.write_bytes(photograph())
        loads = {load: asyncio.run(compare(source, load)) for load in LOADS}
        checked = quality(source, Path(folder))
    headline = min(row["ratio"] for row in loads["machine"].values())
    print(f"{'image set, ms a picture':28} {'Corral':>9} {'sharp':>9} {'ratio':>7}")
    for load, rows in loads.items():
        for name, row in rows.items():
            print(
                f"{load + ', ' + name:28} {row['corral_ms']:9.1f} {row['sharp_ms']:9.1f} {row['ratio']:7.2f}"
            )
    print(f"{'quality, dB (KB)':28} {'Corral':>15} {'sharp':>15}")
    for item in checked:
        ours = f"{item['corral_db']:.2f} ({item['corral_bytes'] / 1000:.0f})"
        theirs = f"{item['sharp_db']:.2f} ({item['sharp_bytes'] / 1000:.0f})"
        print(f"{item['size']:28} {ours:>15} {theirs:>15}")
    print(f"lowest ratio at full load: {headline:.2f} (target {TARGET})")
    return {"name": "images", "ratio": headline, "target": TARGET, "loads": loads, "quality": checked}


if __name__ == "__main__":
    run()
