"""JSON lines: one JSON object a line, nested values by dotted path. Imports errors only.

DuckDB's own JSON reader gives up its columns at the first broken line, and counts no lines. So a file is read as
lines of text, each line is judged by itself, and the number of a row is the line on which it stands.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date, datetime
from typing import Any

import duckdb

# A file of lines as one column of text: no such bytes occur in JSON, so nothing is taken for a delimiter or a quote.
LINES = (
    "read_csv(?, columns={'line': 'VARCHAR'}, header=false, auto_detect=false, delim='\\x01', quote='', escape='', "
    "new_line='\\n', null_padding=true, max_line_size=67108864, strict_mode=false, store_rejects=true, rejects_limit=0)"
)
_SAMPLE = 20480


def json_columns(con: duckdb.DuckDBPyConnection, file: str, wanted: Collection[str] = ()) -> dict[str, str]:
    """Column to DuckDB type, from the first lines of the file; a nested value is a column by its dotted path.

    A `wanted` column that the first lines lack is looked for in the whole file, since keys may be rare.
    """
    rows = con.execute(f"SELECT line FROM {LINES} LIMIT {_SAMPLE}", [file]).fetchall()
    _forget_rejects(con)
    kinds: dict[str, set[str]] = {}
    for path, value in _values(row[0] for row in rows):
        found = kinds.setdefault(path, set())
        if value is not None:
            found.add(_kind(value))
    for column in sorted(set(wanted) - set(kinds)):
        places = "[" + ", ".join(_path(parts) for parts in _readings(column)) + "]"
        exists = f"list_bool_or(list_transform(json_type(line, {places}), lambda kind: kind IS NOT NULL))"
        query = f"SELECT count(*) FROM {LINES} WHERE CASE WHEN json_valid(line) THEN {exists} END"
        if con.execute(query, [file]).fetchall()[0][0]:
            kinds[column] = set()
        _forget_rejects(con)
    return {path: _merged(found) for path, found in kinds.items()}


def json_relation(columns: Iterable[str]) -> str:
    """A relation over a file of lines (its path is the one parameter): `_line`, `_fault`, `line`, and each column as text.

    A column with a dot is read as a key with that name, else as nested keys.
    """
    names = list(dict.fromkeys(columns))
    readings = [(name, parts) for name in names for parts in _readings(name)]
    places = ", ".join(_path(parts) for _, parts in readings)
    selected = ""
    for name in names:
        values = [_value(number + 1) for number, (other, _) in enumerate(readings) if other == name]
        quoted = name.replace('"', '""')
        selected += f', CASE WHEN _fault IS NULL THEN coalesce({", ".join(values)}) END AS "{quoted}"'
    fault = "CASE WHEN NOT json_valid(line) THEN 'not json' WHEN json_type(line) <> 'OBJECT' THEN 'not an object' END"
    return (
        f"(SELECT _line, _fault, line AS _text{selected} FROM (SELECT *, "
        f"CASE WHEN _fault IS NULL THEN json_extract_string(line, [{places}]) END AS _texts, "
        f"CASE WHEN _fault IS NULL THEN json_type(line, [{places}]) END AS _kinds "
        f"FROM (SELECT _line, line, {fault} AS _fault FROM (SELECT row_number() OVER () AS _line, ltrim(line, chr(65279)) "
        f"AS line FROM {LINES}) WHERE trim(line) <> '')))"
    )


def true_lines(numbers: Collection[int], broken: Collection[int]) -> dict[int, int]:
    """Row number to line, where the `broken` lines were dropped before the rows were numbered."""
    lines: dict[int, int] = {}
    left, dropped = sorted(broken), 0
    for number in sorted(numbers):
        while dropped < len(left) and left[dropped] <= number + dropped:
            dropped += 1
        lines[number] = number + dropped
    return lines


def _value(index: int) -> str:
    # A whole number that was written as a float, as pandas does beside missing values, is written without '.0'.
    text = f"_texts[{index}]"
    return f"CASE WHEN _kinds[{index}] = 'DOUBLE' THEN regexp_replace({text}, '\\.0$', '') ELSE {text} END"


def _readings(column: str) -> list[list[str]]:
    parts = column.split(".")
    return [[column], parts] if len(parts) > 1 and all(parts) else [[column]]


def _path(parts: list[str]) -> str:
    inner = ".".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
    return "'$." + inner.replace("'", "''") + "'"


def _values(lines: Iterable[str | None]) -> Iterator[tuple[str, Any]]:
    for line in lines:
        try:
            row = json.loads((line or "").lstrip("\ufeff"))
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield from _flat(row, "")


def _flat(row: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if isinstance(value, dict) and value and "." not in key:
            yield from _flat(value, f"{prefix}{key}.")
        yield f"{prefix}{key}", value


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int | float):
        return "BIGINT" if isinstance(value, int) and abs(value) < 1 << 63 else "DOUBLE"
    if isinstance(value, str):
        readers: tuple[tuple[Callable[[str], Any], str], ...] = (
            (date.fromisoformat, "DATE"),
            (datetime.fromisoformat, "TIMESTAMP"),
        )
        for read, kind in readers:
            try:
                read(value)
            except ValueError:
                continue
            return kind if "-" in value else "VARCHAR"  # 20250101 is more often a number than a day
    return "VARCHAR"


def _merged(kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    for together, kind in (({"BIGINT", "DOUBLE"}, "DOUBLE"), ({"DATE", "TIMESTAMP"}, "TIMESTAMP")):
        if kinds and kinds <= together:
            return kind
    return "VARCHAR"


def _forget_rejects(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DROP TABLE IF EXISTS reject_errors")
    con.execute("DROP TABLE IF EXISTS reject_scans")
