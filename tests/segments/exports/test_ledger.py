from __future__ import annotations

import hashlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest

from limner_profile import disk
from limner_profile.errors import BusyError, RefusedError, UnknownNameError
from limner_segments.exports.ledger import ExportRecord, Ledger

ZONE = ZoneInfo("Asia/Shanghai")
NOW = datetime(2025, 3, 1, 18, tzinfo=UTC)  # the second of March in Shanghai


def make(id_: str, at: datetime = NOW, **fields: Any) -> ExportRecord:
    content = {
        "who": "ann", "destination": "crm", "format": "csv", "target": "out/a.csv", "segment": "vips", "definition_hash": "abc",
        "snapshot": "20250301-0001", "as_of": "2025-03-01", "accounting": {"audience": 3, "recipients": 2},
    }  # fmt: skip
    return ExportRecord.model_validate({"id": id_, "at": at.isoformat(), **content, **fields})


def table(roles: dict[str, str], batches: list[int | None] | None = None) -> pa.Table:
    numbers = batches or [None] * len(roles)
    return pa.table({"user_id": list(roles), "role": list(roles.values()), "batch": pa.array(numbers, pa.int64())})


def pairs(found: Any) -> dict[str, str]:
    return dict(zip(found["user_id"].to_pylist(), found["role"].to_pylist(), strict=True))


