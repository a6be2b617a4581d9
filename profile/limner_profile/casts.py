"""Casts: how the columns of a source become our fields, as SQL, and what makes a row bad.

Built as text, since the names of columns and formats are quoted here and nowhere else. Imports sources and windows; pure but for the year,
which decides only how fast times are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from limner_profile.sources import EPOCHS, FieldType, Source
from limner_profile.sql_text import quoted, text_of
from limner_profile.windows import offsets_before

SQL_TYPE: Mapping[FieldType, str] = {
    "number": "DOUBLE",
    "category": "VARCHAR",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "time": "TIMESTAMP",
}


@dataclass(frozen=True)
class StagedField:
    """One column of the ingested file: its name, the column it is read from, its type and whether it must be there."""

    name: str
    column: str
    type: FieldType
    required: bool


def cast_sql(field: StagedField, source: Source, zone: ZoneInfo, *, text: bool) -> str:
    """The field's value of a row, NULL where it cannot be read; `text` says that every column of the source is text.

    The session's time zone must be `zone`, that of the source.
    """
    column = quoted(field.column)
    if field.name == "event_id":
        return f"nullif(trim({_as_text(column, text)}), '')"
    if field.type == "category":
        # An empty text field of a CSV file is a missing value; DuckDB reads it as NULL already.
        return _as_text(column, text)
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
            if text:
                return _by_offset(column, zone, f"({instant} AT TIME ZONE 'UTC')")
        return f"({instant} AT TIME ZONE 'UTC')"
    if field.type == "number" and source.decimal_comma:
        return _with_comma(column)
    return f"TRY_CAST({column} AS {SQL_TYPE[field.type]})"


def _by_offset(column: str, zone: ZoneInfo, otherwise: str) -> str:
    """The UTC instant of a text such as 2025-01-31 12:00:00 by the offset that held then; `otherwise` for any other text.

    The calendar of a time zone is slower. It is left for days on which the offset changes, and for years long ago or ahead.
    """
    local = f"TRY_CAST({column} AS TIMESTAMP)"
    until = datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC)
    cases = []
    for since, offset in offsets_before(until, zone):
        # A day away from a change no local time is skipped or comes twice.
        low, high = (
            moment.replace(tzinfo=None) + offset for moment in (since + timedelta(days=1), until - timedelta(days=1))
        )
        if low < high:
            seconds = int(offset.total_seconds())
            cases.append(
                f"WHEN {local} BETWEEN TIMESTAMP '{low}' AND TIMESTAMP '{high}' THEN {local} - INTERVAL '{seconds}' SECOND"
            )
        until = since
    plain = f"length({column}) = 19 AND substr({column}, 17, 1) = ':'"  # no room for an offset
    return f"CASE WHEN {plain} THEN CASE {' '.join(cases)} ELSE {otherwise} END ELSE {otherwise} END"


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


def _as_text(column: str, text: bool) -> str:
    if text:
        return column
    # A whole number that Parquet stores as a float, as pandas does beside missing values, is written without '.0'.
    shown = f"CAST({column} AS VARCHAR)"
    return (
        f"CASE WHEN typeof({column}) IN ('DOUBLE', 'FLOAT') THEN regexp_replace({shown}, '\\.0$', '') ELSE {shown} END"
    )


def problem_sql(fields: Sequence[StagedField]) -> str:
    """The first fault of a row as a struct of field and reason, NULL for a sound row."""
    cases = ["WHEN _fault IS NOT NULL THEN {'field': '', 'reason': 'broken-row: ' || _fault}"]
    for field in fields:
        cast, raw, shown = quoted(field.name), quoted("_raw_" + field.name), text_of(field.name)
        if field.required:
            # Few texts sort before '!', so that few are trimmed.
            empty = f" OR ({raw} < '!' AND trim({raw}) = '')" if field.type == "category" else ""
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
            bounds = f"{SQL_TYPE[field.type]} '0001-01-01' AND {SQL_TYPE[field.type]} '9998-12-31'"
            cases.append(f"WHEN {cast} NOT BETWEEN {bounds} THEN {{'field': {shown}, 'reason': 'bad-{field.type}'}}")
    return f"CASE {' '.join(cases)} ELSE NULL END"
