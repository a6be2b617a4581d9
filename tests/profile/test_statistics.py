"""Statistics of tags against pandas, limits of quality, and what a build does where one is broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from limner_profile.builder import check_quality, write_profiles
from limner_profile.catalog import load_catalog
from limner_profile.errors import RefusedError
from limner_profile.ingest import ingest
from limner_profile.quality import Quality, find_breaches
from limner_profile.snapshots import SnapshotStore
from limner_profile.statistics import measure_statistics, read_statistics, write_statistics
from limner_profile.windows import parse_as_of
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]
NUMBERS = st.lists(st.none() | st.integers(-50, 50).map(lambda n: n / 4), min_size=1, max_size=40)


def profiles(connection: duckdb.DuckDBPyConnection, kind: str, values: Sequence[object]) -> None:
    connection.execute(f'CREATE OR REPLACE TABLE profiles (user_id VARCHAR, "a ""tag" {kind})')
    connection.executemany("INSERT INTO profiles VALUES (?, ?)", [[str(i), value] for i, value in enumerate(values)])


@settings(max_examples=40, deadline=None)
@given(NUMBERS)
def test_numbers_agree_with_pandas(values: list[float | None]) -> None:
    with duckdb.connect() as connection:
        profiles(connection, "DOUBLE", values)
        (row,) = measure_statistics(connection, {'a "tag': "number"})
    known = pd.Series([value for value in values if value is not None], dtype=float)
    assert (row["users"], row["unknown"]) == (len(known), len(values) - len(known))
    assert row["coverage"] == pytest.approx(len(known) / len(values))
    assert row["distinct_values"] == known.nunique()
    if known.empty:
        assert row["mean"] is row["min"] is row["median"] is row["max"] is None
    else:
        names = ("min", "quartile_1", "median", "quartile_3", "max")
        assert [row[name] for name in names] == pytest.approx([known.quantile(q) for q in (0, 0.25, 0.5, 0.75, 1)])
        assert row["mean"] == pytest.approx(known.mean())
    assert row["top_values"] is row["earliest"] is row["psi"] is None


def test_categories_booleans_and_dates() -> None:
    with duckdb.connect() as connection:
        profiles(connection, "VARCHAR", ["b", "a", "a", None, "b", "c"])
        (row,) = measure_statistics(connection, {'a "tag': "category"})
        assert json.loads(row["top_values"]) == [["a", 2], ["b", 2], ["c", 1]]
        assert (row["unknown"], row["distinct_values"], row["mean"]) == (1, 3, None)
        profiles(connection, "BOOLEAN", [True, True, False, None])
        (row,) = measure_statistics(connection, {'a "tag': "boolean"})
        assert (row["mean"], json.loads(row["top_values"])) == (pytest.approx(2 / 3), [[True, 2], [False, 1]])
        profiles(connection, "DATE", [date(2025, 1, 2), date(2024, 2, 29), None])
        (row,) = measure_statistics(connection, {'a "tag': "date"})
        assert (row["earliest"], row["latest"]) == (datetime(2024, 2, 29), datetime(2025, 1, 2))  # noqa: DTZ001


def test_limits() -> None:
    rows = [
        {"tag": "a", "coverage": 0.5, "psi": 0.3, "compared_with": "x"},
        {"tag": "b", "coverage": 0.8, "psi": None, "compared_with": None},
        {"tag": "c", "coverage": 0.0, "psi": 9.0, "compared_with": "x"},
    ]
    strict = Quality(coverage_min=0.8, psi_max=0.25, on_breach="stop")
    first, *others = find_breaches({"a": (strict, "t.yaml:1:1"), "b": (strict, "")}, rows)
    assert (first.tag, first.stop, others) == ("a", True, [])
    assert first.words == "coverage 0.5 is below 0.8; psi 0.3 against x is above 0.25"
    assert (first.issue.code, first.issue.where) == ("quality-limit", "t.yaml:1:1")
    for wrong in ({"coverage_min": 1.5}, {"psi_max": 0}, {"on_breach": "halt"}, {"coverage": 0.5}):
        with pytest.raises(ValidationError):
            Quality.model_validate(wrong)


FILES = {
    "limner.yaml": """name: t
