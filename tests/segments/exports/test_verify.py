from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from limner_profile.errors import RefusedError
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_segments.exports.files import About, write_rows
from limner_segments.exports.manifest import manifest_path
from limner_segments.exports.verify import verify_file
from segments.small import make_catalog, make_snapshot, named

TYPES: dict[str, FieldType] = {"city": "category", "email": "category"}
KINDS = ["csv", "jsonl", "parquet", "google"]


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    rows: list[list[Any]] = [[f"two\nlines, {index}", f"u{index}@example.com"] for index in range(20)]
    with make_snapshot(tmp_path_factory.mktemp("state"), TYPES, rows) as opened:
        yield opened


def export(snapshot: Snapshot, kind: str, target: Path) -> Path:
    columns = {"email": "email"} if kind == "google" else {"city": "city"}
    write_rows(
        snapshot, "SELECT user_id FROM profiles", columns, kind, target, named=named("city is known"),
        catalog=make_catalog(TYPES), about=About("ann", datetime(2025, 3, 2, tzinfo=UTC)), min_size=1,
    )  # fmt: skip
    return target


def codes(path: Path) -> list[str]:
    with pytest.raises(RefusedError) as caught:
        verify_file(path)
    assert all(issue.hint for issue in caught.value.issues)
    return [issue.code for issue in caught.value.issues]


def change_manifest(path: Path, **changes: Any) -> None:
    place = manifest_path(path)
    place.write_text(json.dumps({**json.loads(place.read_text()), **changes}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_as_it_was_exported_is_proven(snapshot: Snapshot, tmp_path: Path, kind: str) -> None:
    verified = verify_file(export(snapshot, kind, tmp_path / "file"))
    assert (verified.manifest.rows, verified.manifest.kind) == (20, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_or_a_torn_file_is_found(snapshot: Snapshot, tmp_path: Path, kind: str) -> None:
    path = export(snapshot, kind, tmp_path / "file")
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    assert "other-content" in codes(path)
    path.write_bytes(content[: -len(content) // 4])
    found = codes(path)
    assert found[0] == "other-content"
    assert found[1:] in (["other-rows"], ["unreadable-export"])
    path.write_bytes(b"")
    assert codes(path)[0] == "other-content"
    path.write_bytes(content)
    assert verify_file(path).manifest.rows == 20


@pytest.mark.parametrize("kind", KINDS)
def test_rows_and_columns_are_counted_in_the_file_itself(snapshot: Snapshot, tmp_path: Path, kind: str) -> None:
    path = export(snapshot, kind, tmp_path / "file")
    change_manifest(path, rows=19, columns=["user_id", "town"])
    assert codes(path) == ["other-rows", "other-columns"]


def test_a_manifest_that_is_missing_damaged_or_of_another_file(snapshot: Snapshot, tmp_path: Path) -> None:
    path = export(snapshot, "csv", tmp_path / "file.csv")
    assert codes(tmp_path / "other.csv") == ["no-file"]
    renamed, place = tmp_path / "new.csv", manifest_path(path)
    renamed.write_bytes(path.read_bytes())
    assert codes(renamed) == ["no-manifest"]
    manifest_path(renamed).write_bytes(place.read_bytes())
    assert codes(renamed) == ["other-name"]
    change_manifest(path, kind="pdf")
    assert codes(path) == ["damaged-manifest"]
    place.write_text("{")
    assert codes(path) == ["damaged-manifest"]
    path.unlink()
    assert codes(path) == ["no-file"]


def test_a_long_value_is_no_damage(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    with make_snapshot(tmp_path / "state", TYPES, [["x" * 200_000, None]]) as snapshot:
        path = export(snapshot, "csv", tmp_path / "file")
    assert verify_file(path).manifest.rows == 1
    assert csv.field_size_limit() == limit


def test_lines_nested_too_deeply_are_no_export(snapshot: Snapshot, tmp_path: Path) -> None:
    path = export(snapshot, "jsonl", tmp_path / "file")
    path.write_text("[" * 100_000)
    assert codes(path) == ["other-content", "unreadable-export"]
