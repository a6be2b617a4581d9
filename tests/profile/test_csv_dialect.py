"""CSV files as they come: one broken row or mixed line ends never refuse the file; lost rows are counted."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from limner_profile.csv_dialect import csv_names, csv_types
from limner_profile.ingest import ingest
from limner_profile.snapshots import SnapshotStore
from limner_profile.workspace import open_workspace

CONFIG = """
name: csv
timezone: UTC
sources:
  acts: {type: events, path: acts.csv, user: id, time: ts, event: kind}
"""


def lines(rows: int = 1_000) -> list[str]:
    return ["id,ts,kind", *(f"u{number},2025-03-29,visit" for number in range(rows))]


def ingested(tmp_path: Path, text: str) -> tuple[int, list[tuple[int, str]]]:
    """Rows kept, and line and reason of each reject."""
    (tmp_path / "limner.yaml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "acts.csv").write_bytes(text.encode())
    workspace = open_workspace(tmp_path)
    with SnapshotStore(workspace.state).lock():
        result = ingest(workspace)[0]
    with duckdb.connect() as connection:
        paths = [str(workspace.state / file) for file in result.rejects_files]
        rejects = connection.execute("SELECT line, reason FROM read_parquet(?) ORDER BY line", [paths]).fetchall()
    assert result.rejected == len(rejects)
    return result.rows, [(int(line), str(reason)) for line, reason in rejects]


def test_a_stray_quote_costs_its_row_only(tmp_path: Path) -> None:
    rows = lines()
    rows[500] = 'u1,2025-03-29,"visit" x'
    kept, rejects = ingested(tmp_path, "\n".join(rows) + "\n")
    assert kept == 999
    assert rejects == [(501, "broken-row: unquoted value")]


def test_a_quote_that_is_never_closed_says_that_more_was_lost(tmp_path: Path) -> None:
    rows = lines()
    rows[990] = '"u2,2025-03-29,visit'
    kept, rejects = ingested(tmp_path, "\n".join(rows) + "\n")
    assert kept == 989
    assert rejects[0][0] == 991
    assert "or more lines after it" in rejects[0][1]


@pytest.mark.parametrize("odd", [0, 1, 500, 1_000])
def test_lines_that_end_in_two_ways_are_read(tmp_path: Path, odd: int) -> None:
    rows = lines()
    ends = ["\n"] * len(rows)
    ends[odd] = "\r\n"
    kept, rejects = ingested(tmp_path, "".join(row + end for row, end in zip(rows, ends, strict=True)))
    assert (kept, rejects) == (1_000, [])


def test_types_are_the_narrowest_that_all_values_fit(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "a,b,c,d,e,a,\n1,true,2025-01-01,2025-01-01 10:00,x,,\n2.5,FALSE,2025-01-02,2025-01-02T11:00:00,1,,\n",
        encoding="utf-8",
    )
    assert csv_names(path) == ["a", "b", "c", "d", "e", "a_1", "column7"]
    with duckdb.connect() as connection:
        types = csv_types(connection, path)
    assert list(types.values()) == ["DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "VARCHAR", "VARCHAR", "VARCHAR"]
