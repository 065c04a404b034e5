"""Draws docs/architecture.svg: Corral's packages as layers, made from the imports in the code.

    .venv/bin/python tools/imports.py            # write the picture
    .venv/bin/python tools/imports.py --check    # exit 1 if it is old, or an import points up unasked

A package may import what is in its own layer or below. Imports inside functions and under TYPE_CHECKING do
not count: they are how a layer below is let know of one above without needing it.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "corral"
PICTURE = ROOT / "docs" / "architecture.svg"

#: From what users touch to what Redis holds. `library` is the modules right in `corral/`.
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("people and tests", ("cli", "testing")),
    ("over HTTP", ("api", "manage", "dashboard", "doctor")),
    ("runs jobs", ("worker",)),
    ("the queues; what is seen of all", ("queues", "observe")),
    ("the outside", ("providers", "sandbox", "recipients", "sinks", "mail", "imaging")),
    ("helpers", ("credentials", "bulk", "embedded")),
    ("declare, add, look up; the wire", ("library", "deadletters", "bullmq")),
)

#: The imports that point up all the same, and why.
UPWARD = {
    ("library", "cli"): "`python -m corral` is the command line",
    ("library", "worker"): "`scaling` and `needed` tell what a worker's rule decided, in its types",
    ("library", "observe"): "`stats`, `scaling` and `worker_orders` hand out what `observe` has read",
}

_LEVEL = {name: level for level, (_, names) in enumerate(LAYERS) for name in names}


def edges() -> Counter[tuple[str, str]]:
    """How many imports lead from one package into another."""
    files = {_module(file): file for file in SOURCE.rglob("*.py")}
    found: Counter[tuple[str, str]] = Counter()
    for module, file in files.items():
        if module == "corral":
            continue  # it names what is public, from wherever it is
        for target in _imported(ast.parse(file.read_text()), files):
            if target != "corral" and _package(module) != _package(target):
                found[_package(module), _package(target)] += 1
    return found


def upward() -> dict[tuple[str, str], int]:
    """Those that lead into a higher layer."""
    return {pair: count for pair, count in sorted(edges().items()) if _LEVEL[pair[1]] < _LEVEL[pair[0]]}


def _module(file: Path) -> str:
    parts = ["corral", *file.relative_to(SOURCE).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package(module: str) -> str:
    name = module.split(".")[1]
    return name if (SOURCE / name).is_dir() else "library"


def _imported(tree: ast.Module, files: dict[str, Path]) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "corral":
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in files else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.split(".")[0] == "corral")


_STYLE = """
    text { font: 540 13px Inter, system-ui, sans-serif; fill: #1f2315; }
    .small { font-weight: 430; font-size: 11.5px; fill: #5c6250; }
    .band { fill: #f3f5ea; }
    .box { fill: #fbfcf6; stroke: #c9cfb8; }
    .up { font-size: 12px; fill: #a8420f; }
    .rule { stroke-dasharray: none; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e8ebdc; } .small { fill: #a4aa94; } .band { fill: #15180f; }
      .box { fill: #1b1e15; stroke: #3d4330; } .up { fill: #f0935a; }
    }"""
_WIDTH, _BAND, _GAP, _LEFT = 880, 64, 10, 190


def picture() -> str:
    """The SVG. A box tells how many packages it uses; the last line names the imports that point up."""
    pairs = edges()
    drawn = []
    for level, (title, names) in enumerate(LAYERS):
        y = level * (_BAND + _GAP)
        drawn.append(f'<rect class="band" x="0" y="{y}" width="{_WIDTH}" height="{_BAND}" rx="8"/>')
        lines = title.split("; ")
        top = y + _BAND / 2 + 4 - (len(lines) - 1) * 7.5
        for number, line in enumerate(lines):
            drawn.append(f'<text class="small" x="14" y="{top + number * 15:g}">{escape(line)}</text>')
        width = (_WIDTH - _LEFT - 10) / len(names)
        for place, name in enumerate(names):
            x = _LEFT + place * width
            uses = sum(source == name for source, _ in pairs)
            used = sum(target == name for _, target in pairs)
            drawn.append(
                f'<rect class="box" x="{x:g}" y="{y + 9}" width="{width - 8:g}" height="{_BAND - 18}"/>'
                f'<text x="{x + 12:g}" y="{y + 29}">{name}</text>'
                f'<text class="small" x="{x + 12:g}" y="{y + 45}">uses {uses}, used by {used}</text>'
            )
    height = len(LAYERS) * (_BAND + _GAP) + 12
    exceptions = ", ".join(f"{source} → {target}" for source, target in upward())
    drawn.append(
        f'<text class="up" x="14" y="{height - 6}">Imports that point up: {escape(exceptions)}</text>'
    )
    label = "Corral's packages as layers: each imports its own and those below; exceptions are named below"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img"'
        f' viewBox="0 0 {_WIDTH} {height}"\n'
        f'  aria-label="{label}">\n  <style>{_STYLE}\n  </style>\n'
        "  " + "\n  ".join(drawn) + "\n</svg>\n"
    )


def main() -> int:
    if homeless := {name for pair in edges() for name in pair} - _LEVEL.keys():
        print(f"say in LAYERS of tools/imports.py where these belong: {', '.join(homeless)}", file=sys.stderr)
        return 1
    new = sorted(set(upward()) - set(UPWARD))
    for source, target in new:
        print(f"{source} imports {target}, which is in a layer above it", file=sys.stderr)
    if "--check" not in sys.argv:
        PICTURE.write_text(picture())
    elif not PICTURE.exists() or PICTURE.read_text() != picture():
        print("docs/architecture.svg is old: .venv/bin/python tools/imports.py", file=sys.stderr)
        return 1
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
