# ruff: noqa: E501 (queries read best in one line)
"""Queries as tags: their values against an oracle, what they may not do, and that they see only what was known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_profile.builder import write_profiles
from limner_profile.catalog import load_catalog, read_catalog
from limner_profile.compiler import compile_profiles
from limner_profile.errors import RefusedError
from limner_profile.ingest import ingest
from limner_profile.lineage import trace_tag
from limner_profile.snapshots import SnapshotStore
from limner_profile.tags.base import TAG_KINDS, Tag
from limner_profile.windows import parse_as_of
from limner_profile.workspace import Schema, open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]
Values = Callable[[Path, str], dict[str, dict[str, Any]]]
ZONE = ZoneInfo("Europe/Berlin")
SCHEMA = Schema(
    {"event": "category", "time": "time", "amount": "number", "source": "category", "genre": "category"},
    {"city": "category", "level": "number"},
    {"city": "people", "level": "people"},
    ("people",),
    frozenset({"people"}),
    True,
    True,
)
FILES = {
    "limner.yaml": """name: t
timezone: Europe/Berlin
sources:
  people: {type: users, path: p.csv, user: u, since: s, attributes: {city: c, level: l}}
  acts: {type: events, path: a.csv, user: u, time: t, event: e, received: r, properties: {genre: g, n: n}}
  orders: {type: orders, path: o.csv, user: u, time: t, amount: m}
