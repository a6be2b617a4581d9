from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import limner_segments.exports.csv_file as csv_file
from limner_profile.errors import RefusedError, UnknownNameError
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.exports.csv_file import export_csv
from limner_segments.exports.manifest import Manifest, manifest_path
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


def export(snapshot: Snapshot, target: Path, columns: list[str] | None = None, **options: Any) -> Manifest:
    wanted = list(TYPES) if columns is None else columns
    settings = {"min_size": 5, "who": "ann", "when": WHEN, **options}
    return export_csv(snapshot, named(settings.pop("where", "n >= 0")), CATALOG, target, wanted, **settings)


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
        "file": "a.csv", "sha256": first.sha256, "rows": 60, "columns": ["user_id", *TYPES], "segment": "them",
        "condition": "n >= 0", "definition_hash": segment.segment.digest(), "snapshot": snapshot.id, "as_of": "2025-03-01",
        "hashing": "none", "holdout_share": 0.0, "holdout_salt": None, "who": "ann", "when": "2025-03-02T12:00:00+00:00",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.csv", "a.csv.manifest.json", "b.csv", "b.csv.manifest.json",
    ]  # fmt: skip


def test_a_column_named_twice_is_written_once(snapshot: Snapshot, tmp_path: Path) -> None:
    assert export(snapshot, tmp_path / "a.csv", ["n", "city", "n"]).columns == ("user_id", "n", "city")
    assert export(snapshot, tmp_path / "b.csv", []).columns == ("user_id",)


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
        export_csv(
            snapshot, named("n >= 0"), make_catalog({**TYPES, "later": "number"}), tmp_path / "a.csv", ["later"],
            min_size=1, who="ann", when=WHEN,
        )  # fmt: skip
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
    seen = 0

    def failing_cell(value: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == 100:
            raise KeyboardInterrupt if fault == "interrupt" else ZeroDivisionError
        return value

    def failing_manifest(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    if fault == "manifest":
        monkeypatch.setattr(csv_file, "write_manifest", failing_manifest)
    else:
        monkeypatch.setattr(csv_file, "_cell", failing_cell)
    expected = {"rows": ZeroDivisionError, "manifest": RefusedError, "interrupt": KeyboardInterrupt}[fault]
    with pytest.raises(expected):
        export(snapshot, tmp_path / "a.csv")
    assert list(tmp_path.iterdir()) == []


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
