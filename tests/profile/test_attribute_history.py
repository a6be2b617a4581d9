"""Attribute history: the row that was known at as_of, however the rows were delivered; against a plain-Python oracle."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from limner_profile.attached import attach_sources
from limner_profile.builder import write_profiles
from limner_profile.catalog import load_catalog
from limner_profile.compiler import compile_profiles
from limner_profile.errors import DefinitionError, RefusedError, SourceError
from limner_profile.history import joined_sql
from limner_profile.ingest import ingest
from limner_profile.lineage import trace_tag
from limner_profile.lookup import read_origins
from limner_profile.manifest import Ingested
from limner_profile.snapshots import SnapshotStore
from limner_profile.sync_plan import plan_sync
from limner_profile.versions import read_history
from limner_profile.windows import parse_as_of
from limner_profile.workspace import Workspace, open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]
Values = Callable[[Path, str], dict[str, dict[str, Any]]]

CONFIG = (
    "name: t\ntimezone: %s\nsources:\n"
    "  people: {type: users, path: '%s', user: u, updated_at: t, attributes: {city: c, n: {column: n, type: number}}%s}\n"
)
TAGS = "city: {kind: attribute, attribute: city}\nn: {kind: attribute, attribute: n}\n"
HEAD = "u,t,c,n\n"


def config(zone: str = "UTC", path: str = "p*.csv", more: str = "") -> str:
    return CONFIG % (zone, path, more)


def run(root: Path) -> Ingested:
    (entry,) = ingest(open_workspace(root))
    return entry


def intervals(root: Path, entry: Ingested) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        (file,) = entry.files
        query = "SELECT user_id, city, n, valid_from, valid_to FROM read_parquet(?) ORDER BY user_id, valid_from"
        return con.execute(query, [str(root / ".limner" / file)]).fetchall()


def values_over(workspace: Workspace, moments: Iterable[datetime]) -> Iterator[dict[str, tuple[Any, ...]]]:
    tags = load_catalog(workspace).computed
    with duckdb.connect() as con:
        con.execute("SET threads = 1")
        attach_sources(con, workspace)
        for moment in moments:
            query = compile_profiles(tags, moment, workspace.timezone, workspace.schema)
            rows = con.execute(query.sql(dialect="duckdb")).fetchall()
            assert len({row[0] for row in rows}) == len(rows), "a user has two rows"
            yield {row[0]: tuple(row[1:]) for row in rows}


def values_at(workspace: Workspace, as_of: datetime) -> dict[str, tuple[Any, ...]]:
    (values,) = values_over(workspace, [as_of])
    return values


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2025, 1, number, hour)


def content(root: Path) -> dict[str, bytes]:
    state = root / ".limner"
    return {str(path.relative_to(state)): path.read_bytes() for path in sorted(state.rglob("*")) if path.is_file()}


def test_the_newest_row_before_as_of_counts_to_the_second(lay: Lay, values_of: Values) -> None:
    rows = "a,2025-01-10 12:00:00,Oslo,1\na,2025-01-20 12:00:00,Rome,2\nb,2025-01-15,Bonn,\na,2025-01-25,,3\n"
    root = lay({"limner.yaml": config("Asia/Shanghai"), "p.csv": HEAD + rows, "tags/t.yaml": TAGS})
    assert values_of(root, "2025-01-10 12:00:00") == {}  # nobody is known yet
    assert values_of(root, "2025-01-10 12:00:01") == {"a": {"city": "Oslo", "n": 1}}
    assert values_of(root, "2025-01-20 12:00:00")["a"] == {"city": "Oslo", "n": 1}  # a row of as_of itself is not seen
    assert values_of(root, "2025-01-20 12:00:01") == {"a": {"city": "Rome", "n": 2}, "b": {"city": "Bonn", "n": None}}
    assert values_of(root, "2026-01-01")["a"] == {"city": None, "n": 3}  # an empty cell empties the value
    (entry,) = ingest(open_workspace(root))
    assert intervals(root, entry)[0][3:] == (day(10, 4), day(20, 4))  # 12:00 in Shanghai


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2025-03-30 01:59:59", datetime(2025, 3, 30, 0, 59, 59)),  # the last second of winter time in Berlin
        ("2025-03-30 03:00:00", datetime(2025, 3, 30, 1)),
        ("2025-10-26T02:30:00+02:00", datetime(2025, 10, 26, 0, 30)),  # an hour that comes twice, told apart
        ("2025-10-26T02:30:00+01:00", datetime(2025, 10, 26, 1, 30)),
        ("2024-02-29", datetime(2024, 2, 28, 23)),
    ],
)
def test_updated_at_is_local_time_of_the_source(lay: Lay, written: str, instant: datetime) -> None:
    root = lay({"limner.yaml": config(more=", timezone: Europe/Berlin"), "p.csv": f"{HEAD}a,{written},x,1\n",
                "tags/t.yaml": TAGS})  # fmt: skip
    entry = run(root)
    assert intervals(root, entry) == [("a", "x", 1.0, instant, None)]
    workspace = open_workspace(root)
    assert values_at(workspace, instant.replace(tzinfo=UTC)) == {}
    assert values_at(workspace, instant.replace(tzinfo=UTC) + timedelta(microseconds=1)) == {"a": ("x", 1.0)}


def test_days_of_a_local_as_of_over_a_clock_change(lay: Lay, values_of: Values) -> None:
    rows = "a,2025-03-30 00:00,before,1\na,2025-03-31 00:00,after,2\n"
    root = lay({"limner.yaml": config("Europe/Berlin"), "p.csv": HEAD + rows, "tags/t.yaml": TAGS})
    assert values_of(root, "2025-03-30") == {}
    assert values_of(root, "2025-03-31") == {"a": {"city": "before", "n": 1}}  # a day of 23 hours
    assert values_of(root, "2025-04-01") == {"a": {"city": "after", "n": 2}}


def test_the_format_of_times_applies(lay: Lay) -> None:
    root = lay(
        {"limner.yaml": config(more=", time_format: '%d.%m.%Y %H:%M'"), "p.csv": f"{HEAD}a,05.01.2025 10:00,x,1\n"}
    )
    assert intervals(root, run(root)) == [("a", "x", 1.0, day(5, 10), None)]


def test_a_full_export_every_day_adds_no_row_for_what_has_not_changed(lay: Lay) -> None:
    def export(number: int) -> str:
        return HEAD + "".join(
            f"u{user},2025-01-{number:02},{'y' if user == 1 and number > 3 else 'x'},{user}\n" for user in range(3)
        )

    root = lay({"limner.yaml": config()})
    for number in range(1, 7):
        lay({f"p{number}.csv": export(number)})
        entry = run(root)
    assert (entry.rows, entry.duplicates, entry.rejected) == (4, 14, 0)
    assert intervals(root, entry) == [
        ("u0", "x", 0, day(1), None),
        ("u1", "x", 1, day(1), day(4)),
        ("u1", "y", 1, day(4), None),
        ("u2", "x", 2, day(1), None),
    ]
    lay({"p0.csv": f"{HEAD}u0,2025-01-02 12:00,z,0\n"})  # late, between two rows that say x
    entry = run(root)
    assert [row[1:] for row in intervals(root, entry) if row[0] == "u0"] == [
        ("x", 0, day(1), day(2, 12)),
        ("z", 0, day(2, 12), day(3)),
        ("x", 0, day(3), None),
    ]


def test_syncing_twice_changes_nothing_and_anew_gives_the_same_bytes(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "p1.csv": f"{HEAD}a,2025-01-02,x,1\nb,2025-01-01,x,1\n",
                "p2.csv": f"{HEAD}a,2025-01-01,y,1\na,2025-01-03,x,1\n"})  # fmt: skip
    run(root)
    before = content(root)
    again = run(root)
    assert again.reused
    assert content(root) == before
    assert set(before) == {*again.paths, "ingested.json"}
    (root / ".limner" / "ingested.json").unlink()
    run(root)
    assert content(root) == before


def test_intervals_that_are_continued_are_those_derived_anew(lay: Lay) -> None:
    root = lay({"limner.yaml": config()})
    for number in range(1, 6):  # each file is later than all before it, so the intervals go on
        lines = [
            f"u{user},2025-01-{number:02} {hour:02}:00,c{(user * number + place) % 3},{number // 2}\n"
            for user in range(20)
            for place, hour in enumerate((1, 2, 2))
        ]
        lay({f"p{number}.csv": HEAD + "".join(lines)})
        entry = run(root)
        assert (entry.contradictions, entry.notes[0][:15]) == (20 * number, "people: 20 rows")
    before = content(root)
    (root / ".limner" / "ingested.json").unlink()
    entry = run(root)
    assert (content(root), entry.notes[0][:16]) == (before, "people: 100 rows")


def test_what_a_file_said_stays_when_it_is_replaced_or_gone(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "p.csv": f"{HEAD}a,2025-01-01,x,1\nb,2025-01-01,x,1\nc,never,x,1\n"})
    assert run(root).rejected == 1
    lay({"p.csv": f"{HEAD}a,2025-01-05,y,1\nb,2025-01-01,x,1\n"})
    entry = run(root)
    assert (entry.rows, entry.rejected) == (3, 0)  # what could not be read has been corrected
    assert intervals(root, entry) == [
        ("a", "x", 1, day(1), day(5)), ("a", "y", 1, day(5), None), ("b", "x", 1, day(1), None)
    ]  # fmt: skip
    (root / "p.csv").unlink()
    lay({"p2.csv": f"{HEAD}a,2025-01-03,z,1\n"})
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.new, plan.gone) == (("p2.csv",), ("p.csv",))
    assert plan.notes == ("people: p.csv is gone; the rows stay, being history",)
    entry = run(root)
    assert [row[1] for row in intervals(root, entry)] == ["x", "z", "y", "x"]
    again = run(root)
    assert (again.reused, again.gone) == (True, ())


def test_a_corrected_value_replaces_the_one_of_the_same_instant(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "p.csv": f"{HEAD}a,2025-01-01,wrong,1\na,2025-01-02,x,1\n"})
    run(root)
    lay({"p.csv": f"{HEAD}a,2025-01-01,right,1\n"})
    entry = run(root)
    assert [row[1] for row in intervals(root, entry)] == ["right", "x"]
    assert entry.notes == ()


def test_a_file_that_is_replaced_every_day_does_not_grow_the_store(lay: Lay) -> None:
    root = lay({"limner.yaml": config()})
    kept = []
    for number in range(1, 15):
        lay({"p.csv": HEAD + "".join(f"u{user},2025-01-{number:02},x,{user}\n" for user in range(50))})
        entry = run(root)
        assert entry.rows == 50
        kept.append(sum(part.rows for part in entry.parts if part.kept))
    assert kept == [0, 50, *[100] * 12]  # the first and the last row of a user that say the same
    assert intervals(root, entry)[0] == ("u0", "x", 0, day(1), None)
    os.utime(root / "p.csv", ns=(1, 1))  # touched, not changed
    again = run(root)
    assert (again.reused, again.rows, sum(part.rows for part in again.parts)) == (False, 50, 150)


def test_a_late_row_within_rows_that_were_written_over_holds_until_the_last_of_them(lay: Lay) -> None:
    root = lay({"limner.yaml": config()})
    for number in (1, 3, 5, 7):
        lay({"p.csv": f"{HEAD}a,2025-01-0{number},x,1\n"})
        run(root)
    lay({"p2.csv": f"{HEAD}a,2025-01-02,z,1\na,2025-01-06,z,1\n"})
    entry = run(root)
    # The third is no longer there to end the first z; the fifth ends it, and the seventh, whose file is there, the second.
    assert [(row[1], row[3].day) for row in intervals(root, entry)] == [
        ("x", 1),
        ("z", 2),
        ("x", 5),
        ("z", 6),
        ("x", 7),
    ]


def test_rows_of_one_instant_the_last_of_the_last_file_counts(lay: Lay) -> None:
    files = {
        "p1.csv": f"{HEAD}a,2025-01-01,one,1\na,2025-01-01,two,1\na,2025-01-01,two,1\nb,2025-01-01,x,1\n",
        "p2.csv": f"{HEAD}a,2025-01-01,three,1\nb,2025-01-01,x,1\n",
    }
    entry = run(root := lay({"limner.yaml": config(), **files}))
    assert intervals(root, entry) == [("a", "three", 1, day(1), None), ("b", "x", 1, day(1), None)]
    assert (entry.rows, entry.duplicates) == (2, 4)
    # 'one' in its file, 'two' against the second file; the rows that say the same contradict nothing.
    assert entry.notes == (
        "people: 2 rows of a user and an updated_at that come again with other values; the last counts",
    )


def test_rows_without_a_time_are_rejected_with_a_reason(lay: Lay) -> None:
    rows = "a,,x,1\na,soon,x,1\na,2025-01-01,x,1\n,2025-01-01,x,1\n"
    root = lay({"limner.yaml": config(), "p.csv": HEAD + rows})
    entry = run(root)
    assert (entry.rows, entry.duplicates, entry.rejected) == (1, 0, 3)
    with duckdb.connect() as con:
        query = "SELECT line, field, value, reason FROM read_parquet(?) ORDER BY line"
        found = con.execute(query, [str(root / ".limner" / entry.rejects_files[0])]).fetchall()
    assert found == [(2, "t", None, "missing-updated_at"), (3, "t", "soon", "bad-time"), (5, "u", None, "missing-user")]


def test_columns_that_are_missing_new_or_of_another_type(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "p1.csv": f"{HEAD}a,2025-01-01,x,1\n"})
    run(root)
    lay({"p2.csv": "u,when,c,n\na,2025-01-01,x,1\n"})
    with pytest.raises(SourceError) as caught:
        run(root)
    (issue,) = caught.value.issues
    assert (issue.code, issue.where) == ("unknown-column", "limner.yaml:4:50")
    assert "p2.csv has no column 't'" in issue.message
    lay({"p2.csv": f"{HEAD}a,soon,x,1\nb,later,x,1\n"})
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.retyped_columns, plan.issues[0].code) == (("t",), "retyped-column")
    lay({"p2.csv": "u,t,c,n,extra\na,2025-01-02,x,1,5\n"})
    (plan,) = plan_sync(open_workspace(root))
    assert (plan.new, plan.new_columns, plan.issues) == (("p2.csv",), ("extra",), ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{type: events, path: p.csv, user: u, time: t, event_name: e, updated_at: t}", "no field 'updated_at'"),
        ("{type: users, path: p.csv, user: u, updated_at: t, attributes: [valid_to]}", "a name of Limner's own"),
        ("{type: users, path: p.csv, user: u, updated_att: t}", "unknown field 'updated_att'"),
    ],
)
def test_mistakes_in_the_mapping(lay: Lay, text: str, told: str) -> None:
    root = lay({"limner.yaml": f"name: t\ntimezone: UTC\nsources:\n  people: {text}\n"})
    with pytest.raises(DefinitionError, match=told):
        open_workspace(root)


def test_without_updated_at_the_names_are_free(lay: Lay) -> None:
    text = "name: t\ntimezone: UTC\nsources:\n  people: {type: users, path: p.csv, user: u, attributes: [valid_to, updated_at]}\n"
    entry = run(lay({"limner.yaml": text, "p.csv": "u,valid_to,updated_at\na,1,2\na,1,3\n"}))
    assert (entry.rows, entry.duplicates, entry.history) == (1, 1, None)


def test_who_is_known_at_a_past_as_of(lay: Lay, values_of: Values) -> None:
    rows = "old,2025-01-20,x,1,2024-12-01\nyoung,2025-01-20,x,1,\n"
    files = {"p.csv": "u,t,c,n,s\n" + rows, "tags/t.yaml": TAGS, "a.csv": "u,t\nactive,2025-01-05\nyoung,2025-01-06\n"}
    acts = "  acts: {type: events, path: a.csv, user: u, time: t, event_name: go}\n"
    root = lay({"limner.yaml": config(path="p.csv", more=", since: s") + acts, **files})
    unknown = {"city": None, "n": None}
    assert values_of(root, "2024-12-15") == {"old": unknown}  # signed up; what was known of them nobody said
    assert values_of(root, "2025-01-06") == {"old": unknown, "active": unknown}
    assert values_of(root, "2025-01-07") == {"old": unknown, "active": unknown, "young": unknown}
    assert values_of(root, "2025-01-21")["young"] == {"city": "x", "n": 1}
    lay({"limner.yaml": config(path="p.csv")})
    assert values_of(root, "2025-01-20") == {}  # without a sign-up date one is known from the first row on
    assert set(values_of(root, "2025-01-21")) == {"old", "young"}


def test_formats_beside_each_other(lay: Lay) -> None:
    jsonl = "\n".join(json.dumps({"u": "a", "t": f"2025-01-0{n}", "c": f"c{n}", "n": n}) for n in (2, 4)).encode()
    root = lay({"limner.yaml": config(path="p*"), "p1.csv": f"{HEAD}a,2025-01-01,c1,1\na,2025-01-03,c3,3\n",
                "p2.jsonl.gz": gzip.compress(jsonl)})  # fmt: skip
    with duckdb.connect() as con:
        con.execute("COPY (SELECT 'a' AS u, DATE '2025-01-05' AS t, 'c5' AS c, 5 AS n) TO ? (FORMAT parquet)",
                    [str(root / "p3.parquet")])  # fmt: skip
    entry = run(root)
    assert intervals(root, entry) == [("a", f"c{n}", n, day(n), day(n + 1) if n < 5 else None) for n in (1, 2, 3, 4, 5)]


def test_a_database_with_updated_at_as_the_cursor(lay: Lay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sqlalchemy")
    file = tmp_path / "crm.db"

    def do(*statements: str) -> None:
        connection = sqlite3.connect(file)
        with connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    do("CREATE TABLE people (u TEXT PRIMARY KEY, t TEXT, c TEXT, n REAL)")
    monkeypatch.setenv("CRM", f"sqlite:///{file}")
    text = config(more=", cursor: t, table: people").replace("path: 'p*.csv'", "url: '${CRM}'")
    root = lay({"limner.yaml": text, "tags/t.yaml": TAGS})
    do(
        "INSERT INTO people VALUES ('a', '2025-01-01', 'c0', 1), ('b', '2025-01-01', 'x', 1), ('z', '2025-01-01', 'x', 'bad')"
    )
    run(root)
    assert run(root).reused
    for number in range(2, 13):  # one row a user there: each change writes over the row before
        do(f"UPDATE people SET t = '2025-01-{number:02}', c = 'c{number // 2}' WHERE u = 'a'")
        entry = run(root)
        assert len(entry.parts) <= 8
        assert (entry.rejected, entry.rows + entry.duplicates) == (1, number + 1)
    assert [row[1:4] for row in intervals(root, entry) if row[0] == "a"] == [
        (f"c{number // 2}", 1, day(number)) for number in (1, 2, 4, 6, 8, 10, 12)
    ]
    assert values_at(open_workspace(root), datetime(2025, 1, 7, tzinfo=UTC)) == {"a": ("c3", 1), "b": ("x", 1)}


def test_a_table_read_whole_and_a_frame_keep_what_they_said(lay: Lay) -> None:
    import pandas as pd

    root = lay({"limner.yaml": config(path="frame")})

    def hand_over(*rows: tuple[str, str, str, float]) -> Ingested:
        frame = pd.DataFrame(rows, columns=["u", "t", "c", "n"]).assign(t=lambda it: pd.to_datetime(it["t"]))
        (entry,) = ingest(open_workspace(root), frames={"people": frame})
        return entry

    hand_over(("a", "2025-01-01", "x", 1))
    entry = hand_over(("a", "2025-01-03", "y", 1), ("b", "2025-01-03", "x", 1))
    entry = hand_over(("a", "2025-01-02", "z", 1))
    assert [row[:2] for row in intervals(root, entry)] == [("a", "x"), ("a", "z"), ("a", "y"), ("b", "x")]
    assert run(root).reused


def test_a_type_that_shows_later_reads_all_again_and_keeps_the_rows_of_gone_files(lay: Lay) -> None:
    text = config().replace("{column: n, type: number}", "n")
    root = lay({"limner.yaml": text, "p1.csv": f"{HEAD}a,2025-01-01,x,\n", "p2.csv": f"{HEAD}a,2025-01-02,y,\n"})
    run(root)
    (root / "p1.csv").unlink()
    lay({"p3.csv": f"{HEAD}a,2025-01-03,y,7\n"})
    run(root)
    lay({"p2.csv": f"{HEAD}a,2025-01-02,y,5\n"})
    entry = run(root)
    assert intervals(root, entry)[0] == ("a", "x", None, day(1), day(2))
    assert [(row[1], row[3]) for row in intervals(root, entry)] == [("x", day(1)), ("y", day(2)), ("y", day(3))]


def test_a_changed_mapping_says_what_it_loses(lay: Lay) -> None:
    root = lay({"limner.yaml": config(), "p.csv": f"{HEAD}a,2025-01-01,x,1\n", "tags/t.yaml": TAGS})
    run(root)
    lay({"p.csv": f"{HEAD}a,2025-01-05,yy,1\n"})
    run(root)
    lay({"limner.yaml": config(more=", timezone: Asia/Shanghai")})
    (plan,) = plan_sync(open_workspace(root))
    told = "people: the mapping has changed; 1 earlier rows go, which no file holds any more"
    assert plan.notes == (told,)
    entry = run(root)
    assert (entry.rows, entry.notes) == (1, (told,))


@pytest.mark.parametrize("first", [True, False])
def test_history_begun_or_ended_without_a_sync_is_refused(lay: Lay, first: bool) -> None:
    with_history = config()
    without = with_history.replace("updated_at: t, ", "")
    root = lay({"limner.yaml": with_history if first else without, "p.csv": f"{HEAD}a,2025-01-01,x,1\n",
                "tags/t.yaml": TAGS})  # fmt: skip
    run(root)
    lay({"limner.yaml": without if first else with_history})
    with pytest.raises(RefusedError) as caught:
        values_at(open_workspace(root), datetime(2025, 2, 1, tzinfo=UTC))
    assert caught.value.code == "not-ingested"
    run(root)
    assert values_at(open_workspace(root), datetime(2025, 2, 1, tzinfo=UTC)) == {"a": ("x", 1)}


def test_what_is_provable_and_where_it_comes_from(lay: Lay) -> None:
    plain = "  more: {type: users, path: m.csv, user: u, attributes: [level]}\n"
    tags = (
        f"{TAGS}level: {{kind: attribute, attribute: level}}\n"
        "big: {kind: band, of: n, cuts: [5]}\nmixed: {kind: sql, expression: n + level}\n"
    )
    root = lay({"limner.yaml": config(path="p.csv") + plain, "p.csv": f"{HEAD}a,2025-01-01,x,1\n", "m.csv": "u,level\na,3\n",
                "tags/t.yaml": tags})  # fmt: skip
    workspace = open_workspace(root)
    catalog = load_catalog(workspace)
    assert {name for name, tag in catalog.tags.items() if tag.provable} == {"city", "n", "big"}
    columns = [(it.source, it.column, it.field) for it in trace_tag("city", catalog, workspace).columns]
    assert columns == [("people", "c", "city"), ("people", "t", "updated_at")]
    assert [it.field for it in trace_tag("level", catalog, workspace).columns] == ["level"]


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_golden_sql(dialect: str, lay: Lay, golden: Callable[[str, str], None]) -> None:
    root = lay({"limner.yaml": config(more=", since: s"), "p.csv": "u,t,c,n,s\na,2025-01-01,x,1,2025-01-01\n",
                "tags/t.yaml": TAGS})  # fmt: skip
    workspace = open_workspace(root)
    as_of = parse_as_of("2025-03-01", workspace.timezone)
    query = compile_profiles(load_catalog(workspace).computed, as_of, workspace.timezone, workspace.schema)
    golden(f"sql/attribute_history.{dialect}.sql", query.sql(dialect=dialect, pretty=True) + "\n")


def test_the_history_in_the_snapshot_and_of_one_user(lay: Lay) -> None:
    rows = (
        "a,2025-01-01,x,1\na,2025-01-03,x,2.5\na,2025-01-05,,2.5\na,2025-01-07,y,2.5\n"
        "b,2025-01-01,x,1\nc,2025-01-01,x,1\nc,2025-01-09,z,1\n"
    )
    root = lay({"limner.yaml": config(), "p.csv": HEAD + rows, "tags/t.yaml": TAGS})
    run(root)
    workspace = open_workspace(root)
    store = SnapshotStore(workspace.state)
    as_of = datetime(2025, 1, 6, tzinfo=UTC)
    with store.create(as_of, workspace.timezone, 3) as writer:
        write_profiles(writer, workspace, load_catalog(workspace))
    with store.open() as snapshot:
        found = snapshot.rows("SELECT * FROM attribute_history ORDER BY ALL")
    assert [tuple(row.values()) for row in found] == [
        ("a", "people", "city", "x", day(1), day(5)),
        ("a", "people", "city", None, day(5), None),
        ("a", "people", "n", "1", day(1), day(3)),
        ("a", "people", "n", "2.5", day(3), None),
    ]
    versions = read_history(workspace, "a", as_of)
    assert [(it.attribute, it.value, it.valid_from.day, it.valid_to and it.valid_to.day) for it in versions] == [
        ("city", "x", 1, 5), ("city", None, 5, None), ("n", 1, 1, 3), ("n", 2.5, 3, None)
    ]  # fmt: skip
    origins = read_origins(workspace, load_catalog(workspace), "a", as_of, versions)
    assert origins["city"].valid_from == datetime(2025, 1, 5, tzinfo=UTC)
    assert origins["n"].valid_from == datetime(2025, 1, 3, tzinfo=UTC)
    assert read_history(workspace, "nobody", as_of) == []


def test_odd_names_and_types_of_attributes(lay: Lay) -> None:
    names = [
        "e",
        "p",
        "l",
        "k",
        "id",
        "value",
        "attribute",
        "part",
        "differs",
        "filename",
        '部门 "名"',
        "it's",
        "born",
        "ok",
    ]
    mapped = ", ".join(json.dumps(name, ensure_ascii=False) + f": c{place}" for place, name in enumerate(names))
    text = f"name: t\ntimezone: UTC\nsources:\n  人: {{type: users, path: 'p*.csv', user: u, updated_at: t, attributes: {{{mapped}}}}}\n"
    tags = "".join(
        f"t{place}: {{kind: attribute, attribute: {json.dumps(name)}}}\n" for place, name in enumerate(names)
    )
    head = "u,t," + ",".join(f"c{place}" for place in range(len(names))) + "\n"

    def row(number: int) -> str:
        texts = [f"v{place}-{number}" for place in range(len(names) - 2)]
        return f"a,2025-01-0{number}," + ",".join([*texts, f"2000-01-0{number}", str(number % 2 == 0).lower()]) + "\n"

    root = lay({"limner.yaml": text, "tags/t.yaml": tags, "p1.csv": head + row(1) + row(1)})
    run(root)
    lay({"p1.csv": head + row(2), "p2.csv": head + row(1)})  # the first row is kept, and then comes from another file
    entry = run(root)
    assert (entry.rows, entry.contradictions) == (2, 0)
    workspace = open_workspace(root)
    assert values_at(workspace, datetime(2025, 1, 2, tzinfo=UTC))["a"][:3] == ("v0-1", "v1-1", "v2-1")
    store = SnapshotStore(workspace.state)
    with store.create(datetime(2025, 2, 1, tzinfo=UTC), workspace.timezone, 3) as writer:
        write_profiles(writer, workspace, load_catalog(workspace))
    with store.open() as snapshot:
        found = snapshot.rows(
            "SELECT attribute, list(value ORDER BY valid_from) AS them FROM attribute_history GROUP BY 1"
        )
    assert {row["attribute"]: row["them"] for row in found} == {
        **{name: [f"v{place}-1", f"v{place}-2"] for place, name in enumerate(names[:-2])},
        "born": ["2000-01-01", "2000-01-02"],
        "ok": ["false", "true"],
    }
    joined = read_history(workspace, "somebody", datetime(2025, 2, 1, tzinfo=UTC), ["a"])
    assert [it.attribute for it in joined] == [name for name in names for _ in range(2)]


def test_a_source_that_lists_users_only(lay: Lay) -> None:
    text = "name: t\ntimezone: UTC\nsources:\n  people: {type: users, path: p.csv, user: u, updated_at: t}\n"
    entry = run(lay({"limner.yaml": text, "p.csv": "u,t\na,2025-01-01\na,2025-01-02\nb,2025-01-03\n"}))
    assert (entry.rows, entry.duplicates) == (2, 1)


def test_the_histories_of_several_ids_become_one(lay: Lay) -> None:
    rows = (
        "phone,2025-01-01,x,1\naccount,2025-01-03,,2\nphone,2025-01-05,y,3\naccount,2025-01-07,z,\nphone,2025-01-09,w,4\n"
        "other,2025-01-01,q,9\n"
    )
    root = lay({"limner.yaml": config(), "p.csv": HEAD + rows})
    entry = run(root)
    with duckdb.connect() as con:
        con.execute("CREATE TABLE ids AS FROM (VALUES ('phone', 'account'), ('account', 'account')) AS v (id, user_id)")
        file = f"read_parquet('{root / '.limner' / entry.files[0]}')"
        found = con.execute(joined_sql(file, "ids", ["city", "n"])).fetchall()
    # The account's own value goes first, the phone's fills what it does not have.
    assert [row[1:4] for row in found] == [
        ("x", 1, day(1)), ("x", 2, day(3)), ("y", 2, day(5)), ("z", 3, day(7)), ("z", 4, day(9))
    ]  # fmt: skip
    assert [row[4] for row in found] == [day(3), day(5), day(7), day(9), None]
    versions = read_history(open_workspace(root), "account", datetime(2025, 1, 8, tzinfo=UTC), ["account", "phone"])
    assert [(it.attribute, it.value, it.valid_from.day, it.valid_to and it.valid_to.day) for it in versions] == [
        ("city", "x", 1, 5), ("city", "y", 5, 7), ("city", "z", 7, None), ("n", 1, 1, 3), ("n", 2, 3, 7), ("n", 3, 7, None)
    ]  # fmt: skip


# The property: whatever the order and the files, what is seen is the newest row before as_of.

ZONE = ZoneInfo("Europe/Berlin")
BEGIN = datetime(2025, 3, 29, 20, tzinfo=UTC)  # some hours before the clocks change
Row = tuple[str, int, str | None, int | None]
ROWS = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.integers(0, 12), st.sampled_from([None, "x", "y"]), st.sampled_from([None, 1])
    ),
    min_size=1,
    max_size=24,
)


def written(rows: Sequence[Row]) -> str:
    lines = [
        f"{user},{(BEGIN + timedelta(hours=hour)).astimezone(ZONE).isoformat()},{city or ''},{'' if n is None else n}\n"
        for user, hour, city, n in rows
    ]
    return HEAD + "".join(lines)


def oracle(files: Mapping[str, Sequence[Row]], hour: int) -> dict[str, tuple[Any, ...]]:
    """The values known before an hour: the rows in the order of files and lines, the newest of each user, the last of equals."""
    newest: dict[str, Row] = {}
    for name in sorted(files):
        for row in files[name]:
            if row[1] < hour and (row[0] not in newest or newest[row[0]][1] <= row[1]):
                newest[row[0]] = row
    return {user: row[2:] for user, row in newest.items()}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, data=st.data())
def test_the_value_seen_is_that_of_the_newest_row_whatever_the_order(
    rows: list[Row], data: st.DataObject, lay: Lay
) -> None:
    names = [f"p{number}.csv" for number in range(3)]
    files: dict[str, list[Row]] = {}
    for row in rows:
        files.setdefault(data.draw(st.sampled_from(names)), []).append(row)
    root = lay({"limner.yaml": config("Europe/Berlin"), "tags/t.yaml": TAGS})
    shutil.rmtree(root / ".limner", ignore_errors=True)
    for name in names:
        (root / name).unlink(missing_ok=True)
    for name in data.draw(st.permutations(sorted(files))):
        lay({name: written(files[name])})
        entry = run(root)
    moments = [BEGIN + timedelta(hours=hour) for hour in range(14)]
    for hour, values in enumerate(values_over(open_workspace(root), moments)):
        assert values == oracle(files, hour), hour
    assert entry.rows + entry.duplicates == len(rows)
    found = intervals(root, entry)
    for one, after in pairwise(found):
        if one[0] == after[0]:
            assert one[4] == after[3]
            assert one[1:3] != after[1:3]  # rows that say the same are one interval
        else:
            assert one[4] is None


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(versions=st.lists(ROWS, min_size=2, max_size=4))
def test_a_file_written_over_adds_its_rows(versions: list[list[Row]], lay: Lay) -> None:
    """No late row falls within rows that say the same where each version lies after the one before."""
    later = [
        [(user, hour + 20 * number, city, n) for user, hour, city, n in rows] for number, rows in enumerate(versions)
    ]
    root = lay({"limner.yaml": config("Europe/Berlin"), "tags/t.yaml": TAGS})
    shutil.rmtree(root / ".limner", ignore_errors=True)
    for number, rows in enumerate(later):
        lay({"p.csv": written(rows)})
        os.utime(root / "p.csv", ns=(number + 1, number + 1))
        run(root)
    files = {f"p{number}.csv": rows for number, rows in enumerate(later)}
    hours = range(0, 20 * len(later), 3)
    moments = [BEGIN + timedelta(hours=hour) for hour in hours]
    for hour, values in zip(hours, values_over(open_workspace(root), moments), strict=True):
        assert values == oracle(files, hour), hour
