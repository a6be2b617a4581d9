"""Conditions on behaviour against an oracle in plain Python: windows on local days, changes of daylight-saving time, sequences."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_segments.audience import audience_query
from limner_segments.conditions import parse_condition
from limner_segments.conditions.scope import Scope

ZONE = ZoneInfo("Europe/Berlin")
# The clocks go forward on 30 March 2025: that local day has 23 hours.
AS_OF = datetime(2025, 4, 2, 9, 30, tzinfo=ZONE).astimezone(UTC)
USERS = ("a", "b", "c")

moments = st.one_of(
    st.integers(-12 * 24 * 60, 60).map(lambda minutes: AS_OF + timedelta(minutes=minutes)),
    st.sampled_from(
        [datetime.combine(date(2025, 3, day), time(0), tzinfo=ZONE).astimezone(UTC) + timedelta(seconds=second)
         for day in (26, 29, 30, 31) for second in (-1, 0)]
    ),
)  # fmt: skip
acts = st.lists(
    st.tuples(st.sampled_from(USERS), moments, st.sampled_from("xyz"), st.one_of(st.none(), st.integers(0, 4))),
    max_size=14,
)
Act = tuple[str, datetime, str, int | None]


CONNECTION = duckdb.connect()  # one for all: opening it takes longer than a question
CONNECTION.execute("CREATE TABLE profiles (user_id VARCHAR)")
CONNECTION.executemany("INSERT INTO profiles VALUES (?)", [[user] for user in USERS])


def matching(rows: list[Act], text: str) -> set[str]:
    """The users whom Limner's SQL finds."""
    CONNECTION.execute("CREATE OR REPLACE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR, amount DOUBLE)")
    if rows:
        values = [value for u, t, e, a in rows for value in (u, t.replace(tzinfo=None), e, a)]
        CONNECTION.execute(f"INSERT INTO events VALUES {', '.join(['(?, ?, ?, ?)'] * len(rows))}", values)
    query = audience_query(parse_condition(text), Scope(AS_OF, ZONE)).sql(dialect="duckdb")
    return {row[0] for row in CONNECTION.execute(query).fetchall()}


def start_of(days: int) -> datetime:
    """The local midnight so many days before the local day of as_of."""
    day = AS_OF.astimezone(ZONE).date() - timedelta(days=days)
    return datetime.combine(day, time(0), tzinfo=ZONE).astimezone(UTC)


def in_window(rows: list[Act], start: datetime | None, end: datetime) -> dict[str, list[Act]]:
    """The acts of each user in a window."""
    found: dict[str, list[Act]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row[1]):
        if (start is None or row[1] >= start) and row[1] < min(end, AS_OF):
            found[row[0]].append(row)
    return found


@settings(max_examples=60, deadline=None)
@given(acts, st.integers(1, 9), st.integers(1, 3), st.integers(0, 2))
def test_counts_in_windows_of_local_days(rows: list[Act], days: int, least: int, more: int) -> None:
    found = in_window(rows, start_of(days), AS_OF)
    counts = {user: sum(row[2] == "x" for row in found[user]) for user in USERS}
    text = f"did('x', at_least => {least}, at_most => {least + more}, within => '{days}d')"
    assert matching(rows, text) == {user for user in USERS if least <= counts[user] <= least + more}
    assert matching(rows, f"did_not('x', within => '{days}d')") == {user for user in USERS if not counts[user]}
    recent = in_window(rows, AS_OF - timedelta(hours=days), AS_OF)
    assert matching(rows, f"did(within => '{days}h')") == {user for user in USERS if recent[user]}


@settings(max_examples=60, deadline=None)
@given(acts, st.integers(1, 5), st.integers(1, 5))
def test_windows_that_ended_some_days_ago(rows: list[Act], days: int, ago: int) -> None:
    found = in_window(rows, start_of(days + ago), start_of(ago))
    text = f"did('x', 'y', where => amount >= 2, within => '{days}d', ending => '{ago}d')"
    expected = {
        user for user in USERS if any(row[2] in "xy" and row[3] is not None and row[3] >= 2 for row in found[user])
    }
    assert matching(rows, text) == expected


@settings(max_examples=60, deadline=None)
@given(acts, st.integers(1, 4))
def test_sums_means_days_and_different_values(rows: list[Act], least: int) -> None:
    found = in_window(rows, None, AS_OF)
    values = {user: [row[3] for row in found[user] if row[2] == "x" and row[3] is not None] for user in USERS}
    assert matching(rows, f"total(amount, 'x', at_least => {least})") == {
        user for user in USERS if values[user] and sum(values[user]) >= least
    }
    assert matching(rows, f"average(amount, 'x', at_most => {least})") == {
        user for user in USERS if values[user] and sum(values[user]) / len(values[user]) <= least
    }
    assert matching(rows, f"distinct(amount, 'x', at_most => {least})") == {
        user for user in USERS if 1 <= len(set(values[user])) <= least
    }
    days = {user: {row[1].astimezone(ZONE).date() for row in found[user]} for user in USERS}
    assert matching(rows, f"active_days(at_least => {least})") == {user for user in USERS if len(days[user]) >= least}


@settings(max_examples=60, deadline=None)
@given(acts, st.dates(date(2025, 3, 22), date(2025, 4, 1)), st.integers(1, 5))
def test_first_and_last_time(rows: list[Act], day: date, length: int) -> None:
    start = datetime.combine(day, time(0), tzinfo=ZONE).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=length), time(0), tzinfo=ZONE).astimezone(UTC)
    found = in_window(rows, None, AS_OF)
    times = {user: [row[1] for row in found[user] if row[2] == "y"] for user in USERS}
    window = f"since => date '{day}', before => date '{day + timedelta(days=length)}'"
    for word, pick in (("first", min), ("last", max)):
        expected = {user for user in USERS if times[user] and start <= pick(times[user]) < min(end, AS_OF)}
        assert matching(rows, f"{word}_did('y', {window})") == expected


@settings(max_examples=120, deadline=None)
@given(acts, st.integers(1, 60), st.one_of(st.none(), st.integers(1, 60)))
def test_sequences_against_all_choices_of_events(rows: list[Act], second: int, third: int | None) -> None:
    found = in_window(rows, start_of(8), AS_OF)
    last = f"step('z', within => '{third}h')" if third else "'z'"
    expected = set()
    for user in USERS:
        mine = found[user]
        for x in (row for row in mine if row[2] == "x"):
            for y in (row for row in mine if row[2] == "y" and x[1] < row[1] <= x[1] + timedelta(hours=second)):
                if any(
                    row[2] == "z" and y[1] < row[1] and (third is None or row[1] <= y[1] + timedelta(hours=third))
                    for row in mine
                ):
                    expected.add(user)
    assert matching(rows, f"sequence('x', step('y', within => '{second}h'), {last}, within => '8d')") == expected
