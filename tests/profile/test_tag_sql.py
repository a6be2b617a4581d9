"""The kind `sql`: what it refuses, and that nothing it allows can fail on a row."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_profile import tags as tag_modules
from limner_profile.compiler import compile_profiles
from limner_profile.sources import FieldType
from limner_profile.tags.base import TAG_KINDS, Tag
from limner_profile.workspace import Schema

TAG_KINDS.discover(tag_modules)
TYPES: dict[str, FieldType] = {"n": "number", "m": "number", "city": "category", "vip": "boolean", "born": "date"}
SCHEMA = Schema({}, TYPES, dict.fromkeys(TYPES, "people"), ("people",), frozenset(), False, False)


def sql(expression: str, **fields: str) -> Tag:
    return TAG_KINDS.get("sql").model_validate({"kind": "sql", "expression": expression, **fields})


@pytest.mark.parametrize(
    "expression",
    ["(select 1)", "n in (select 1)", "exists(select 1)", "n from profiles", "n; drop table x", "n, m", "*", "t.n", "",
     "read_text('x')", "getenv('HOME')", "repeat(city, 9)", "n::int", "cast(n as int)", "try_cast(n as int)", "sum(n)",
     "sum(n) over ()", "count(*)", "power(n, 9)", "exp(n)", "n ** 9", "city || city", "[n]", "{'a': n}", "n as m", "?", "$1",
     "interval 1 day", "current_timestamp", "random()", "x -> x", "n order by 1", "distinct n", "columns(*)", "n +", "(n",
     "n union select 1", "with a as (select 1) select 1", "city like '%x'", "city similar to 'x'", "n + " * 300 + "n",
     "n is distinct from m", "n at time zone 'UTC'", "n in ()"],
)  # fmt: skip
def test_what_is_refused(expression: str) -> None:
    with pytest.raises(ValidationError) as caught:
        sql(expression)
    (error,) = caught.value.errors()
    assert error["type"] == "value_error"
    assert " | " in error["msg"]  # a cause and a remedy


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("city = 3", "could not convert"),
        ("case when vip then city = 3 else false end", "could not convert"),
        ("case when n > 0 then 1 when city > 0 then 2 end", ""),
        ("born > 'soon'", "invalid date"),
        ("n + city", ""),
        ("lower(vip) = 'true'", ""),
        ("vip", "gives a boolean"),
        ("'x'", "gives a category"),
    ],
)
def test_types_that_do_not_fit(expression: str, told: str) -> None:
    (found,) = sql(expression).check_tags(TYPES)
    assert found[0] == ("expression",)
    assert (found[1].code, told in found[1].message) == ("wrong-type", True)


NUMBERS = st.sampled_from(("n", "m", "0", "1", "2.5", "-3", "length(city)"))
CONDITIONS = st.sampled_from(("vip", "city = 'x'", "n > m", "born > '2000-01-01'", "m is null", "n between 0 and m"))


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.tuples(pair, st.sampled_from("+-*/%")).map(lambda it: f"({it[0][0]} {it[1]} {it[0][1]})"),
        st.tuples(pair, st.sampled_from(("coalesce", "greatest", "least", "nullif"))).map(
            lambda it: f"{it[1]}({it[0][0]}, {it[0][1]})"
        ),
        st.tuples(inner, st.sampled_from(("ln", "sqrt", "abs", "floor", "ceil", "round", "-"))).map(
            lambda it: f"{it[1]}({it[0]})"
        ),
        st.tuples(pair, CONDITIONS).map(lambda it: f"case when {it[1]} then {it[0][0]} else {it[0][1]} end"),
        inner.map(lambda it: f"round({it}, 2)"),
    )


@cache
def hostile_rows() -> duckdb.DuckDBPyConnection:
    """A connection to users with every pair of numbers that could make an expression fail."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("CREATE TABLE users_people AS SELECT row_number() OVER ()::VARCHAR AS user_id, * FROM "
                       "(VALUES (0), (-1), (3), (9007199254740993), (NULL)) AS a (n), "
                       "(VALUES (0.0::DOUBLE), (-1e300), (1e300), (1e-300), (NULL)) AS b (m), "
                       "(VALUES ('x', true, DATE '2024-02-29'), ('', false, DATE '1900-01-01'), (NULL, NULL, NULL)) "
                       "AS c (city, vip, born)")  # fmt: skip
    return connection


@settings(max_examples=60, deadline=None)
@given(st.recursive(NUMBERS, _grown, max_leaves=8))
def test_what_is_allowed_never_fails_on_a_row(expression: str) -> None:
    tag = sql(expression)
    assert tag.check_tags(TYPES) == []
    columns = {
        name: TAG_KINDS.get("attribute").model_validate({"kind": "attribute", "attribute": name}) for name in TYPES
    }
    query = compile_profiles({**columns, "it": tag}, datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("UTC"), SCHEMA)
    found = hostile_rows().execute(query.sql(dialect="duckdb")).fetchall()
    assert len(found) == 75
    assert all(row[-1] is None or math.isfinite(row[-1]) for row in found)
