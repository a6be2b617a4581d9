"""Tag kinds against a plain oracle in Python, over random acts around the boundaries of windows, days and seasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile import tags as tag_modules
from limner_profile.compiler import compile_profiles
from limner_profile.sources import EVENT_FIELDS
from limner_profile.tags.base import TAG_KINDS, Tag
from limner_profile.workspace import Schema

TAG_KINDS.discover(tag_modules)

ZONES = ("Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
# The days on which clocks change in one of the zones, and the edges of February and of the year.
DAYS = (
    date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1), date(2025, 2, 28), date(2025, 3, 1), date(2025, 1, 1),
    date(2025, 3, 9), date(2025, 3, 10), date(2025, 11, 2), date(2025, 11, 3), date(2025, 3, 30), date(2025, 3, 31),
    date(2025, 10, 26), date(2025, 10, 27), date(2025, 4, 6), date(2025, 4, 7), date(2025, 10, 5), date(2025, 10, 6),
)  # fmt: skip
TIMES = (time(0), time(0), time(0, 0, 1), time(1, 30), time(2, 15), time(12), time(23, 59, 59))
WINDOWS = ("all", "1d", "2d", "7d", "30d", "366d", "1h", "24h", "25h", "720h")
SCHEMA = Schema({**EVENT_FIELDS, "genre": "category"}, {}, {}, (), frozenset(), False, True)


@dataclass(frozen=True)
class Act:
    user: str
    instant: datetime
    event: str
    amount: float | None
    genre: str | None


@dataclass(frozen=True)
class Case:
    zone: ZoneInfo
    as_of: datetime
    window: str
    acts: tuple[Act, ...]

    def seen(self, user: str, event: str | None = None) -> list[Act]:
        """A user's acts inside the window: by local dates for days, by elapsed time for hours."""
        return [
            act
            for act in self.acts
            if act.user == user
            and act.instant < self.as_of
            and (event is None or (act.event == event and self._in(act)))
        ]

    def _in(self, act: Act) -> bool:
        if self.window == "all":
            return True
        amount = int(self.window[:-1])
        if self.window.endswith("h"):
            return act.instant >= self.as_of - timedelta(hours=amount)
        return self.day(act.instant) >= self.day(self.as_of) - timedelta(days=amount)

    def day(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()


@st.composite
def cases(draw: st.DrawFn) -> Case:
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    day = draw(st.sampled_from(DAYS) | st.dates(date(2023, 1, 1), date(2026, 12, 31)))
    as_of = datetime.combine(day, draw(st.sampled_from(TIMES)), zone).astimezone(UTC)
    window = draw(st.sampled_from(WINDOWS))
    anchors = [as_of, as_of - timedelta(days=500)]
    if window.endswith("d"):
        anchors.append(datetime.combine(day - timedelta(days=int(window[:-1])), time(0), zone).astimezone(UTC))
    elif window.endswith("h"):
        anchors.append(as_of - timedelta(hours=int(window[:-1])))
    # Mostly within a second of an edge, and else anywhere in three days around it.
    away = st.sampled_from((-1, 0, 1)) | st.sampled_from((-3600, 3600)) | st.integers(-260_000, 260_000)
    act = st.builds(
        lambda user, anchor, seconds, event, amount, genre: Act(
            user, anchor + timedelta(seconds=seconds), event, amount, genre
        ),
        st.sampled_from("abc"),
        st.sampled_from(anchors),
        away,
        st.sampled_from(("order", "order", "read")),
        st.none() | st.integers(-8, 400).map(lambda quarters: quarters / 4),  # exact in binary: sums have no rounding
        st.sampled_from(("x", "y", None)),
    )
    return Case(zone, as_of, window, tuple(draw(st.lists(act, max_size=14))))


def tag(kind: str, **fields: Any) -> Tag:
    return TAG_KINDS.get(kind).model_validate({"kind": kind, "event": "order", **fields})


def tags_of(window: str) -> dict[str, Tag]:
    return {
        "count": tag("count", window=window),
        "count_x": tag("count", window=window, where="genre = 'x' and amount >= 10"),
        "sum": tag("sum", window=window),
        "recency": tag("recency", window=window),
        "share": tag("share", window=window, part="genre = 'x'"),
        "share_of": tag("share", window=window, part="amount >= 50", of="amount"),
        "preference": tag("preference", window=window, by="genre"),
        "preference_of": tag("preference", window=window, by="genre", of="amount"),
    }


def ratio(part: float, whole: float | None) -> float | None:
    return part / whole if whole else None


def top(acts: Sequence[Act], by_amount: bool) -> str | None:
    """The genre of greatest weight; ties go to the one acted on last, then to the last by name."""
    weight: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for act in acts:
        if act.genre is not None:
            weight[act.genre] += (act.amount or 0) if by_amount else 1  # type: ignore[assignment]
            last[act.genre] = max(act.instant, last.get(act.genre, act.instant))
    return max(last, key=lambda genre: (weight[genre], last[genre], genre)) if last else None


def expected(case: Case) -> dict[str, dict[str, Any]]:
    result = {}
    for user in "abc":
        if not case.seen(user):
            continue
        acts = case.seen(user, "order")
        amounts = [act.amount for act in acts if act.amount is not None]
        result[user] = {
            "count": len(acts),
            "count_x": sum(act.genre == "x" and act.amount is not None and act.amount >= 10 for act in acts),
            "sum": sum(amounts),
            "recency": (case.day(case.as_of) - case.day(max(act.instant for act in acts))).days if acts else None,
            "share": ratio(sum(act.genre == "x" for act in acts), len(acts)),
            "share_of": ratio(sum(amount for amount in amounts if amount >= 50), sum(amounts)),
            "preference": top(acts, by_amount=False),
            "preference_of": top(acts, by_amount=True),
        }
    return result


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("SET threads = 1")
        yield opened


def computed(connection: duckdb.DuckDBPyConnection, case: Case, *names_of: str) -> dict[str, dict[str, Any]]:
    connection.execute(
        "CREATE OR REPLACE TABLE events (user_id VARCHAR, time TIMESTAMP, event VARCHAR, amount DOUBLE, genre VARCHAR, source VARCHAR)"
    )
    if case.acts:
        rows = [
            (act.user, act.instant.replace(tzinfo=None), act.event, act.amount, act.genre, "s") for act in case.acts
        ]
        marks = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(rows))
        connection.execute(f"INSERT INTO events VALUES {marks}", [value for row in rows for value in row])
    tags = {name: tag for name, tag in tags_of(case.window).items() if not names_of or name in names_of}
    query = compile_profiles(tags, case.as_of, case.zone, SCHEMA).sql(dialect="duckdb")
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cursor.fetchall()}


@settings(max_examples=90, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_kinds_agree_with_the_oracle(connection: duckdb.DuckDBPyConnection, case: Case) -> None:
    assert computed(connection, case) == expected(case)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("window", ["1d", "366d", "24h"])
def test_edges_of_windows_to_the_second(connection: duckdb.DuckDBPyConnection, zone: str, window: str) -> None:
    """Acts one second before, on and one second after each edge, on every awkward day."""
    where = ZoneInfo(zone)
    for day in DAYS:
        as_of = datetime.combine(day, time(0), where).astimezone(UTC)
        amount = int(window[:-1])
        start = as_of - timedelta(hours=amount)
        if window.endswith("d"):
            start = datetime.combine(day - timedelta(days=amount), time(0), where).astimezone(UTC)
        instants = [edge + timedelta(seconds=seconds) for edge in (start, as_of) for seconds in (-1, 0, 1)]
        case = Case(where, as_of, window, tuple(Act("a", instant, "order", 1.0, "x") for instant in instants))
        # From the start on, and before as_of; the last act is on the day before.
        assert computed(connection, case, "count", "recency") == {"a": {"count": 3, "recency": 1}}