""",
    "p.csv": "u,s,c,l\na,2025-01-01,Oslo,1\nb,2025-01-01,,2\nc,2025-01-09,Rome,3\n",
    "a.csv": "u,t,e,r,g,n\na,2025-01-01 12:00,read,2025-01-01 12:00,x,1\na,2025-01-02 12:00,read,2025-01-02 12:00,y,0\n"
    "b,2025-01-03 06:00,read,2025-01-08 07:00,x,5\n",
    "o.csv": "u,t,m\na,2025-01-02 10:00,30\na,2025-01-03 10:00,10\nb,2025-01-04 10:00,7\nd,2025-01-04 10:00,9\n",
}


def query_tag(query: str, **fields: Any) -> Tag:
    return TAG_KINDS.get("sql").model_validate({"kind": "sql", "query": query, **fields})


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["read", "order"]),
        st.integers(-72 * 60, 24 * 60),  # minutes from the as_of
        st.none() | st.integers(-72 * 60, 24 * 60),
        st.none() | st.integers(-8, 8).map(lambda n: n / 2),
    ),
    max_size=25,
)
QUERIES = {
    "total": "SELECT user_id, sum(amount) AS value FROM events WHERE event = 'order' GROUP BY user_id",
    "days": "SELECT user_id, count(DISTINCT local_day(time)) AS value FROM events WHERE local_day(time) >= as_of_day - 1 GROUP BY user_id",
    "ahead": "SELECT user_id, max(local_day(time + INTERVAL 200 DAY) - as_of_day) AS value FROM events GROUP BY user_id",
    "share": "SELECT e.user_id, count(*) FILTER (WHERE e.amount > 0) / count(*) AS value FROM events AS e GROUP BY e.user_id",
    "hours": "SELECT user_id, (epoch(as_of) - epoch(max(time))) / 3600 AS value FROM Events GROUP BY User_ID",
    "best": """WITH days AS (SELECT user_id, local_day(time) AS day, sum(amount) AS spent FROM events GROUP BY user_id, day)
        SELECT user_id, max(spent) AS value FROM days GROUP BY user_id""",
    "gap": """SELECT user_id, max(gap) AS value FROM (
        SELECT user_id, epoch(time) - epoch(lag(time) OVER (PARTITION BY user_id ORDER BY time)) AS gap FROM events) AS gaps GROUP BY user_id""",
    "pairs": "SELECT one.user_id, count(*) AS value FROM events AS one JOIN events AS other USING (user_id, event) GROUP BY one.user_id",
    "none": "SELECT user_id, 1 / min(amount * 0) AS value FROM events GROUP BY user_id",
}


def oracle(rows: list[tuple[datetime, str, float | None]], as_of: datetime) -> dict[str, float | None]:
    """The values of one user, from the time, name and amount of the events known before as_of."""
    if not rows:
        return dict.fromkeys(QUERIES)
    times = sorted(time for time, _, _ in rows)
    today = as_of.astimezone(ZONE).date()
    days: dict[Any, list[float | None]] = {}
    for time, _, amount in rows:
        days.setdefault(time.astimezone(ZONE).date(), []).append(amount)
    recent = [day for day in days if day >= today - timedelta(days=1)]
    spent = [sum(known) for amounts in days.values() if (known := [a for a in amounts if a is not None])]
    orders = [amount for _, event, amount in rows if event == "order" and amount is not None]
    return {
        "total": sum(orders) if orders else None,
        "days": len(recent) or None,
        "ahead": ((times[-1] + timedelta(days=200)).astimezone(ZONE).date() - today).days,
        "share": sum(amount is not None and amount > 0 for _, _, amount in rows) / len(rows),
        "hours": (as_of - times[-1]) / timedelta(hours=1),
        "best": max(spent) if spent else None,
        "gap": max(((b - a).total_seconds() for a, b in pairwise(times)), default=None),
        "pairs": sum([event for _, event, _ in rows].count(event) for _, event, _ in rows),
        "none": None,
    }


@settings(max_examples=30, deadline=None)
@given(EVENTS)
def test_queries_give_what_the_oracle_gives(events: list[tuple[str, str, int, int | None, float | None]]) -> None:
    """Over the night in which the clocks go forward; what happens or arrives at as_of or later is not there."""
    as_of = datetime(2025, 3, 30, 22, tzinfo=UTC)
    rows = [
        (user, event, as_of + timedelta(minutes=at), None if late is None else as_of + timedelta(minutes=late), amount)
        for user, event, at, late, amount in events
    ]
    query = compile_profiles({name: query_tag(text) for name, text in QUERIES.items()}, as_of, ZONE, SCHEMA)
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE users_people AS SELECT v.user_id, NULL::TIMESTAMP AS since, 'x' AS city, 1.0 AS level FROM (VALUES ('a'), ('b'), ('c')) AS v(user_id)"
        )
        connection.execute(
            "CREATE TABLE events (user_id VARCHAR, event VARCHAR, time TIMESTAMP, received TIMESTAMP, amount DOUBLE, source VARCHAR, genre VARCHAR)"
        )
        connection.execute("CREATE TABLE acted (user_id VARCHAR, since TIMESTAMP)")
        for user, event, time, received, amount in rows:
            stamps = [moment.replace(tzinfo=None) if moment else None for moment in (time, received)]
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, 's', NULL)", [user, event, *stamps, amount])
        found = connection.execute(query.sql(dialect="duckdb")).fetchall()
    assert sorted(row[0] for row in found) == ["a", "b", "c"]
    for user, *values in found:
        known = [
            (time, event, amount)
            for who, event, time, received, amount in rows
            if who == user and time < as_of and (received is None or received < as_of)
        ]
        expected = oracle(known, as_of)
        assert dict(zip(QUERIES, values, strict=True)) == {
            name: value if value is None else pytest.approx(value) for name, value in expected.items()
        }


def test_relations_defaults_and_what_was_known(lay: Lay, values_of: Values) -> None:
    tags = """
