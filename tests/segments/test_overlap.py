from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from limner_profile.erasure_rewrite import rewrite_snapshot
from limner_profile.erasure_scan import trace_file, wanted_ids
from limner_profile.snapshots import Snapshot, SnapshotStore
from limner_segments.audience_tables import write_audiences
from limner_segments.bitmaps import read_bitmaps
from limner_segments.overlap import exclusive_intersections, note_small, overlap_pairs
from segments.small import make_catalog, named

TEXTS = {
    "adults": "age >= 18",
    "oslo": "city = 'Oslo'",
    "nobody": "age > 200",
    "known": "age is known or city is known",
}


def published(folder: Path, users: int = 60, order: str = "hash(i)") -> Snapshot:
    store = SnapshotStore(folder)
    with store.create(datetime(2025, 3, 1, tzinfo=UTC), ZoneInfo("UTC"), 10) as writer:
        writer.connection.execute("CREATE TABLE profiles (user_id VARCHAR, age DOUBLE, city VARCHAR)")
        writer.connection.execute(
            "INSERT INTO profiles SELECT 'user-' || lpad(CAST(i AS VARCHAR), 5, '0'), CASE WHEN i % 7 > 0 THEN i END, "
            "CASE WHEN i % 3 = 0 THEN 'Oslo' WHEN i % 3 = 1 THEN 'Bern' END FROM range(?) AS r(i) "
            f"ORDER BY {order}",
            [users],
        )
        segments = [named(text, name) for name, text in TEXTS.items()]
        write_audiences(writer, segments, make_catalog({"age": "number", "city": "category"}), None)
    return store.open()


def audiences(snapshot: Snapshot) -> dict[str, set[str]]:
    rows = snapshot.rows("SELECT segment, user_id FROM audiences")
    return {name: {row["user_id"] for row in rows if row["segment"] == name} for name in TEXTS}


def members(snapshot: Snapshot, bitmaps: dict[str, BitMap]) -> dict[str, set[str]]:
    users = [row["user_id"] for row in snapshot.rows("SELECT user_id FROM profiles ORDER BY user_id")]
    return {name: {users[position] for position in bitmap} for name, bitmap in bitmaps.items()}


@pytest.mark.parametrize("order", ["i", "i DESC", "hash(i)"])
def test_stored_bitmaps_are_the_audiences(tmp_path: Path, order: str) -> None:
    wanted = {name: named(text, name).condition for name, text in TEXTS.items()}
    with published(tmp_path, 60, order) as snapshot:
        assert snapshot.value("SELECT count(*) FROM bitmaps") == len(TEXTS)
        found = members(snapshot, read_bitmaps(snapshot, wanted))
        assert found == audiences(snapshot)
        sizes = {row["name"]: row["size"] for row in snapshot.rows("SELECT name, size FROM segments")}
        assert {name: len(users) for name, users in found.items()} == sizes
        # What was edited since is counted by its new condition.
        edited = members(snapshot, read_bitmaps(snapshot, {"adults": named("age < 18").condition}))
        ages = snapshot.rows("SELECT user_id FROM profiles WHERE age < 18")
        assert edited["adults"] == {row["user_id"] for row in ages}


@pytest.mark.parametrize("gone", ["user-00000", "user-00030", "user-00059"])
def test_after_an_erasure_bitmaps_still_are_the_audiences(tmp_path: Path, gone: str) -> None:
    wanted = {name: named(text, name).condition for name, text in TEXTS.items()}
    with published(tmp_path) as snapshot:
        path = snapshot.path
    ids = wanted_ids([gone])
    traces = trace_file(tmp_path, path, ids)
    assert any(trace.rows for trace in traces)
    rewrite_snapshot(tmp_path, path, ids, traces)
    with SnapshotStore(tmp_path).open() as snapshot:
        assert snapshot.value("SELECT count(*) FROM profiles") == 59
        assert snapshot.value("SELECT count(*) FROM bitmaps") == 0
        found = members(snapshot, read_bitmaps(snapshot, wanted))
        assert found == audiences(snapshot)
        assert all(gone not in users for users in found.values())


def test_a_snapshot_of_before_bitmaps_is_read_as_well(tmp_path: Path) -> None:
    wanted = {name: named(text, name).condition for name, text in TEXTS.items()}
    with published(tmp_path) as snapshot:
        path = snapshot.path
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("DROP TABLE bitmaps")
    with SnapshotStore(tmp_path).open() as snapshot:
        assert members(snapshot, read_bitmaps(snapshot, wanted)) == audiences(snapshot)


users = st.sets(st.integers(0, 30), max_size=20)


@settings(max_examples=100, deadline=None)
@given(sets=st.lists(users, min_size=2, max_size=5), limit=st.integers(1, 12))
def test_overlaps_are_those_of_sets(sets: list[set[int]], limit: int) -> None:
    by_name = {f"s{number}": found for number, found in enumerate(sets)}
    bitmaps = {name: BitMap(found) for name, found in by_name.items()}
    pairs = overlap_pairs(bitmaps, 3)
    assert [(pair.first, pair.second) for pair in pairs] == list(combinations(by_name, 2))
    for pair in pairs:
        one, two = by_name[pair.first], by_name[pair.second]
        assert (pair.both, pair.either) == (len(one & two), len(one | two))
        assert pair.jaccard == (len(one & two) / len(one | two) if one | two else None)
        assert pair.share_of_first == (len(one & two) / len(one) if one else None)
        assert pair.share_of_second == (len(one & two) / len(two) if two else None)
        assert pair.small == any(0 < len(part) < 3 for part in (one & two, one - two, two - one))
    everyone = set().union(*sets)
    counted = Counter(tuple(name for name in by_name if user in by_name[name]) for user in everyone)
    found = exclusive_intersections(bitmaps, limit, 31, 3)
    assert found.union == len(everyone)
    assert [one.count for one in found.shown] == sorted(counted.values(), reverse=True)[:limit]
    assert all(counted[one.segments] == one.count for one in found.shown)
    assert len({one.segments for one in found.shown}) == len(found.shown)
    assert found.rest == len(everyone) - sum(one.count for one in found.shown)
    assert all(one.share == one.count / 31 and one.small == (one.count < 3) for one in found.shown)


def test_few_in_neither_of_two_segments_are_told_as_well() -> None:
    bitmaps = {"a": BitMap(range(150)), "b": BitMap(range(100, 190))}
    assert not overlap_pairs(bitmaps, 10, 200)[0].small
    assert overlap_pairs(bitmaps, 10, 195)[0].small


def test_small_groups_are_told() -> None:
    pairs = overlap_pairs({"a": BitMap([1, 2]), "b": BitMap([2]), "c": BitMap()}, 10)
    assert note_small(pairs, 10) == "3 rows tell of a group of fewer than 10 users: leave them out of what you share"
    assert note_small(pairs[:1], 10).startswith("1 row tells")
    assert note_small(pairs, 0) != ""
    assert note_small(overlap_pairs({"a": BitMap(range(50)), "b": BitMap(range(50))}, 10), 10) == ""
