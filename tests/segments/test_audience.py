from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from limner.project import Project
from limner_profile.errors import RefusedError
from limner_profile.predicates.base import Predicate
from limner_profile.predicates.parser import parse
from limner_profile.snapshots import Snapshot, SnapshotStore, SnapshotWriter
from limner_profile.sources import FieldType
from limner_segments.audience import AudienceSize, audience_query, measure_audience
from limner_segments.audience_tables import write_audiences
from segments.small import make_catalog, make_snapshot, named

TYPES: dict[str, FieldType] = {"age": "number", "city": "category", "member": "boolean"}
ROWS: list[list[Any]] = [
    [age, city, member]
    for age in (None, -1.0, 0.0, 17.5, 18.0, 90.0)
    for city in (None, "", "上海", "Oslo", "O'Neil")
    for member in (None, True, False)
]
EVERYONE = len(ROWS)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with make_snapshot(tmp_path_factory.mktemp("state"), TYPES, ROWS) as opened:
        yield opened


def users_of(snapshot: Snapshot, condition: Predicate) -> list[str]:
    return [row["user_id"] for row in snapshot.rows(audience_query(condition).sql(dialect="duckdb"))]


def conditions() -> st.SearchStrategy[str]:
    leaves = st.sampled_from(
        [
            "age >= 18", "age < 0", "age != 18", "age != 18 include_unknown", "age between 0 and 18", "age is unknown", "age in (18, 90)",
            "city = '上海'", "city != 'Oslo'", "city not in ('Oslo', '')", "city is known", "city in ('O''Neil')",
            "member = true", "member != true", "member is unknown",
        ]
    )  # fmt: skip
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) and ({pair[1]})"),
            st.tuples(inner, inner).map(lambda pair: f"({pair[0]}) or ({pair[1]})"),
            inner.map(lambda one: f"not ({one})"),
        ),
        max_leaves=5,
    )


@settings(max_examples=60, deadline=None)
@given(text=conditions())
def test_a_condition_and_its_negation_add_up_to_everyone(snapshot: Snapshot, text: str) -> None:
    inside, outside = parse(text), parse(f"not ({text})")
    those, others = users_of(snapshot, inside), users_of(snapshot, outside)
    assert sorted(those + others) == [f"u{index:05d}" for index in range(EVERYONE)]
    measured = measure_audience(snapshot, inside)
    assert (measured.size, measured.users) == (len(those), EVERYONE)
    assert measured.size + measure_audience(snapshot, outside).size == EVERYONE


def test_unknown_counts_whoever_lacks_any_tag_of_the_condition(snapshot: Snapshot) -> None:
    columns = {name: index for index, name in enumerate(TYPES)}
    for text in ("age > 3", "age > 3 or city = 'x'", "not (member = true and age is unknown)", "city is unknown"):
        condition = parse(text)
        lacking = sum(any(row[columns[name]] is None for name in condition.fields()) for row in ROWS)
        assert measure_audience(snapshot, condition).unknown == lacking


def test_shares_are_of_all_users() -> None:
    assert AudienceSize(25, 100, 10).share == 0.25
    assert AudienceSize(25, 100, 10).unknown_share == 0.1
    assert AudienceSize(0, 0, 0).share == AudienceSize(0, 0, 0).unknown_share == 0.0


def test_a_tag_that_the_snapshot_lacks_is_refused_with_the_remedy(snapshot: Snapshot) -> None:
    with pytest.raises(RefusedError, match="has no tag spend") as caught:
        measure_audience(snapshot, parse("age > 3 and spend > 1"))
    assert caught.value.code == "not-built"
    assert "limner build" in caught.value.issues[0].hint