city: {kind: sql, type: category, default: nowhere, query: "SELECT user_id, upper(max(city)) AS town FROM users_people GROUP BY user_id"}
above: {kind: sql, query: "SELECT e.user_id, count(*) AS v FROM events e JOIN users_people p USING (user_id) WHERE e.n > p.level GROUP BY e.user_id"}
last: {kind: sql, type: date, query: "SELECT user_id, local_day(max(time)) AS day FROM events WHERE genre LIKE '%' GROUP BY user_id"}
top: {kind: sql, type: boolean, query: "SELECT user_id, max(amount) > 8 AS big FROM events WHERE source = 'orders' GROUP BY user_id"}
twice: {kind: sql, expression: above * 2}
"""
    root = lay({**FILES, "tags/t.yaml": tags})
    early, late = values_of(root, "2025-01-04"), values_of(root, "2025-01-10")
    assert early == {
        "a": {"city": "OSLO", "above": None, "last": datetime(2025, 1, 2).date(), "top": True, "twice": None},  # noqa: DTZ001
        "b": {"city": "nowhere", "above": None, "last": None, "top": None, "twice": None},
    }
    assert late["b"] == {"city": "nowhere", "above": 1, "last": datetime(2025, 1, 3).date(), "top": False, "twice": 2}  # noqa: DTZ001
    assert (late["c"]["city"], late["d"]["top"], sorted(late)) == ("ROME", True, ["a", "b", "c", "d"])
    workspace = open_workspace(root)
    catalog = load_catalog(workspace)
    assert {name: tag.provable for name, tag in catalog.tags.items()} == {
        "city": False, "above": False, "last": True, "top": True, "twice": False,
    }  # fmt: skip
    assert (catalog["city"].title.en, catalog["top"].title.en) == ("city", "top")
    columns = {
        name: {(c.source, c.field) for c in trace_tag(name, catalog, workspace).columns} for name in catalog.tags
    }
    assert columns["city"] == {("people", "city")}
    assert {field for source, field in columns["top"] if source == "orders"} == {"event = 'order'", "time", "amount"}
    assert columns["twice"] == columns["above"] >= {("people", "level"), ("acts", "n")}


def test_a_query_sees_the_attributes_of_as_of(lay: Lay, values_of: Values) -> None:
    config = FILES["limner.yaml"].replace("since: s, attributes", "updated_at: s, attributes")
    people = "u,s,c,l\na,2025-01-01,Oslo,1\na,2025-01-05,Bonn,9\nb,2025-01-02,Rome,2\n"
    query = "SELECT p.user_id, max(city || level) AS v FROM users_people AS p JOIN events USING (user_id) GROUP BY p.user_id"
    tags = f'where_: {{kind: sql, type: category, query: "{query}"}}\n'
    root = lay({**FILES, "limner.yaml": config, "p.csv": people, "tags/t.yaml": tags})
    assert values_of(root, "2025-01-04")["a"] == {"where_": "Oslo1.0"}
    assert values_of(root, "2025-01-10") == {
        "a": {"where_": "Bonn9.0"},
        "b": {"where_": "Rome2.0"},
        "d": {"where_": None},
    }
    assert load_catalog(open_workspace(root))["where_"].provable


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT user_id, count(*) FROM 'a.csv' GROUP BY user_id", "unknown table 'a.csv'"),
        ("SELECT user_id, count(*) FROM event GROUP BY user_id", "line 1, column 31 of the query: unknown table 'event'\n  did you mean 'events'?"),
        ("SELECT user_id, max(amuont) FROM events GROUP BY user_id", "line 1, column 21 of the query: unknown column 'amuont'\n  did you mean 'amount'?"),
        ("SELECT user_id, max(received) FROM events GROUP BY user_id", "unknown column 'received'"),
        ("SELECT user_id, max(city) FROM events GROUP BY user_id", "unknown column 'city'"),
        ("WITH events AS (SELECT * FROM users_people) SELECT user_id, count(*) AS n FROM events GROUP BY user_id", "'events' is a relation already"),
        ("SELECT user_id, max(genre) AS v FROM events GROUP BY user_id", "gives a category, not a number\n  add a line 'type: category'"),
        ("SELECT user_id, max(genre) + 1 AS v FROM events GROUP BY user_id", "'query': "),
        ("SELECT user_id, max(e.amount) AS v FROM events GROUP BY user_id", "'query': "),
        ("SELECT user_id, amount AS v FROM events GROUP BY user_id", "'query': "),
        ("SELECT user_id, max(amount) FILTER (WHERE time > DATE '2025-13-01') AS v FROM events GROUP BY user_id", "'query': "),
        ("SELECT user_id, count(*) AS v FROM (SELECT level AS user_id FROM users_people) AS p GROUP BY user_id", "user_id is a double here"),
    ],
)  # fmt: skip
def test_a_query_that_does_not_fit_the_workspace(query: str, message: str) -> None:
    issues = [f"{issue.message}\n  {issue.hint}" for _, issue in query_tag(query).check(SCHEMA)]
    assert len(issues) == 1
    assert message in issues[0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT user_id, max(amount) FROM events", "grouped by user_id alone"),
        ("SELECT user_id, amount FROM events", "grouped by user_id alone"),
        ("SELECT user_id, max(amount) FROM events GROUP BY user_id, event", "grouped by user_id alone"),
        ("SELECT user_id, max(amount) FROM events GROUP BY ALL", "GROUP BY takes columns here"),
        ("SELECT user_id, max(amount) FROM events GROUP BY ROLLUP (user_id)", "'rollup' is not allowed in a query"),
        ("SELECT genre AS user_id, max(amount) AS v FROM events GROUP BY user_id", "grouped by user_id alone"),
        ("SELECT max(amount) FROM events GROUP BY user_id", "two columns"),
        ("SELECT * FROM events", "two columns"),
        ("SELECT user_id, 1, 2 FROM events GROUP BY user_id", "two columns"),
        ("SELECT user_id, 1 FROM events GROUP BY user_id UNION ALL SELECT user_id, 2 FROM events GROUP BY user_id", "one SELECT is expected"),
        ("SELECT user_id, 1 FROM events GROUP BY user_id; DROP TABLE events", "one SELECT is expected"),
        ("DROP TABLE events", "one SELECT is expected"),
        ("COPY events TO 'x'", "SELECT is expected"),
        ("SELECT user_id, max(amount)) FROM events", "this is no SQL query: line 1, column"),
        ("", "SELECT is expected"),
        ("SELECT user_id, count(*) FROM read_csv('/etc/passwd') GROUP BY user_id", "not allowed"),
        ("SELECT user_id, count(*) FROM glob('*') GROUP BY user_id", "not allowed"),
        ("SELECT user_id, count(*) FROM main.events GROUP BY user_id", "'main.events' is not allowed as a table"),
        ("SELECT user_id, count(*) FROM events TABLESAMPLE 10% GROUP BY user_id", "not allowed"),
        ("SELECT user_id, count(*) FROM events, users_people GROUP BY user_id", "a join needs ON or USING"),
        ("SELECT e.user_id, count(*) FROM events e CROSS JOIN users_people GROUP BY e.user_id", "a join needs ON or USING"),
        ("SELECT e.user_id, count(*) FROM events e NATURAL JOIN users_people GROUP BY e.user_id", "a join needs ON or USING"),
        ("SELECT user_id, max(amount) FILTER (WHERE time > now()) FROM events GROUP BY user_id", "line 1, column 50 of the query: a tag knows no clock"),
        ("SELECT user_id, max(today()) FROM events GROUP BY user_id", "a tag knows no clock"),
        ("SELECT user_id, max(current_timestamp) FROM events GROUP BY user_id", "a tag knows no clock"),
        ("SELECT user_id, max(random()) FROM events GROUP BY user_id", "not allowed in a query"),
        ("SELECT user_id, getenv('HOME') FROM events GROUP BY user_id", "'getenv' is not allowed in a query"),
        ("SELECT user_id, mediann(amount) FROM events GROUP BY user_id", "did you mean 'median'?"),
        ("SELECT user_id, any_value(amount) FROM events GROUP BY user_id", "not allowed in a query"),
        ("SELECT user_id, max(strftime(time, '%H')) FROM events GROUP BY user_id", "'strftime' is not allowed in a query"),
        ("SELECT user_id, repeat('x', 2000000000) FROM events GROUP BY user_id", "not allowed in a query"),
        ("SELECT user_id, max(amount) FROM events GROUP BY user_id LIMIT 3", "'limit' is not allowed in a query"),
        ("SELECT user_id, (SELECT amount FROM events) FROM events GROUP BY user_id", "a query as a value is not allowed"),
        ("SELECT user_id, max(as_of) AS as_of FROM events GROUP BY user_id", "'as_of' is the instant of the build"),
        ("SELECT user_id, local_day() AS v FROM events GROUP BY user_id", "local_day takes one time"),
        ("SELECT user_id, max(CAST(amount AS INT[])) AS v FROM events GROUP BY user_id", "not allowed"),
        ("WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT user_id, 1 FROM events GROUP BY user_id", "WITH RECURSIVE"),
        ("SELECT user_id, count(*) FROM (VALUES ('a')) AS t(user_id) GROUP BY user_id", "not allowed"),
        ("SELECT user_id, count(*) FROM events, LATERAL (SELECT 1) AS t GROUP BY user_id", "a join needs ON or USING"),
        ("SELECT user_id, " + "+".join(["1"] * 3000) + " FROM events GROUP BY user_id", "2000 parts"),
        ("SELECT user_id, " + "(" * 5000 + "1" + ")" * 5000 + " FROM events GROUP BY user_id", "no SQL query"),
        ("SELECT user_id, max(x'00') FROM events GROUP BY user_id", "no SQL query"),
        ("SELECT user_id, max($1) FROM events GROUP BY user_id", "not allowed"),
        ("SELECT user_id, max(COLUMNS('a.*')) FROM events GROUP BY user_id", "not allowed"),
        ("PIVOT events ON event USING count(*)", "one SELECT is expected"),
        ("FROM events", "two columns"),
    ],
)  # fmt: skip
def test_what_a_query_may_not_be(query: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        query_tag(query)
    assert message in str(caught.value)


def test_expression_or_query(lay: Lay) -> None:
    sound = "SELECT user_id, max(amount) AS v FROM events GROUP BY user_id"
    for wrong in ({}, {"expression": "1", "query": sound}):
        with pytest.raises(ValidationError, match="either 'expression' or 'query'"):
            TAG_KINDS.get("sql").model_validate({"kind": "sql", **wrong})
    root = lay(
        {
            **FILES,
            "tags/t.yaml": "n:\n  kind: sql\n  query: |\n    SELECT user_id, max(amount) AS v\n    FROM evnts\n    GROUP BY user_id\n",
        }
    )
    workspace = open_workspace(root)
    _, (issue,) = read_catalog(workspace, workspace.schema)
    assert (issue.code, issue.where, issue.hint) == ("unknown-table", "tags/t.yaml:3:3", "did you mean 'events'?")
    assert issue.message == "line 2, column 6 of the query: unknown table 'evnts'"


def test_what_would_fail_on_a_row_is_unknown(lay: Lay, values_of: Values) -> None:
    tags = """
