"""What says that an extra is missing."""

from __future__ import annotations

import pytest

from corral.errors import ConfigurationError
from corral.extras import MODULES, extra_of, needs, require, told


def absent(module: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {module!r}", name=module)


@pytest.mark.parametrize(
    ("module", "extra"),
    [("pyvips", "images"), ("opentelemetry.sdk.trace", "otel"), ("opentelemetry.trace", None), ("", None)],
)
def test_a_module_belongs_to_an_extra_with_its_parts(module: str, extra: str | None) -> None:
    assert extra_of(module) == extra


def test_a_missing_extra_says_what_to_install() -> None:
    with (
        pytest.raises(ConfigurationError, match=r"Pictures needs pyvips, .*: pip install 'corral\[images\]'"),
        needs("images", "Pictures"),
    ):
        raise absent("pyvips")


def test_the_missing_module_may_be_the_cause_of_what_is_raised() -> None:
    wrapped = ImportError("cannot import corral.cli.api")  # as a command line that imports by name says it
    wrapped.__cause__ = absent("litestar.params")
    with pytest.raises(ConfigurationError, match=r"corral\[server\]"), told("This command"):
        raise wrapped


def test_a_module_that_is_nobodys_stays_the_error_it_is() -> None:
    with pytest.raises(ModuleNotFoundError), needs("images", "Pictures"):
        raise absent("jinja2")
    with pytest.raises(ModuleNotFoundError), told("This command"):
        raise absent("my_own_module")


def test_what_is_installed_is_not_asked_for() -> None:
    for extra in set(MODULES) - {"embedded"}:  # has no wheel for every machine
        require(extra, "A test")
