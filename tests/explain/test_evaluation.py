"""The evaluator in memory against DuckDB running the predicate's own SQL on the same rows."""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from limner_explain.candidates import CandidateSettings, evaluate_conditions, make_candidates
from limner_explain.evaluation import TagTable, read_column
from limner_profile.errors import InternalError, UnknownNameError
from limner_profile.predicates import Predicate, parse


def rows_with_gaps(rows: int, seed: int) -> pd.DataFrame:
    """Tag values of every kind, each with unknowns in it."""
    rng = np.random.default_rng(seed)
    gaps = rng.random((rows, 5)) < 0.15
    cities = rng.choice(["北京", "it's", "", "Zürich"], rows).astype(object)
    flags = rng.choice([True, False], rows).astype(object)
    cities[gaps[:, 0]], flags[gaps[:, 1]] = None, None
    return pd.DataFrame(
        {
            "orders": np.where(gaps[:, 2], np.nan, rng.poisson(0.8, rows)),
            "spend": np.where(gaps[:, 3], np.nan, np.round(rng.lognormal(3, 1, rows), 2)),
            "balance": np.where(gaps[:, 4], np.nan, rng.normal(0, 50, rows)),
            "city": cities,
            "is_member": flags,
        }
    )


def matched_by_duckdb(frame: pd.DataFrame, predicates: Sequence[Predicate]) -> list[list[bool]]:
    """One flag a row for each predicate, from its SQL on a table with real NULLs."""
    with duckdb.connect() as con:
        con.execute(
            "CREATE TABLE t (id INTEGER, orders BIGINT, spend DOUBLE, balance DOUBLE, city VARCHAR, is_member BOOLEAN)"
        )
        rows = [
            [at, *(None if pd.isna(value) else value for value in row)]
            for at, row in enumerate(frame.itertuples(index=False))
        ]
        con.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)", rows)
        matched = []
        for predicate in predicates:
            where = predicate.to_sql(lambda name: exp.column(name, quoted=True)).sql("duckdb")
            found = {at for (at,) in con.execute(f"SELECT id FROM t WHERE {where}").fetchall()}
            matched.append([at in found for at in range(len(frame))])
    return matched


TEXTS = [
    "orders = 0",
    "orders != 1",
    "orders != 1 include_unknown",
    "spend >= 20.5",
    "balance < -12 include_unknown",
    "balance between -10 and 35.5",
    "balance between -10 and 35.5 include_unknown",
    "city = 'it''s'",
    "city != ''",
    "city in ('北京', 'Zürich') include_unknown",
    "city not in ('北京', 'Zürich')",
    "city not in ('北京', 'Zürich') include_unknown",
    "is_member = true",
    "is_member != true",
    "is_member is unknown",
    "spend is known",
    "spend > 10 and is_member = false",
    "not (orders >= 1 and city = '北京')",
    "orders > 0 or city is unknown",
]


@pytest.mark.parametrize("text", TEXTS)
def test_memory_and_duckdb_match_the_same_rows(text: str) -> None:
    frame = rows_with_gaps(120, seed=5)
    predicate = parse(text)
    flags = TagTable(frame).evaluate(predicate)
    assert 0 < flags.sum() < len(frame)
    assert [flags.tolist()] == matched_by_duckdb(frame, [predicate])


@given(st.integers(0, 10_000))
@settings(max_examples=5, deadline=None)
def test_every_candidate_matches_the_same_rows_in_duckdb(seed: int) -> None:
    frame = rows_with_gaps(80, seed)
    made = make_candidates(frame, settings=CandidateSettings(min_share=0, min_count=3, quantiles=(0.2, 0.5, 0.9)))
    assert len(made.conditions) > 15
    reread = [parse(condition.text) for condition in made.conditions]
    assert reread == [condition.predicate for condition in made.conditions]
    assert made.matrix.T.tolist() == matched_by_duckdb(frame, reread)
    assert (evaluate_conditions(made.conditions, frame) == made.matrix).all()


def test_kinds_and_unknowns_are_read_from_every_dtype() -> None:
    columns: dict[str, tuple[pd.Series[Any], str, list[bool]]] = {
        "int64": (pd.Series([1, 2]), "number", [True, True]),
        "Int64": (pd.Series([1, None], dtype="Int64"), "number", [True, False]),
        "decimal": (pd.Series([decimal.Decimal("1.5"), None]), "number", [True, False]),
        "boolean": (pd.Series([True, None], dtype="boolean"), "boolean", [True, False]),
        "object booleans": (pd.Series([None, False], dtype=object), "boolean", [False, True]),
        "str": (pd.Series(["a", None]), "category", [True, False]),
        "category": (pd.Series(["a", None], dtype="category"), "category", [True, False]),
        "date": (pd.Series([pd.Timestamp("2025-01-31"), pd.NaT]), "other", [True, False]),
        "list": (pd.Series([["a"], None]), "other", [True, False]),
    }
    for name, (series, kind, known) in columns.items():
        column = read_column(series)
        assert (name, column.kind, column.known.tolist()) == (name, kind, known)


def test_what_cannot_be_evaluated_is_said_and_not_guessed() -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2025-01-31"]), "city": ["北京"]})
    with pytest.raises(InternalError, match="can be compared"):
        TagTable(frame).evaluate(parse("day >= date '2025-01-01'"))
    with pytest.raises(UnknownNameError, match="did you mean 'city'"):
        TagTable(frame).evaluate(parse("citty = '北京'"))
