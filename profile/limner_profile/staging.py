"""Staging: one file of a source (or one table in memory) is read, cast field by field, and parted into sound and bad rows.

What comes out stands in the temporary relations `staged` and `rejected` of the connection. Imports csv_lines, json_lines and sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.csv_dialect import csv_reader, is_csv, needs_leniency
from limner_profile.csv_lines import lines_of, lines_of_json
from limner_profile.json_lines import json_relation, true_lines
from limner_profile.sources import (
    EPOCHS,
    FieldType,
    Source,
    attach_duckdb,
    detach_duckdb,
    field_type,
    is_duckdb,
    is_json,
)

SQL_TYPE: Mapping[FieldType, str] = {
    "number": "DOUBLE",
    "category": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIMESTAMP",
}
# The view under which a table in memory (a frame, the rows of a database) is registered.
IN_MEMORY = "rows_in_memory"


@dataclass(frozen=True)
class StagedField:
    """One column of the ingested file: its name, the column it is read from, its type and whether it must be there."""

    name: str
    column: str
    type: FieldType
    required: bool


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
        relation, number, parameters = IN_MEMORY, "row_number() OVER ()", []
    elif is_csv(piece):
        relation = csv_reader(piece)
        number = "row_number() OVER ()"
    elif is_json(piece):
        relation, number, fault, text = json_relation(columns), "_line", "_fault", "_text"
    elif is_duckdb(piece):
        relation, number, parameters = attach_duckdb(con, piece, source), "row_number() OVER ()", []
    else:
        relation, number = "read_parquet(?, file_row_number=true)", "file_row_number + 1"
    casts = ", ".join(f"{_cast(field, source)} AS {quoted(field.name)}" for field in fields)
    raws = ", ".join(f"CAST({quoted(field.column)} AS VARCHAR) AS {quoted('_raw_' + field.name)}" for field in fields)
    # The text of a row is kept only where the row is bad.
    shown = ["_text", *(quoted("_raw_" + field.name) for field in fields)]
    kept = ", ".join(f"CASE WHEN _problem IS NOT NULL THEN {column} END AS {column}" for column in shown)
    names = ", ".join(quoted(field.name) for field in fields)
    query = (
        f"CREATE OR REPLACE TEMP TABLE read_rows AS SELECT _row, {names}, _problem, {kept} FROM "
        f"(SELECT *, {_problem(fields)} AS _problem FROM "
        f"(SELECT {number} AS _row, {fault} AS _fault, {text} AS _text, {casts}, {raws} FROM "
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
    con.execute(f"CREATE OR REPLACE TEMP VIEW staged AS SELECT _row, {names} FROM read_rows WHERE _problem IS NULL")
    con.execute(
        "CREATE OR REPLACE TEMP TABLE rejected "
        "(source VARCHAR, file VARCHAR, line BIGINT, field VARCHAR, value VARCHAR, reason VARCHAR)"
    )
    rows = _bad_rows(con, piece, fields)
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
            f"FROM (SELECT {raw} AS raw, {_cast(field, source)} AS read FROM {relation})",
            parameters,
        ).fetchall()[0]
    except duckdb.BinderException:  # no cast leads from the column's type to the field's
        return "every value"
    finally:
        if not isinstance(piece, str) and is_duckdb(piece):
            detach_duckdb(con)
        forget_faults(con)
    return str(example) if known >= 2 and read == 0 else None


def quoted(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_of(value: str) -> str:
    """A text as a SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _bad_rows(
    con: duckdb.DuckDBPyConnection, piece: Path | str, fields: Sequence[StagedField]
) -> list[tuple[int, str, str | None, str]]:
    """The rejected rows as line, column, value and reason."""
    values = " ".join(f"WHEN {text_of(field.name)} THEN {quoted('_raw_' + field.name)}" for field in fields)
    bad = con.execute(
        f"SELECT _row, _problem.field, CASE _problem.field WHEN '' THEN _text {values} END, _problem.reason "
        "FROM read_rows WHERE _problem IS NOT NULL ORDER BY _row"
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


def forget_faults(con: duckdb.DuckDBPyConnection) -> None:
    """Drop what DuckDB noted of broken rows, so that the next file begins anew."""
    con.execute("DROP TABLE IF EXISTS reject_errors")
    con.execute("DROP TABLE IF EXISTS reject_scans")


def _cast(field: StagedField, source: Source) -> str:
    column = quoted(field.column)
    if field.name == "event_id":
        return f"nullif(trim({_as_text(column)}), '')"
    if field.type == "category":
        # An empty text field of a CSV file is a missing value; DuckDB reads it as NULL already.
        return _as_text(column)
    if field.type == "time":
        own_times = ("time", "received", "since", "updated_at", "until")
        written = source.time_format if field.name in own_times else None
        if written and written in EPOCHS:
            instant = _since_epoch(column, EPOCHS[written])
        elif written:
            instant = f"CAST(try_strptime(CAST({column} AS VARCHAR), {text_of(written)}) AS TIMESTAMPTZ)"
        else:
            # The session's time zone is the source's: text and timestamps without an offset are read as local.
            instant = f"TRY_CAST({column} AS TIMESTAMPTZ)"
        return f"({instant} AT TIME ZONE 'UTC')"
    if field.type == "number" and source.decimal_comma:
        return _with_comma(column)
    return f"TRY_CAST({column} AS {SQL_TYPE[field.type]})"


def _since_epoch(column: str, parts: int) -> str:
    """The instant of a number of seconds (or thousandths of them) since 1970; NULL outside of the years that are read."""
    seconds = f"(TRY_CAST({column} AS DOUBLE) / {parts})"
    return f"(CASE WHEN {seconds} BETWEEN -62e9 AND 253e9 THEN to_timestamp({seconds}) END)"


def _with_comma(column: str) -> str:
    """The number of a text with a decimal comma; 12.50 is none, since its point could only part thousands."""
    text = f"trim(CAST({column} AS VARCHAR))"
    number = f"TRY_CAST(replace(replace({text}, '.', ''), ',', '.') AS DOUBLE)"
    pattern = "'[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?'"
    read = f"CASE WHEN regexp_full_match({text}, {pattern}) THEN {number} END"
    return f"CASE WHEN typeof({column}) = 'VARCHAR' THEN {read} ELSE TRY_CAST({column} AS DOUBLE) END"


def _as_text(column: str) -> str:
    # A whole number that Parquet stores as a float, as pandas does beside missing values, is written without '.0'.
    text = f"CAST({column} AS VARCHAR)"
    return f"CASE WHEN typeof({column}) IN ('DOUBLE', 'FLOAT') THEN regexp_replace({text}, '\\.0$', '') ELSE {text} END"


def _problem(fields: Sequence[StagedField]) -> str:
    """The first fault of a row as a struct of field and reason, NULL for a sound row."""
    cases = ["WHEN _fault IS NOT NULL THEN {'field': '', 'reason': 'broken-row: ' || _fault}"]
    for field in fields:
        cast, raw, shown = quoted(field.name), quoted("_raw_" + field.name), text_of(field.name)
        if field.required:
            empty = f" OR trim({raw}) = ''" if field.type == "category" else ""
            cases.append(
                f"WHEN {raw} IS NULL{empty} THEN {{'field': {shown}, 'reason': 'missing-{field.name.replace('_id', '')}'}}"
            )
        if field.type != "category":
            cases.append(
                f"WHEN {cast} IS NULL AND {raw} IS NOT NULL THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}"
            )
        if field.type == "number":
            cases.append(f"WHEN NOT isfinite({cast}) THEN {{'field': {shown}, 'reason': 'bad-number'}}")
        if field.type in ("date", "time"):
            # Such as 'infinity', or a year of five digits, which calendars of other programs do not have.
            cases.append(
                f"WHEN year({cast}) NOT BETWEEN 1 AND 9998 THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}"
            )
            cases.append(f"WHEN NOT isfinite({cast}) THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}")
    return f"CASE {' '.join(cases)} ELSE NULL END"
