"""Staging: one file of a source (or one table in memory) is read, cast field by field, and parted into sound and bad rows.

What comes out stands in the temporary relations `staged` and `rejected` of the connection. Imports csv_lines, json_lines and sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from limner_profile.casts import StagedField, cast_sql, problem_sql
from limner_profile.csv_dialect import csv_reader, is_csv, needs_leniency
from limner_profile.csv_lines import lines_of, lines_of_json
from limner_profile.json_lines import json_relation, true_lines
from limner_profile.source_files import attach_duckdb, detach_duckdb, field_type
from limner_profile.sources import FieldType, Source, is_duckdb, is_json
from limner_profile.sql_text import quoted, text_of

# The view under which a table in memory (a frame, the rows of a database) is registered.
IN_MEMORY = "rows_in_memory"


def staged_fields(source: Source, columns: Mapping[str, str], types: Mapping[str, FieldType]) -> list[StagedField]:
    """What is kept of each row. A type that the mapping does not state comes from `types` (by our name), else from the columns."""
    fields = [StagedField("user_id", source.user, "category", True)]
    if source.time:
        fields.append(StagedField("time", source.time, "time", source.has_acts))
    if source.other:
        fields.append(StagedField("other_id", source.other, "category", True))
    if source.kind:
        fields.append(StagedField("kind", source.kind, "category", False))
    if source.until:
        fields.append(StagedField("until", source.until, "time", False))
    if source.removed:
        fields.append(StagedField("removed", source.removed, "boolean", False))
    if source.event:
        fields.append(StagedField("event", source.event, "category", True))
    if source.event_id:
        fields.append(StagedField("event_id", source.event_id, "category", False))
    if source.amount:
        fields.append(StagedField("amount", source.amount, "number", source.type == "orders"))
    if source.updated_at:
        fields.append(StagedField("updated_at", source.updated_at, "time", True))
    for name, column in (("received", source.received), ("since", source.since)):
        if column:
            fields.append(StagedField(name, column, "time", False))
    for name, mapping in {**source.properties, **source.attributes}.items():
        kind = mapping.type or types.get(name) or field_type(columns[mapping.column])
        fields.append(StagedField(name, mapping.column, kind, False))
    return fields


def stage(
    con: duckdb.DuckDBPyConnection, name: str, source: Source, piece: Path | str, fields: Sequence[StagedField]
) -> None:
    """Read one file, or the table registered as IN_MEMORY where `piece` is a name, into `staged` and `rejected`.

    Raises duckdb.Error where the file cannot be read at all.
    """
    columns = [field.column for field in fields]
    fault, text, parameters = "NULL", "NULL", [str(piece)]
    if isinstance(piece, str):
        relation, number, parameters = IN_MEMORY, None, []
    elif is_csv(piece):
        relation, number = csv_reader(piece), None
    elif is_json(piece):
        relation, number, fault, text = json_relation(columns), "_line", "_fault", "_text"
    elif is_duckdb(piece):
        relation, number, parameters = attach_duckdb(con, piece, source), None, []
    else:
        relation, number = "read_parquet(?, file_row_number=true)", "file_row_number + 1"
    zone = _zone(con)
    texts = not isinstance(piece, str) and is_csv(piece)
    casts = ", ".join(f"{cast_sql(field, source, zone, text=texts)} AS {quoted(field.name)}" for field in fields)
    raws = ", ".join(f"CAST({quoted(field.column)} AS VARCHAR) AS {quoted('_raw_' + field.name)}" for field in fields)
    # The text of a row is kept only where the row is bad.
    shown = ["_text", *(quoted("_raw_" + field.name) for field in fields)]
    kept = ", ".join(f"CASE WHEN _problem IS NOT NULL THEN {column} END AS {column}" for column in shown)
    names = ", ".join(quoted(field.name) for field in fields)
    # Rows stand in the table in the order in which they were read. To number them while reading would keep one core idle.
    row = "rowid + 1" if number is None else "_row"
    query = (
        f"CREATE OR REPLACE TEMP TABLE read_rows AS SELECT _row, {names}, _problem, {kept} FROM "
        f"(SELECT *, {problem_sql(fields)} AS _problem FROM "
        f"(SELECT {number or 'NULL'} AS _row, {fault} AS _fault, {text} AS _text, {casts}, {raws} FROM "
    )
    try:
        con.execute(f"{query}{relation}))", parameters)
    except duckdb.Error as error:
        if isinstance(piece, str) or not is_csv(piece) or not needs_leniency(error):
            raise
        forget_faults(con)
        con.execute(f"{query}{csv_reader(piece, strict=False)}))", parameters)
    finally:
        if not isinstance(piece, str) and is_duckdb(piece):
            detach_duckdb(con)
    con.execute(
        f"CREATE OR REPLACE TEMP VIEW staged AS SELECT {row} AS _row, {names} FROM read_rows WHERE _problem IS NULL"
    )
    con.execute(
        "CREATE OR REPLACE TEMP TABLE rejected "
        "(source VARCHAR, file VARCHAR, line BIGINT, field VARCHAR, value VARCHAR, reason VARCHAR)"
    )
    rows = _bad_rows(con, piece, fields, row)
    if rows:
        file = piece if isinstance(piece, str) else piece.name
        con.executemany("INSERT INTO rejected VALUES (?, ?, ?, ?, ?, ?)", [(name, file, *row) for row in rows])


def unreadable_as(con: duckdb.DuckDBPyConnection, source: Source, field: StagedField, piece: Path | str) -> str | None:
    """A value of the column that cannot be read as the field's type, where at least two cannot and none can; else None."""
    parameters = [str(piece)]
    if isinstance(piece, str):
        relation, parameters = IN_MEMORY, []
    elif is_csv(piece):
        relation = csv_reader(piece)
    elif is_json(piece):
        relation = json_relation([field.column])
    elif is_duckdb(piece):
        relation, parameters = attach_duckdb(con, piece, source), []
    else:
        relation = "read_parquet(?)"
    raw = f"CAST({quoted(field.column)} AS VARCHAR)"
    try:
        known, read, example = con.execute(
            f"SELECT count(raw), count(CASE WHEN raw IS NOT NULL THEN read END), min(raw) "
            f"FROM (SELECT {raw} AS raw, {cast_sql(field, source, _zone(con), text=False)} AS read FROM {relation})",
            parameters,
        ).fetchall()[0]
    except duckdb.BinderException:  # no cast leads from the column's type to the field's
        return "every value"
    finally:
        if not isinstance(piece, str) and is_duckdb(piece):
            detach_duckdb(con)
        forget_faults(con)
    return str(example) if known >= 2 and read == 0 else None


