from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from limner_profile.errors import RefusedError, UnknownNameError
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.audience import audience_query
from limner_segments.exports import files
from limner_segments.exports.files import About, write_rows
from limner_segments.exports.formats.base import Options
from limner_segments.exports.formats.csv_file import CsvFile
from limner_segments.exports.manifest import Manifest, manifest_path
from limner_segments.exports.verify import verify_file
from segments.small import make_catalog, make_snapshot, named

TYPES: dict[str, FieldType] = {
    "n": "number", "city": "category", "member": "boolean", "born": "date", "seen": "time",
}  # fmt: skip
CITIES = ["上海", "a,b", 'say "hi"', "two\nlines", "=1+1", "", None, "é|;\t"]
ROWS: list[list[Any]] = [
    [index / 3, CITIES[index % len(CITIES)], [True, False, None][index % 3], date(2000, 1, 1 + index % 9), f"2025-01-01 08:{index:02d}:00"]
    for index in range(60)
]  # fmt: skip
CATALOG = make_catalog(TYPES)
WHEN = datetime(2025, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    with make_snapshot(tmp_path_factory.mktemp("state"), TYPES, ROWS) as opened:
        yield opened


def export(
    snapshot: Snapshot,
    target: Path,
    columns: list[str] | None = None,
    who: str = "ann",
    where: str = "n >= 0",
    **options: Any,
) -> Manifest:
    wanted = list(TYPES) if columns is None else columns
    segment = named(where)
    settings: dict[str, Any] = {"min_size": 5, "catalog": CATALOG, "about": About(who, WHEN), "kind": "csv", **options}
    return write_rows(
        snapshot,
        audience_query(segment.condition).sql(dialect="duckdb"),
        {column: column for column in wanted},
        target=target,
        named=segment,
        **settings,
    )


def test_values_are_written_as_they_are_and_read_back(snapshot: Snapshot, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "them.csv"
    export(snapshot, target)
    with target.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["user_id", *TYPES]
    assert [row[0] for row in rows] == [f"u{index:05d}" for index in range(60)]
    assert [row[2] for row in rows] == [CITIES[index % len(CITIES)] or "" for index in range(60)]
    assert [row[1] for row in rows] == [repr(index / 3) for index in range(60)]
    assert rows[0][3:] == ["true", "2000-01-01", "2025-01-01T08:00:00"]
    assert [rows[1][3], rows[2][3]] == ["false", ""]
    assert b"\r" not in target.read_bytes()


def test_the_same_export_gives_the_same_bytes_and_the_manifest_proves_them(snapshot: Snapshot, tmp_path: Path) -> None:
    first, second = export(snapshot, tmp_path / "a.csv"), export(snapshot, tmp_path / "b.csv", who="bob")
    content = (tmp_path / "a.csv").read_bytes()
    assert content == (tmp_path / "b.csv").read_bytes()
    assert first.sha256 == second.sha256 == hashlib.sha256(content).hexdigest()
    written = json.loads(manifest_path(tmp_path / "a.csv").read_text(encoding="utf-8"))
    assert Manifest.model_validate(written) == first
    segment = named("n >= 0")
    assert written == {
        "file": "a.csv", "sha256": first.sha256, "rows": 60, "columns": ["user_id", *TYPES], "kind": "csv", "tags": list(TYPES),
        "segment": "them", "condition": "n >= 0", "definition_hash": segment.definition_hash, "snapshot": snapshot.id,
        "as_of": "2025-03-01", "users": 60, "left_out": 0, "missing": {}, "rejected": {}, "excluded": {}, "hashing": "none",
        "region": None, "safe_cells": False, "holdout_share": 0.0, "holdout_salt": None, "who": "ann",
        "when": "2025-03-02T12:00:00+00:00",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.csv", "a.csv.manifest.json", "b.csv", "b.csv.manifest.json",
    ]  # fmt: skip


def test_no_columns_are_the_users_alone_and_a_tag_may_get_another_name(snapshot: Snapshot, tmp_path: Path) -> None:
    assert export(snapshot, tmp_path / "b.csv", []).columns == ("user_id",)
    segment = named("n >= 0")
    manifest = write_rows(
        snapshot, "SELECT user_id FROM profiles WHERE n < 3", {"place": "city"}, "jsonl", tmp_path / "c.jsonl", named=segment,
        catalog=CATALOG, about=About("ann", WHEN, 0.1, "spring", {"no consent": 3}), min_size=5,
    )  # fmt: skip
    assert (manifest.columns, manifest.tags) == (("user_id", "place"), ("city",))
    assert (manifest.rows, manifest.holdout_share, manifest.holdout_salt) == (9, 0.1, "spring")
    assert manifest.excluded == {"no consent": 3}


def test_recipients_may_stand_in_a_table_of_the_callers_connection(snapshot: Snapshot, tmp_path: Path) -> None:
    with snapshot.connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE chosen AS SELECT 'u' || lpad(CAST(i AS VARCHAR), 5, '0') AS user_id FROM range(90) AS r(i)"
        )
        manifest = write_rows(
            snapshot, "SELECT user_id FROM chosen", {"city": "city"}, "csv", tmp_path / "a.csv", named=named("n >= 0"), catalog=CATALOG,
            about=About("ann", WHEN), min_size=5, connection=cursor,
        )  # fmt: skip
    assert manifest.rows == 90
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    # Who left may be in the snapshot no more, and must still be taken off a list.
    assert [row[0] for row in rows] == [f"u{index:05d}" for index in range(90)]
    assert [row[1] for row in rows[60:]] == [""] * 30
    assert rows[1][1] == "a,b"


def test_small_audiences_are_refused(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="the audience has 4 users, fewer than 5") as caught:
        export(snapshot, tmp_path / "a.csv", where="n < 1.1")
    assert caught.value.code == "audience-too-small"
    assert export(snapshot, tmp_path / "b.csv", where="n < 1.4").rows == 5
    assert not (tmp_path / "a.csv").exists()


def test_an_unknown_column_is_refused_with_the_nearest(snapshot: Snapshot, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'city'"):
        export(snapshot, tmp_path / "a.csv", ["citi"])
    with pytest.raises(RefusedError, match="has no tag later") as caught:
        export(snapshot, tmp_path / "a.csv", ["later"], catalog=make_catalog({**TYPES, "later": "number"}))
    assert caught.value.code == "not-built"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_kept_unless_told_otherwise(snapshot: Snapshot, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    target.write_text("mine")
    with pytest.raises(RefusedError) as caught:
        export(snapshot, target)
    assert caught.value.code == "file-exists"
    assert target.read_text() == "mine"
    manifest = export(snapshot, target, overwrite=True)
    assert hashlib.sha256(target.read_bytes()).hexdigest() == manifest.sha256


@pytest.mark.parametrize("fault", ["rows", "manifest", "interrupt"])
def test_a_failure_half_way_leaves_nothing_that_looks_complete(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def failing_write(self: CsvFile, bench: Any, prepared: Any, path: Path) -> None:
        path.write_text("user_id\nu00001\n")
        raise KeyboardInterrupt if fault == "interrupt" else ZeroDivisionError

    def failing_digest(path: Path) -> str:
        raise OSError(28, "No space left on device")

    if fault == "manifest":
        monkeypatch.setattr(files, "digest_of", failing_digest)
    else:
        monkeypatch.setattr(CsvFile, "write", failing_write)
    expected = {"rows": ZeroDivisionError, "manifest": RefusedError, "interrupt": KeyboardInterrupt}[fault]
    with pytest.raises(expected):
        export(snapshot, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_stands_before_the_file(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        moved.append(Path(target).name)
        if moved == ["a.csv.manifest.json"]:
            with pytest.raises(RefusedError) as caught:
                verify_file(tmp_path / "a.csv")
            assert caught.value.code == "no-file"
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    export(snapshot, tmp_path / "a.csv")
    assert moved == ["a.csv.manifest.json", "a.csv"]
    assert verify_file(tmp_path / "a.csv").manifest.rows == 60


KILLED = """
import os, signal, sys
from pathlib import Path
from limner_profile.readers import connect_reader
from limner_profile.snapshots import Snapshot
from limner_segments.exports import files
from limner_segments.exports.formats.base import Options
from limner_segments.exports.formats.csv_file import CsvFile
sys.path.insert(0, {tests!r})
from segments.exports.test_files import export

replace, moves = os.replace, 0

def replace_and_die(source, target):
    global moves
    moves += 1
    if moves == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

def write_and_die(self, bench, prepared, path):
    path.write_text("user_id\\nu00001\\n")
    os.kill(os.getpid(), signal.SIGKILL)

if {at} == 0:
    CsvFile.write = write_and_die
os.replace = replace_and_die
path = Path({snapshot!r})
export(Snapshot(path.stem, path, connect_reader(path)), Path({target!r}), overwrite=True)
"""


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_killed_export_leaves_no_file_that_looks_complete(
    snapshot: Snapshot, tmp_path: Path, at: int, existing: bool
) -> None:
    """Killed while it writes (0), before the manifest is there (1), and between manifest and file (2)."""
    target = tmp_path / "a.csv"
    if existing:
        export(snapshot, target, where="n < 3")
    before = target.read_bytes() if existing else None
    tests = str(Path(__file__).parents[2])
    text = KILLED.format(tests=tests, at=at, snapshot=str(snapshot.path), target=str(target))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr
    assert (target.read_bytes() if target.exists() else None) == before
    if existing and at < 2:
        assert verify_file(target).manifest.rows == 9
    else:
        with pytest.raises(RefusedError) as caught:
            verify_file(target)
        assert caught.value.code == ("other-content" if existing else "no-file")
    export(snapshot, target, overwrite=True)
    assert verify_file(target).manifest.rows == 60
    # What the killed one left behind is gone, too.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.manifest.json"]


def test_the_draft_of_an_export_that_runs_is_left_alone(snapshot: Snapshot, tmp_path: Path) -> None:
    running, other = tmp_path / f".a.csv.{os.getppid()}.tmp", tmp_path / ".a.csv.x.tmp"
    running.write_text("half")
    other.write_text("not ours")
    export(snapshot, tmp_path / "a.csv")
    assert (running.read_text(), other.read_text()) == ("half", "not ours")


def test_a_place_that_cannot_be_written_to_is_the_users_matter(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RefusedError) as caught:
        export(snapshot, tmp_path / "file" / "a.csv")
    assert caught.value.code == "cannot-write"
    assert caught.value.issues[0].where.endswith("a.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(RefusedError) as caught:
        export(snapshot, tmp_path / "folder.csv", overwrite=True)
    assert caught.value.code == "cannot-write"


PEOPLE: dict[str, FieldType] = {"email": "category", "phone": "category"}


def test_a_platform_file_that_too_few_can_be_matched_by_is_refused(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["mary@example.com", None]] * 4 + [["nobody", "12345"]] * 10
    with make_snapshot(tmp_path / "state", PEOPLE, rows) as snapshot:
        settings: dict[str, Any] = {
            "named": named("email is known"), "catalog": make_catalog(PEOPLE), "about": About("ann", WHEN),
            "options": Options(region="CN"),
        }  # fmt: skip
        everyone, columns = "SELECT user_id FROM profiles", {"email": "email", "phone": "phone"}
        with pytest.raises(RefusedError, match="only 4 of 14 users can be matched") as caught:
            write_rows(snapshot, everyone, columns, "google", tmp_path / "a.csv", min_size=5, **settings)
        assert caught.value.code == "audience-too-small"
        assert "email: 10 invalid-email, phone: 10 invalid-phone, phone: 4 missing" in caught.value.issues[0].hint
        manifest = write_rows(snapshot, everyone, columns, "google", tmp_path / "a.csv", min_size=4, **settings)
    assert (manifest.rows, manifest.users, manifest.left_out, manifest.hashing) == (4, 14, 10, "sha256")
    assert (manifest.columns, manifest.tags, manifest.region) == (("Email", "Phone"), ("email", "phone"), "CN")
    assert manifest.rejected == {"email": {"invalid-email": 10}, "phone": {"invalid-phone": 10}}
    assert manifest.missing == {"phone": 4}
    assert verify_file(tmp_path / "a.csv").manifest == manifest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.csv.manifest.json", "state"]
