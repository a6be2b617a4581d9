"""Rewriting: a Parquet file or a snapshot without the rows of erased people takes the place of the old one in one step.

A row that is deleted in place leaves its bytes in the file, so the rows that stay are copied. Imports erasure_scan, errors and schema.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from limner_profile.erasure_scan import Relation, Trace, Wanted, as_text, opened
from limner_profile.errors import InternalError
from limner_profile.schema import text_literal

ERASED = "(erased)"
_PART_OPTIONS = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880"


def _cleaned(relation: Relation, wanted: Wanted, named: Sequence[str]) -> str:
    """The columns of a relation, with ids blanked where other people's rows name them."""
    columns = []
    for column in relation.columns:
        quoted = '"' + column.replace('"', '""') + '"'
        if column not in named:
            columns.append(quoted)
            continue
        text = as_text(column)
        token = text_literal(wanted.token)
        if column in relation.nested:
            columns.append(f"CASE WHEN {wanted.named(text)} THEN NULL ELSE {quoted} END AS {quoted}")
            continue
        # Twice, since one look takes the sign between two ids as belonging to the first.
        once = f"regexp_replace({text}, {token}, '\\1{ERASED}\\2', 'g')"
        twice = f"regexp_replace({once}, {token}, '\\1{ERASED}\\2', 'g')"
        columns.append(
            f"CASE WHEN {text} IN ({wanted.listed}) THEN NULL WHEN {wanted.named(text)} THEN {twice} ELSE {quoted} END AS {quoted}"
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
        connection.execute(f"COPY ({query}) TO {text_literal(str(temporary))} ({_PART_OPTIONS})")
    put(temporary, path)


def rewrite_snapshot(state: Path, path: Path, wanted: Wanted, traces: Sequence[Trace]) -> None:
    """A new file without the rows takes the snapshot's name; its id, its comments and all other rows stay."""
    place = path.relative_to(state).as_posix()
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    named = {trace.place: list(trace.named) for trace in traces}
    with opened(path, place) as (connection, relations):
        connection.execute(f"ATTACH {text_literal(str(temporary))} AS fresh")
        connection.execute("SET temp_directory = ?", [str(state / "tmp")])
        # Only the schema is copied: a row that is copied and deleted would leave its bytes behind.
        connection.execute("COPY FROM DATABASE scanned TO fresh (SCHEMA)")
        for relation in relations:
            target = relation.sql.replace("scanned.", "fresh.", 1)
            columns = _cleaned(relation, wanted, named.get(relation.place, ()))
            own = relation.own(wanted)
            connection.execute(f"INSERT INTO {target} SELECT {columns} FROM {relation.sql} WHERE NOT {own}")
            kept, expected = connection.execute(
                f"SELECT (SELECT count(*) FROM {target}), (SELECT count(*) FROM {relation.sql} WHERE NOT {own})"
            ).fetchall()[0]
            if kept != expected:
                raise InternalError(f"{relation.place}: {kept} rows of {expected} were copied")
        connection.execute("CHECKPOINT fresh")
        connection.execute("DETACH fresh")
    if temporary.with_name(temporary.name + ".wal").exists():
        raise InternalError(f"{temporary.name} was closed with a write-ahead log")
    put(temporary, path)


def put(temporary: Path, path: Path) -> None:
    """Give a file that is complete its name, and wait until the disk has both."""
    fsync(temporary)
    os.replace(temporary, path)
    fsync(path.parent)


def fsync(path: Path) -> None:
    """Wait until the disk has a file or a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
