"""Retention against an oracle that counts in Python, day by day of the calendar, and what is hidden or marked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner_profile.errors import UserError
from limner_profile.predicates.parser import parse
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.tags.acts import Acts
from limner_segments.conditions.scope import Scope
from limner_segments.retention import (
    PERIODS,
    VARIANTS,
    Retention,
    StartTag,
    add_months,
    check_choice,
    measure_retention,
    period_end,
    retention_query,
)

BERLIN = ZoneInfo("Europe/Berlin")
AS_OF = datetime(2025, 4, 20, 9, tzinfo=UTC)
SPRING = datetime(2025, 3, 30, 0, 30, tzinfo=UTC)
ACTS = tuple[str, datetime, str]
USERS = ("u1", "u2", "u3")


def local(moment: datetime) -> date:
    return moment.astimezone(BERLIN).date()


def period_of(first: date, day: date, by: str) -> int:
    """The number of the period that a day lies in, by stepping from one to the next."""
    number = 0
    while True:
        following = {
            "day": first + timedelta(days=number + 1),
            "week": first + timedelta(weeks=number + 1),
            "month": months_later(first, number + 1),
        }[by]
        if day < following:
            return number
        number += 1


def months_later(first: date, months: int) -> date:
    """The same day so many months later, found by trying shorter and shorter ends."""
    year, month = first.year + (first.month - 1 + months) // 12, (first.month - 1 + months) % 12 + 1
    for day in range(first.day, 0, -1):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    raise AssertionError


def cohort_of(day: date, by: str) -> date:
    while not (by == "day" or (by == "week" and day.isoweekday() == 1) or (by == "month" and day.day == 1)):
        day -= timedelta(days=1)
    return day


def oracle(acts: Sequence[ACTS], asked: Retention, tags: dict[str, Any]) -> list[tuple[date, int, int, int]]:
    groups: dict[date, list[set[int]]] = {}
    for user in USERS:
        mine = [(time, event) for who, time, event in acts if who == user and time < AS_OF]
        start: datetime | None
        if isinstance(asked.start, Acts):
            starts = [time for time, event in mine if not asked.start.events or event in asked.start.events]
            if not starts:
                continue
            start, day = min(starts), local(min(starts))
        elif asked.start.kind == "time":
            if tags[user] is None or tags[user] >= AS_OF:
                continue
            start, day = tags[user], local(tags[user])
        else:
            if tags[user] is None or datetime.combine(local(tags[user]), datetime.min.time(), BERLIN) >= AS_OF:
                continue
            start, day = None, local(tags[user])
        back = [time for time, event in mine if event in asked.event.events and (start is None or time > start)]
        periods = {period_of(day, local(time), asked.by) for time in back if local(time) >= day}
        groups.setdefault(cohort_of(day, asked.by), []).append(periods)
    return [
        (cohort, len(users), number, sum(any(p == number or (asked.variant == "after" and p > number) for p in user) for user in users))
        for cohort, users in sorted(groups.items())
        for number in range(asked.periods + 1)
    ]  # fmt: skip


CONNECTION = duckdb.connect(config={"threads": 1})  # one for all: opening it takes longer than a question


def run(acts: Sequence[ACTS], asked: Retention, tags: dict[str, Any]) -> list[tuple[date, int, int, int]]:
    query = retention_query(parse("wanted = true"), asked, Scope(AS_OF, BERLIN))
    rows = [*acts, ("stranger", SPRING, "a"), ("stranger", SPRING, "b")]
    days = isinstance(asked.start, StartTag) and asked.start.kind == "date"
    CONNECTION.execute(
        f"CREATE OR REPLACE TABLE profiles (user_id VARCHAR, wanted BOOLEAN, joined {'DATE' if days else 'TIMESTAMP'})"
    )
    CONNECTION.execute("CREATE OR REPLACE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR)")
    people: list[Any] = []
    for user in (*USERS, "stranger"):
        joined = tags.get(user)
        people += [user, user in USERS, joined and (local(joined) if days else joined.replace(tzinfo=None))]
    marks = ", ".join(["(?, ?, ?)"] * (len(USERS) + 1))
    CONNECTION.execute(f"INSERT INTO profiles VALUES {marks}", people)
    CONNECTION.execute(
        f"INSERT INTO events VALUES {', '.join(['(?, ?, ?)'] * len(rows))}",
        [value for user, time, event in rows for value in (user, time.replace(tzinfo=None), event)],
    )
    return CONNECTION.execute(query.sql(dialect="duckdb")).fetchall()


MOMENTS = st.builds(
    lambda hours, beside: SPRING + timedelta(hours=hours, microseconds=beside),
    st.one_of(st.integers(-30, 30), st.integers(-1500, 520)),
    st.sampled_from([0, 0, 1, -1]),
)
BEHAVIOUR = st.lists(st.tuples(st.sampled_from(USERS), MOMENTS, st.sampled_from("abc")), max_size=16)
STARTS = st.sampled_from([Acts(("a",)), Acts(()), StartTag("joined", "date"), StartTag("joined", "time")])
ASKED = st.builds(
    Retention,
    st.sampled_from([Acts(("b",)), Acts(("a", "c"))]),
    STARTS,
    st.sampled_from(PERIODS),
    st.integers(1, 4),
    st.sampled_from(list(VARIANTS)),
)
JOINED = st.fixed_dictionaries({user: st.none() | MOMENTS for user in USERS})


@settings(max_examples=80, deadline=None)
@given(BEHAVIOUR, ASKED, JOINED)
def test_the_query_counts_as_the_oracle_does(acts: list[ACTS], asked: Retention, tags: dict[str, Any]) -> None:
    assert run(acts, asked, tags) == oracle(acts, asked, tags)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def test_the_day_after_a_change_of_clocks_is_the_next_day() -> None:
    # The night of 30 March has 23 hours: half past midnight is less than 24 hours after half past midnight.
    acts = [("u1", at("2025-03-30 00:30"), "a"), ("u1", at("2025-03-31 00:00"), "b"), ("u2", at("2025-03-30 00:30"), "a"),
            ("u2", at("2025-03-30 23:59"), "b")]  # fmt: skip
    rows = run(acts, Retention(Acts(("b",)), Acts(("a",)), "day", 1), {})
    assert rows == [(date(2025, 3, 30), 2, 0, 1), (date(2025, 3, 30), 2, 1, 1)]


def test_the_act_that_begins_is_no_return() -> None:
    acts = [("u1", at("2025-03-03 10:00"), "a")]
    assert run(acts, Retention(Acts(("a",)), Acts(("a",)), "day", 0), {}) == [(date(2025, 3, 3), 1, 0, 0)]


def test_months_are_counted_from_the_day_of_the_start() -> None:
    acts = [
        ("u1", at("2025-01-31 10:00"), "a"),
        ("u1", at("2025-02-27 10:00"), "b"),
        ("u1", at("2025-02-28 10:00"), "b"),
    ]
    rows = run(acts, Retention(Acts(("b",)), Acts(("a",)), "month", 1), {})
    assert [row[3] for row in rows] == [1, 1]
    assert add_months(date(2024, 1, 31), 1) == date(2024, 2, 29)


def test_weeks_are_counted_from_the_day_of_the_start() -> None:
    # From Thursday the 6th: the 12th is its seventh day, the 13th begins the second week.
    for day, periods in (("12", [1, 0, 0]), ("13", [0, 1, 0]), ("19", [0, 1, 0]), ("20", [0, 0, 1])):
        acts = [("u1", at("2025-03-06 23:00"), "a"), ("u1", at(f"2025-03-{day} 01:00"), "b")]
        rows = run(acts, Retention(Acts(("b",)), Acts(("a",)), "week", 2), {})
        assert [row[3] for row in rows] == periods
        assert rows[0][0] == date(2025, 3, 3)


def snapshot_of(folder: Path, cohorts: dict[str, tuple[int, int]], as_of: datetime = AS_OF) -> Snapshot:
    """A snapshot whose users joined on a day, so many of them, of whom so many came back the next day."""
    store = SnapshotStore(folder)
    with store.create(as_of, BERLIN, 10) as writer:
        writer.connection.execute("CREATE TABLE profiles (user_id VARCHAR, wanted BOOLEAN)")
        writer.connection.execute("CREATE OR REPLACE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR)")
        writer.connection.execute("CREATE OR REPLACE TABLE event_files (file VARCHAR)")
        for day, (size, back) in cohorts.items():
            for number in range(size):
                user, first = f"{day}/{number}", at(f"{day} 12:00").replace(tzinfo=None)
                writer.connection.execute("INSERT INTO profiles VALUES (?, true)", [user])
                times = [first, first + timedelta(days=1)] if number < back else [first]
                writer.connection.executemany("INSERT INTO events VALUES (?, ?, 'a')", [[user, time] for time in times])
    return store.open()


DAILY = Retention(Acts(("a",)), Acts(()), "day", 1)


def test_incomplete_periods_are_marked_and_not_averaged(tmp_path: Path) -> None:
    with snapshot_of(tmp_path, {"2025-04-17": (20, 10), "2025-04-18": (30, 15), "2025-04-19": (40, 0)}) as snapshot:
        table = measure_retention(snapshot, parse("wanted = true"), DAILY)
    assert (table.users, table.started) == (90, 90)
    marks = {(cohort.start.day, cell.period): cell.complete for cohort in table.cohorts for cell in cohort.cells}
    # as_of is 11:00 on the 20th: the 20th is not over.
    assert marks == {(17, 0): True, (17, 1): True, (18, 0): True, (18, 1): True, (19, 0): True, (19, 1): False}
    assert table.cohorts[2].cells[1].returned == 0
    first, second = table.average
    assert (first.returned, first.share) == (0, 0.0)
    assert (second.returned, second.share) == (25, 0.5)
    assert second.low is not None
    assert second.high is not None
    assert second.low < 0.5 < second.high


def test_of_periods_that_have_not_begun_nothing_is_told(tmp_path: Path) -> None:
    asked = Retention(Acts(("a",)), Acts(()), "day", 3)
    with snapshot_of(tmp_path, {"2025-04-18": (30, 15)}) as snapshot:
        table = measure_retention(snapshot, parse("wanted = true"), asked)
    assert [cell.returned for cell in table.cohorts[0].cells] == [0, 15, 0, None]
    assert [cell.complete for cell in table.cohorts[0].cells] == [True, True, False, False]
    assert [cell.returned for cell in table.average] == [0, 15, None, None]


def test_a_day_that_begins_at_as_of_has_not_begun(tmp_path: Path) -> None:
    with snapshot_of(tmp_path, {"2025-04-18": (30, 15)}, as_of=at("2025-04-20 00:00")) as snapshot:
        table = measure_retention(snapshot, parse("wanted = true"), Retention(Acts(("a",)), Acts(()), "day", 2))
    assert [(cell.returned, cell.complete) for cell in table.cohorts[0].cells] == [(0, True), (15, True), (None, False)]


def test_the_newest_cohorts_can_be_asked_for(tmp_path: Path) -> None:
    with snapshot_of(tmp_path, {"2025-04-15": (20, 0), "2025-04-17": (20, 10), "2025-04-18": (30, 15)}) as snapshot:
        table = measure_retention(snapshot, parse("wanted = true"), DAILY, cohorts=2)
    assert [cohort.start.day for cohort in table.cohorts] == [17, 18]
    assert table.average[1].returned == 25


def test_small_groups_are_hidden_and_so_is_what_would_tell_of_them(tmp_path: Path) -> None:
    days = {"2025-04-14": (9, 9), "2025-04-15": (15, 0), "2025-04-16": (40, 35), "2025-04-17": (50, 20)}
    with snapshot_of(tmp_path, days) as snapshot:
        table = measure_retention(snapshot, parse("wanted = true"), DAILY)
    # One hidden cohort alone could be had by subtraction from `started`.
    assert [cohort.size for cohort in table.cohorts] == [None, None, 40, 50]
    assert all(cell.returned is None and cell.suppressed for cohort in table.cohorts[:2] for cell in cohort.cells)
    # Five of forty did not come back; the average would tell them.
    assert [cell.returned for cell in table.cohorts[2].cells] == [0, None]
    assert [cell.returned for cell in table.cohorts[3].cells] == [0, 20]
    assert table.average[1].suppressed
    assert table.average[1].share is None


def test_of_who_came_back_or_later_no_difference_tells_of_a_few(tmp_path: Path) -> None:
    # Of the first 40 all came back on the first day and 36 on the second as well: after that 4 never came again.
    store = SnapshotStore(tmp_path)
    with store.create(AS_OF, BERLIN, 10) as writer:
        writer.connection.execute("CREATE TABLE profiles (user_id VARCHAR, wanted BOOLEAN)")
        writer.connection.execute("CREATE OR REPLACE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR)")
        writer.connection.execute("CREATE OR REPLACE TABLE event_files (file VARCHAR)")
        for day, last in ((3, 36), (4, 20)):
            first = at(f"2025-03-0{day} 12:00").replace(tzinfo=None)
            for number in range(40):
                user = f"{day}/{number}"
                writer.connection.execute("INSERT INTO profiles VALUES (?, true)", [user])
                times = [first + timedelta(days=days) for days in range(3 if number < last else 2)]
                writer.connection.executemany("INSERT INTO events VALUES (?, ?, 'a')", [[user, time] for time in times])
    asked = Retention(Acts(("a",)), Acts(()), "day", 2, "after")
    with store.open() as snapshot:
        table = measure_retention(snapshot, parse("wanted = true"), asked)
    assert [[cell.returned for cell in cohort.cells] for cohort in table.cohorts] == [[40, 40, None], [40, 40, 20]]
    assert [cell.returned for cell in table.average] == [80, 80, None]


def test_cohorts_are_complete_when_their_last_day_has_had_its_period() -> None:
    assert period_end(date(2025, 4, 7), "week", 0) == date(2025, 4, 20)
    assert period_end(date(2025, 1, 1), "month", 1) == date(2025, 3, 31)
    assert period_end(date(2025, 4, 7), "day", 0) == date(2025, 4, 8)


def test_a_misspelt_word_gets_the_nearest() -> None:
    with pytest.raises(UserError) as caught:
        check_choice("weeks", PERIODS, "--by")
    assert "did you mean 'week'" in caught.value.issues[0].hint
