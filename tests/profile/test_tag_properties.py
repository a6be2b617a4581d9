"""Tag kinds against a plain oracle in Python, over random acts around the boundaries of windows, days and seasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
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
        return self.window == "all" or self._since(act, 1)

    def _since(self, act: Act, times: int) -> bool:
        """Whether an act is no older than so many windows."""
        amount = int(self.window[:-1]) * times
        if self.window.endswith("h"):
            return act.instant >= self.as_of - timedelta(hours=amount)
        return self.day(act.instant) >= self.day(self.as_of) - timedelta(days=amount)

    def before(self, user: str, event: str) -> list[Act]:
        """A user's acts inside the window before the window."""
        if self.window == "all":
            return []
        acts = [act for act in self.acts if act.user == user and act.event == event]
        return [act for act in acts if self._since(act, 2) and not self._since(act, 1) and act.instant < self.as_of]

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
        length = int(window[:-1])
        starts = [datetime.combine(day - timedelta(days=days), time(0), zone) for days in (length, 2 * length)]
        anchors += [start.astimezone(UTC) for start in starts]
    elif window.endswith("h"):
        anchors += [as_of - timedelta(hours=int(window[:-1]) * times) for times in (1, 2)]
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
    trends = {
        "trend": tag("trend", window=window),
        "trend_x": tag("trend", window=window, where="genre = 'x'", **{"as": "difference"}),
        "trend_of": tag("trend", window=window, of="amount"),
        "trend_difference": tag("trend", window=window, of="amount", **{"as": "difference"}),
    } if window != "all" else {}  # fmt: skip
    return trends | {
        "mean": tag("mean", window=window),
        "min": tag("min", window=window),
        "max": tag("max", window=window),
        "mean_x": tag("mean", window=window, where="genre = 'x'"),
        "distinct": tag("distinct", window=window, of="genre"),
        "distinct_amounts": tag("distinct", window=window, of="amount"),
        "active_days": tag("active_days", window=window),
        "first": tag("first", window=window, of="genre"),
        "last": tag("last", window=window, of="genre"),
        "last_amount": tag("last", window=window, of="amount"),
        "interval": tag("interval", window=window),
        "preference_share": tag("preference", window=window, by="genre", give="share"),
        "runner_up": tag("preference", window=window, by="genre", give="runner_up"),
        "runner_up_of": tag("preference", window=window, by="genre", of="amount", give="runner_up"),
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


def weighed(acts: Sequence[Act], by_amount: bool) -> list[tuple[str, float]]:
    """The genres with their weights, the greatest first; ties go to the one acted on last, then to the last by name."""
    weight: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for act in acts:
        if act.genre is not None:
            weight[act.genre] += (act.amount or 0) if by_amount else 1  # type: ignore[assignment]
            last[act.genre] = max(act.instant, last.get(act.genre, act.instant))
    order = sorted(last, key=lambda genre: (weight[genre], last[genre], genre), reverse=True)
    return [(genre, weight[genre]) for genre in order]


def top(acts: Sequence[Act], by_amount: bool, place: int = 0) -> str | None:
    """The genre in a place, the first for the greatest weight."""
    genres = weighed(acts, by_amount)
    return genres[place][0] if len(genres) > place else None


def at_the_edge(acts: Sequence[Act], field: str, last: bool) -> Any:
    """The field of the first or last act that has it; of several at once, the lowest or greatest value."""
    known = [(act.instant, getattr(act, field)) for act in acts if getattr(act, field) is not None]
    return (max(known) if last else min(known))[1] if known else None


def trends(case: Case, user: str) -> dict[str, float | None]:
    if case.window == "all":
        return {}
    now, then = case.seen(user, "order"), case.before(user, "order")
    spent, spent_then = (sum(act.amount or 0 for act in acts) for acts in (now, then))
    return {
        "trend": ratio(len(now), len(then)),
        "trend_x": sum(act.genre == "x" for act in now) - sum(act.genre == "x" for act in then),
        "trend_of": ratio(spent, spent_then),
        "trend_difference": spent - spent_then,
    }


def expected(case: Case) -> dict[str, dict[str, Any]]:
    result = {}
    for user in "abc":
        if not case.seen(user):
            continue
        acts = case.seen(user, "order")
        amounts = [act.amount for act in acts if act.amount is not None]
        amounts_x = [act.amount for act in acts if act.amount is not None and act.genre == "x"]
        days = sorted(case.day(act.instant) for act in acts)
        weights = [weight for _, weight in weighed(acts, by_amount=False)]
        result[user] = trends(case, user) | {
            "mean": ratio(sum(amounts), len(amounts)),
            "min": min(amounts, default=None),
            "max": max(amounts, default=None),
            "mean_x": ratio(sum(amounts_x), len(amounts_x)),
            "distinct": len({act.genre for act in acts if act.genre is not None}),
            "distinct_amounts": len(set(amounts)),
            "active_days": len(set(days)),
            "first": at_the_edge(acts, "genre", last=False),
            "last": at_the_edge(acts, "genre", last=True),
            "last_amount": at_the_edge(acts, "amount", last=True),
            # The gaps between neighbours, one by one.
            "interval": ratio(sum((b - a).days for a, b in pairwise(days)), len(days) - 1) if days else None,
            "preference_share": ratio(max(weights, default=0), sum(weights)),
            "runner_up": top(acts, by_amount=False, place=1),
            "runner_up_of": top(acts, by_amount=True, place=1),
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
    connection.execute(
        "CREATE OR REPLACE TABLE acted AS SELECT user_id, min(time) AS since FROM events GROUP BY user_id"
    )
    tags = {name: tag for name, tag in tags_of(case.window).items() if not names_of or name in names_of}
    query = compile_profiles(tags, case.as_of, case.zone, SCHEMA).sql(dialect="duckdb")
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description or ()]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in cursor.fetchall()}


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
        # From the start on, and before as_of; the last act is on the day before, and one lies before the window.
        tried = computed(connection, case, "count", "recency", "trend")
        assert tried == {"a": {"count": 3, "recency": 1, "trend": 3}}
