"""Picture sets: one 4000 x 3000 JPEG to four sizes, Corral's engine beside sharp.

Both sides do the same work: the same source bytes in memory, the same sizes and formats, JPEG at quality
80 (4:2:0, optimised), WebP at quality 80 and effort 4, orientation applied, metadata dropped. Both stand on
the same libvips. Corral is measured as its queue uses it, through the render pool with its child processes;
sharp as its documentation shows it, one pipeline a size, all sizes at once.

Two loads: "machine", as many pictures at a time as there are cores, sharp with its usual four threads; and
"core", one picture at a time on one core each (Corral one child, sharp one thread). Beside the rate stands
the processor time a picture takes, which a neighbour on the machine disturbs least.
That the speed is not bought with quality is said with the result: the distance of both sides' results from
a reference that is reduced from all pixels and stored without loss.

`python -m bench images`, or `run()` for this alone.
"""

from __future__ import annotations

import asyncio
import functools
import json
import math
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import psutil
import pyvips

from bench.programs import PEERS, ProgramFailed, node
from bench.scenario import Metric, Peer, Result, Scale, Scenario, Target, order
from corral.imaging.pipeline import render
from corral.imaging.plan import Format, Plan, Size
from corral.imaging.pool import RenderPool, cores

WIDTH, HEIGHT = 4000, 3000
#: Pictures that one lane makes of each set.
PICTURES, PICTURES_QUICK = 3, 1
ROUNDS = 5
TARGET = 1.3
#: libuv's own number, which sharp lives on.
SHARP_THREADS = 4

Spent = dict[Literal["seconds", "cpu"], float]
Sizes = tuple[tuple[int, int, Format], ...]
SETS: dict[str, Sizes] = {
    "jpeg": ((1600, 1200, "jpeg"), (800, 600, "jpeg"), (400, 300, "jpeg"), (200, 150, "jpeg")),
    "webp": ((1600, 1200, "webp"), (800, 600, "webp"), (400, 300, "webp"), (200, 150, "webp")),
    # A <picture> element's sources: two widths, each as WebP and as JPEG for those who cannot.
    "both": ((1600, 1200, "webp"), (1600, 1200, "jpeg"), (400, 300, "webp"), (400, 300, "jpeg")),
}
LOADS = {"machine": cores(), "core": 1}


@functools.cache
def source() -> bytes:
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


def pictures(scale: Scale) -> int:
    return PICTURES_QUICK if scale.quick else PICTURES


# Corral


def plan(sizes: Sizes) -> Plan:
    return Plan(tuple(Size(width, height, format_) for width, height, format_ in sizes))


def corral(scale: Scale) -> dict[str, float]:
    """Pictures a second and processor milliseconds a picture, by load and set."""
    numbers: dict[str, float] = {}
    for load, lanes in LOADS.items():
        count = pictures(scale) * lanes
        numbers |= as_numbers(load, count, asyncio.run(_measure_corral(lanes, count)))
    return numbers


def as_numbers(load: str, count: int, found: dict[str, Spent]) -> dict[str, float]:
    rates = {f"{load}_{name}": count / spent["seconds"] for name, spent in found.items()}
    return rates | {f"{load}_{name}_cpu": 1000 * spent["cpu"] / count for name, spent in found.items()}


async def _measure_corral(lanes: int, count: int) -> dict[str, Spent]:
    content = source()

    async def make(pool: RenderPool, sizes: Sizes, total: int) -> Spent:
        left = iter(range(total))

        async def lane() -> None:
            for _ in left:
                await pool.render(content, plan(sizes), 120)

        start, before = time.perf_counter(), _cpu_seconds()
        await asyncio.gather(*(lane() for _ in range(lanes)))
        return {"seconds": time.perf_counter() - start, "cpu": _cpu_seconds() - before}

    found: dict[str, Spent] = {}
    async with RenderPool(lanes) as pool:
        for name, sizes in SETS.items():
            await make(pool, sizes, lanes)  # warm
            found[name] = await make(pool, sizes, count)
    return found


def _cpu_seconds() -> float:
    """Processor time of this process, which feeds the pool, and of the pool's children."""
    here = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (here, *here.children()))


# sharp


def sharp(scale: Scale) -> dict[str, float]:
    """The same of sharp."""
    numbers: dict[str, float] = {}
    sets = {name: as_json(sizes) for name, sizes in SETS.items()}
    for load, lanes in LOADS.items():
        count = pictures(scale) * lanes
        request = {"sets": sets, "pictures": count, "lanes": lanes}
        found = ask_sharp(request, threads=1 if load == "core" else SHARP_THREADS)
        numbers |= as_numbers(load, count, found)
    return numbers


