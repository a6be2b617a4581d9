"""Rows on a workbench, as `write_rows` brings them there, and the file that a kind makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from limner_segments.exports.formats import file_format
from limner_segments.exports.formats.base import Given, Options, Prepared

TODAY = date(2025, 3, 1)
_TYPES = {str: "VARCHAR", bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", date: "DATE"}


def type_of(values: Sequence[Any]) -> str:
    """The DuckDB type of a column of tag values."""
    return next((_TYPES[type(value)] for value in values if value is not None), "VARCHAR")


def write_file(
    kind: str,
    path: Path,
    columns: Sequence[str],
    users: Mapping[str, Sequence[Any]],
    options: Options | None = None,
    types: Mapping[str, str] | None = None,
) -> Prepared:
    """What was prepared for the file written of users and their values."""
    format_, options = file_format(kind), options or Options()
    found = {name: type_of([values[index] for values in users.values()]) for index, name in enumerate(columns)}
    found |= types or {}
    assert format_.issues(dict(zip(columns, columns, strict=True)), options) == []
    with duckdb.connect() as bench:
        declared = "".join(f', "{name}" {type_}' for name, type_ in found.items())
        bench.execute(f"CREATE TEMP TABLE given (user_id VARCHAR{declared})")
        marks = ", ".join("?" * (len(columns) + 1))
        bench.executemany(f"INSERT INTO given VALUES ({marks})", [[user, *values] for user, values in users.items()])
        given = Given({name: name for name in columns}, found, TODAY, ZoneInfo("Asia/Shanghai"))
        prepared = format_.prepare(bench, given, options)
        format_.write(bench, prepared, path)
    return prepared
