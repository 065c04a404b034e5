"""The wheel and the source release: what is in them, and that they work where nothing else is installed."""

from __future__ import annotations

import json
import re
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from release import ROOT, Built, Environment, installed, pythons, run

from corral.extras import MODULES

#: A fetch and an install of 85 packages, on a machine that is busy.
pytestmark = pytest.mark.timeout(600)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def in_wheel(built: Built) -> set[str]:
    with zipfile.ZipFile(built.wheel) as wheel:
        return set(wheel.namelist())


def in_source(built: Built) -> set[str]:
    with tarfile.open(built.source) as source:
        return {name.partition("/")[2] for name in source.getnames()}


def test_the_wheel_has_every_file_of_the_package_and_the_built_pages(built: Built) -> None:
    package = ROOT / "src"
    wanted = {
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and "egg-info" not in str(path)
    }
    assert {path for path in wanted if "/static/" not in path} <= in_wheel(built)
    assert {
        "corral/py.typed",
        "corral/dashboard/static/index.html",
        "corral/manage/settings_docs.json",
    } <= in_wheel(built)
    assert any(re.fullmatch(r"corral/dashboard/static/assets/.+\.js", name) for name in in_wheel(built))


def test_nothing_else_is_in_the_wheel(built: Built) -> None:
    tops = {name.partition("/")[0] for name in in_wheel(built)}
    version = PROJECT["version"]
    assert tops == {"corral", "pytest_corral.py", f"corral-{version}.dist-info"}
    assert not [
        name for name in in_wheel(built) if re.search(r"__pycache__|\.pyc$|/tests?/|node_modules", name)
    ]
    licences = {name.rpartition("/")[2] for name in in_wheel(built) if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}


def test_the_source_release_has_the_pages_and_what_they_are_built_from(built: Built) -> None:
    names = in_source(built)
    assert {"src/corral/dashboard/static/index.html", "ui/package-lock.json", "ui/vite.config.ts"} <= names
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]
    tops = {name.partition("/")[0] for name in names if name}
    assert tops == {"src", "ui", "hatch_build.py", "pyproject.toml", "PKG-INFO", "README.md", "CHANGELOG.md",
                    "LICENSE", "NOTICE"}  # fmt: skip


ADD = """
import sys
from corral import Queue
queue = Queue("packaged", redis_url=sys.argv[1])
print(queue.sync.add("build", {"month": "2026-11"}).id)
print(*sorted(sys.modules))
"""


@pytest.fixture(scope="module", params=pythons())
def plain(
    request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """`pip install corral`, with each Python of the machine."""
    return installed(pythons()[request.param], tmp_path_factory.mktemp("plain"), built.wheel)


def test_a_plain_install_adds_a_job_and_has_no_extra(plain: Environment, redis_url: str) -> None:
    run([*plain.pip, "check"])
    job_id, modules = plain.run("python", "-c", ADD, redis_url).splitlines()
    assert job_id == "1"
    loaded = {name for brought in MODULES.values() for name in brought} & set(modules.split())
    assert not loaded
    assert "corral.worker.worker" not in modules.split()


def test_a_plain_install_says_what_to_install(plain: Environment) -> None:
    missing = "import corral.extras as e; e.require(%r, 'This')"
    for extra in MODULES:
        with pytest.raises(pytest.fail.Exception, match=rf"pip install 'corral\[{extra}\]'"):
            plain.run("python", "-c", missing % extra)
    with pytest.raises(
        pytest.fail.Exception, match=r"The command line needs .* pip install 'corral\[worker\]'"
    ):
        plain.run("corral", "--version")


def test_everything_installed_from_the_wheel_runs_the_demo(built: Built, tmp_path: Path) -> None:
    environment = installed(sys.executable, tmp_path / "all", built.wheel, "[all]")
    run([*environment.pip, "check"])
    done = json.loads(environment.run("corral", "demo", "--json", "--api-port", "0"))
    assert {job["queue"] for job in done} >= {"kyc-verification", "image-processing", "email"}


def test_each_extra_has_the_packages_whose_modules_are_asked_for() -> None:
    assert set(EXTRAS) == {*MODULES, "all", "dev"}
    (everything,) = EXTRAS["all"]
    assert set(re.findall(r"[a-z]+", everything)) == {"corral", *MODULES}
    owners = packages_distributions()
    for extra, modules in MODULES.items():
        named = {re.split(r"[\[<>=;~!]", line)[0].strip() for line in EXTRAS[extra]}
        for module in modules:
            top = module.partition(".")[0]
            owned = {name.lower().replace("_", "-") for name in owners.get(top, [])}
            assert owned & named, f"{extra}: {module}"
