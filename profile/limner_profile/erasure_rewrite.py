"""Rewriting: a Parquet file or a snapshot without the rows of erased people takes the place of the old one in one step.

A row that is deleted in place leaves its bytes in the file, so the rows that stay are copied: as Parquet, and for a snapshot
from there by a process that has seen no other row. Imports erasure_scan, erasure_texts, errors, schema and statistics.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb

from limner_profile.disk import put
from limner_profile.erasure_scan import Relation, Trace, Wanted, as_text, opened
from limner_profile.erasure_texts import ERASED
from limner_profile.errors import InternalError
from limner_profile.sql_text import quoted, text_of
from limner_profile.statistics import recount_statistics

# Holds users by their place among the profiles, which is another one once somebody is gone. Readers do without it.
_BY_POSITION = "bitmaps"
_PART_OPTIONS = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880"


def _cleaned(relation: Relation, wanted: Wanted, named: Sequence[str]) -> str:
    """The columns of a relation, with ids blanked where other people's rows name them."""
    columns = []
    for column in relation.columns:
        identifier = quoted(column)
        if column not in named:
            columns.append(identifier)
            continue
        if column in relation.numbers:
            columns.append(
                f"CASE WHEN {identifier} IN ({wanted.numbers}) THEN NULL ELSE {identifier} END AS {identifier}"
            )
            continue
        text = as_text(column)
        token = text_of(wanted.token)
        if column in relation.nested:
            columns.append(f"CASE WHEN {wanted.named(text)} THEN NULL ELSE {identifier} END AS {identifier}")
            continue
        # Twice, since one look takes the sign between two ids as belonging to the first.
        once = f"regexp_replace({text}, {token}, '\\1{ERASED}\\2', 'g')"
        twice = f"regexp_replace({once}, {token}, '\\1{ERASED}\\2', 'g')"
        columns.append(
            f"CASE WHEN {text} IN ({wanted.listed}) THEN NULL WHEN {wanted.named(text)} THEN {twice} ELSE {identifier} END AS {identifier}"
        )
    return ", ".join(columns)


def rewrite_parquet(state: Path, path: Path, wanted: Wanted, traces: Sequence[Trace]) -> None:
    """Write a Parquet file anew without the wanted ids' own rows; `traces` say which columns of other rows name them."""
    place = path.relative_to(state).as_posix()
    temporary = path.with_suffix(".tmp")
    named = [column for trace in traces for column in trace.named]
    with opened(path, place) as (connection, relations):
        (relation,) = relations
        connection.execute("SET temp_directory = ?", [str(state / "tmp")])
        query = f"SELECT {_cleaned(relation, wanted, named)} FROM {relation.sql} WHERE NOT {relation.own(wanted)}"
        connection.execute(f"COPY ({query}) TO {text_of(str(temporary))} ({_PART_OPTIONS}{_words(connection, path)})")
    put(temporary, path)


