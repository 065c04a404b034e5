"""What one image job takes of the memory: the peak of the rendering process, for the worst files that pass.

Run as `python -m bench.image_memory`; some minutes, 3 GiB of free memory. Every source has 8160 x 6120
pixels (50 megapixels, the limit). Typical: four WebP sizes from 1600 x 1200 down. Worst: eight sizes close
to 4096 x 4096, each cropped by attention, so that no size can be made from another. Resident and mapped
memory are on top of what the process has when it is ready.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyvips

from corral.imaging.frames import Refused
from corral.imaging.plan import Plan, Size
from corral.imaging.renderer import COMMAND, Renderer

WIDTH, HEIGHT = 8160, 6120
#: Bytes; out of the way of what is measured.
ROOM = 6 * 2**30
SECONDS = 300.0

TYPICAL = Plan(tuple(Size(w, h) for w, h in ((1600, 1200), (800, 600), (400, 300), (150, 150))))
WORST = Plan(
    tuple(
        Size(4096 - 8 * n, 4096 - 4 * n, "webp", fit="cover", crop="attention", quality=80) for n in range(8)
    )
)


def _picture(bands: int) -> Any:
    # Blocks of one colour: the memory is the same as for any picture, and the file stays below 20 MiB.
    planes = [
        pyvips.Image.gaussnoise(WIDTH // 16, HEIGHT // 16 + 1, mean=128, sigma=40, seed=seed)
        for seed in range(bands)
    ]
    small = planes[0].bandjoin(planes[1:]).cast("uchar").copy(interpretation="srgb")
    return small.zoom(16, 16).crop(0, 0, WIDTH, HEIGHT).copy_memory()


def _deep(bands: int) -> Any:
    return (_picture(bands).cast("ushort") * 257).cast("ushort").copy(interpretation="rgb16")


SOURCES: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: _picture(3).jpegsave_buffer(Q=60),
    "JPEG, progressive, 4:4:4": lambda: _picture(3).jpegsave_buffer(
        Q=60, interlace=True, subsample_mode="off"
    ),
    "JPEG, progressive, CMYK": lambda: (
        _picture(3).icc_transform("cmyk", input_profile="srgb").jpegsave_buffer(Q=60, interlace=True)
    ),
    "PNG, 8 bits": lambda: _picture(3).pngsave_buffer(compression=1),
    "PNG, RGBA, 8 bits, interlaced": lambda: _picture(4).pngsave_buffer(compression=1, interlace=True),
    "PNG, RGBA, 16 bits, interlaced": lambda: _deep(4).pngsave_buffer(
        compression=1, interlace=True, bitdepth=16
    ),
    "WebP, lossy": lambda: _picture(3).webpsave_buffer(Q=60, effort=0),
    "WebP, lossless with alpha": lambda: _picture(4).webpsave_buffer(lossless=True, effort=0),
    "GIF": lambda: _picture(3).gifsave_buffer(effort=1, dither=0),
    "AVIF, 8 bits, 4:2:0": lambda: _picture(3).heifsave_buffer(Q=50, compression="av1", effort=0),
    "AVIF, 12 bits, 4:4:4, alpha": lambda: _deep(4).heifsave_buffer(
        Q=50, compression="av1", effort=0, bitdepth=12, subsample_mode="off"
    ),
}


def main() -> None:
    """Print a table; arguments are the names of sources to measure, default all."""
    print("| source | typical, MiB | worst, MiB | worst, mapped MiB | seconds |\n|---|---|---|---|---|")
    for name in sys.argv[1:] or SOURCES:
        content = SOURCES[name]()
        typical, worst = (_peaks(content, plan) for plan in (TYPICAL, WORST))
        print(f"| {name} | {typical[0]} | {worst[0]} | {worst[1]} | {worst[2]} |", flush=True)


def _peaks(content: bytes, plan: Plan) -> tuple[str, str, str]:
    renderer = Renderer(COMMAND, ROOM)
    try:
        resident, mapped = _status(renderer.pid, "VmRSS", "VmSize")
        started = _cpu_seconds(renderer.pid)
        reply = renderer.render(content, plan, SECONDS)
        if isinstance(reply, Refused):
            return reply.reason, "", ""
        peak, peak_mapped = _status(renderer.pid, "VmHWM", "VmPeak")
        seconds = _cpu_seconds(renderer.pid) - started
        return f"{peak - resident:.0f}", f"{peak_mapped - mapped:.0f}", f"{seconds:.1f}"
    finally:
        renderer.close()


def _status(pid: int, *fields: str) -> list[float]:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return [int(lines[field].split()[0]) / 1024 for field in fields]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    main()
