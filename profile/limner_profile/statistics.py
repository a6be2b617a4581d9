"""Statistics of the tags of a snapshot: coverage, distribution and drift, in the table `tag_statistics`.

Imports drift, schema, snapshots and sources. Counts in DuckDB; a snapshot of before this table was there is counted on demand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.drift import measure_drift
from limner_profile.schema import table
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType

TOP_VALUES = 10
STATISTICS_TABLE = table(
    "tag_statistics",
    "How the values of each tag are distributed over the users: a row a tag.",
    [
        ("tag", "VARCHAR", "The tag"),
        ("type", "VARCHAR", "number, category, boolean, date or time"),
        ("users", "BIGINT", "How many users have a value"),
        ("unknown", "BIGINT", "How many have none"),
        ("coverage", "DOUBLE", "The share of users who have a value, 0 to 1"),
        ("distinct_values", "BIGINT", "How many different values there are"),
        ("mean", "DOUBLE", "Of a number; of a boolean the share of true"),
        ("min", "DOUBLE", "Of a number"),
        ("quartile_1", "DOUBLE", "A quarter of the known values of a number are at most this"),
        ("median", "DOUBLE", "Half of the known values of a number are at most this"),
        ("quartile_3", "DOUBLE", "Three quarters of the known values of a number are at most this"),
        ("max", "DOUBLE", "Of a number"),
        ("earliest", "TIMESTAMP", "Of a date or time"),
        ("latest", "TIMESTAMP", "Of a date or time"),
        ("top_values", "VARCHAR", "The ten commonest values of a category or boolean, as JSON: [[value, users], …]"),
        ("psi", "DOUBLE", "Drift against compared_with; empty where the definition is another or the tag is new"),
        ("compared_with", "VARCHAR", "The snapshot that was current before, if any"),
        ("breach", "VARCHAR", "Which limit of the definition's quality is not kept, if any"),
    ],
)


def read_statistics(snapshot: Snapshot, tags: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The rows of `tag_statistics`, of these tags or of all in catalog order; counted now where a tag has none."""
    known = snapshot.rows("SELECT name, type FROM tags")
    chosen: dict[str, FieldType] = {
        row["name"]: _field_type(row["type"]) for row in known if tags is None or row["name"] in tags
    }
    stored: dict[str, dict[str, Any]] = {}
    if snapshot.columns(STATISTICS_TABLE.name):
        stored = {row["tag"]: row for row in snapshot.rows("SELECT * FROM tag_statistics")}
    lacking: dict[str, FieldType] = {name: kind for name, kind in chosen.items() if name not in stored}
    if lacking:
        with snapshot.connection.cursor() as cursor:
            stored |= {row["tag"]: row for row in measure_statistics(cursor, lacking)}
    return [stored[name] for name in chosen]


def write_statistics(
    connection: duckdb.DuckDBPyConnection, tags: Iterable[str] | None = None, previous: Path | None = None
) -> list[dict[str, Any]]:
    """The rows for these tags (all by default), written into `tag_statistics`; drift is measured against `previous`.

    A tag has drift where `previous`, a snapshot's file, holds it by the same definition and type.
    """
    STATISTICS_TABLE.create(connection)
    wanted = set(tags) if tags is not None else None
    rows = connection.execute("SELECT name, type, definition_hash FROM tags").fetchall()
    current = {name: (kind, digest) for name, kind, digest in rows if wanted is None or name in wanted}
    measured = measure_statistics(connection, {name: _field_type(kind) for name, (kind, _) in current.items()})
    if previous is not None and measured:
        drift = _drift(connection, current, previous)
        measured = [{**row, "psi": drift.get(row["tag"]), "compared_with": previous.stem} for row in measured]
    for row in measured:
        connection.execute("DELETE FROM tag_statistics WHERE tag = ?", [row["tag"]])
    STATISTICS_TABLE.insert(connection, measured)
    return measured


def record_breaches(connection: duckdb.DuckDBPyConnection, breaches: Mapping[str, str]) -> None:
    """Note in `tag_statistics` which limit of a tag is not kept."""
    for tag, words in breaches.items():
        connection.execute("UPDATE tag_statistics SET breach = ? WHERE tag = ?", [words, tag])


def measure_statistics(connection: duckdb.DuckDBPyConnection, tags: Mapping[str, FieldType]) -> list[dict[str, Any]]:
    """A row of `tag_statistics` for each of these columns of `profiles`, without drift."""
    if not tags:
        return []
    parts = ["count(*)"]
    for name, kind in tags.items():
        column = _quoted(name)
        parts += [f"count({column})", f"count(DISTINCT {column})"]
        if kind == "number":
            parts.append(f"[avg({column})] || quantile_cont(CAST({column} AS DOUBLE), [0, 0.25, 0.5, 0.75, 1])")
        elif kind in ("date", "time"):
            parts.append(f"[min({column})::TIMESTAMP, max({column})::TIMESTAMP]")
        else:
            mean = f"avg(CAST({column} AS INTEGER))" if kind == "boolean" else "CAST(NULL AS DOUBLE)"
            parts.append(f"[{mean}]")
    values = list(connection.execute(f"SELECT {', '.join(parts)} FROM profiles").fetchall()[0])
    total = int(values.pop(0))
    rows = []
    for index, (name, kind) in enumerate(tags.items()):
        users, distinct, found = values[3 * index : 3 * index + 3]
        row: dict[str, Any] = {column.name: None for column in STATISTICS_TABLE.columns}
        row |= {"tag": name, "type": kind, "users": users, "unknown": total - users, "distinct_values": distinct}
        row["coverage"] = users / total if total else 0.0
        if kind in ("date", "time"):
            row |= {"earliest": found[0], "latest": found[1]}
        elif kind == "number":
            row |= dict(zip(("mean", "min", "quartile_1", "median", "quartile_3", "max"), found or (), strict=False))
        else:
            row["mean"] = found[0]
            row["top_values"] = json.dumps(_top_values(connection, name), ensure_ascii=False)
        rows.append(row)
    return rows


def _top_values(connection: duckdb.DuckDBPyConnection, name: str) -> list[list[Any]]:
    column = _quoted(name)
    found = connection.execute(
        f"SELECT {column}, count(*) AS users FROM profiles WHERE {column} IS NOT NULL GROUP BY {column} "
        f"ORDER BY users DESC, {column} LIMIT {TOP_VALUES}"
    ).fetchall()
    return [[value, users] for value, users in found]


def _drift(
    connection: duckdb.DuckDBPyConnection, current: Mapping[str, tuple[str, str]], previous: Path
) -> dict[str, float]:
    escaped = str(previous).replace("'", "''")
    connection.execute(f"ATTACH '{escaped}' AS earlier (READ_ONLY)")
    try:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'earlier'").fetchall()
        if ("tags",) not in tables or ("profiles",) not in tables:
            return {}
        rows = connection.execute("SELECT name, type, definition_hash FROM earlier.tags").fetchall()
        before = {name: (kind, digest) for name, kind, digest in rows}
        same: dict[str, FieldType] = {
            name: _field_type(tag[0]) for name, tag in current.items() if before.get(name) == tag
        }
        return measure_drift(connection, "earlier.profiles", "profiles", same)
    finally:
        connection.execute("DETACH earlier")


def _field_type(word: str) -> FieldType:
    known: dict[str, FieldType] = {"number": "number", "category": "category", "boolean": "boolean", "date": "date"}
    return known.get(word, "time")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
