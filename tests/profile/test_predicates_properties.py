"""Properties of predicates on random trees: round trips, exact complements, an independent oracle for the SQL."""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Iterator
from datetime import date
from typing import Any

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from limner_profile.predicates import (
    AllOf,
    AnyOf,
    Between,
    Compare,
    Known,
    Like,
    Not,
    OneOf,
    Predicate,
    Value,
    load,
    parse,
)

POOLS: dict[str, list[Any]] = {
    "n": [-1, 0, 0.1, 2.5, 1e6],
    "s": ["", "it's", "北京", "\\", "'; DROP TABLE t; --"],
    "b": [True, False],
    "d": [date(1969, 12, 31), date(2025, 1, 31), date(2025, 2, 1)],
}
ROWS = [dict(zip(POOLS, row, strict=True)) for row in itertools.product(*([None, *pool] for pool in POOLS.values()))]
OPERATORS = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


PATTERNS = st.lists(
    st.sampled_from(["%", "_", r"\%", r"\_", r"\\", "'", "I", "t", "京", "DROP", "?", "[", "*", "\n", "--"]), max_size=5
).map("".join)


def leaves(fields: st.SearchStrategy[tuple[str, st.SearchStrategy[Value]]]) -> st.SearchStrategy[Predicate]:
    """Predicates on one field; `fields` gives a name and its literals."""

    def of(field: tuple[str, st.SearchStrategy[Value]]) -> st.SearchStrategy[Predicate]:
        name, literal = field
        ends = st.tuples(literal, literal).filter(lambda pair: not isinstance(pair[0], bool))
        kinds: list[st.SearchStrategy[Predicate]] = [
            st.builds(
                Compare, field=st.just(name), operator=st.sampled_from(list(OPERATORS)), value=literal,
                include_unknown=st.booleans(),
            ),
            st.builds(
                OneOf, field=st.just(name), values=st.lists(literal, min_size=1, max_size=4).map(tuple),
                negated=st.booleans(), include_unknown=st.booleans(),
            ),
            st.builds(Known, field=st.just(name), known=st.booleans()),
        ]  # fmt: skip
        if name not in {"n", "b", "d"}:
            kinds.append(
                st.builds(
                    Like, field=st.just(name), pattern=PATTERNS, negated=st.booleans(), ignore_case=st.booleans(),
                    include_unknown=st.booleans(),
                )
            )  # fmt: skip
        if name != "b":
            kinds.append(
                st.builds(
                    lambda pair, unknown: Between(field=name, low=min(pair), high=max(pair), include_unknown=unknown),
                    ends, st.booleans(),
                )
            )  # fmt: skip
        return st.one_of(kinds)

    return fields.flatmap(of)


def trees(leaf: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    def grow(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
        parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
        return st.one_of(st.builds(AllOf, parts=parts), st.builds(AnyOf, parts=parts), st.builds(Not, part=inner))

    return st.recursive(leaf, grow, max_leaves=8)


WILD_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
WILD_VALUES: list[st.SearchStrategy[Value]] = [
    st.integers(-(2**63) + 1, 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer() or abs(x) < 2**53),
    WILD_TEXT,
    st.dates(),
]
WILD_NAMES = st.one_of(WILD_TEXT.filter(bool), st.sampled_from(["and", "IN", "date", "城市", "a b", 'a"b', "x'y"]))
wild_trees = trees(leaves(st.tuples(WILD_NAMES.filter(lambda name: name != "b"), st.sampled_from(WILD_VALUES))))
pool_trees = trees(leaves(st.sampled_from([(name, st.sampled_from(pool)) for name, pool in POOLS.items()])))


def holds(node: Predicate, row: dict[str, Any]) -> bool:
    """The oracle: plain Python over one row, written from the language's description, not from its SQL."""
    if isinstance(node, AllOf):
        return all(holds(part, row) for part in node.parts)
    if isinstance(node, AnyOf):
        return any(holds(part, row) for part in node.parts)
    if isinstance(node, Not):
        return not holds(node.part, row)
    assert isinstance(node, Compare | OneOf | Between | Known | Like)
    value = row[node.field]
    if isinstance(node, Known):
        return (value is not None) == node.known
    if value is None:
        return node.include_unknown
    if isinstance(node, Compare):
        return bool(OPERATORS[node.operator](value, node.value))
    if isinstance(node, OneOf):
        return (value in node.values) != node.negated
    if isinstance(node, Like):
        return fits(value, node.pattern, node.ignore_case) != node.negated
    return bool(node.low <= value <= node.high)


def fits(value: str, pattern: str, ignore_case: bool) -> bool:
    """LIKE by trying every way to spend the text, letter by letter."""
    if ignore_case:
        value, pattern = value.lower(), pattern.lower()
    if not pattern:
        return not value
    first, rest = pattern[0], pattern[1:]
    if first == "%":
        return any(fits(value[at:], rest, False) for at in range(len(value) + 1))
    if first == "\\":
        first, rest = rest[0], rest[1:]
    elif first == "_":
        return bool(value) and fits(value[1:], rest, False)
    return bool(value) and value[0] == first and fits(value[1:], rest, False)


def column(name: str) -> exp.Expression:
    return exp.column(name, quoted=True)


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("CREATE TABLE t (i INTEGER, n DOUBLE, s VARCHAR, b BOOLEAN, d DATE)")
        con.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", [[i, *row.values()] for i, row in enumerate(ROWS)])
        yield con


@given(tree=wild_trees)
@settings(max_examples=150, deadline=None)
def test_text_round_trip(tree: Predicate) -> None:
    again = parse(tree.to_text())
    assert again == tree
    assert again.to_text() == tree.to_text()


@given(tree=wild_trees)
@settings(max_examples=100, deadline=None)
def test_dictionary_round_trip(tree: Predicate) -> None:
    assert load(tree.model_dump()) == tree
    again = load(json.loads(tree.model_dump_json()))
    assert again == tree
    assert again.to_text() == tree.to_text()


@given(tree=wild_trees)
@settings(max_examples=60, deadline=None)
def test_both_engines_read_their_sql(tree: Predicate) -> None:
    for dialect in ("duckdb", "spark"):
        sql = tree.to_sql(column).sql(dialect)
        assert sqlglot.parse_one(sql, dialect=dialect).sql(dialect) == sql


@given(tree=pool_trees)
@settings(max_examples=150, deadline=None)
def test_duckdb_agrees_with_the_oracle_and_a_negation_is_the_complement(
    rows: duckdb.DuckDBPyConnection, tree: Predicate
) -> None:
    def matching(predicate: Predicate) -> set[int]:
        sql = predicate.to_sql(column).sql("duckdb")
        return {i for (i,) in rows.execute(f"SELECT i FROM t WHERE {sql}").fetchall()}

    found = matching(tree)
    assert found == {i for i, row in enumerate(ROWS) if holds(tree, row)}
    assert matching(Not(part=tree)) == set(range(len(ROWS))) - found
    assert matching(parse(tree.to_text())) == found