def _bad_rows(
    con: duckdb.DuckDBPyConnection, piece: Path | str, fields: Sequence[StagedField], row: str
) -> list[tuple[int, str, str | None, str]]:
    """The rejected rows as line, column, value and reason; `row` is the number of a row as SQL."""
    values = " ".join(f"WHEN {text_of(field.name)} THEN {quoted('_raw_' + field.name)}" for field in fields)
    bad = con.execute(
        f"SELECT {row} AS n, _problem.field, CASE _problem.field WHEN '' THEN _text {values} END, _problem.reason "
        "FROM read_rows WHERE _problem IS NOT NULL ORDER BY n"
    ).fetchall()
    broken: list[tuple[int, str, str, str]] = []
    if not isinstance(piece, str) and (is_csv(piece) or is_json(piece)):
        # One broken row can be reported once for each of its faults: the last one stands.
        faults = con.execute(
            "SELECT line, coalesce(column_name, ''), csv_line, 'broken-row: ' || lower(CAST(error_type AS VARCHAR)) FROM reject_errors"
        ).fetchall()
        forget_faults(con)
        broken = list({fault[0]: fault for fault in faults}.values())
        if is_json(piece):
            numbers = true_lines({row[0] for row in bad}, {fault[0] for fault in broken})
            lines = lines_of_json(piece, {*numbers.values(), *(fault[0] for fault in broken)}) if bad or broken else {}
            bad = [(lines.get(numbers[row[0]], numbers[row[0]]), *row[1:]) for row in bad]
            broken = [(lines.get(fault[0], fault[0]), "", fault[2].strip("\r\n"), fault[3]) for fault in broken]
        elif bad or broken:
            # What DuckDB calls the line of a broken row is its number among all rows, the header being the first.
            sound, unsound = lines_of(piece, {row[0] for row in bad}, {fault[0] - 1 for fault in broken})
            bad = [(sound.get(row[0], row[0] + 1), *row[1:]) for row in bad]
            # A quote that is never closed takes in the lines up to the next one: say how many were lost with it.
            broken = [
                (unsound.get(fault[0] - 1, fault[0]), *fault[1:3], fault[3] + _swallowed(fault[2])) for fault in broken
            ]
    by_column = {field.name: field.column for field in fields}
    rows: list[tuple[Any, ...]] = [*bad, *broken]
    return [(line, str(by_column.get(field, field)), value, reason) for line, field, value, reason in rows]


def _swallowed(text: str | None) -> str:
    lines = (text or "").strip("\r\n").count("\n")
    return f", with {lines:,} or more lines after it" if lines else ""


def _zone(con: duckdb.DuckDBPyConnection) -> ZoneInfo:
    """The session's time zone, which is that of the source."""
    return ZoneInfo(str(con.execute("SELECT current_setting('TimeZone')").fetchall()[0][0]))


def forget_faults(con: duckdb.DuckDBPyConnection) -> None:
    """Drop what DuckDB noted of broken rows, so that the next file begins anew."""
    con.execute("DROP TABLE IF EXISTS reject_errors")
    con.execute("DROP TABLE IF EXISTS reject_scans")
