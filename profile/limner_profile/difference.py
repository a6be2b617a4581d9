"""The difference between two snapshots: tags, users, and how far each tag's values have moved.

Imports drift and snapshots; attaches both files to a connection of its own, so that no reader is disturbed.
What floors above keep in a snapshot they compare themselves, on the same connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb

from limner_profile.drift import measure_drift
from limner_profile.snapshots import Snapshot
from limner_profile.sources import FieldType
from limner_profile.sql_text import quoted, text_of


@dataclass(frozen=True)
class TagDifference:
    """One tag in two snapshots: `change` is same, added, removed or redefined; the rest is None where it has no sense.

    `before` and `after` are the mean of a number and the commonest value of a category; PSI where the definition is the
    same in both.
    """

    tag: str
    change: str
    coverage_before: float | None
    coverage_after: float | None
    before: Any
    after: Any
    psi: float | None


@dataclass(frozen=True)
class SnapshotDifference:
    """What changed from one snapshot to another: users (those who joined and left by id) and tags in catalog order."""

    before: str
    after: str
    users_before: int
    users_after: int
    joined: tuple[str, ...]
    left: tuple[str, ...]
    tags: tuple[TagDifference, ...]


@contextmanager
def both_attached(before: Snapshot, after: Snapshot) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees two snapshots as the databases `before` and `after`, read-only."""
    with duckdb.connect(config={"threads": 2, "memory_limit": "2GB"}) as connection:
        for alias, snapshot in (("before", before), ("after", after)):
            connection.execute(f"ATTACH {text_of(str(snapshot.path))} AS {alias} (READ_ONLY)")
        connection.execute("SET enable_external_access = false")
        yield connection


def diff_snapshots(connection: duckdb.DuckDBPyConnection, before: Snapshot, after: Snapshot) -> SnapshotDifference:
    """The difference in users and tags; `connection` comes from `both_attached`."""
    users = {
        side: int(connection.execute(f"SELECT count(*) FROM {side}.profiles").fetchall()[0][0])
        for side in ("before", "after")
    }
    joined, left = (
        tuple(
            row[0]
            for row in connection.execute(
                f"SELECT user_id FROM {here}.profiles ANTI JOIN {there}.profiles USING (user_id) ORDER BY user_id"
            ).fetchall()
        )
        for here, there in (("after", "before"), ("before", "after"))
    )
    old, new = _tags(before), _tags(after)
    same: dict[str, FieldType] = {
        name: _field_type(tag["type"])
        for name, tag in new.items()
        if name in old and all(old[name][key] == tag[key] for key in ("definition_hash", "type"))
    }
    drift = measure_drift(connection, "before.profiles", "after.profiles", same)
    middle_before, middle_after = _middles(connection, "before", old), _middles(connection, "after", new)
    differences = []
    for name in [*new, *(name for name in old if name not in new)]:
        change = (
            "added" if name not in old else "removed" if name not in new else "same" if name in same else "redefined"
        )
        differences.append(
            TagDifference(
                name,
                change,
                old[name]["coverage"] if name in old else None,
                new[name]["coverage"] if name in new else None,
                middle_before.get(name),
                middle_after.get(name),
                drift.get(name),
            )
        )
    return SnapshotDifference(before.id, after.id, users["before"], users["after"], joined, left, tuple(differences))


def _tags(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    rows = snapshot.rows("SELECT name, type, definition_hash, coverage FROM tags")
    return {row["name"]: row for row in rows}


def _field_type(word: str) -> FieldType:
    known: dict[str, FieldType] = {"number": "number", "category": "category", "boolean": "boolean", "date": "date"}
    return known.get(word, "time")


def _middles(connection: duckdb.DuckDBPyConnection, side: str, tags: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Tag to the mean of a number, the share of true, the median date, or the commonest value (ties: the first)."""
    if not tags:
        return {}
    parts = []
    for name, tag in tags.items():
        column = quoted(name)
        if tag["type"] == "number":
            parts.append(f"avg({column})")
        elif tag["type"] == "boolean":
            parts.append(f"avg(CAST({column} AS INTEGER))")
        elif tag["type"] == "category":
            parts.append(
                f"(SELECT {column} FROM {side}.profiles WHERE {column} IS NOT NULL GROUP BY {column} "
                f"ORDER BY count(*) DESC, {column} LIMIT 1)"
            )
        else:
            parts.append(f"quantile_disc({column}, 0.5)")
    row = connection.execute(f"SELECT {', '.join(parts)} FROM {side}.profiles").fetchall()[0]
    return dict(zip(tags, row, strict=True))
