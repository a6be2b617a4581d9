"""Rows that several parts of a source have: found by key, and left out of all parts but one. Imports manifest, sources, staging.

A part by itself depends on its own file only, so a part that has not changed is never written again. Where parts share rows,
the copy that does not count is left out of a trimmed file beside the part; readers read plain files and pay nothing. Finding them
costs one pass over the keys of the parts whose times overlap (of all parts, where the key is an event id or a user).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from limner_profile.manifest import Part
from limner_profile.sources import Source
from limner_profile.sql_text import quoted, text_of


def distinct_rows(con: duckdb.DuckDBPyConnection, source: Source) -> str:
    """The name of the relation that holds `staged` without repeated rows: by event id, by user, or rows alike in all."""
    if source.keep_duplicates:
        return "staged"
    keys = ", ".join(["event_id"] if source.event_id else _keys(con, source, "staged"))
    # A row without an id is told from every other by its place.
    known = "event_id IS NOT NULL" if source.event_id else "true"
    # First the hashes that stand twice, which is cheap; then the rows themselves, which are few or none.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE twice AS SELECT h FROM (SELECT hash({keys}) AS h FROM staged WHERE {known}) "
        "GROUP BY h HAVING count(*) > 1"
    )
    if not con.execute("SELECT 1 FROM twice LIMIT 1").fetchall():
        return "staged"
    order = "_row DESC" if last_counts(source) else "_row"
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE losers AS SELECT _row FROM staged WHERE {known} AND hash({keys}) IN (SELECT h FROM twice) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) > 1"
    )
    con.execute("CREATE OR REPLACE TEMP VIEW kept AS SELECT * FROM staged WHERE _row NOT IN (SELECT _row FROM losers)")
    return "kept"


def last_counts(source: Source) -> bool:
    """Whether the last of several rows with one key counts.

    Later exports of users are appended to earlier ones, and a row that comes again past a cursor was changed.
    """
    return source.type == "users" or source.cursor is not None


def trim(con: duckdb.DuckDBPyConnection, state: Path, source: Source, parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, in order, those that share rows with another with a trimmed file that leaves the repeated rows out."""
    plain = [replace(part, trimmed=None, repeated=0) for part in parts]
    if source.keep_duplicates:
        return tuple(plain)
    _find(
        con, state, source, [(number, part) for number, part in enumerate(plain) if _may_share(plain, number, source)]
    )
    found = con.execute(
        "SELECT part, count(*), md5(string_agg(CAST(n AS VARCHAR), ',' ORDER BY n)) FROM repeated GROUP BY part"
    ).fetchall()
    for number, count, digest in found:
        part = plain[number]
        target = f"{part.file.removesuffix('.parquet')}-{digest[:12]}.parquet"
        if not (state / target).exists():
            query = (
                f"SELECT * EXCLUDE (file_row_number) FROM read_parquet({text_of(str(state / part.file))}, file_row_number = true) "
                f"WHERE file_row_number NOT IN (SELECT n FROM repeated WHERE part = {number}) ORDER BY file_row_number"
            )
            copy_to(con, query, state / target)
            if source.has_acts:
                write_known(con, source, f"read_parquet({text_of(str(state / target))})", state, target)
        plain[number] = replace(part, trimmed=target, repeated=count)
    return tuple(plain)


def copy_to(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    """Write the rows of a query as Parquet, under another name until they are all there."""
    temporary = target.with_suffix(".tmp")
    con.execute(
        f"COPY ({query}) TO {text_of(str(temporary))} (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    )
    os.replace(temporary, target)


def write_known(con: duckdb.DuckDBPyConnection, source: Source, relation: str, state: Path, target: str) -> None:
    """Write, beside the part `target`, since when each user of its rows is known: a build need not look for them in all events.

    A user is known from the first event that had happened and had been received.
    """
    since = "greatest(time, received)" if source.received else "time"
    query = f"SELECT user_id, min({since}) AS since FROM {relation} GROUP BY user_id ORDER BY user_id"
    copy_to(con, query, state / target.replace("events/", "known/", 1))


def parquet_list(paths: Iterable[Path | str]) -> str:
    """The list of files as `read_parquet` takes it."""
    return "[" + ", ".join(text_of(str(path)) for path in paths) + "]"


def _may_share(parts: Sequence[Part], number: int, source: Source) -> bool:
    part = parts[number]
    if not part.rows:
        return False
    if source.type == "users" or source.event_id:
        return len(parts) > 1
    # Rows alike in every column have the same time.
    begin, end = part.first_time or "", part.last_time or ""
    others = (other for index, other in enumerate(parts) if index != number and other.rows)
    return any((other.first_time or "") <= end and (other.last_time or "") >= begin for other in others)


def _find(con: duckdb.DuckDBPyConnection, state: Path, source: Source, parts: Sequence[tuple[int, Part]]) -> None:
    """Fill the temporary table `repeated` with part and row number of every row that does not count."""
    con.execute("CREATE OR REPLACE TEMP TABLE repeated (part INTEGER, n BIGINT)")
    if len(parts) < 2:
        return
    con.execute("CREATE OR REPLACE TEMP TABLE part_files (filename VARCHAR, part INTEGER)")
    con.executemany(
        "INSERT INTO part_files VALUES (?, ?)", [(str(state / part.file), number) for number, part in parts]
    )
    files = parquet_list(state / part.file for _, part in parts)
    read = f"read_parquet({files}, filename = true, file_row_number = true, union_by_name = true)"
    con.execute(f"CREATE OR REPLACE TEMP VIEW every_part AS SELECT * FROM {read}")
    keys = ", ".join(["event_id"] if source.event_id else _keys(con, source, "every_part"))
    known = "event_id IS NOT NULL" if source.event_id else "true"
    # First the hashes that stand in two files, which takes little memory; then the rows themselves, which are few.
    con.execute(
        f"CREATE OR REPLACE TEMP TABLE shared AS SELECT h FROM (SELECT hash({keys}) AS h, filename FROM every_part WHERE {known}) "
        "GROUP BY h HAVING min(filename) <> max(filename)"
    )
    order = "part DESC" if last_counts(source) else "part"
    con.execute(
        f"INSERT INTO repeated SELECT part, file_row_number FROM every_part JOIN part_files USING (filename) "
        f"WHERE {known} AND hash({keys}) IN (SELECT h FROM shared) "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) > 1"
    )
    con.execute("DROP TABLE shared")


def _keys(con: duckdb.DuckDBPyConnection, source: Source, relation: str) -> list[str]:
    if source.type == "users":
        return ["user_id", "updated_at"] if source.updated_at else ["user_id"]
    rows = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return [quoted(row[0]) for row in rows if row[0] not in ("_row", "filename", "file_row_number")]