cast: {kind: sql, query: "SELECT user_id, sum(CAST(genre AS INTEGER)) AS v FROM events GROUP BY user_id"}
zero: {kind: sql, query: "SELECT user_id, max(5 % n::BIGINT + ln(n / 0) + sqrt(-n) + 7 // 0) AS v FROM events GROUP BY user_id"}
huge: {kind: sql, query: "SELECT user_id, power(10, 400) * count(*) AS v FROM events GROUP BY user_id"}
"""
    values = values_of(lay({**FILES, "tags/t.yaml": tags}), "2025-01-10")
    assert values["a"] == {"cast": None, "zero": None, "huge": None}


def test_a_query_that_fails_as_it_runs_is_named(lay: Lay) -> None:
    tags = """
fine: {kind: count, event: read}
bad: {kind: sql, query: "SELECT user_id, max(4611686018427387904 * CAST(n AS BIGINT)) AS v FROM events GROUP BY user_id"}
"""
    root = lay({**FILES, "tags/t.yaml": tags})
    workspace = open_workspace(root)
    ingest(workspace)
    catalog, store = load_catalog(workspace), SnapshotStore(workspace.state)
    as_of = parse_as_of("2025-01-10", workspace.timezone)
    with pytest.raises(RefusedError) as caught, store.create(as_of, workspace.timezone, 3) as writer:
        write_profiles(writer, workspace, catalog)
    assert (caught.value.code, str(caught.value).partition(" ")[0]) == ("failed-query", "tags/t.yaml:3:1")
    assert "the tag 'bad': " in str(caught.value)
    assert store.ids() == []
