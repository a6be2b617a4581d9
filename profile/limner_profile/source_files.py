"""The files of a source: which they are, which columns they have, and whether those are the columns that the mapping names.

Imports sources, csv_dialect, encodings and json_lines.
"""

from __future__ import annotations

import glob
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import duckdb

from limner_profile.csv_dialect import csv_types, header_line, is_csv
from limner_profile.encodings import check_encoding
from limner_profile.errors import Issue, SourceError, did_you_mean
from limner_profile.json_lines import json_columns
from limner_profile.sources import FieldType, Source, is_duckdb, is_json
from limner_profile.sql_text import quoted


def source_files(source: Source, root: Path, where: str) -> list[Path]:
    """The files of a source in name order; raises SourceError where there is none, or of an unknown kind."""
    pattern = source.path if Path(source.path).is_absolute() else str(root / source.path)
    if Path(pattern).is_file():
        files = [Path(pattern)]  # a name may hold brackets, which a pattern would take for a choice of letters
    else:
        found = (root / name for name in glob.glob(source.path, root_dir=root, recursive=True))
        files = sorted(path for path in found if path.is_file())
    if not files:
        folder = Path(pattern).parent
        near = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        hint = did_you_mean(
            Path(pattern).name, near, f"paths are relative to the folder of limner.yaml ({root.resolve().name}/)"
        )
        raise SourceError(Issue("missing-file", where, f"no file matches {source.path!r}", hint))
    for file in files:
        if not (is_csv(file) or is_json(file) or is_duckdb(file)) and file.suffix != ".parquet":
            raise SourceError(
                Issue(
                    "unknown-format",
                    where,
                    f"{file.name!r} is neither CSV, JSON lines, Parquet nor DuckDB",
                    "files end in .csv, .tsv, .jsonl (each also .gz or .zst), .parquet or .duckdb",
                )
            )
        if is_duckdb(file) and not source.relation:
            hint = "name a table of the file: 'table: orders', or 'query: SELECT …'"
            raise SourceError(Issue("no-table", where, f"{file.name!r} is a database of many tables", hint))
    return files


def attach_duckdb(con: duckdb.DuckDBPyConnection, file: Path, source: Source) -> str:
    """The relation that a source means within a DuckDB file, which is attached read-only as `origin`."""
    con.execute(f"ATTACH '{str(file).replace(chr(39), chr(39) * 2)}' AS origin (READ_ONLY)")
    con.execute("USE origin")
    if source.query:
        return f"({source.query.strip().rstrip(';')})"
    return "origin." + ".".join(quoted(part) for part in (source.table or "").split("."))


def detach_duckdb(con: duckdb.DuckDBPyConnection) -> None:
    """Let go of the file that `attach_duckdb` attached."""
    con.execute("USE memory")
    con.execute("DETACH DATABASE IF EXISTS origin")


def file_columns(file: Path, where: str, source: Source | None = None) -> dict[str, str]:
    """Column name to DuckDB type, as the file says (Parquet, DuckDB) or as its first rows suggest (CSV, JSON lines).

    `source` says which table of a DuckDB file is meant, and which rare keys of JSON lines are looked for. Raises SourceError
    for a file that is empty, cannot be read, or is text of another encoding than UTF-8.
    """
    empty = SourceError(Issue("empty-source", where, f"{file.name} is empty", "a source needs at least one row"))
    # A database is attached under a name, which two of them may not share.
    with duckdb.connect() if is_duckdb(file) else _describer().cursor() as con:
        try:
            if is_json(file) or is_csv(file):
                check_encoding(file, where)
            if is_json(file):
                found = json_columns(con, str(file), source.mapped().values() if source else ())
                if not found and file.stat().st_size == 0:
                    raise empty
                return found
            if is_duckdb(file) and source:
                relation = attach_duckdb(con, file, source)
                rows = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
                return {str(row[0]): str(row[1]) for row in rows}
            if is_csv(file):
                if not header_line(file).strip():
                    raise empty
                return csv_types(con, file)
            rows = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(file)]).fetchall()
        except (duckdb.Error, OSError, EOFError, zlib.error) as error:
            if file.stat().st_size == 0:
                raise empty from None
            first = str(error).splitlines()[0]
            raise SourceError(
                Issue("unreadable-file", where, f"{file.name} cannot be read: {first}", "is it what its name says?")
            ) from None
    return {str(row[0]): str(row[1]) for row in rows}


@lru_cache(maxsize=1)
def _describer() -> duckdb.DuckDBPyConnection:
    """The connection whose cursors look at files: making one for each file takes longer than to look at it."""
    connection = duckdb.connect()
    connection.execute("SET GLOBAL enable_external_file_cache = false")  # a file may have been replaced since
    return connection


def field_type(duckdb_type: str) -> FieldType:
    """The type that conditions see for a DuckDB type.

    >>> field_type("DECIMAL(18,3)"), field_type("VARCHAR"), field_type("TIMESTAMP WITH TIME ZONE")
    ('number', 'category', 'time')
    """
    if duckdb_type.endswith("]"):
        return "category"  # a list, shown as text
    word = duckdb_type.split("(")[0].upper()
    if word in {
        "TINYINT",
        "SMALLINT",
        "INTEGER",
        "BIGINT",
        "HUGEINT",
        "UTINYINT",
        "USMALLINT",
        "UINTEGER",
        "UBIGINT",
        "UHUGEINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
    }:
        return "number"
    if word == "BOOLEAN":
        return "boolean"
    if word == "DATE":
        return "date"
    return "time" if word.startswith("TIMESTAMP") else "category"


def _columns_hint(field: str, column: str, columns: Mapping[str, str]) -> str:
    listed = f"its columns: {', '.join(list(columns)[:12])}"
    return f"for one name for all rows write 'event_name: {column}'; {listed}" if field == "event" else listed


def check_columns(
    source: Source, name: str, file: Path, columns: Mapping[str, str], where: Mapping[str, str]
) -> list[Issue]:
    """An issue for every mapped column that the file does not have; `where` places each field of the mapping."""
    return [
        Issue(
            "unknown-column",
            where.get(field, where.get("", name)),
            f"{file.name} has no column {column!r}",
            did_you_mean(column, columns, _columns_hint(field, column, columns)),
        )
        for field, column in source.mapped().items()
        if column not in columns
    ]
