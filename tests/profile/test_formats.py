"""Formats of source files beside CSV and Parquet: JSON lines, packed files, tables of a DuckDB file."""
# ruff: noqa: DTZ001  (stored instants are UTC without a zone, and so are the ones compared with them)

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from limner_profile.csv_dialect import open_bytes
from limner_profile.errors import DefinitionError, SourceError
from limner_profile.ingest import ingest
from limner_profile.json_lines import true_lines
from limner_profile.manifest import Ingested
from limner_profile.source_files import file_columns
from limner_profile.sources import Source
from limner_profile.workspace import open_workspace

Lay = Callable[[Mapping[str, str | bytes]], Path]

CONFIG = (
    "name: t\ntimezone: UTC\nsources:\n  acts: {{type: events, path: '{path}', user: u, time: t, event: e{extra}}}\n"
)


def run(root: Path) -> Ingested:
    (entry,) = ingest(open_workspace(root))
    return entry


def rows_of(root: Path, entry: Ingested, columns: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        files = [str(root / ".limner" / file) for file in entry.files]
        return con.execute(f"SELECT {columns} FROM read_parquet(?)", [files]).fetchall()


def rejects_of(root: Path, entry: Ingested) -> list[tuple[Any, ...]]:
    with duckdb.connect() as con:
        files = [str(root / ".limner" / file) for file in entry.rejects_files]
        return con.execute("SELECT line, field, value, reason FROM read_parquet(?)", [files]).fetchall()


def packed(text: bytes, suffix: str) -> bytes:
    if suffix.endswith(".gz"):
        return gzip.compress(text)
    if suffix.endswith(".zst"):
        return bytes(pa.compress(text, codec="zstd", asbytes=True))
    return text


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst"])
def test_json_lines_with_nested_and_rare_keys(lay: Lay, suffix: str) -> None:
    rows: list[dict[str, Any]] = [
        {"u": 7.0, "t": "2025-01-01T10:00:00+08:00", "e": "x", "p": {"g": {"n": 1.5}, "s": 'it\'s "中"'}, "l": [1, 2]},
        {"u": "b", "t": "2025-01-02", "e": "x", "p": None, "p.g.n": 2},
    ]
    rows += [{"u": "c", "t": "2025-01-03", "e": f"e{index}"} for index in range(20_480)]
    rows += [{"u": "d", "t": "2025-01-04", "e": "x", "rare": {"key": True}}]
    text = "\n".join(json.dumps(row, ensure_ascii=index % 2 == 0) for index, row in enumerate(rows)).encode()
    extra = ", properties: {n: p.g.n, s: p.s, l: l, rare: {column: rare.key, type: boolean}}"
    root = lay({"limner.yaml": CONFIG.format(path="acts" + suffix, extra=extra), "acts" + suffix: packed(text, suffix)})
    entry = run(root)
    assert (entry.rows, entry.duplicates, entry.rejected) == (len(rows), 0, 0)
    found = sorted(rows_of(root, entry, "user_id, time, n, s, l, rare"), key=lambda row: row[:2])
    assert found[0] == ("7", datetime(2025, 1, 1, 2), 1.5, 'it\'s "中"', "[1,2]", None)
    assert found[1] == ("b", datetime(2025, 1, 2), 2.0, None, None, None)
    assert found[-1] == ("d", datetime(2025, 1, 4), None, None, None, True)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"mixed"])
def test_broken_json_lines_have_their_lines(lay: Lay, end: bytes) -> None:
    text = (
        b'\xef\xbb\xbf{"u":"a","t":"2025-01-01","e":"x","n":1}\n'  # 1
        b"not json\n\n"  # 2, 3
        b'{"u":"caf\xe9","t":"2025-01-01","e":"x"}\n'  # 4
        b'{"u":"b","t":"soon","e":"x"}\r\n'  # 5
        b'{"u":"b",\n'  # 6
        b"[1, 2]\n5\n"  # 7, 8
        b'{"u":"\xff"}\n'  # 9
        b'{"t":"2025-01-01","e":"x"}\n'  # 10
        b'{"u":"c","t":"2025-01-01","e":"x","n":"many"}\n'  # 11
        b'{"u":"c","t":"2025-01-01","e":"x","n":null}'  # 12
    )
    text = text if end == b"mixed" else text.replace(b"\r", b"").replace(b"\n", end)
    root = lay({"limner.yaml": CONFIG.format(path="a.jsonl", extra=", amount: n"), "a.jsonl": text})
    entry = run(root)
    assert (entry.rows, entry.duplicates, entry.rejected) == (2, 0, 9)
    found = sorted(rejects_of(root, entry))
    assert [(row[0], row[1], row[3]) for row in found] == [
        (2, "", "broken-row: not json"), (4, "", "broken-row: invalid encoding"), (5, "t", "bad-time"),
        (6, "", "broken-row: not json"), (7, "", "broken-row: not an object"), (8, "", "broken-row: not an object"),
        (9, "", "broken-row: invalid encoding"), (10, "u", "missing-user"), (11, "n", "bad-number"),
    ]  # fmt: skip
    assert [found[0][2], found[3][2].strip(), found[8][2]] == ["not json", '{"u":"b",', "many"]


