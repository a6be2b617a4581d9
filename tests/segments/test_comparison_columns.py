"""The counts of columns of many users and of every stored type, against DuckDB counting each trait by its condition."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import duckdb
import pytest
from sqlglot import exp

from limner_profile.predicates.columns import Columns
from limner_profile.sources import FieldType
from limner_segments import comparison_levels
from limner_segments.audience import condition_sql
from limner_segments.comparison_columns import count_tags
from limner_segments.comparison_counts import TagCounts, read_membership
from limner_segments.comparison_levels import MAX_LEVELS

ZONE = ZoneInfo("America/New_York")
USERS = 50_000  # more than the sample that cuts are found from
ENDS = [
    "0001-01-01", "9999-12-31 23:59:59", "290000-01-01", "4000-01-01 (BC)", "infinity", "-infinity", "2024-03-10 05:00:00",
]  # fmt: skip
COLUMNS: dict[str, tuple[FieldType, str]] = {
    "tiny": ("number", "CAST(i % 5 AS TINYINT)"),
    "whole": ("number", "CASE WHEN i % 7 > 0 THEN CAST(floor(exp((i * 7919 % 1000) / 150.0)) AS BIGINT) END"),
    "huge": ("number", "CAST(i % 1000 AS HUGEINT) * 1000000000000000000000"),
    "money": ("number", "CAST((i * 31 % 9973) / 7.0 - 300 AS DECIMAL(12, 2))"),
    "real": ("number", "CASE WHEN i % 10 > 2 THEN (i * 7919 % 10007) / 10007.0 ELSE 0 END"),
    "small": ("number", "CAST((i % 97) / 8.0 AS FLOAT)"),
    "odd": ("number", "CASE WHEN i % 50 < 3 THEN CAST((['inf', '-inf', 'nan'])[i % 50 + 1] AS DOUBLE) ELSE i % 300 END"),
    "never": ("number", "CAST(NULL AS DOUBLE)"),
    "rare": ("number", "CASE WHEN i % 5000 = 3 THEN CAST(i AS DOUBLE) END"),
    "flag": ("boolean", "CASE WHEN i % 3 > 0 THEN i % 4 = 0 END"),
    "day": ("date", "CASE WHEN i % 4 > 0 THEN DATE '2022-03-05' + CAST(i % 1100 AS INTEGER) WHEN i % 8 = 0 THEN DATE 'infinity' END"),
    "moment": ("time", "TIMESTAMP '2024-12-31 22:00:00' + to_minutes(i % 9000)"),
    # The last days of the calendar, which stand for "no end", and times beyond it.
    "until": ("date", "DATE '9999-12-31' - CAST(i % 3 * (i % 900) AS INTEGER)"),
    "ends": ("time", f"CAST(({ENDS})[i % 7 + 1] AS TIMESTAMP)"),
    "last": ("time", "CASE WHEN i % 3 > 0 THEN TIMESTAMP '9999-12-31 12:00:00' ELSE TIMESTAMP 'infinity' END"),
    "town": ("category", "CASE WHEN i % 9 > 0 THEN 'it''s ' || CAST(i * i % 13 AS VARCHAR) END"),
    "shop": ("category", "CASE WHEN i % 120 = 0 THEN 'niche' ELSE 's' || CAST(floor(sqrt(i)) AS INTEGER) END"),
}  # fmt: skip
TYPES = {name: kind for name, (kind, _) in COLUMNS.items()}


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        columns = ", ".join(f"{sql} AS {name}" for name, (_, sql) in COLUMNS.items())
        opened.execute(f"CREATE TABLE profiles AS SELECT 'u' || i AS user_id, i, {columns} FROM range({USERS}) AS t(i)")
        yield opened


@pytest.fixture(
    scope="module", params=["TRUE", "i % 5 > 1", "NOT coalesce(i % 6 < 2, FALSE)", "i % 10 = 0 AND i % 60 < 30"]
)
def counted(request: pytest.FixtureRequest, connection: duckdb.DuckDBPyConnection) -> tuple[str, dict[str, TagCounts]]:
    with connection.cursor() as cursor:
        membership = read_membership(cursor, "i % 6 < 2", request.param)
        return request.param, {each.tag: each for each in count_tags(cursor, membership, TYPES, ZONE)}


@pytest.mark.parametrize("tag", COLUMNS)
def test_each_trait_has_the_users_that_its_condition_finds(
    connection: duckdb.DuckDBPyConnection, counted: tuple[str, dict[str, TagCounts]], tag: str
) -> None:
    other, found = counted
    counts = found[tag].counts
    assert sum(count.users for count in counts) == USERS
    assert len({count.condition.to_text() for count in counts}) == len(counts)
    for count in counts:
        where = condition_sql(count.condition, Columns.of(exp.column, TYPES, ZONE)).sql(dialect="duckdb")
        row = connection.execute(
            f"SELECT count(*) FILTER (WHERE a AND NOT b), count(*) FILTER (WHERE a AND b), count(*) FILTER (WHERE b AND NOT a), count(*) "
            f"FROM (SELECT *, i % 6 < 2 AS a, coalesce({other}, FALSE) AS b FROM profiles) WHERE {where}"
        ).fetchall()[0]
        assert (*count.parts, count.users) == row, count.condition.to_text()


def test_a_band_that_reaches_beyond_the_calendar_is_not_named_by_one_day(
    counted: tuple[str, dict[str, TagCounts]],
) -> None:
    names = {count.condition.to_text(): count.name for count in counted[1]["ends"].counts}
    assert names["ends >= date '9999-12-31'"] == "≥ 9999-12-31"
    assert "≤ 2024-03-09" in names.values()


@pytest.mark.parametrize("tag", ["tiny", "whole", "money", "real", "small"])
def test_moments_are_those_of_the_known_values(
    connection: duckdb.DuckDBPyConnection, counted: tuple[str, dict[str, TagCounts]], tag: str
) -> None:
    other, found = counted
    moments, centre = found[tag].moments, found[tag].centre
    assert moments is not None
    for part, where in enumerate(("a AND NOT b", "a AND b", "b AND NOT a")):
        users, mean, spread = connection.execute(
            f"SELECT count({tag}), avg(CAST({tag} AS DOUBLE)), var_samp(CAST({tag} AS DOUBLE)) FROM "
            f"(SELECT *, i % 6 < 2 AS a, coalesce({other}, FALSE) AS b FROM profiles) WHERE {where}"
        ).fetchall()[0]
        assert moments.users[part] == users
        if users:
            ours = moments.total[part] / users
            assert centre + ours == pytest.approx(mean, rel=1e-9)
            assert (moments.squares[part] - ours * moments.total[part]) / (users - 1) == pytest.approx(spread, rel=1e-6)


def test_infinite_values_have_no_mean_and_no_edge(counted: tuple[str, dict[str, TagCounts]]) -> None:
    odd = counted[1]["odd"]
    assert odd.moments is not None
    assert not math.isfinite(odd.moments.total.sum())
    assert all("inf" not in (count.name or "") for count in odd.counts)


def test_bands_come_from_the_values_of_few_where_few_have_one(counted: tuple[str, dict[str, TagCounts]]) -> None:
    rare = [count for count in counted[1]["rare"].counts if count.name is not None]
    assert sum(count.users for count in rare) == USERS // 5000
    assert len(rare) >= 4
    assert [count.name for count in counted[1]["never"].counts] == [None]
    assert [count.name for count in counted[1]["tiny"].counts] == ["0", "1", "2", "3", "4"]


def test_a_value_that_only_one_audience_has_often_is_shown(
    connection: duckdb.DuckDBPyConnection, counted: tuple[str, dict[str, TagCounts]]
) -> None:
    other, found = counted
    shops = {count.name: count for count in found["shop"].counts}
    assert len(shops) <= MAX_LEVELS + 6
    assert shops[""].rest
    common = connection.execute("SELECT shop FROM profiles GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 10").fetchall()
    assert [count.name for count in shops.values() if count.candidates == 1 and not count.rest] == [
        row[0] for row in common
    ]
    distinct = connection.execute("SELECT count(DISTINCT shop) FROM profiles").fetchall()[0][0]
    picked = {name: count.candidates for name, count in shops.items() if count.candidates > 1}
    assert set(picked.values()) <= {distinct}  # as many values as there are were looked at
    if other.startswith("i % 10 = 0"):
        assert "niche" in picked  # a sixth of that audience, and rarer than ten others among all users


def test_of_very_many_values_the_common_ones_are_found_and_counted_exactly(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison_levels, "SAMPLE", 10_000)
    texts = {
        "phone": "CASE WHEN i % 40 = 7 THEN '000' WHEN i % 11 > 0 THEN 'p' || i END",
        "mail": "'m' || i",
        "post": "CASE WHEN i % 6 < 2 AND i % 3 = 0 THEN 'only here' ELSE 'c' || (i % 9000) END",
    }
    with connection.cursor() as cursor:
        columns = ", ".join(f"{sql} AS {name}" for name, sql in texts.items())
        cursor.execute(
            f"CREATE TEMP TABLE profiles AS SELECT 'u' || i AS user_id, i, {columns} FROM range({USERS}) AS t(i)"
        )
        membership = read_membership(cursor, "i % 6 < 2", "TRUE")
        for tag in texts:
            counts = comparison_levels.count_levels(cursor, tag, membership, 40_000).counts
            assert sum(count.users for count in counts) == USERS
            for count in counts:
                sql = condition_sql(count.condition).sql(dialect="duckdb")
                whole, inside = cursor.execute(
                    f"SELECT count(*), count(*) FILTER (i % 6 < 2) FROM profiles WHERE {sql}"
                ).fetchall()[0]
                assert (count.users, count.parts[1]) == (whole, inside)
            names = {count.name for count in counts}
            assert {"phone": "000", "mail": "", "post": "only here"}[tag] in names


def test_a_comparison_does_not_wait_for_pandas() -> None:
    """In a process of its own: to import it takes half as long as a whole comparison, which the first one would pay for."""
    code = f"""
import duckdb, sys
from zoneinfo import ZoneInfo
from limner_segments.comparison_columns import count_tags
from limner_segments.comparison_counts import read_membership
with duckdb.connect() as cursor:
    columns = {", ".join(f"{sql} AS {name}" for name, (_, sql) in COLUMNS.items())!r}
    cursor.execute(f"CREATE TABLE profiles AS SELECT 'u' || i AS user_id, {{columns}} FROM range(1000) AS t(i)")
    count_tags(cursor, read_membership(cursor, "tiny = 1", "TRUE"), {TYPES!r}, ZoneInfo("UTC"))
print("pandas" in sys.modules, "pyarrow" in sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert answer.stdout.split() == ["False", "True"]