timezone: UTC
sources:
  people: {type: users, path: p.csv, user: u, attributes: {city: c}}
  acts: {type: events, path: a.csv, user: u, time: t, event: e}
""",
    "p.csv": "u,c\na,Oslo\nb,\nc,Oslo\nd,Rome\n",
    "a.csv": "u,t,e\na,2025-01-01 12:00,read\nb,2025-01-01 12:00,read\n",
}


def build(root: Path, as_of: str = "2025-01-02") -> tuple[SnapshotStore, list[str]]:
    workspace = open_workspace(root)
    ingest(workspace)
    store, catalog = SnapshotStore(workspace.state), load_catalog(workspace)
    current = store.current_id()
    previous = store.folder / f"{current}.duckdb" if current else None
    with store.create(parse_as_of(as_of, workspace.timezone), workspace.timezone, 9) as writer:
        write_profiles(writer, workspace, catalog)
        breaches = check_quality(writer, catalog, previous)
    return store, [f"{breach.tag}: {breach.words}" for breach in breaches]


def tags(quality: str) -> dict[str, str]:
    return {
        "tags/t.yaml": f"city: {{kind: attribute, attribute: city, quality: {quality}}}\nn: {{kind: count, event: read}}\n"
    }


def test_a_warning_is_recorded_and_a_stop_keeps_the_old_snapshot(lay: Lay) -> None:
    store, breaches = build(lay({**FILES, **tags("{coverage_min: 0.8}")}))
    assert breaches == ["city: coverage 0.75 is below 0.8"]
    with store.open() as snapshot:
        assert {row["tag"]: row["breach"] for row in read_statistics(snapshot)} == {
            "city": "coverage 0.75 is below 0.8", "n": None,
        }  # fmt: skip
    first = store.current_id()
    root = lay(tags("{coverage_min: 0.8, on_breach: stop}"))
    with pytest.raises(RefusedError) as caught:
        build(root)
    assert caught.value.code == "quality-limit"
    assert str(caught.value).startswith("tags/t.yaml:1:1  the tag 'city': coverage 0.75 is below 0.8")
    assert (store.current_id(), store.ids()) == (first, [first])
    assert build(lay(tags("{coverage_min: 0.75, on_breach: stop}")))[1] == []


def test_drift_stops_a_build(lay: Lay) -> None:
    root = lay({**FILES, **tags("{psi_max: 0.25, on_breach: stop}")})
    store, _ = build(root)
    build(root)  # the same again: no drift
    with store.open() as snapshot:
        rows = {row["tag"]: (row["psi"], row["compared_with"]) for row in read_statistics(snapshot)}
    assert rows == {"city": (0.0, "20250102-0001"), "n": (0.0, "20250102-0001")}
    root = lay({"p.csv": "u,c\na,Bonn\nb,Bonn\nc,Bonn\nd,Bonn\n"})
    with pytest.raises(RefusedError, match=r"psi .* against 20250102-0002 is above 0.25"):
        build(root)
    assert store.current_id() == "20250102-0002"


def test_a_redefined_tag_has_no_drift_and_a_limit_is_no_definition(lay: Lay) -> None:
    root = lay({**FILES, **tags("{}")})
    build(root)
    store, _ = build(lay({"tags/t.yaml": tags("{psi_max: 1}")["tags/t.yaml"].replace("read", "read, window: 7d")}))
    with store.open() as snapshot:
        rows = {row["tag"]: row["psi"] for row in read_statistics(snapshot)}
    assert rows == {"city": 0.0, "n": None}


def test_a_bad_limit_is_placed(lay: Lay) -> None:
    from limner_profile.errors import DefinitionError

    with pytest.raises(DefinitionError) as caught:
        load_catalog(open_workspace(lay({**FILES, **tags("{coverage_mn: 0.8}")})))
    (issue,) = caught.value.issues
    assert (issue.where, issue.hint) == ("tags/t.yaml:1:52", "did you mean 'coverage_min'?")


def test_sources_say_how_fresh_they_are(lay: Lay) -> None:
    store, _ = build(
        lay({**FILES, **tags("{}"), "a.csv": FILES["a.csv"] + "b,someday,read\n" + "b,2025-01-01 12:00,read\n"})
    )
    with store.open() as snapshot:
        people, acts = snapshot.rows("SELECT * FROM sources")
    assert (people["name"], people["type"], people["files"], people["rows"], people["age_hours"]) == (
        "people",
        "users",
        1,
        4,
        None,
    )
    assert (acts["rows"], acts["duplicates"], acts["rejected"], acts["age_hours"]) == (2, 1, 1, 12.0)
    assert acts["last_time"] == datetime(2025, 1, 1, 12, tzinfo=UTC).replace(tzinfo=None)


def test_a_snapshot_of_before_is_counted_on_demand(tmp_path: Path) -> None:
    from zoneinfo import ZoneInfo

    store = SnapshotStore(tmp_path)
    with store.create(datetime(2025, 1, 1, tzinfo=UTC), ZoneInfo("UTC"), 9) as writer:
        writer.connection.execute("CREATE TABLE tags AS SELECT 'n' AS name, 'number' AS type")
        writer.connection.execute("CREATE TABLE profiles AS SELECT 'u' AS user_id, 3.0 AS n")
    with store.open() as snapshot:
        (row,) = read_statistics(snapshot)
    assert (row["median"], row["coverage"]) == (3.0, 1.0)


def test_drift_is_the_same_from_kept_bins_and_from_profiles(lay: Lay) -> None:
    store, _ = build(lay({**FILES, **tags("{}")}))
    root = lay(
        {"p.csv": "u,c\na,Oslo\nb,Rome\nc,Rome\nd,Bonn\n", "a.csv": FILES["a.csv"] + "a,2025-01-01 13:00,read\n"}
    )
    build(root)
    first, second = store.ids()
    with store.open(second) as snapshot:
        kept = {row["tag"]: row["psi"] for row in read_statistics(snapshot)}
    assert min(kept.values()) > 0
    # As an older version wrote it: the users of before are counted from its profiles.
    with duckdb.connect(str(store.folder / f"{first}.duckdb")) as connection:
        connection.execute("ALTER TABLE tag_statistics DROP COLUMN bins")
    store.rollback(first)
    with store.open() as snapshot:
        assert {row["tag"]: row["bins"] for row in read_statistics(snapshot)} == {"city": None, "n": None}
    build(root)
    with store.open() as snapshot:
        assert {row["tag"]: row["psi"] for row in read_statistics(snapshot)} == kept
        counts = snapshot.rows("SELECT name, users, coverage, distinct_values FROM tags ORDER BY name")
    assert counts == [
        {"name": "city", "users": 4, "coverage": 1.0, "distinct_values": 3},
        {"name": "n", "users": 4, "coverage": 1.0, "distinct_values": 3},
    ]


def test_a_copy_of_an_older_snapshot_gets_the_columns_that_it_lacks(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "old.duckdb")) as connection:
        connection.execute("CREATE TABLE tag_statistics (tag VARCHAR, psi DOUBLE)")
        connection.execute("INSERT INTO tag_statistics VALUES ('other', 0.5)")
        connection.execute("CREATE TABLE profiles AS SELECT 'u' AS user_id, 3.0 AS n")
        connection.execute(
            "CREATE TABLE tags (name VARCHAR, type VARCHAR, definition_hash VARCHAR, users BIGINT, coverage DOUBLE, distinct_values BIGINT)"
        )
        connection.execute("INSERT INTO tags (name, type) VALUES ('n', 'number')")
        write_statistics(connection, ["n"])
        rows = connection.execute("SELECT tag, psi, median, users FROM tag_statistics ORDER BY tag").fetchall()
        assert rows == [("n", None, 3.0, 1), ("other", 0.5, None, None)]
        comment = "SELECT comment FROM duckdb_columns() WHERE table_name = 'tag_statistics' AND column_name = 'bins'"
        assert "next snapshot" in connection.execute(comment).fetchall()[0][0]
