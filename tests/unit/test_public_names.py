"""`corral/__init__.py` lends names when they are asked for; type checkers read the imports above it."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

import corral


def test_every_public_name_is_there_and_is_what_its_module_says() -> None:
    for name in corral.__all__:
        assert getattr(corral, name) is not None
    assert set(corral.__all__) <= set(dir(corral))


def test_the_table_and_the_imports_for_type_checkers_say_the_same() -> None:
    tree = ast.parse(Path(inspect.getfile(corral)).read_text())
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        node.module: tuple(alias.name for alias in node.names)
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
    }
    assert imported == corral._LENT
    assert sorted(corral._HOME) == sorted(corral.__all__)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Quue'"):
        _ = corral.Quue