def _words(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """The option that carries over what a file says about itself, such as how a ranking was learned."""
    read = "SELECT decode(key), decode(value) FROM parquet_kv_metadata(?) WHERE starts_with(decode(key), 'limner.')"
    pairs = connection.execute(read, [str(path)]).fetchall()
    listed = ", ".join(f"{quoted(key)}: {text_of(value)}" for key, value in pairs)
    return f", KV_METADATA {{{listed}}}" if listed else ""


def rewrite_snapshot(state: Path, path: Path, wanted: Wanted, traces: Sequence[Trace]) -> None:
    """A new file without the rows takes the snapshot's name; its id, its comments and all other rows stay."""
    place = path.relative_to(state).as_posix()
    temporary, kept = path.with_name(path.name + ".tmp"), state / "tmp" / "kept"
    temporary.unlink(missing_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    named = {trace.place: list(trace.named) for trace in traces}
    try:
        with opened(path, place) as (connection, relations):
            connection.execute("SET temp_directory = ?", [str(state / "tmp")])
            before, after, views = _schema(connection)
            rows, sums = [], []
            for number, relation in enumerate(relations):
                table = relation.sql.removeprefix("scanned.")
                file = kept / f"{number}.parquet"
                columns = _cleaned(relation, wanted, named.get(relation.place, ()))
                query = f"SELECT {columns} FROM {relation.sql} WHERE NOT {relation.own(wanted)}"
                if table.rsplit(".", 1)[-1].strip('"') == _BY_POSITION:
                    query = f"SELECT * FROM {relation.sql} WHERE false"
                connection.execute(f"COPY ({query}) TO {text_of(str(file))} ({_PART_OPTIONS})")
                rows.append((table, str(file)))
                sums.append((table, _checksum(connection, f"({query})")))
        recounted = _recount(state, rows)
        sums = [(table, recounted.get(table, expected)) for table, expected in sums]
        # Another process: what this one knows must not get into the unused bytes of the new file.
        job = {"target": str(temporary), "spill": str(state / "tmp"), "before": before, "rows": rows, "after": after}
        job |= {"views": views, "search": str(state.resolve())}
        worker = [sys.executable, str(Path(__file__).with_name("rewrite_worker.py"))]
        done = subprocess.run(worker, input=json.dumps(job), capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise duckdb.Error(f"{place} could not be written anew: {done.stderr.strip()}")
        with duckdb.connect(str(temporary), read_only=True) as check:
            for table, expected in sums:
                if _checksum(check, table) != expected:
                    raise InternalError(f"{place}: the rows of {table} that stay are not what they were")
    finally:
        shutil.rmtree(kept, ignore_errors=True)
    if temporary.with_name(temporary.name + ".wal").exists():
        raise InternalError(f"{temporary.name} was closed with a write-ahead log")
    put(temporary, path)


def _recount(state: Path, rows: Sequence[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """The checksums of the tables of statistics, whose files hold what the profiles that stay come to.

    Their commonest values, ends and places may be those of one person, and a kept snapshot is never built anew.
    """
    files = {table.rsplit(".", 1)[-1].strip('"'): (table, file) for table, file in rows}
    if not {"profiles", "tags", "tag_statistics"} <= set(files):
        return {}
    with duckdb.connect() as connection:
        connection.execute("SET threads = 2")
        connection.execute("SET temp_directory = ?", [str(state / "tmp")])
        connection.execute(f"CREATE VIEW profiles AS SELECT * FROM read_parquet({text_of(files['profiles'][1])})")
        tables = [name for name in ("tags", "tag_statistics", "tag_places") if name in files]
        for name in tables:
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet({text_of(files[name][1])})")
        recount_statistics(connection)
        for name in tables:
            connection.execute(f"COPY {name} TO {text_of(files[name][1])} ({_PART_OPTIONS})")
        return {files[name][0]: _checksum(connection, name) for name in tables}


def _checksum(connection: duckdb.DuckDBPyConnection, relation: str) -> tuple[int, int]:
    """The number of rows of a relation, and what their hashes come to."""
    count, rows = connection.execute(f"SELECT count(*), bit_xor(hash(r)) FROM {relation} AS r").fetchall()[0]
    return int(count), int(rows or 0)


def _schema(connection: duckdb.DuckDBPyConnection) -> tuple[list[str], list[str], list[list[str]]]:
    """The statements for the tables of the attached snapshot, for after the rows (comments, indexes), and for each view."""
    mine = "WHERE database_name = 'scanned' AND NOT internal"
    tables = connection.execute(f"SELECT schema_name, table_name, sql, comment FROM duckdb_tables() {mine}").fetchall()
    before = [str(sql) for _, _, sql, _ in tables]
    after = []
    found = connection.execute(f"SELECT schema_name, view_name, sql, comment FROM duckdb_views() {mine}").fetchall()
    views = {(schema, name): [str(sql)] for schema, name, sql, _ in found}
    for schema, name, _, comment in found:
        if comment is not None:
            views[schema, name].append(f'COMMENT ON VIEW "{schema}"."{name}" IS {text_of(comment)}')
    known = {(schema, name) for schema, name, _, _ in tables}
    for schema, name, _, comment in tables:
        if comment is not None:
            after.append(f'COMMENT ON TABLE "{schema}"."{name}" IS {text_of(comment)}')
    for schema, name, column, comment in connection.execute(
        f"SELECT schema_name, table_name, column_name, comment FROM duckdb_columns() {mine} AND comment IS NOT NULL"
    ).fetchall():
        statement = f'COMMENT ON COLUMN "{schema}"."{name}".{quoted(column)} IS {text_of(comment)}'
        if (schema, name) in known:
            after.append(statement)
        elif (schema, name) in views:
            views[schema, name].append(statement)
    indexes = "SELECT sql FROM duckdb_indexes() WHERE database_name = 'scanned' AND sql IS NOT NULL"
    after += [str(row[0]) for row in connection.execute(indexes).fetchall()]
    return before, after, list(views.values())
