"""Columns: the counts of every tag of a comparison, two columns at a time. Imports floor 1, arrays, counts and levels."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from zoneinfo import ZoneInfo

import duckdb
import numpy as np

from limner_profile.sources import FieldType
from limner_profile.sql_text import quoted
from limner_segments.comparison_arrays import Arrays
from limner_segments.comparison_counts import Membership, TagCounts
from limner_segments.comparison_levels import count_levels

_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


def count_tags(
    cursor: duckdb.DuckDBPyConnection, membership: Membership, tags: Mapping[str, FieldType], timezone: ZoneInfo
) -> list[TagCounts]:
    """The counts of each of these columns of `profiles`, in their order; `cursor` is the one that `read_membership` got.

    The days of times are those of `timezone`.
    """
    parts = membership.parts
    sides = [part.astype(np.float64) if part.any() else None for part in parts]
    stored = dict(cursor.execute("SELECT column_name, column_type FROM (DESCRIBE profiles)").fetchall())
    values = _distinct_values(cursor)
    own = threading.local()

    def counted(name: str) -> TagCounts:
        if not hasattr(own, "arrays"):
            # Two threads may not share a connection, nor the memory that a column is counted in.
            own.arrays, own.cursor = Arrays(parts, sides), cursor.cursor()
        arrays: Arrays = own.arrays
        if tags[name] == "boolean":
            return arrays.booleans(own.cursor, name)
        if tags[name] != "number":
            return arrays.dates(own.cursor, name, timezone if tags[name] == "time" else None)
        whole = stored[name] in _WHOLE
        column = quoted(name) if whole or stored[name] == "DOUBLE" else f"CAST({quoted(name)} AS DOUBLE)"
        return arrays.numbers(own.cursor, name, column, whole)

    read = [name for name, kind in tags.items() if kind != "category"]
    # NumPy works without the interpreter's lock, while DuckDB reads the next column.
    with ThreadPoolExecutor(2) as pool:
        arrays = pool.map(counted, read)
        found = {name: count_levels(cursor, name, membership, values.get(name)) for name in tags if name not in read}
        found |= dict(zip(read, arrays, strict=True))
    return [found[name] for name in tags]


def _distinct_values(cursor: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Tag to the number of its different values, as the build counted them; empty where the catalog is not there."""
    found = cursor.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'tags'").fetchall()
    if not found:
        return {}
    rows = cursor.execute("SELECT name, distinct_values FROM tags WHERE distinct_values IS NOT NULL").fetchall()
    return {str(name): int(count) for name, count in rows}