def as_json(sizes: Sizes) -> list[dict[str, Any]]:
    return [{"width": width, "height": height, "format": format_} for width, height, format_ in sizes]


def ask_sharp(request: dict[str, Any], *, threads: int) -> dict[str, Any]:
    install_sharp()
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(source())
        file.flush()
        done = subprocess.run(
            node("images/sharp.mjs", file.name, json.dumps(request)),
            env=os.environ | {"UV_THREADPOOL_SIZE": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise ProgramFailed(f"sharp ended with {done.returncode}.\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def install_sharp() -> None:
    """`npm ci` in its folder, once. It has a lock of its own, so that the other peers do not wait for it."""
    folder = PEERS / "images"
    if (folder / "node_modules" / "sharp").exists():
        return
    # npm lives beside node, wherever that was found.
    npm = str(Path(node("")[0]).with_name("npm"))
    done = subprocess.run(
        [npm, "ci", "--loglevel=error"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProgramFailed(f"npm ci failed in {folder.name}.\n{done.stderr[-2000:]}")


# Quality


def quality() -> list[str]:
    """What both sides' results are worth, as notes."""
    sizes = SETS["both"] + SETS["jpeg"][1:2]
    original = pyvips.Image.new_from_buffer(source(), "").copy_memory()
    ours = [image.content for image in render(source(), plan(sizes)).images]
    notes = ["Distance from a lossless reduction of all pixels (more is better), Corral / sharp:"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            names = ask_sharp({"sizes": as_json(sizes), "folder": folder}, threads=1)["files"]
        except ProgramFailed as error:
            return [f"Quality was not compared: {error}"]
        theirs = [Path(name).read_bytes() for name in names]
    for (width, height, format_), a, b in zip(sizes, ours, theirs, strict=True):
        reference = original.resize(width / WIDTH, vscale=height / HEIGHT, kernel="lanczos3")
        notes.append(
            f"- {width} x {height} {format_}: "
            f"{decibels(reference, a):.2f} / {decibels(reference, b):.2f} dB, "
            f"{len(a) / 1000:.0f} / {len(b) / 1000:.0f} KB"
        )
    return notes


def decibels(reference: Any, content: bytes) -> float:
    difference = reference - pyvips.Image.new_from_buffer(content, "")
    error = (difference * difference).avg()
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


_PLACES = {"machine": "all cores", "core": "one core"}
RATES = tuple(
    Metric(f"{load}_{name}", f"pictures/s, {name}, {_PLACES[load]}", digits=2)
    for load in LOADS
    for name in SETS
)
COSTS = tuple(
    Metric(f"{load}_{name}_cpu", f"processor ms/picture, {name}, {_PLACES[load]}")
    for load in LOADS
    for name in SETS
)
SCENARIO = Scenario(
    name="images",
    title="Image set: a 4000 x 3000 JPEG to four sizes",
    peers=(Peer("Corral", corral), Peer("sharp", sharp)),
    metrics=RATES + COSTS,
    over_network=False,
    targets=tuple(
        Target(metric.key, "Corral", "sharp", at_least=TARGET if metric.key.startswith("machine") else None)
        for metric in RATES
    ),
    notes=lambda: ["\n".join(quality())],
)


def run(rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure in turns, print the best of each side and the ratios, return all figures.

    `ratio` is the lowest ratio of the sets with all cores at work.
    """
    result = Result(SCENARIO)
    for number in range(rounds):
        for peer in order(SCENARIO.peers, number):
            result.add(peer.name, peer.measure(Scale(quick=False)))
    ratios: dict[str, float] = {}
    print(f"{'best of ' + str(rounds):38} {'Corral':>8} {'sharp':>8} {'ratio':>7}")
    for metric in RATES + COSTS:
        is_cost = metric in COSTS
        best = min if is_cost else max
        ours, theirs = (best(result.values[peer.name][metric.key]) for peer in SCENARIO.peers)
        ratios[metric.key] = theirs / ours if is_cost else ours / theirs
        print(f"{metric.label:38} {ours:8.2f} {theirs:8.2f} {ratios[metric.key]:7.2f}")
    notes = quality()
    print("\n".join(notes))
    lowest = min(ratios[f"machine_{name}"] for name in SETS)
    print(f"lowest ratio with all cores at work: {lowest:.2f} (target {TARGET})")
    return {"name": "images", "ratio": lowest, "ratios": ratios, "values": result.values, "notes": notes}


if __name__ == "__main__":
    run()
