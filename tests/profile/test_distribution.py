"""Distributions read in one pass, against the same questions asked of DuckDB one column at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.distribution import Bins, read_distributions
from limner_profile.drift import measure_drift, population_stability
from limner_profile.sources import FieldType
from limner_profile.statistics import measure_statistics

TYPES: dict[str, tuple[FieldType, str]] = {
    "few": ("number", "BIGINT"), "large": ("number", "BIGINT"), "amount": ("number", "DOUBLE"), "word": ("category", "VARCHAR"),
    "flag": ("boolean", "BOOLEAN"), "day": ("date", "DATE"), "moment": ("time", "TIMESTAMP"), "never": ("number", "DOUBLE"),
}  # fmt: skip
TAGS = {name: kind for name, (kind, _) in TYPES.items()}
ROW = st.tuples(
    st.none() | st.integers(0, 3),
    # Neighbours above 2**53 are one as a DOUBLE, and two values of the column.
    st.none() | st.integers(2**53, 2**53 + 3),
    st.none() | st.integers(-40, 40).map(lambda n: n / 8) | st.sampled_from([-0.0, 1e300, 1e-300]),
    st.none() | st.sampled_from(["a", "b", "it's", "", "é", *(f"v{n}" for n in range(30))]),
    st.none() | st.booleans(),
    st.none() | st.dates(date(2020, 2, 27), date(2020, 3, 2)),
    st.none() | st.datetimes(datetime(1960, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    st.none(),
)
ROWS = st.lists(ROW, max_size=40)


def snapshot(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[tuple[Any, ...]], as_of: str) -> None:
    connection.execute(f"ATTACH ':memory:' AS {name}")
    connection.execute(f"CREATE TABLE {name}.snapshot AS SELECT CAST('{as_of}' AS TIMESTAMP) AS as_of")
    columns = ", ".join(f'"{column}" {kind}' for column, (_, kind) in TYPES.items())
    connection.execute(f"CREATE TABLE {name}.profiles ({columns})")
    if rows:
        line = "(" + ", ".join("?" for _ in TYPES) + ")"
        values = [value for row in rows for value in row]
        connection.execute(f"INSERT INTO {name}.profiles VALUES {', '.join([line] * len(rows))}", values)


def plain_drift(connection: duckdb.DuckDBPyConnection, name: str, kind: FieldType) -> float:
    """The PSI by its definition, a question for every bin."""

    def column(side: str) -> str:
        if kind in ("category", "boolean"):
            return f"CAST({name} AS VARCHAR)"
        if kind == "number":
            return f"CAST({name} AS DOUBLE)"
        return f"(epoch((SELECT as_of FROM {side}.snapshot)) - epoch(CAST({name} AS TIMESTAMP)))"

    if kind in ("category", "boolean"):
        found = connection.execute(
            f"SELECT {column('old')} AS v, count(*) AS n FROM old.profiles WHERE v IS NOT NULL GROUP BY v ORDER BY n DESC, v LIMIT 20"
        ).fetchall()
        tests = ["v = '" + value.replace("'", "''") + "'" for value, _ in found] or ["false"]
    else:
        tenths = [tenth / 10 for tenth in range(1, 10)]
        (cuts,) = connection.execute(f"SELECT quantile_disc({column('old')}, {tenths}) FROM old.profiles").fetchall()[0]
        tests = [f"v <= {edge!r}::DOUBLE" for edge in sorted(set(cuts or []))] or ["false"]
    counts = []
    for side in ("old", "new"):
        cases = " ".join(f"WHEN {test} THEN {number}" for number, test in enumerate(tests))
        rows = connection.execute(
            f"SELECT CASE WHEN v IS NULL THEN {len(tests) + 1} {cases} ELSE {len(tests)} END AS bin, count(*) "
            f"FROM (SELECT {column(side)} AS v FROM {side}.profiles) GROUP BY bin"
        ).fetchall()
        counts.append([dict(rows).get(number, 0) for number in range(len(tests) + 2)])
    return population_stability(*counts)


@settings(max_examples=15, deadline=None)
@given(ROWS, ROWS)
def test_one_pass_says_what_single_questions_say(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> None:
    with duckdb.connect() as connection:
        snapshot(connection, "old", before, "2025-03-01")
        snapshot(connection, "new", after, "2025-04-01 12:00")
        drift = measure_drift(connection, "old.profiles", "new.profiles", TAGS)
        connection.execute("CREATE VIEW profiles AS SELECT * FROM new.profiles")
        connection.execute("CREATE TABLE snapshot AS SELECT * FROM new.snapshot")
        rows = {row["tag"]: row for row in measure_statistics(connection, TAGS)}
        bins = {name: found.bins.edges for name, found in read_distributions(connection, "profiles", TAGS).items()}
        again = read_distributions(connection, "profiles", TAGS, bins)
        for name, kind in TAGS.items():
            row = rows[name]
            users, distinct = connection.execute(
                f"SELECT count({name}), count(DISTINCT {name}) FROM profiles"
            ).fetchall()[0]
            assert (row["users"], row["unknown"], row["distinct_values"]) == (users, len(after) - users, distinct)
            assert drift[name] == pytest.approx(plain_drift(connection, name, kind), abs=1e-12)
            kept = Bins.from_json(row["bins"])
            assert kept == again[name].bins
            # Counted over its own edges, as the next snapshot counts, it gives the same users again.
            assert (sum(kept.users), kept.users) == (len(after), again[name].counts)
            if kind == "number":
                quartiles = f"quantile_cont(CAST({name} AS DOUBLE), [0, 0.25, 0.5, 0.75, 1])"
                mean, points = connection.execute(
                    f"SELECT avg(CAST({name} AS DOUBLE)), {quartiles} FROM profiles"
                ).fetchall()[0]
                assert row["mean"] == (None if mean is None else pytest.approx(mean))
                names = ("min", "quartile_1", "median", "quartile_3", "max")
                assert [row[key] for key in names] == (points or [None] * 5)
            elif kind in ("date", "time"):
                ends = connection.execute(
                    f"SELECT min({name})::TIMESTAMP, max({name})::TIMESTAMP FROM profiles"
                ).fetchall()[0]
                assert (row["earliest"], row["latest"]) == ends
            else:
                top = connection.execute(
                    f"SELECT {name}, count(*) AS n FROM profiles WHERE {name} IS NOT NULL GROUP BY {name} ORDER BY n DESC, {name} LIMIT 10"
                ).fetchall()
                assert json.loads(row["top_values"]) == [list(pair) for pair in top]


@pytest.mark.parametrize("values", [["inf", "-inf", "0"], ["nan", "nan", "1"], ["nan"]])
def test_what_no_tag_stores_fails_nothing(values: list[str]) -> None:
    with duckdb.connect() as connection:
        rows = ", ".join(f"('{value}'::DOUBLE, 'infinity'::DATE)" for value in values)
        connection.execute(f"CREATE TABLE profiles AS SELECT * FROM (VALUES {rows}, (NULL, NULL)) AS t(n, d)")
        connection.execute("CREATE TABLE snapshot AS SELECT TIMESTAMP '2025-01-01' AS as_of")
        found = read_distributions(connection, "profiles", {"n": "number", "d": "date"})
    assert (found["n"].users, found["n"].distinct) == (len(values), len(set(values)))
    assert (found["d"].users, found["d"].distinct, found["d"].bins.users) == (len(values), 1, (0, 0, len(values) + 1))
    assert sum(found["n"].bins.users) == len(values) + 1


def test_bins_read_back_as_they_were_written() -> None:
    for bins in (
        Bins((0.1, 1e300, -0.0, 1 / 3), (1, 2, 3, 4, 5, 6)),
        Bins(("it's", "é", ""), (3, 2, 1, 0, 9)),
        Bins((), (0, 0, 7)),
    ):
        assert Bins.from_json(bins.to_json()) == bins
    for wrong in ("{}", "[]", "{", "null", '{"edges": 3, "users": []}'):
        with pytest.raises(ValueError, match=r"."):
            Bins.from_json(wrong)


def test_a_category_has_twenty_bins_and_the_rest() -> None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE profiles AS SELECT 'v' || (i % 30) AS word FROM range(3000) AS t(i)")
        (found,) = read_distributions(connection, "profiles", {"word": "category"}).values()
    assert (found.distinct, len(found.bins.edges), found.bins.users[-2:]) == (30, 20, (1000, 0))
