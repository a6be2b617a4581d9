"""Read-only SQL of a person against a snapshot: one SELECT, no files, no network, a time limit.

Imports disk, errors and snapshots.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.disk import writing
from limner_profile.errors import Issue, QueryError, RefusedError, did_you_mean
from limner_profile.snapshots import Snapshot


@dataclass(frozen=True)
class QueryResult:
    """Column names and rows of plain Python values."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def run_query(snapshot: Snapshot, sql: str, seconds: float = 60.0) -> QueryResult:
    """The result of one SELECT; raises QueryError for anything else, for what DuckDB refuses, and after `seconds`."""
    with _running(snapshot, sql, seconds) as relation:
        if any("TIMESTAMP WITH TIME ZONE" in str(kind) for kind in relation.types):
            return QueryResult(list(relation.columns), _zoned_rows(relation))
        return QueryResult(list(relation.columns), relation.fetchall())


def write_parquet(snapshot: Snapshot, sql: str, path: Path, seconds: float = 60.0, *, overwrite: bool = False) -> int:
    """How many rows of one SELECT were written to a Parquet file, which has its name only when it is complete.

    Raises what `run_query` raises, and RefusedError where the file exists, unless `overwrite`.
    """
    import pyarrow.parquet as pq

    if path.exists() and not overwrite:
        raise RefusedError(
            Issue("file-exists", str(path), "the file exists already", "choose another --out, or add --overwrite")
        )
    if not path.parent.is_dir():
        raise RefusedError(
            Issue("missing-folder", str(path.parent), "the folder is not there", "make it, or choose another")
        )
    temporary = path.with_name(path.name + ".tmp")
    rows = 0
    try:
        with writing(path.parent), _running(snapshot, sql, seconds) as relation:
            # A reader that is left half-read would hold the connection.
            reader = relation.to_arrow_reader(100_000)
            with closing(reader), pq.ParquetWriter(temporary, reader.schema, compression="zstd") as writer:
                for batch in reader:
                    writer.write_batch(batch)
                    rows += batch.num_rows
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return rows


def explain_query(snapshot: Snapshot, sql: str) -> str:
    """DuckDB's plan for one SELECT as text; raises what `run_query` raises."""
    with snapshot.connection.cursor() as cursor:
        _require_select(cursor, sql, snapshot)
        try:
            return "\n".join(str(row[1]).rstrip() for row in cursor.execute(f"EXPLAIN {sql}").fetchall())
        except duckdb.Error as error:
            raise explain_error(error, snapshot) from None


@contextmanager
def _running(snapshot: Snapshot, sql: str, seconds: float) -> Iterator[duckdb.DuckDBPyRelation]:
    """The relation of one SELECT, to be read inside the block and within `seconds`."""
    with snapshot.connection.cursor() as cursor:
        _require_select(cursor, sql, snapshot)
        timer = threading.Timer(seconds, cursor.interrupt)
        timer.start()
        try:
            yield cursor.sql(sql)
        except duckdb.InterruptException:
            raise QueryError(
                Issue(
                    "query-timeout", "sql", f"stopped after {seconds:g} seconds", "narrow the query, or raise the limit"
                )
            ) from None
        except duckdb.Error as error:
            raise explain_error(error, snapshot) from None
        finally:
            timer.cancel()


def _require_select(cursor: duckdb.DuckDBPyConnection, sql: str, snapshot: Snapshot) -> None:
    try:
        statements = cursor.extract_statements(sql)
    except duckdb.Error as error:
        raise explain_error(error, snapshot) from None
    if len(statements) != 1:
        raise QueryError(
            Issue(
                "one-statement",
                "sql",
                f"expected one statement, got {len(statements)}",
                "send one SELECT at a time",
            )
        )
    kind = statements[0].type.name.removesuffix("_STATEMENT")
    if kind != "SELECT":
        raise QueryError(
            Issue(
                "not-read-only",
                "sql",
                f"a {kind} statement is not allowed: snapshots are read-only",
                "send a SELECT",
            )
        )


def _zoned_rows(relation: duckdb.DuckDBPyRelation) -> list[tuple[Any, ...]]:
    # DuckDB's own conversion of instants with a time zone needs pytz; Arrow's does not.
    table = relation.to_arrow_table()
    columns = [column.to_pylist() for column in table.columns]
    for index, kind in enumerate(relation.types):
        if str(kind) in ("HUGEINT", "UHUGEINT"):  # which Arrow holds as decimals
            columns[index] = [None if value is None else int(value) for value in columns[index]]
    return list(zip(*columns, strict=True))


def explain_error(error: duckdb.Error, snapshot: Snapshot) -> QueryError:
    """What DuckDB refused, as a QueryError with the nearest table or column."""
    message = str(error).strip().splitlines()[0]
    tables = [row["table_name"] for row in snapshot.rows("SELECT table_name FROM duckdb_tables()")]
    missing = re.search(r"Table with name (\S+?)!? does not exist", message)
    if missing:
        name, listed = missing[1].strip("!"), f"tables: {', '.join(sorted(tables))}"
        if name.casefold() in ("acted", "users") or name.casefold().startswith("users_"):
            hint = f"a snapshot holds the values of tags and the view events, and no rows of other sources; {listed}"
        else:
            hint = did_you_mean(name, tables, listed)
        return QueryError(Issue("unknown-table", "sql", f"unknown table {missing[1]!r}", hint))
    column = re.search(r'Referenced column "([^"]+)"|does not have a column named "([^"]+)"', message)
    if column:
        name = column[1] or column[2]
        known = snapshot.rows("SELECT table_name, column_name FROM duckdb_columns() WHERE NOT internal ORDER BY ALL")
        homes = [row["table_name"] for row in known if row["column_name"] == name]
        hint = did_you_mean(name, {row["column_name"] for row in known}, "try: select name, title_en from tags")
        if homes:
            hint = f"it is a column of {', '.join(homes)}"
        return QueryError(Issue("unknown-column", "sql", f"unknown column {name!r}", hint))
    code = "not-allowed" if isinstance(error, duckdb.PermissionException) else "bad-sql"
    return QueryError(Issue(code, "sql", message, "tables: " + ", ".join(sorted(tables))))