def test_true_lines() -> None:
    lines = [number for number in range(1, 12) if number not in (1, 4, 5, 11)]
    assert true_lines(range(1, 8), [1, 4, 5, 11]) == dict(zip(range(1, 8), lines, strict=True))


def test_types_of_json_columns(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"b": True, "i": 1, "f": 1, "d": "2025-01-01", "t": "2025-01-01 10:00:00", "m": 1, "s": "20250101", "o": {}},
        {"b": None, "i": -5, "f": 0.5, "d": "2024-02-29", "t": "2025-01-02", "m": "x", "s": "x", "empty": None},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert file_columns(path, "") == {
        "b": "BOOLEAN", "i": "BIGINT", "f": "DOUBLE", "d": "DATE", "t": "TIMESTAMP", "m": "VARCHAR", "s": "VARCHAR",
        "o": "VARCHAR", "empty": "VARCHAR",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "code"), [("", "empty-source"), ("\n", "unknown-column"), ("x\n", "unknown-column")]
)
def test_json_lines_without_an_object(lay: Lay, content: str, code: str) -> None:
    root = lay({"limner.yaml": CONFIG.format(path="a.jsonl", extra=""), "a.jsonl": content})
    with pytest.raises(SourceError) as caught:
        run(root)
    assert caught.value.code == code


@pytest.mark.parametrize("suffix", [".csv.zst", ".tsv.zst"])
def test_packed_csv_has_its_dialect_and_lines(lay: Lay, suffix: str) -> None:
    text = 'u;t;e\na;2025-01-01;"two\nlines"\nb;never;x\n'
    name = "acts" + suffix
    root = lay({"limner.yaml": CONFIG.format(path=name, extra=""), name: packed(text.encode(), suffix)})
    entry = run(root)
    assert (entry.rows, entry.rejected) == (1, 1)
    assert rejects_of(root, entry) == [(4, "t", "never", "bad-time")]
    with open_bytes(root / name) as raw:
        assert raw.read().decode() == text


def duckdb_file(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as con:
        for statement in statements:
            con.execute(statement)


def test_a_table_or_a_query_of_a_duckdb_file(lay: Lay) -> None:
    root = lay({"limner.yaml": CONFIG.format(path="a.duckdb", extra=", amount: n, table: app.acts")})
    duckdb_file(
        root / "a.duckdb",
        "CREATE SCHEMA app",
        "CREATE TABLE app.acts (u INTEGER, t TIMESTAMP, e VARCHAR, n DECIMAL(9, 2))",
        "INSERT INTO app.acts VALUES (1, '2025-01-01', 'x', 1.25), (NULL, '2025-01-01', 'x', 2), (2, '2025-01-02', 'y', 3)",
        "CREATE TABLE staged AS SELECT 1 AS trap",
    )
    stamp = (root / "a.duckdb").stat().st_mtime_ns
    entry = run(root)
    assert (entry.rows, entry.rejected) == (2, 1)
    assert rows_of(root, entry, "user_id, event, amount") == [("1", "x", 1.25), ("2", "y", 3.0)]
    assert rejects_of(root, entry) == [(2, "u", None, "missing-user")]
    lay(
        {
            "limner.yaml": CONFIG.format(
                path="a.duckdb", extra=", query: 'SELECT u AS u, t, e FROM app.acts WHERE u > 1;'"
            )
        }
    )
    assert rows_of(root, run(root), "user_id") == [("2",)]
    assert run(root).reused
    assert (root / "a.duckdb").stat().st_mtime_ns == stamp  # opened for reading only
    duckdb_file(root / "a.duckdb", "INSERT INTO app.acts VALUES (3, '2025-01-03', 'y', 3)")
    assert rows_of(root, run(root), "user_id") == [("2",), ("3",)]


def test_what_a_duckdb_file_needs(lay: Lay) -> None:
    root = lay({"limner.yaml": CONFIG.format(path="a.duckdb", extra="")})
    duckdb_file(root / "a.duckdb", "CREATE TABLE acts (u INTEGER)")
    for extra, code in (("", "no-table"), (", table: actz", "unreadable-file"), (", table: acts", "unknown-column")):
        lay({"limner.yaml": CONFIG.format(path="a.duckdb", extra=extra)})
        with pytest.raises(SourceError) as caught:
            run(root)
        assert caught.value.code == code
    lay({"limner.yaml": CONFIG.format(path="a.duckdb", extra=", table: a, query: SELECT 1")})
    with pytest.raises(DefinitionError, match="either 'table' or 'query'"):
        open_workspace(root)


def test_a_query_of_a_plain_file_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a database"):
        Source.model_validate({"type": "users", "path": "a.csv", "user": "u", "table": "x"})