def test_an_export_counts_when_it_is_committed_and_not_before(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (ledger.exports(), ledger.begun(), ledger.next_id(NOW, ZONE)) == ([], [], "20250302-0001")
    record = make("20250302-0001")
    ledger.begin(record, table({"u2": "sent", "u1": "held_out"}))
    assert ledger.exports() == []
    assert [begun.record for begun in ledger.begun()] == [record]
    assert ledger.contacts(NOW - timedelta(days=9)).num_rows == 0
    assert ledger.last(record.stream) is None
    assert ledger.next_id(NOW, ZONE) == "20250302-0002"
    assert ledger.commit(record.id) == record
    assert ledger.exports() == [record] == [ledger.find(record.id)]
    assert ledger.begun() == []
    assert ledger.last(("crm", "vips")) == record
    assert pairs(ledger.users(record.id)) == {"u1": "held_out", "u2": "sent"}
    assert ledger.contacts(NOW).to_pylist() == [{"user_id": "u2", "contacts": 1}]
    assert ledger.contacts(NOW + timedelta(seconds=1)).num_rows == 0
    assert sorted(path.name for path in (tmp_path / "exports").iterdir()) == [
        "20250302-0001.json", "20250302-0001.parquet",
    ]  # fmt: skip


def test_numbers_grow_across_days_and_order_the_exports(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for days in (3, 1, 2):  # a clock that goes back
        id_ = ledger.next_id(NOW + timedelta(days=days), ZONE)
        ledger.begin(make(id_), table({}))
        ledger.commit(id_)
    assert [record.id for record in ledger.exports()] == ["20250305-0001", "20250303-0002", "20250304-0003"]
    assert ledger.last(("crm", "vips")) == ledger.exports()[-1]
    with pytest.raises(UnknownNameError, match="did you mean '20250304-0003'"):
        ledger.find("20250304-0004")


@pytest.mark.parametrize("survives", [True, False])
def test_a_run_that_was_killed_is_settled_by_looking_for_its_file(tmp_path: Path, survives: bool) -> None:
    state = tmp_path / ".limner"
    ledger = Ledger(state)
    target = tmp_path / "out" / "a.csv"
    target.parent.mkdir()
    target.write_bytes(b"user_id\nu1\n")
    digest = hashlib.sha256(b"user_id\nu1\n").hexdigest()
    ledger.begin(make("20250302-0001", sha256=digest), table({"u1": "sent"}))
    (ledger.folder / "20250302-0007.parquet").write_bytes(b"half")  # killed before there was a record
    (ledger.folder / "20250302-0007.begun.json.tmp").write_text("{")
    if not survives:
        target.write_bytes(b"another file")
    ledger.settle()
    assert [record.id for record in ledger.exports()] == (["20250302-0001"] if survives else [])
    assert ledger.begun() == []
    left = [path.name for path in ledger.folder.iterdir()]
    assert sorted(left) == (["20250302-0001.json", "20250302-0001.parquet"] if survives else [])


@pytest.mark.parametrize("step", range(4))
def test_wherever_writing_stops_nothing_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    ledger = Ledger(tmp_path)
    steps = 0

    def stopping(*arguments: Any) -> None:
        nonlocal steps
        if steps == step:
            raise KeyboardInterrupt
        steps += 1
        original(*arguments)

    original = disk.fsync
    monkeypatch.setattr(disk, "fsync", stopping)
    with pytest.raises(KeyboardInterrupt):
        ledger.begin(make("20250302-0001"), table({"u1": "sent"}))
    monkeypatch.setattr(disk, "fsync", original)
    assert ledger.exports() == []
    assert ledger.contacts(NOW).num_rows == 0
    ledger.settle()
    assert list(ledger.folder.iterdir()) == []


def test_batches_of_a_run_are_contacts_though_it_is_not_finished(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    users = table({"u1": "joined", "u2": "joined", "u3": "kept", "u4": "joined", "u5": "left"}, [0, 0, None, 1, 1])
    rows = pa.table({"user_id": ["u1", "u2", "u4", "u5"], "batch": [0, 0, 1, 1], "row": ["1", "2", "4", "5"]})
    ledger.begin(make("20250302-0001", format="webhook", batches=2), users, rows)
    later = NOW + timedelta(days=30)
    assert ledger.contacts(NOW)["user_id"].to_pylist() == ["u1", "u2", "u4"]
    ledger.advance("20250302-0001", 1)
    assert ledger.contacts(NOW)["user_id"].to_pylist() == ["u1", "u2", "u4"]
    # Whenever the run is gone on with, it reaches u4 then.
    assert ledger.contacts(later)["user_id"].to_pylist() == ["u4"]
    assert ledger.rows("20250302-0001", 1) == ["4", "5"]
    ledger.settle()  # is for files
    assert [begun.done for begun in ledger.begun()] == [1]
    record = ledger.abandon("20250302-0001")
    assert not record.finished
    # Who had not been reached is no contact and on no list; who should have left is still on it.
    assert pairs(ledger.users(record.id)) == {"u1": "joined", "u2": "joined", "u3": "kept", "u5": "kept"}
    assert ledger.contacts(NOW)["user_id"].to_pylist() == ["u1", "u2"]
    assert sorted(path.suffix for path in ledger.folder.iterdir()) == [".json", ".parquet"]


def test_the_ledger_has_one_writer(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    program = (
        "import sys; from pathlib import Path; from limner_segments.exports.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"}
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BusyError, match="another export is under way"), ledger.lock():
            pass
    finally:
        other.communicate(b"")
    with ledger.lock(), ledger.lock():
        assert ledger.exports() == []


def test_a_record_that_is_damaged_stops_exports_instead_of_being_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.begin(make("20250302-0001"), table({"u1": "sent"}))
    ledger.commit("20250302-0001")
    (ledger.folder / "20250302-0001.json").write_text("{")
    with pytest.raises(RefusedError) as caught:
        ledger.exports()
    assert caught.value.code == "damaged-ledger"


def test_ids_stand_in_the_columns_of_parquet_files_only(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    rows = pa.table({"user_id": ["anna-4711"], "batch": [0], "row": ['{"user_id":"anna-4711"}']})
    ledger.begin(make("20250302-0001", format="webhook", batches=1), table({"anna-4711": "sent"}, [0]), rows)
    ledger.advance("20250302-0001", 0)
    for path in ledger.folder.iterdir():
        if path.suffix == ".parquet":
            with duckdb.connect() as connection:
                columns = connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
            assert "user_id" in [column[0] for column in columns]
        else:
            assert b"anna" not in path.read_bytes()


def test_a_run_that_was_gone_on_with_counts_from_when_it_was_delivered(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    rows = pa.table({"user_id": ["u1"], "batch": [0], "row": ["1"]})
    ledger.begin(make("20250302-0001", format="webhook", batches=1), table({"u1": "sent"}, [0]), rows)
    later = NOW + timedelta(days=20)
    ledger.commit("20250302-0001", delivered=later.isoformat())
    assert ledger.contacts(later)["user_id"].to_pylist() == ["u1"]
    assert ledger.contacts(later + timedelta(seconds=1)).num_rows == 0


def test_nothing_of_a_run_is_kept_that_was_killed_just_after_it_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path)
    rows = pa.table({"user_id": ["u1"], "batch": [0], "row": ['{"user_id":"u1"}']})
    ledger.begin(make("20250302-0001", format="webhook", batches=1), table({"u1": "sent"}, [0]), rows)
    ledger.advance("20250302-0001", 1)

    def killed(id_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "_clear", killed)
    with pytest.raises(KeyboardInterrupt):
        ledger.commit("20250302-0001")
    assert (ledger.folder / "20250302-0001.rows.parquet").exists()
    ledger.settle()
    assert sorted(path.name for path in ledger.folder.iterdir()) == ["20250302-0001.json", "20250302-0001.parquet"]


def test_an_export_that_counts_while_somebody_looks_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path)
    for number in (1, 2):
        ledger.begin(make(f"20250302-000{number}"), table({"u1": "sent"}))
    listed = ledger._ids(".begun.json")
    ledger.commit("20250302-0001")
    monkeypatch.setattr(ledger, "_ids", lambda ending: listed)
    assert [begun.record.id for begun in ledger.begun()] == ["20250302-0002"]
    (ledger.folder / "20250302-0002.begun.json").write_text("{")
    with pytest.raises(RefusedError, match="cannot be read"):
        ledger.begun()