def test_every_saved_segment_has_one_size_on_every_surface(reading_project: Project) -> None:
    with reading_project.store.open() as snapshot:
        tables = {row["name"]: row for row in snapshot.rows("SELECT * FROM segments")}
        assert set(tables) == set(reading_project.segments)
        for name, segment in reading_project.segments.items():
            measured = measure_audience(snapshot, segment.condition)
            listed = [
                row["user_id"]
                for row in snapshot.rows("SELECT user_id FROM audiences WHERE segment = ? ORDER BY user_id", [name])
            ]
            assert users_of(snapshot, segment.condition) == listed
            assert measured.size == len(listed) == tables[name]["size"]
            assert measured.share == tables[name]["share"]
            assert measured.unknown_share == tables[name]["unknown_share"]
            assert tables[name]["definition_hash"] == segment.segment.digest()
            assert parse(tables[name]["condition"]) == segment.condition


def fill(writer: SnapshotWriter, ages: dict[str, float | None]) -> None:
    writer.connection.execute("CREATE OR REPLACE TABLE profiles (user_id VARCHAR, age DOUBLE)")
    writer.connection.executemany("INSERT INTO profiles VALUES (?, ?)", [[user, age] for user, age in ages.items()])


def test_joined_and_left_between_two_instants(tmp_path: Path) -> None:
    store, catalog = SnapshotStore(tmp_path), make_catalog({"age": "number"})
    old, young = named("age >= 18", "old"), named("age < 18", "young")
    utc = ZoneInfo("UTC")
    before: dict[str, float | None] = {"a": 17, "b": 18, "c": 30, "d": None, "gone": 40}
    after: dict[str, float | None] = {"a": 18, "b": 19, "c": None, "d": 20, "e": 50}
    with store.create(datetime(2025, 1, 1, tzinfo=UTC), utc, 10) as writer:
        fill(writer, before)
        assert write_audiences(writer, [old], catalog, None) == {"old": 3}
        assert writer.connection.execute("SELECT count(*) FROM audience_changes").fetchall() == [(0,)]
    first = tmp_path / "snapshots" / f"{store.current_id()}.duckdb"
    with store.open() as reader:  # a reader of the older snapshot in the same process is in nobody's way
        with store.create(datetime(2025, 2, 1, tzinfo=UTC), utc, 10) as writer:
            fill(writer, after)
            assert write_audiences(writer, [old, young], catalog, first) == {"old": 4, "young": 0}
        assert reader.value("SELECT count(*) FROM audiences") == 3
    with store.open() as snapshot:
        changes = snapshot.rows("SELECT segment, user_id, change FROM audience_changes ORDER BY change, user_id")
    assert [tuple(row.values()) for row in changes] == [
        ("old", "a", "joined"), ("old", "d", "joined"), ("old", "e", "joined"), ("old", "c", "left"), ("old", "gone", "left"),
    ]  # fmt: skip  # young is new, so nobody joined it


def test_a_derived_snapshot_keeps_what_is_not_written_anew(tmp_path: Path) -> None:
    store, catalog = SnapshotStore(tmp_path), make_catalog({"age": "number"})
    utc, moment = ZoneInfo("UTC"), datetime(2025, 1, 1, tzinfo=UTC)
    with store.create(moment, utc, 10) as writer:
        fill(writer, {"a": 17, "b": 18})
        writer.connection.execute("CREATE TABLE scores AS SELECT 'a' AS user_id, 0.5 AS score")
        write_audiences(writer, [named("age >= 18", "old"), named("age < 18", "young")], catalog, None)
    with store.create(moment, utc, 10, derive=True) as writer:
        write_audiences(writer, [named("age >= 17", "old")], catalog, None)
    with store.open() as snapshot:
        assert snapshot.value("SELECT score FROM scores") == 0.5
        assert snapshot.value("SELECT count(*) FROM profiles") == 2
        sizes = snapshot.rows("SELECT name, size, condition FROM segments ORDER BY name")
        assert [tuple(row.values()) for row in sizes] == [("old", 2, "age >= 17"), ("young", 1, "age < 18")]
        members = snapshot.rows("SELECT segment, user_id FROM audiences ORDER BY segment, user_id")
        assert [tuple(row.values()) for row in members] == [("old", "a"), ("old", "b"), ("young", "a")]
        assert snapshot.rows("SELECT step FROM runs") == [{"step": "audiences"}, {"step": "audiences"}]
