"""The difference between the audiences of two snapshots: sizes, and how many users joined and left each.

Imports nothing of Limner; works on a connection that sees the snapshots as the databases `before` and `after`.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb


@dataclass(frozen=True)
class AudienceDifference:
    """One segment in two snapshots: `change` is same, added, removed or redefined; sizes are None where it is not."""

    segment: str
    change: str
    size_before: int | None
    size_after: int | None
    joined: int | None
    left: int | None


def diff_audiences(connection: duckdb.DuckDBPyConnection) -> list[AudienceDifference]:
    """The difference of every segment that either snapshot holds, by name; empty where neither holds any."""
    present = {
        side
        for (side,) in connection.execute(
            "SELECT DISTINCT database_name FROM duckdb_tables() WHERE table_name = 'segments'"
        ).fetchall()
    }
    nobody = "(SELECT NULL::VARCHAR AS segment, NULL::VARCHAR AS user_id WHERE false)"
    nothing = "(SELECT NULL::VARCHAR AS name, NULL::VARCHAR AS definition_hash, NULL::BIGINT AS size WHERE false)"
    segments = {side: f"{side}.segments" if side in present else nothing for side in ("before", "after")}
    members = {side: f"{side}.audiences" if side in present else nobody for side in ("before", "after")}
    rows = connection.execute(
        f"""
        WITH moved AS (
            SELECT coalesce(o.segment, n.segment) AS segment,
                count(*) FILTER (WHERE o.user_id IS NULL) AS joined, count(*) FILTER (WHERE n.user_id IS NULL) AS left_it
            FROM {members["before"]} AS o FULL JOIN {members["after"]} AS n
                ON o.segment = n.segment AND o.user_id = n.user_id
            GROUP BY ALL)
        SELECT coalesce(o.name, n.name) AS name, o.size, n.size, o.definition_hash = n.definition_hash,
            coalesce(m.joined, 0), coalesce(m.left_it, 0)
        FROM {segments["before"]} AS o FULL JOIN {segments["after"]} AS n ON o.name = n.name
            LEFT JOIN moved AS m ON m.segment = coalesce(o.name, n.name)
        ORDER BY name
        """
    ).fetchall()
    differences = []
    for name, before, after, alike, joined, left in rows:
        both = before is not None and after is not None
        change = "added" if before is None else "removed" if after is None else "same" if alike else "redefined"
        differences.append(
            AudienceDifference(name, change, before, after, joined if both else None, left if both else None)
        )
    return differences
