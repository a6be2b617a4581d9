"""A time beside a date is compared by its local day: in every zone, on the night of a clock change, and in every tag."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot import exp

from limner_profile.predicates import Between, Compare, OneOf, Predicate, parse
from limner_profile.predicates.columns import Columns
from limner_profile.predicates.words import Operator

Lay = Callable[[Mapping[str, str | bytes]], Path]
Values = Callable[[Path, str], dict[str, dict[str, Any]]]

OPERATORS: dict[Operator, Callable[[date, date], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
# Behind and ahead of UTC, by parts of hours, with changes at midnight (Havana, Beirut), and one that left out a day (Apia).
ZONES = ("UTC", "Asia/Shanghai", "America/New_York", "Asia/Kathmandu", "America/Havana", "Asia/Beirut", "Pacific/Apia")
# Each zone changes its clocks or its calendar near one of these.
TURNS = tuple(
    datetime.fromisoformat(text)
    for text in ("2011-12-30 10:00", "2024-03-10 05:00", "2024-03-30 22:00", "2024-11-03 05:00", "2025-01-01 00:00")
)
moments = st.builds(
    lambda turn, away: turn + timedelta(minutes=away), st.sampled_from(TURNS), st.integers(-3 * 1440, 3 * 1440)
)


def columns(zone: ZoneInfo, *times: str) -> Columns:
    return Columns(lambda name: exp.column(name, quoted=True), frozenset(times), zone)


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def holds(connection: duckdb.DuckDBPyConnection, test: Predicate, at: Columns, value: datetime | None) -> bool | None:
    sql = test.to_sql(at).sql("duckdb")
    return cast(
        "bool | None",
        connection.execute(f"SELECT {sql} FROM (SELECT CAST(? AS TIMESTAMP) AS t)", [value]).fetchall()[0][0],
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(
    moment=moments, near=st.integers(-2, 2), more=st.integers(0, 2), zone=st.sampled_from(ZONES),
    relation=st.sampled_from(sorted(OPERATORS)), negated=st.booleans(),
)  # fmt: skip
def test_the_day_of_an_instant_decides(
    connection: duckdb.DuckDBPyConnection,
    moment: datetime,
    near: int,
    more: int,
    zone: str,
    relation: Operator,
    negated: bool,
) -> None:
    at = columns(ZoneInfo(zone), "t")
    day = moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()
    first = day + timedelta(days=near)
    last = first + timedelta(days=more)
    assert holds(connection, Compare(field="t", operator=relation, value=first), at, moment) == OPERATORS[relation](
        day, first
    )
    assert holds(connection, Between(field="t", low=first, high=last), at, moment) == (first <= day <= last)
    assert holds(connection, OneOf(field="t", values=(first, last), negated=negated), at, moment) == (
        (day in (first, last)) != negated
    )


@pytest.mark.parametrize(
    "text", ["t {} date '2025-01-31'", "t between date '2025-01-01' and date '2025-01-31'", "t in (date '2025-01-31')"]
)
def test_an_unknown_time_is_on_no_day(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    for relation in OPERATORS if "{}" in text else ("",):
        written, at = text.format(relation), columns(ZoneInfo("Asia/Shanghai"), "t")
        assert holds(connection, parse(written), at, None) is None
        assert holds(connection, parse(f"{written} include_unknown"), at, None) is True
        assert holds(connection, parse(f"not ({written})"), at, None) is True


def test_a_date_is_left_as_it_is() -> None:
    at = columns(ZoneInfo("Asia/Shanghai"), "t")
    assert parse("day <= date '2025-01-31'").to_sql(at).sql("duckdb") == "\"day\" <= CAST('2025-01-31' AS DATE)"
    assert (
        parse("t <= date '2025-01-31'").to_sql(at).sql("duckdb") == "\"t\" < CAST('2025-01-31 16:00:00' AS TIMESTAMP)"
    )


def test_the_ends_of_the_calendar_have_days(connection: duckdb.DuckDBPyConnection) -> None:
    for zone in ("Asia/Shanghai", "America/New_York"):
        at = columns(ZoneInfo(zone), "t")
        for day in ("0001-01-01", "9999-12-31"):
            assert holds(
                connection,
                parse(f"t >= date '0001-01-01' and t <= date '9999-12-31' and t != date '{day}'"),
                at,
                TURNS[-1],
            )


PEOPLE = """u,seen
ann,2025-01-31 23:59:59
ben,2025-02-01 00:00:00
"""
# The last minute of January in Shanghai and the first of February: both are the 31st in UTC.
ACTS = """u,t,e,price,paid
ann,2025-01-31 23:59:59,buy,10,2025-02-01 00:00:00
ben,2025-02-01 00:00:00,buy,20,2025-01-31 23:59:59
"""
CONFIG = """name: shop
timezone: Asia/Shanghai
sources:
  people: {type: users, path: people.csv, user: u, attributes: {seen: {column: seen, type: time}}}
  acts: {type: events, path: acts.csv, user: u, time: t, event: e, amount: price, properties: {paid: {column: paid, type: time}}}
"""
TAGS = """seen: {kind: attribute, attribute: seen}
january: {kind: count, event: buy, window: all, where: time <= date '2025-01-31', default: 0}
paid_in_january: {kind: sum, of: amount, event: buy, window: all, where: paid between date '2025-01-01' and date '2025-01-31', default: 0}
february: {kind: share, event: buy, part: time >= date '2025-02-01', window: all}
stage: {kind: lifecycle, stages: [{name: early, where: seen = date '2025-01-31'}, {name: late, where: seen is known}]}
"""


def test_filters_of_tags_and_stages_count_local_days(lay: Lay, values_of: Values) -> None:
    root = lay({"limner.yaml": CONFIG, "people.csv": PEOPLE, "acts.csv": ACTS, "tags/t.yaml": TAGS})
    found = values_of(root, "2025-03-01")
    names = ("january", "paid_in_january", "february", "stage")
    assert {user: tuple(row[name] for name in names) for user, row in found.items()} == {
        "ann": (1, 0, 0, "early"), "ben": (0, 20, 1, "late"),
    }  # fmt: skip


def test_a_file_of_times_is_read_by_the_clock_of_the_workspace(lay: Lay, values_of: Values) -> None:
    # The last second of January without an offset, with one, and in UTC; midnight of the first of February.
    seen = "u,seen\nann,2025-01-31 23:59:59\nben,2025-01-31T16:59:59+01:00\ncy,2025-01-31T15:59:59Z\ndee,2025-02-01\n"
    people = "u,seen\nann,\nben,\ncy,\ndee,\n"
    tags = """seen: {kind: imported, path: seen.csv, user: u, column: seen, type: time}
stage: {kind: lifecycle, stages: [{name: january, where: seen <= date '2025-01-31'}, {name: later, where: seen is known}]}
"""
    root = lay({"limner.yaml": CONFIG, "people.csv": people, "acts.csv": ACTS, "seen.csv": seen, "tags/t.yaml": tags})
    last, next_ = (datetime.fromisoformat(f"2025-01-31 {text}") for text in ("15:59:59", "16:00:00"))
    assert {user: (row["seen"], row["stage"]) for user, row in values_of(root, "2025-03-01").items()} == {
        "ann": (last, "january"), "ben": (last, "january"), "cy": (last, "january"),
        "dee": (next_, "later"),
    }  # fmt: skip
