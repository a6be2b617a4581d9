"""Moving CURRENT: rolling back and forward with a record, pruning that never takes the current one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from limner_profile.errors import BusyError, RefusedError, UnknownNameError
from limner_profile.snapshots import SnapshotStore

ZONE = ZoneInfo("UTC")
AS_OF = datetime(2025, 3, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / ".limner")


def publish(store: SnapshotStore, keep: int = 10, days: int = 0) -> str:
    with store.create(AS_OF + timedelta(days=days), ZONE, keep) as writer:
        writer.connection.execute("CREATE TABLE facts AS SELECT 1 AS n")
        return writer.id


def test_back_and_forward_with_a_record(store: SnapshotStore) -> None:
    first, second, third = (publish(store) for _ in range(3))
    move = store.rollback()
    assert (store.current_id(), move.before, move.after, move.action) == (second, third, second, "rollback")
    store.rollback()
    assert store.current_id() == first
    store.rollback(third)
    assert store.current_id() == third
    assert store.ids() == [first, second, third]
    assert [(move.action, move.before, move.after) for move in store.moves()] == [
        ("publish", None, first),
        ("publish", first, second),
        ("publish", second, third),
        ("rollback", third, second),
        ("rollback", second, first),
        ("rollback", first, third),
    ]
    assert all(datetime.fromisoformat(move.at).tzinfo for move in store.moves())


def test_the_way_back_follows_the_parents(store: SnapshotStore) -> None:
    first, second = publish(store), publish(store)
    store.rollback()
    third = publish(store)  # its parent is the first, not the second
    assert store.previous_id(third) == first
    assert store.previous_id(second) == first
    store.rollback()
    assert store.current_id() == first
    (store.folder / f"{first}.duckdb").unlink()
    assert store.previous_id(third) == second  # the parent is gone: the newest older one


def test_nothing_to_go_back_to(store: SnapshotStore) -> None:
    with pytest.raises(RefusedError, match="no snapshot yet"):
        store.rollback()
    first = publish(store)
    with pytest.raises(RefusedError, match="no snapshot before"):
        store.rollback()
    with pytest.raises(RefusedError, match="is current already"):
        store.rollback(first)
    with pytest.raises(UnknownNameError, match="kept: 20250301-0001"):
        store.rollback("20250301-0002")
    assert store.current_id() == first


def test_a_file_that_cannot_be_opened_does_not_become_current(store: SnapshotStore) -> None:
    first, second = publish(store), publish(store)
    (store.folder / f"{first}.duckdb").write_bytes(b"not a database")
    with pytest.raises(RefusedError, match="cannot be opened"):
        store.rollback(first)
    assert store.current_id() == second


def test_pruning_keeps_the_newest_and_the_current_one(store: SnapshotStore) -> None:
    ids = [publish(store, days=day) for day in (0, 30, -30, 10, 5)]
    assert store.ids() == ids  # several as_of, all kept
    store.rollback(ids[0])
    assert store.prune(2, dry_run=True) == ids[1:3]
    assert store.ids() == ids
    assert store.prune(2) == ids[1:3]
    assert store.ids() == [ids[0], *ids[3:]]
    assert store.current_id() == ids[0]
    assert store.prune(1) == [ids[3]]
    assert store.prune(1) == []
    store.open().close()


def test_moves_wait_for_nobody(store: SnapshotStore) -> None:
    publish(store)
    publish(store)
    from filelock import FileLock

    with FileLock(store.state / "lock"):  # as another process holds it
        with pytest.raises(BusyError):
            store.rollback()
        with pytest.raises(BusyError):
            store.prune(1)


def test_a_torn_line_of_the_record_is_passed_over(store: SnapshotStore) -> None:
    publish(store)
    with (store.state / "moves.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"at": "2025-')
    assert len(store.moves()) == 1
