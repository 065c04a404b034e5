"""The examples of the documentation are what they say: run where they can be, compiled everywhere.

Tutorial, how-tos, migration guides and what of `engine/` is a whole program: every block of Python, shell and
JavaScript is run in the page's order against a real server, written to the file that it names, or marked with
the reason why not. All pages: each block of Python compiles, and what it imports from Corral is there. What
is a part of a program runs in test_fragments.py.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import shutil
from pathlib import Path

import pytest
from blocks import RUNNABLE, Block, blocks_of
from page_run import ROOT, PageRun

DOCS = ROOT / "docs"
ENGINE = [DOCS / "engine" / f"{name}.md" for name in ("flows", "running", "testing")]
RUN = sorted([DOCS / "tutorial.md", *DOCS.glob("how-to/*.md"), *DOCS.glob("migrating/*.md"), *ENGINE])
ALL = sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_the_page_runs(page: Path, redis_url: str, tmp_path: Path) -> None:
    blocks = blocks_of(page)
    own_server = any(block.verb == "up" for block in blocks)
    settings = {} if own_server else {"REDIS_URL": redis_url}
    left_out = []
    with PageRun(tmp_path, **settings) as run:
        for block in blocks:
            if missing := lacks(block):
                left_out.append(f"line {block.line}: {missing} is not installed")
            elif block.verb != "no":
                run.do(block)
    if left_out:
        pytest.skip(f"all else ran; {'; '.join(left_out)}")


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_no_block_of_the_page_is_left_out_in_silence(page: Path) -> None:
    silent = [
        block.line
        for block in blocks_of(page)
        if block.language in RUNNABLE and block.verb is None and block.file is None
    ]
    assert not silent, f"lines {silent}: say how they are tested, or why not (see blocks.py)"


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_python_of_the_page_compiles_and_finds_what_it_imports(page: Path) -> None:
    for block in blocks_of(page):
        if block.language == "python":
            tree = compile(
                block.text,
                f"{page.name}:{block.line}",
                "exec",
                ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            )
            for module, name in imports_of_corral(tree):
                assert hasattr(importlib.import_module(module), name) or importlib.util.find_spec(
                    f"{module}.{name}"
                ), f"{page.name}, line {block.line}: {module} has no {name}"


def test_ten_lines_of_the_readme_run(redis_url: str, tmp_path: Path) -> None:
    first = next(block for block in blocks_of(ROOT / "README.md") if block.language == "python")
    ask = (
        "import asyncio\nfrom app import reports, ReportRequest\n"
        "async def main():\n"
        '    job = await reports.add("build", ReportRequest("2026-10"))\n'
        "    print(await job.result(timeout=60))\n"
        "asyncio.run(main())\n"
    )
    with PageRun(tmp_path, REDIS_URL=redis_url) as run:
        (run.folder / "app.py").write_text(first.text)
        run.do(Block("sh", "corral worker app:reports --processes 2", 0, verb="background"))
        run.do(Block("python", ask, 1, verb="run", prints="report-2026-10.pdf"))


def test_a_block_that_fails_is_found(redis_url: str, tmp_path: Path) -> None:
    with PageRun(tmp_path, REDIS_URL=redis_url) as run:
        run.do(Block("sh", "export WORD=kept", 1, verb="run"))
        run.do(Block("sh", 'echo "$WORD"', 2, verb="run", prints="kept"))
        with pytest.raises(AssertionError, match="line 3"):
            run.do(Block("sh", "false", 3, verb="run"))
        with pytest.raises(AssertionError, match="line 4"):
            run.do(Block("python", "print('this')", 4, verb="run", prints="that"))


def imports_of_corral(tree: ast.AST) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "corral":
            found += [(str(node.module), alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "corral":
                    importlib.import_module(alias.name)
    return found


def lacks(block: Block) -> str | None:
    """What the block needs and this machine has not."""
    if block.language == "js" and block.verb in ("run", "background"):
        modules = ROOT / "tests" / "interop" / "node_modules" / "bullmq"
        return None if shutil.which("node") and modules.exists() else "node with tests/interop's packages"
    if block.needs and importlib.util.find_spec(block.needs) is None:
        return block.needs
    return None
