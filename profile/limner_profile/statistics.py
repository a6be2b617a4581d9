"""Statistics of the tags of a snapshot: coverage, distribution and drift, in the table `tag_statistics`.

Imports distribution, drift, schema, snapshots and sources. Every column is read once, for statistics, drift and the counts in
`tags` together; a snapshot of before this table was there is counted on demand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from limner_profile.distribution import Bins, Distribution, read_distributions
from limner_profile.drift import compare_bins
from limner_profile.schema import table
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_profile.sql_text import text_of

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
        (
            "breach",
            "VARCHAR",
            "Which limit of the definition (quality, freshness) is not kept or cannot be checked, if any",
        ),
        (
            "age_hours",
            "DOUBLE",
            "From the newest event behind the tag to as_of, whatever its filter; of a tag of tags, of the one with the oldest data. "
            "Empty where there is none, or nobody can know (users' tables, files, scores)",
        ),
        (
            "bins",
            "VARCHAR",
            "What the next snapshot's drift is measured against, as JSON: edges (tenths of a number, or of the age in seconds of a "
            "date or time; the twenty commonest values of a category or boolean) and the users in each bin, in none, without a value",
        ),
    ],
)

PLACES_TABLE = table(
    "tag_places",
    "Where a value of a number tag stands among all users: values a thousandth of the users apart, so that the place of any other is "
    "known to a thousandth.",
    [
        ("tag", "VARCHAR", "The tag"),
        ("value", "DOUBLE", "A value that some user has"),
        ("below", "DOUBLE", "The share of the users with a known value whose value is lower, 0 to 1"),
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
        # A snapshot of an older version may lack a column.
        stored = {row["tag"]: {**_EMPTY, **row} for row in snapshot.rows("SELECT * FROM tag_statistics")}
    lacking: dict[str, FieldType] = {name: kind for name, kind in chosen.items() if name not in stored}
    if lacking:
        with snapshot.connection.cursor() as cursor:
            stored |= {row["tag"]: row for row in measure_statistics(cursor, lacking)}
    return [stored[name] for name in chosen]


def write_statistics(
    connection: duckdb.DuckDBPyConnection,
    tags: Iterable[str] | None = None,
    previous: Path | None = None,
    ages: Mapping[str, float | None] | None = None,
) -> list[dict[str, Any]]:
    """The rows for these tags (all by default), written into `tag_statistics`, and their counts into `tags`.

    Drift is measured against `previous`, a snapshot's file, where it holds the tag by the same definition and type. `ages` are
    the hours from the newest data behind each tag to as_of.
    """
    STATISTICS_TABLE.create(connection)
    wanted = set(tags) if tags is not None else None
    rows = connection.execute("SELECT name, type, definition_hash FROM tags").fetchall()
    current = {name: (kind, digest) for name, kind, digest in rows if wanted is None or name in wanted}
    before = _earlier_bins(connection, current, previous) if previous is not None and current else {}
    found = read_distributions(
        connection,
        "profiles",
        {name: _field_type(kind) for name, (kind, _) in current.items()},
        {name: bins.edges for name, bins in before.items()},
    )
    drift = compare_bins(before, found)
    compared = previous.stem if previous is not None else None
    measured = [
        {
            **_row(name, _field_type(current[name][0]), distribution),
            "psi": drift.get(name),
            "compared_with": compared,
            "age_hours": (ages or {}).get(name),
        }
        for name, distribution in found.items()
    ]
    names = [row["tag"] for row in measured]
    connection.execute("DELETE FROM tag_statistics WHERE list_contains(?, tag)", [names])
    STATISTICS_TABLE.insert(connection, measured)
    _write_places(connection, found)
    _count_tags(connection, names)
    return measured


def recount_statistics(connection: duckdb.DuckDBPyConnection) -> None:
    """Count `tag_statistics`, `tag_places` and the counts in `tags` anew from `profiles`, for the tags that stand there.

    What was found when the snapshot was built stays: drift, breach and age.
    """
    columns = {row[0] for row in connection.execute("DESCRIBE tag_statistics").fetchall()}
    present = {row[0] for row in connection.execute("DESCRIBE profiles").fetchall()}
    known = dict(connection.execute("SELECT tag, type FROM tag_statistics").fetchall())
    found = read_distributions(
        connection, "profiles", {name: _field_type(kind) for name, kind in known.items() if name in present}
    )
    for name, distribution in found.items():
        row = _row(name, _field_type(known[name]), distribution)
        chosen = [column for column in row if column in columns - _FOUND_ONCE]
        assignments = ", ".join(f"{column} = ?" for column in chosen)
        values = [row[column] for column in chosen]
        connection.execute(f"UPDATE tag_statistics SET {assignments} WHERE tag = ?", [*values, name])
    tables = {row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if PLACES_TABLE.name in tables:
        _write_places(connection, found)
    _count_tags(connection, list(found))


def _count_tags(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    connection.execute(
        "UPDATE tags SET users = s.users, coverage = s.coverage, distinct_values = s.distinct_values "
        "FROM tag_statistics AS s WHERE s.tag = tags.name AND list_contains(?, s.tag)",
        [names],
    )


def _write_places(connection: duckdb.DuckDBPyConnection, found: Mapping[str, Distribution]) -> None:
    import numpy as np

    PLACES_TABLE.create(connection)
    connection.execute("DELETE FROM tag_places WHERE list_contains(?, tag)", [list(found)])
    places = [place for distribution in found.values() for place in distribution.places]
    names = [name for name, distribution in found.items() for _ in distribution.places]
    # Not an Arrow table: to make one imports pandas, which takes longer than all statistics of a small store.
    values, below = np.array(places, dtype=np.float64).reshape(-1, 2).T
    PLACES_TABLE.insert_frame(connection, {"tag": np.array(names, dtype=object), "value": values, "below": below})


def record_breaches(connection: duckdb.DuckDBPyConnection, breaches: Mapping[str, str]) -> None:
    """Note in `tag_statistics` which limit of a tag is not kept."""
    for tag, words in breaches.items():
        connection.execute("UPDATE tag_statistics SET breach = ? WHERE tag = ?", [words, tag])


def measure_statistics(connection: duckdb.DuckDBPyConnection, tags: Mapping[str, FieldType]) -> list[dict[str, Any]]:
    """A row of `tag_statistics` for each of these columns of `profiles`, without drift."""
    found = read_distributions(connection, "profiles", tags)
    return [_row(name, tags[name], distribution) for name, distribution in found.items()]


# Columns that tell of the build and not of the profiles.
_FOUND_ONCE = frozenset({"tag", "type", "psi", "compared_with", "age_hours", "breach"})
_EMPTY: Mapping[str, Any] = {column.name: None for column in STATISTICS_TABLE.columns}


def _row(name: str, kind: FieldType, found: Distribution) -> dict[str, Any]:
    row = {**_EMPTY, "tag": name, "type": kind, "users": found.users, "unknown": found.total - found.users}
    row |= {"distinct_values": found.distinct, "coverage": found.users / found.total if found.total else 0.0}
    row |= {"mean": found.mean, "earliest": found.earliest, "latest": found.latest, "bins": found.bins.to_json()}
    row |= dict(zip(("min", "quartile_1", "median", "quartile_3", "max"), found.points, strict=False))
    if kind in ("category", "boolean"):
        row["top_values"] = json.dumps(found.common[:TOP_VALUES], ensure_ascii=False)
    return row


def _earlier_bins(
    connection: duckdb.DuckDBPyConnection, current: Mapping[str, tuple[str, str]], previous: Path
) -> dict[str, Bins]:
    """The bins of the tags that the snapshot before holds by the same definition: as it kept them, else counted now."""
    connection.execute(f"ATTACH {text_of(str(previous))} AS earlier (READ_ONLY)")
    try:
        columns = set(
            connection.execute(
                "SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = 'earlier'"
            ).fetchall()
        )
        if ("tags", "definition_hash") not in columns or ("profiles", "user_id") not in columns:
            return {}
        rows = connection.execute("SELECT name, type, definition_hash FROM earlier.tags").fetchall()
        before = {name: (kind, digest) for name, kind, digest in rows}
        same: dict[str, FieldType] = {
            name: _field_type(tag[0]) for name, tag in current.items() if before.get(name) == tag
        }
        kept: dict[str, Bins] = {}
        if (STATISTICS_TABLE.name, "bins") in columns:
            stored = connection.execute(
                "SELECT tag, bins FROM earlier.tag_statistics WHERE bins IS NOT NULL"
            ).fetchall()
            kept = {name: Bins.from_json(bins) for name, bins in stored if name in same}
        lacking: dict[str, FieldType] = {name: kind for name, kind in same.items() if name not in kept}
        return kept | {
            name: found.bins for name, found in read_distributions(connection, "earlier.profiles", lacking).items()
        }
    finally:
        connection.execute("DETACH earlier")


def _field_type(word: str) -> FieldType:
    known: dict[str, FieldType] = {"number": "number", "category": "category", "boolean": "boolean", "date": "date"}
    return known.get(word, "time")
