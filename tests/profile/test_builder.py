"""Building profiles into a snapshot: types, coverage, comments, rejects, the default as_of, and refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from limner_profile.attached import attach_events, attach_sources
from limner_profile.builder import (
    check_quality,
    default_as_of,
    refresh_tag_statistics,
    write_profiles,
)
from limner_profile.catalog import CatalogTag, load_catalog
from limner_profile.definitions import Title
from limner_profile.errors import RefusedError
from limner_profile.ingest import ingest
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_profile.windows import parse_as_of
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

FILES = {
    "limner.yaml": """name: t
timezone: Asia/Shanghai
sources:
  people: {type: users, path: p.csv, user: u, attributes: {born: {column: b, type: date}, vip: v, level: n}}
  acts: {type: events, path: a.csv, user: u, time: t, event: e, properties: {genre: g}}
""",
    "p.csv": "u,b,v,n\na,1990-05-01,true,3\nb,,false,2\nc,someday,true,1\n",
    "a.csv": "u,t,e,g\na,2025-01-01 23:30,it's,x\n",
    "tags/t.yaml": """
n: {kind: count, event: "it's", title: {en: "number of it's", zh: 次数}, unit: times, owner: growth, sensitivity: proxy}
total: {kind: sum, event: "it's"}
genre: {kind: preference, event: "it's", by: genre}
born: {kind: attribute, attribute: born}
vip: {kind: attribute, attribute: vip}
level: {kind: attribute, attribute: level}
age: {kind: attribute, attribute: born, as: age}
""",
}
NOW = datetime(2025, 6, 1, tzinfo=UTC)


def build(root: Path, as_of: str) -> Snapshot:
    workspace = open_workspace(root)
    ingest(workspace)
    store = SnapshotStore(workspace.state)
    catalog = load_catalog(workspace).with_tags([CatalogTag("score", "score", "number", Title(en="score"))])
    with store.create(parse_as_of(as_of, workspace.timezone), workspace.timezone, 3) as writer:
        assert write_profiles(writer, workspace, catalog) == 2
        check_quality(writer, catalog, None)
        writer.connection.execute("UPDATE profiles SET score = 0.5 WHERE user_id = 'a'")
        refresh_tag_statistics(writer.connection, "score")
    return store.open()


def test_tags_of_tags_are_built_stage_by_stage(
    lay: Lay, values_of: Callable[[Path, str], dict[str, dict[str, object]]]
) -> None:
    tags = """
