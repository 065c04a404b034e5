from __future__ import annotations

import sqlite3

import pytest

from corral.sandbox.filters import BadQuery, column, condition, items, ordering


@pytest.fixture
def table() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:")
    db.execute('create table t ("id" text, "n" integer)')
    db.executemany("insert into t values (?, ?)", [("a", 1), ("b", 2), ("c, d", 3), ('q"', None)])
    return db


@pytest.mark.parametrize(
    ("name", "expression", "ids"),
    [
        ("id", "eq.a", ["a"]),
        ("id", "neq.a", ["b", "c, d", 'q"']),
        ("n", "gt.1", ["b", "c, d"]),
        ("n", "gte.2", ["b", "c, d"]),
        ("n", "lt.2", ["a"]),
        ("n", "lte.1", ["a"]),
        ("n", "is.null", ['q"']),
        ("n", "not.is.null", ["a", "b", "c, d"]),
        ("id", "in.(a,b)", ["a", "b"]),
        ("id", 'in.("c, d","q\\"")', ["c, d", 'q"']),
        ("id", "not.in.(a,b)", ["c, d", 'q"']),
        ("id", "eq.' or 1=1 --", []),
    ],
)
def test_filters_select_what_postgrest_selects(
    table: sqlite3.Connection, name: str, expression: str, ids: list[str]
) -> None:
    sql, values = condition(name, expression)
    assert [row[0] for row in table.execute(f"select id from t where {sql}", values)] == ids


@pytest.mark.parametrize(
    ("name", "expression"), [("id", "a"), ("id", "like.a"), ("id", "in.a"), ("n", "is.7"), ('x"', "eq.1")]
)
def test_what_postgrest_does_not_read_is_an_error(name: str, expression: str) -> None:
    with pytest.raises(BadQuery):
        condition(name, expression)


def test_the_parts() -> None:
    assert items("") == []
    assert items('a, "b,c" ,d') == ["a", "b,c", "d"]
    assert ordering("a.desc,b") == '"a" desc, "b"'
    with pytest.raises(BadQuery):
        column('a"; drop table t; --')
