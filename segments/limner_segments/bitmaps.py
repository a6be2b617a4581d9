"""Audiences as Roaring bitmaps of positions, stored in the snapshot: what overlaps of many segments are counted by.

A position is a user's row number in `profiles` by `user_id`, from 0. Imports floor 1 and audience's SQL. Erasing somebody
moves everybody behind them, so rewriting a snapshot empties the table, and the bitmaps are then made from the profiles that stay.
"""

from __future__ import annotations

import array
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from limner_profile.predicates.base import Predicate
from limner_profile.schema import table
from limner_profile.snapshots import Snapshot
from limner_segments.conditions.base import user_sets
from limner_segments.conditions.linking import full_text

if TYPE_CHECKING:
    from pyroaring import BitMap

BITMAPS_TABLE = table(
    "bitmaps",
    "Audiences as Roaring bitmaps, for counting overlaps; empty after an erasure, which moves the positions.",
    [
        ("segment", "VARCHAR", "The segment"),
        ("condition", "VARCHAR", "The condition that the audience was made by, with segments inside it written out"),
        ("users", "BIGINT", "How many profiles there were"),
        ("bitmap", "BLOB", "Positions of the members in profiles by user_id, from 0, in the portable Roaring format"),
    ],
)


def put_bitmap(
    connection: duckdb.DuckDBPyConnection, name: str, condition: Predicate, users: int, positions: Any
) -> None:
    """Write the bitmap of one audience, given as a numpy array of positions, into a snapshot that has none of that name."""
    row = {
        "segment": name,
        "condition": full_text(condition),
        "users": users,
        "bitmap": _bitmap(positions).serialize(),
    }
    BITMAPS_TABLE.insert(connection, [row])


def stored_positions(connection: duckdb.DuckDBPyConnection, database: str, name: str) -> Any:
    """A numpy array of the positions of an audience in an attached snapshot: from its bitmap where that holds, else from `audiences`."""
    import numpy as np
    from pyroaring import BitMap

    found = connection.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name = 'bitmaps'", [database]
    ).fetchall()
    if found:
        rows = connection.execute(
            f"SELECT bitmap FROM {database}.bitmaps WHERE segment = ? AND bitmap IS NOT NULL "
            f"AND users = (SELECT count(*) FROM {database}.profiles)",
            [name],
        ).fetchall()
        if rows:
            return np.asarray(BitMap.deserialize(rows[0][0]).to_array(), dtype=np.uint32)
    numbered = f"(SELECT user_id, row_number() OVER (ORDER BY user_id) - 1 AS position FROM {database}.profiles)"
    query = (
        f"SELECT CAST(position AS UINTEGER) AS position FROM {numbered} "
        f"WHERE user_id IN (SELECT user_id FROM {database}.audiences WHERE segment = ?) ORDER BY position"
    )
    return connection.execute(query, [name]).fetchnumpy()["position"]


def read_bitmaps(snapshot: Snapshot, conditions: Mapping[str, Predicate]) -> dict[str, BitMap]:
    """Segment to the bitmap of its audience by these conditions: stored where the condition is that of the build, else made now.

    A condition that reads a file of its own (a list, a lookalike) is always made now, since the file may be another one.
    """
    from pyroaring import BitMap

    stored: dict[str, tuple[str, bytes]] = {}
    if snapshot.columns(BITMAPS_TABLE.name):
        rows = snapshot.rows(
            "SELECT segment, condition, bitmap FROM bitmaps "
            "WHERE users = (SELECT count(*) FROM profiles) AND bitmap IS NOT NULL"
        )
        stored = {row["segment"]: (row["condition"], row["bitmap"]) for row in rows}
    found: dict[str, BitMap] = {}
    for name, condition in conditions.items():
        text, content = stored.get(name, ("", b""))
        if content and text == full_text(condition) and not _reads_files(condition):
            found[name] = BitMap.deserialize(content)
        else:
            found[name] = make_bitmap(snapshot, condition)
    return found


def read_sizes(snapshot: Snapshot, conditions: Mapping[str, Predicate]) -> dict[str, int]:
    """Segment to the size that the snapshot holds, for those whose condition is that of the build; the others are left out."""
    if not snapshot.columns(BITMAPS_TABLE.name):
        return {}
    rows = snapshot.rows(
        "SELECT s.name, s.size, b.condition FROM segments AS s JOIN bitmaps AS b ON b.segment = s.name "
        "WHERE b.users = (SELECT count(*) FROM profiles)"
    )
    stored = {row["name"]: (row["size"], row["condition"]) for row in rows}
    return {
        name: stored[name][0]
        for name, condition in conditions.items()
        if name in stored and stored[name][1] == full_text(condition) and not _reads_files(condition)
    }


def make_bitmap(snapshot: Snapshot, condition: Predicate) -> BitMap:
    """The positions of the users who match now; raises RefusedError for a tag that the snapshot lacks."""
    from limner_segments.audience import condition_sql, prepare, require_tags

    require_tags(snapshot, sorted(condition.fields()))
    scope = prepare(snapshot.connection, condition)
    numbered = exp.select("*", "row_number() OVER (ORDER BY user_id) - 1 AS _position").from_("profiles")
    query = exp.select("CAST(_position AS UINTEGER) AS position").from_(numbered.subquery("profiles"))
    text = query.where(condition_sql(condition, scope)).sql(dialect="duckdb")
    with snapshot.connection.cursor() as cursor:
        return _bitmap(cursor.execute(text).fetchnumpy()["position"])


def _reads_files(condition: Predicate) -> bool:
    return any(call.READS_FILES for call in user_sets(condition))


def _bitmap(positions: object) -> BitMap:
    """The bitmap of a numpy array of UINTEGER positions."""
    import numpy as np
    from pyroaring import BitMap

    # An array of the standard library is read whole; anything else one number at a time.
    return BitMap(array.array("I", np.asarray(positions, dtype=np.uint32).tobytes()))