n: {kind: count, event: "it's"}
level: {kind: attribute, attribute: level}
band: {kind: band, of: level, cuts: [2], labels: [low, high]}
place: {kind: rank, of: n, as: rank}
double: {kind: sql, expression: place * 2}
top: {kind: band, of: double, quantiles: [0.5]}
name: {kind: lifecycle, stages: [{name: first, where: top = 'Q1'}, {name: other, where: double > 0}]}
"""
    root = lay({**FILES, "tags/t.yaml": tags})
    with build(root, "2025-01-02") as snapshot:
        rows = {row.pop("user_id"): row for row in snapshot.rows("SELECT * EXCLUDE (score) FROM profiles")}
    assert rows == values_of(root, "2025-01-02")
    assert rows == {
        "a": {"n": 1, "level": 3, "band": "high", "place": 1, "double": 2, "top": "Q1", "name": "first"},
        "b": {"n": 0, "level": 2, "band": "high", "place": 2, "double": 4, "top": "Q2", "name": "other"},
    }


def test_profiles_tags_and_rejects(lay: Lay) -> None:
    with build(lay(FILES), "2025-01-02") as snapshot:
        assert snapshot.columns("profiles") == {
            "user_id": "VARCHAR", "n": "BIGINT", "total": "DOUBLE", "genre": "VARCHAR", "born": "DATE", "vip": "BOOLEAN",
            "level": "DOUBLE", "age": "DOUBLE", "score": "DOUBLE",
        }  # fmt: skip
        first, second = snapshot.rows("SELECT * FROM profiles ORDER BY user_id")
        assert (first["user_id"], first["n"], first["genre"], first["vip"], first["age"]) == ("a", 1, "x", True, 35)
        assert first["total"] == 0  # no source has amounts
        assert (second["n"], second["genre"], second["born"], second["age"], second["score"]) == (
            0,
            None,
            None,
            None,
            None,
        )
        tags = {row["name"]: row for row in snapshot.rows("SELECT * FROM tags")}
        assert {name: (tag["users"], tag["coverage"]) for name, tag in tags.items()} == {
            "n": (2, 1), "total": (2, 1), "genre": (1, 0.5), "born": (1, 0.5), "vip": (2, 1), "level": (2, 1),
            "age": (1, 0.5), "score": (1, 0.5),
        }  # fmt: skip
        assert (tags["n"]["owner"], tags["n"]["sensitivity"], tags["n"]["title_zh"]) == ("growth", "proxy", "次数")
        assert tags["n"]["definition_hash"] != tags["total"]["definition_hash"]
        comments = snapshot.rows(
            "SELECT comment FROM duckdb_columns() WHERE table_name = 'profiles' AND column_name = 'n'"
        )
        assert "number of it's" in comments[0]["comment"]
        rejects = snapshot.rows("SELECT source, line, value, reason FROM rejects")
        assert rejects == [{"source": "people", "line": 4, "value": "someday", "reason": "bad-date"}]


def test_before_ingestion_and_before_the_first_user(lay: Lay) -> None:
    config = FILES["limner.yaml"].replace("  people: {", "  nobody: {").split("  nobody")[0]
    root = lay({**FILES, "limner.yaml": config + FILES["limner.yaml"].splitlines()[-1] + "\n", "tags/t.yaml": ""})
    workspace = open_workspace(root)
    store = SnapshotStore(workspace.state)
    for as_of, code in (("2025-01-02", "not-ingested"), ("2025-01-01T23:30", "no-users")):
        moment = parse_as_of(as_of, workspace.timezone)
        with pytest.raises(RefusedError) as caught, store.create(moment, workspace.timezone, 3) as writer:
            write_profiles(writer, workspace, load_catalog(workspace))
        assert caught.value.code == code
        assert store.current_id() is None
        ingest(workspace)


def test_what_was_mapped_after_the_ingestion_is_asked_for(lay: Lay) -> None:
    root = lay(FILES)
    ingest(open_workspace(root))
    more = FILES["limner.yaml"].replace("level: n}", "level: n, also: n}").replace("{genre: g}", "{genre: g, g2: g}")
    lay({"limner.yaml": more + "  others: {type: users, path: p.csv, user: u}\n"})
    workspace = open_workspace(root)
    with duckdb.connect() as connection:
        with pytest.raises(RefusedError) as caught:
            attach_sources(connection, workspace)
        assert [(issue.code, issue.where, issue.message.split(" has been")[0]) for issue in caught.value.issues] == [
            ("not-ingested", "limner.yaml:4:3", "'also' of 'people'"),
            ("not-ingested", "limner.yaml:5:3", "'g2' of 'acts'"),
            ("not-ingested", "limner.yaml:6:3", "the source 'others'"),
        ]
        attach_events(connection, workspace)  # which a timeline is read from, goes on
        assert connection.execute("SELECT genre, g2 FROM events").fetchall() == [("x", None)]
        ingest(workspace)
        attach_sources(connection, workspace)
        assert connection.execute("SELECT genre, g2 FROM events").fetchall() == [("x", "x")]
        assert connection.execute("SELECT count(*) FROM users_others").fetchall() == [(3,)]


def test_a_source_that_was_removed_is_not_read_any_more(lay: Lay) -> None:
    root = lay(FILES)
    ingest(open_workspace(root))
    lay({"limner.yaml": FILES["limner.yaml"].split("  acts:")[0]})
    with duckdb.connect() as connection:
        attach_sources(connection, open_workspace(root))
        views = connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
    assert views == [("users_people",)]


@pytest.mark.parametrize(
    ("settings", "last", "expected"),
    [
        ("", "2025-01-01 23:30", "2025-01-02"),  # the midnight after the last event
        ("", "2025-01-01 00:00", "2025-01-02"),
        ("", "2099-01-01 00:00", "2025-06-02"),  # never later than the next midnight
        ("settings: {as_of: 2024-12-31}\n", "2025-01-01 23:30", "2024-12-31"),
        ("settings: {as_of: '2024-12-31T08:00'}\n", "2025-01-01 23:30", "2024-12-31T08:00"),
    ],
)
def test_default_as_of(lay: Lay, settings: str, last: str, expected: str) -> None:
    config = FILES["limner.yaml"] + settings
    root = lay({**FILES, "limner.yaml": config, "a.csv": f"u,t,e,g\na,{last},x,\na,2024-01-01,x,\n"})
    workspace = open_workspace(root)
    ingest(workspace)
    assert default_as_of(workspace, NOW) == parse_as_of(expected, workspace.timezone)


def test_default_as_of_without_events_is_the_next_midnight(lay: Lay) -> None:
    root = lay({**FILES, "limner.yaml": FILES["limner.yaml"].split("  acts:")[0]})
    workspace = open_workspace(root)
    ingest(workspace)
    assert default_as_of(workspace, NOW) == parse_as_of("2025-06-02", workspace.timezone)


def test_tags_of_tags_in_a_snapshot(lay: Lay) -> None:
    tags = """
group: {kind: band, of: percentile, cuts: [0.5], labels: [low, high]}
percentile: {kind: rank, of: level}
place: {kind: rank, of: level, as: rank, freshness: 2d}
level: {kind: attribute, attribute: level, sensitivity: sensitive}
"""
    with build(lay({**FILES, "tags/t.yaml": tags}), "2025-01-02") as snapshot:
        assert snapshot.columns("profiles") == {
            "user_id": "VARCHAR", "group": "VARCHAR", "percentile": "DOUBLE", "place": "BIGINT", "level": "DOUBLE",
            "score": "DOUBLE",
        }  # fmt: skip
        assert snapshot.rows('SELECT "group", percentile, place FROM profiles ORDER BY user_id') == [
            {"group": "high", "percentile": 1, "place": 1},
            {"group": "low", "percentile": 0, "place": 2},
        ]
        assert snapshot.rows("SELECT name, sensitivity, freshness FROM tags") == [
            {"name": "group", "sensitivity": "sensitive", "freshness": ""},
            {"name": "percentile", "sensitivity": "sensitive", "freshness": ""},
            {"name": "place", "sensitivity": "sensitive", "freshness": "2d"},
            {"name": "level", "sensitivity": "sensitive", "freshness": ""},
            {"name": "score", "sensitivity": "none", "freshness": ""},
        ]
